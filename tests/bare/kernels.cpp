// Every reference kernel without exceptions, RTTI, heap and floating-point registers; their results as one number.
#include <fat/core.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace {

constexpr std::size_t side = 6, channels = 4, size = side * side * channels;

std::uint32_t state = 1;
std::int8_t next_code() {
  state = state * 1664525U + 1013904223U;
  return static_cast<std::int8_t>(state >> 24U);
}

std::uint32_t checksum = 2166136261U;
template <class T, std::size_t N>
void add_to_checksum(const T (&values)[N]) {
  for (const T value : values) checksum = (checksum ^ static_cast<std::uint32_t>(value)) * 16777619U;
}

/// Stages are made by the compiler: no floating-point number is left.
constexpr auto multiplier = fat::FixedPointMultiplier::from_real(0.0031);
constexpr auto addition = fat::AddStage::from_steps(0.02, 0.03, 0.04);
constexpr auto swish = fat::HardSwishStage::from_steps(0.03, 0.025);
constexpr auto softmax = fat::SoftmaxStage::from_step(0.05);
constexpr std::int32_t low = -128, high = 127;

std::int8_t x[size], weights[channels * 9 * channels], y[size], z[size], small[size / 4], joined[2 * size],
    padded[(side + 2) * (side + 2) * channels];
std::int32_t sums[size], product[channels * channels];

std::uint32_t run() {
  namespace reference = fat::reference;
  for (std::int8_t& code : x) code = next_code();
  for (std::int8_t& code : weights) code = next_code();
  const std::int32_t bias[channels] = {100, -200, 300, -400}, weight_zero[channels] = {0, 1, 0, -2};
  const fat::OutputStage stage{&multiplier, true, 3, low, high};

  fat::Geometry g;
  g.in_height = g.in_width = g.out_height = g.out_width = side;
  g.in_channels = g.out_channels = channels;
  g.kernel_height = g.kernel_width = 3;
  g.pad_top = g.pad_left = 1;
  reference::convolution(x, 5, weights, weight_zero, bias, g, sums);
  add_to_checksum(sums);
  reference::finish(sums, side * side, channels, stage, y);
  add_to_checksum(y);
  reference::finish(sums, side * side, channels, stage, y, fat::DoubleRounding{});
  add_to_checksum(y);
  reference::depthwise(y, 3, weights, weight_zero, bias, g, sums);
  reference::finish(sums, side * side, channels, stage, z);
  add_to_checksum(z);
  reference::gemm(x, weights, product, channels, 8, channels);
  add_to_checksum(product);

  fat::AddStage sum = addition;
  sum.a_zero = 3, sum.b_zero = 3, sum.zero_out = -7, sum.low = low, sum.high = high;
  reference::add(y, z, size, size, sum, joined);
  reference::multiply(y, z, size, channels, fat::MultiplyStage{multiplier, 3, 3, 0, low, high}, joined + size);
  add_to_checksum(joined);
  reference::concat(y, side, side * channels, 2 * side * channels, 0,
                    fat::RequantizeStage{{1 << 30, 1}, 3, 3, low, high}, joined);
  reference::concat(z, side, side * channels, 2 * side * channels, side * channels,
                    fat::RequantizeStage{{1 << 30, 0}, 3, 0, low, high}, joined);
  add_to_checksum(joined);
  reference::pad(x, side, side, channels, 1, 1, side + 2, side + 2, std::int8_t{5}, padded);
  add_to_checksum(padded);
  fat::HardSwishStage gate = swish;
  gate.zero_in = 3, gate.low = low, gate.high = high;
  reference::hard_swish(y, size, gate, z);
  add_to_checksum(z);
  for (std::size_t row = 0; row != size; row += channels) reference::softmax(y + row, channels, softmax, low, z + row);
  add_to_checksum(z);

  g.stride_height = g.stride_width = 2;
  g.out_height = g.out_width = side / 2;
  reference::max_pool(x, g, low, high, small);
  add_to_checksum(small);
  reference::average_pool(x, g, false, 0, low, high, small);
  add_to_checksum(small);
  std::int8_t means[channels];
  reference::mean(x, side * side, channels, fat::RequantizeStage{{1 << 30, 1}, 0, 0, low, high}, means);
  add_to_checksum(means);
  const fat::ResizeSample samples[2 * side] = {{0, 0, 0},   {0, 1, 256}, {0, 1, 768}, {1, 2, 256},
                                               {1, 2, 768}, {2, 3, 256}, {2, 3, 768}, {3, 4, 256},
                                               {3, 4, 768}, {4, 5, 256}, {4, 5, 768}, {5, 5, 0}};
  reference::resize_bilinear(x, side, 1, samples, 2 * side, samples, 2 * side, {}, z);
  add_to_checksum(z);
  reference::resize_nearest(x, side, 1, samples, 2 * side, samples, 2 * side, z);
  add_to_checksum(z);
  return checksum;
}

}  // namespace

int main() { return run() == 1829832312U ? 0 : 1; }
