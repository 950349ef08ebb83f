// Runs a fuzz target without libFuzzer: every file of the corpus as it is, then mutations of them until the time is up.
// The input at hand is kept in fuzz_<target>.input, so that it is there after a crash; run the program with that file
// alone and 0 seconds to see the crash again.
#include <fat/io/file.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t largest_input = 1 << 18;
constexpr unsigned longest_run = 20;  // seconds for one input

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& corpus, std::uint32_t seed) : corpus_(corpus), random_(seed) {}

  std::string next() {
    std::string bytes = corpus_[below(corpus_.size())];
    for (std::size_t changes = 1 + below(4); changes != 0; --changes) change(bytes);
    if (bytes.size() > largest_input) bytes.resize(largest_input);
    return bytes;
  }

 private:
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void change(std::string& bytes) {
    static constexpr std::int64_t numbers[] = {
        0,     1,     -1,    2,          127,          128,          255,       256,
        32767, 65535, 65536, 0x7FFFFFFF, 0x80000000LL, 0xFFFFFFFFLL, INT64_MAX, INT64_MIN};
    const std::size_t at = below(bytes.size());
    switch (below(8)) {
      case 0:  // one bit
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:  // one byte
        if (!bytes.empty()) bytes[at] = static_cast<char>(random_());
        break;
      case 2:  // a number that breaks sizes
        put(bytes, at, numbers[below(std::size(numbers))], std::size_t{1} << below(4));
        break;
      case 3:  // a small number where sizes stand
        put(bytes, at, static_cast<std::int64_t>(below(40)) - 8, std::size_t{1} << below(4));
        break;
      case 4:  // the end is missing
        bytes.resize(at);
        break;
      case 5:  // a piece is missing
        bytes.erase(at, 1 + below(16));
        break;
      case 6:  // a piece comes twice
        bytes.insert(at, bytes.substr(at, 1 + below(64)));
        break;
      default: {  // a piece of another file
        const std::string& other = corpus_[below(corpus_.size())];
        const std::string piece = other.substr(below(other.size()), 1 + below(256));
        bytes.replace(at, std::min(piece.size(), bytes.size() - at), piece);
      }
    }
  }
  static void put(std::string& bytes, std::size_t at, std::int64_t value, std::size_t width) {
    for (std::size_t i = 0; i != width && at + i < bytes.size(); ++i)
      bytes[at + i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }

  const std::vector<std::string>& corpus_;
  std::mt19937 random_;
};

void run(const std::string& bytes, int keep) {
  if (ftruncate(keep, 0) != 0 || pwrite(keep, bytes.data(), bytes.size(), 0) < 0)
    std::perror("the input cannot be kept");
  alarm(longest_run);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  alarm(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s SECONDS CORPUS... (files or folders)\n", argv[0]);
    return 2;
  }
  const double seconds = std::atof(argv[1]);
#if !defined(__SANITIZE_ADDRESS__)
  const rlimit memory{rlim_t{4} << 30, rlim_t{4} << 30};  // a hostile size must not take the machine's memory
  setrlimit(RLIMIT_AS, &memory);
#endif
  std::vector<std::filesystem::path> paths;
  for (int i = 2; i != argc; ++i) {
    if (!std::filesystem::is_directory(argv[i]))
      paths.emplace_back(argv[i]);
    else
      for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i]))
        if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto& path : paths) corpus.push_back(fat::read_file(path));
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no file in the corpus\n", argv[0]);
    return 2;
  }
  const std::string kept = std::filesystem::path{argv[0]}.filename().string() + ".input";
  const int keep = open(kept.c_str(), O_RDWR | O_CREAT, 0644);
  for (const std::string& bytes : corpus) run(bytes, keep);
  Mutator mutator{corpus, 1};
  std::size_t runs = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (; std::chrono::steady_clock::now() < end; ++runs) run(mutator.next(), keep);
  close(keep);
  std::remove(kept.c_str());
  std::printf("%s: %zu files, %zu mutations\n", argv[0], corpus.size(), runs);
  return 0;
}
