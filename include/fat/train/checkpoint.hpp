// Checkpoints: the state of a run in one file, written whole or not at all, and refused where it does not belong.
#ifndef FAT_TRAIN_CHECKPOINT_HPP_INCLUDED
#define FAT_TRAIN_CHECKPOINT_HPP_INCLUDED

#include <fat/core/atomic_file.hpp>
#include <fat/core/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace fat::inline FAT_ABI {

/// A running 64-bit hash (FNV-1a) of plain values: says whether two runs have the same model, data and options.
class Fingerprint {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> Fingerprint& add(const T& value) noexcept {
    return add(std::span<const T>{&value, 1});
  }
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T> Fingerprint& add(std::span<const T> values) noexcept {
    for (const std::byte byte : std::as_bytes(values)) {
      hash_ ^= static_cast<std::uint64_t>(byte);
      hash_ *= 0x100000001b3U;
    }
    return *this;
  }
  std::uint64_t value() const noexcept { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

namespace detail {

inline constexpr std::uint64_t checkpoint_magic = 0x3154504b43544146U;  // "FATCKPT1"

/// The file, or null where there is none. Errors: it is there (or may be) and cannot be opened.
inline File open_checkpoint(const std::string& path) {
  File file{std::fopen(path.c_str(), "rb")};
  const int reason = errno;
  expects(file != nullptr || reason == ENOENT, "checkpoint: cannot open ", path, ": ", std::strerror(reason),
          "; make it readable, or choose another place");
  return file;
}

}  // namespace detail

/// Whether there is a checkpoint to continue from. Errors: there is one, but a new run is asked for, whose checkpoints
/// would replace it; it cannot be opened.
inline bool has_checkpoint(const std::string& path, bool resume) {
  const bool there = detail::open_checkpoint(path) != nullptr;
  expects(resume || !there, "checkpoint: ", path,
          " holds the state of an earlier training; resume that (--resume), or remove the file");
  return there;
}

/// Writes buffers beside `path`, which they replace in finish(): it always holds a complete checkpoint or none.
class CheckpointWriter {
 public:
  CheckpointWriter(const std::string& path, std::uint64_t fingerprint) : path_(path), file_(path) {
    const std::uint64_t head[] = {detail::checkpoint_magic, fingerprint};
    write(std::as_bytes(std::span{head}));
  }

  template <class T>
  void operator()(std::span<T> values) {
    static_assert(std::is_trivially_copyable_v<T>, "a checkpoint holds plain values only");
    const std::uint64_t bytes = values.size_bytes();
    write(std::as_bytes(std::span{&bytes, 1}));
    write(std::as_bytes(values));
  }

  /// Empty, or why the checkpoint could not be written (a full disk); the earlier one stays then.
  std::string finish() {
    const std::uint64_t sum = sum_.value();
    write(std::as_bytes(std::span{&sum, 1}));
    if (file_.settle() && file_.take_place()) return {};
    return "checkpoint: cannot write " + path_ + ": " + std::strerror(file_.reason());
  }

 private:
  void write(std::span<const std::byte> bytes) {
    sum_.add(std::span{reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
    file_.write(bytes);
  }

  std::string path_;
  detail::AtomicFile file_;
  Fingerprint sum_;
};

/// Reads the buffers back in the order in which they were written. Errors: no such file, a damaged or cut file, a
/// fingerprint other than the run's, buffers of other lengths.
class CheckpointReader {
 public:
  CheckpointReader(std::string path, std::uint64_t fingerprint)
      : path_(std::move(path)), file_(detail::open_checkpoint(path_)) {
    expects(file_ != nullptr, "checkpoint: there is no ", path_, "; start without resuming");
    expect_complete();
    std::uint64_t head[2] = {};
    read(std::as_writable_bytes(std::span{head}));
    expects(head[1] == fingerprint, "checkpoint: ", path_,
            " belongs to another model, other images or other options; resume with those, or remove it");
  }

  template <class T>
  void operator()(std::span<T> values) {
    static_assert(std::is_trivially_copyable_v<T>, "a checkpoint holds plain values only");
    std::uint64_t bytes = 0;
    read(std::as_writable_bytes(std::span{&bytes, 1}));
    expects(bytes == values.size_bytes(), "checkpoint: ", path_, " holds ", bytes, " bytes where ", values.size_bytes(),
            " are expected; it belongs to another run");
    read(std::as_writable_bytes(values));
  }

 private:
  /// The magic number in front and the checksum behind everything else must be right before anything is believed.
  void expect_complete() {
    Fingerprint sum;
    unsigned char block[1U << 14U];
    std::uint64_t last = 0;
    std::size_t kept = 0;
    std::uint64_t first = 0;
    bool begun = false;
    while (true) {
      const std::size_t count = std::fread(block + kept, 1, sizeof block - kept, file_.get()) + kept;
      const int reason = errno;
      expects(std::ferror(file_.get()) == 0, "checkpoint: cannot read ", path_, ": ", std::strerror(reason));
      if (!begun && count >= sizeof first) std::copy_n(block, sizeof first, reinterpret_cast<unsigned char*>(&first));
      begun = true;
      if (count < sizeof last) break;
      const std::size_t body = count - sizeof last;
      sum.add(std::span<const unsigned char>{block, body});
      std::copy_n(block + body, sizeof last, reinterpret_cast<unsigned char*>(&last));
      std::copy_n(block + body, sizeof last, block);
      if (body == 0 || count == kept) break;
      kept = sizeof last;
    }
    expects(first == detail::checkpoint_magic && last == sum.value(), "checkpoint: ", path_,
            " is damaged or no checkpoint; remove it and start again");
    std::rewind(file_.get());
  }
  void read(std::span<std::byte> bytes) {
    expects(std::fread(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size(), "checkpoint: ", path_,
            " ends too early; remove it and start again");
  }

  std::string path_;
  detail::File file_;
};

}  // namespace fat::inline FAT_ABI

#endif
