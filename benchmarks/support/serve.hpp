// serve: lets a script of benchmarks/peers run a piece of work and a peer's in turn, in one run on one machine.
#ifndef FAT_BENCHMARKS_SUPPORT_SERVE_HPP_INCLUDED
#define FAT_BENCHMARKS_SUPPORT_SERVE_HPP_INCLUDED

#include <fat/model/model.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace benchmarks {

/// Raw floats, little endian as the processor has them.
inline void write_floats(const std::string& path, std::span<const float> values) {
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  const bool written =
      file != nullptr && std::fwrite(values.data(), sizeof(float), values.size(), file) == values.size();
  if (file == nullptr || std::fclose(file) != 0 || !written) throw std::runtime_error(path + ": cannot be written");
}

/// Weights and bias of every weighted layer, in the order of the nodes.
inline void write_weights(const std::string& path, const fat::Model& model) {
  std::vector<float> all;
  for (const fat::Node& node : model.nodes)
    std::visit(
        [&]<class Layer>(const Layer& layer) {
          if constexpr (fat::WeightedLayer<Layer>) {
            all.insert(all.end(), layer.kernel.begin(), layer.kernel.end());
            all.insert(all.end(), layer.offset.begin(), layer.offset.end());
          }
        },
        node.op);
  write_floats(path, all);
}

/// Says `ready`; then for every line with a number n on standard input runs the work n times and prints the seconds of
/// one: on the wall, and of all processors together.
template <class Work>
void serve(Work&& work) {
  std::puts("ready");
  std::fflush(stdout);
  unsigned runs = 0;
  while (std::scanf("%u", &runs) == 1) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t before = std::clock();
    for (unsigned run = 0; run != runs; ++run) work();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    const double busy = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    std::printf("%.9f %.9f\n", spent.count() / runs, busy / runs);
    std::fflush(stdout);
  }
}

}  // namespace benchmarks

#endif
