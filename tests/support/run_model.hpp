// Runs a Model on tensors in the order of axes of the file it came from.
#ifndef FAT_TESTS_SUPPORT_RUN_MODEL_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_RUN_MODEL_HPP_INCLUDED

#include <fat/model/forward.hpp>

#include <cmath>
#include <cstddef>

namespace fat::test {

/// [N, C, pixels] to [N, pixels, C], or the other way round with the last two arguments exchanged.
template <class T>
array<T> exchanged(const array<T>& from, std::size_t rows, std::size_t columns) {
  array<T> to{from.shape()};
  const std::size_t image = rows * columns;
  for (std::size_t i = 0; i != from.size(); ++i) {
    const std::size_t row = i % image / columns, column = i % columns;
    to[i / image * image + column * rows + row] = from[i];
  }
  return to;
}

/// The outputs for a batch of inputs, both with channels first where the model's file has them first; shape [N,
/// values].
inline array<float> run_in_file_order(const Model& model, const array<float>& input) {
  const Extent in = model.input_extent(), out = model.output_extent();
  const std::size_t batch = input.size() / in.size();
  const array<float> images = model.channels_first ? exchanged(input, in.channels, in.height * in.width) : input;
  array<float> result{Shape{batch, out.size()}};
  FloatRunner runner{model};
  runner.run({images.data(), images.size()}, batch, {result.data(), result.size()});
  return model.channels_first ? exchanged(result, out.height * out.width, out.channels) : result;
}

/// max|a - b| / max|b|, infinite where the numbers of elements differ.
inline double relative_difference(const array<float>& a, const array<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0.0, largest = 0.0;
  for (std::size_t i = 0; i != a.size(); ++i) {
    difference = std::fmax(difference, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    largest = std::fmax(largest, std::fabs(static_cast<double>(b[i])));
  }
  return largest == 0.0 ? difference : difference / largest;
}

}  // namespace fat::test

#endif
