// What the vector kernels are asked to do, and the table of their entry points for one instruction set.
#ifndef FAT_KERNEL_FLOAT_CALLS_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_CALLS_HPP_INCLUDED

#include <fat/kernel/float/geometry.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace fat::inline FAT_ABI::float_kernels {

/// What becomes of the product A B of a matrix product.
enum class Epilogue {
  store,       ///< c = clamp(product + bias)
  accumulate,  ///< c += product
  dot          ///< sums[column] += product * c, summed over the rows; c is only read
};

/// Product of A [rows x depth], element (i, p) at a[i * a_row + p * a_depth], and B [depth x columns]: packed panels,
/// or rows at b + p * b_row where b_row is not 0 (then columns is a multiple of the vector width).
struct MatrixProduct {
  const float* a = nullptr;
  std::size_t a_row = 0, a_depth = 1;
  const float* b = nullptr;
  std::size_t b_row = 0;
  float* c = nullptr;
  std::size_t c_row = 0;
  std::size_t rows = 0, depth = 0, columns = 0;
  Epilogue epilogue = Epilogue::store;
  const float* bias = nullptr;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  float* sums = nullptr;
  /// Panels [first_panel, last_panel) of the columns only.
  std::size_t first_panel = 0, last_panel = static_cast<std::size_t>(-1);
};

/// Depthwise convolution with one output a channel: rows [first, last) of y from x and w [taps][channels].
struct Depthwise {
  WindowShape shape;
  const float* x = nullptr;
  const float* w = nullptr;
  const float* bias = nullptr;  ///< null: zero
  float* y = nullptr;
  bool accumulate = false;  ///< y += instead of y =; then neither bias nor clamp
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  bool turned = false;  ///< the kernel is turned by half a circle: its taps are read from the last to the first

  /// Weights of a tap, [channels].
  const float* tap(std::size_t t) const { return w + (turned ? shape.taps() - 1 - t : t) * shape.in_channels; }
};

/// Backward through a clamp to [low, high] and the fake quantization of its result x: dx = dy where x is inside (low,
/// high) and rounds to a code, else 0; residue += sum dy * (q - in * u), outside += sum dy * (1 - in), as in
/// ThresholdSums. Codes count from the zero point. dx may be dy, or null where only the sums are wanted.
struct ThresholdBackward {
  const float* x = nullptr;
  const float* dy = nullptr;
  float* dx = nullptr;
  std::size_t n = 0;
  float codes_per_unit = 0.0F, low_code = 0.0F, high_code = 0.0F;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  double residue = 0.0, outside = 0.0;
};

/// Entry points compiled for one instruction set.
struct Table {
  /// Floats in a vector, columns in a panel, rows of a register tile.
  std::size_t width, panel, rows;
  /// Floats that B [depth x columns] takes when packed.
  std::size_t (*packed_size)(std::size_t depth, std::size_t columns);
  /// Packs B, element (p, j) at b[p * row + j * column].
  void (*pack)(const float* b, std::size_t row, std::size_t column, std::size_t depth, std::size_t columns,
               float* packed);
  void (*multiply)(const MatrixProduct&);
  void (*depthwise)(const Depthwise&, std::size_t first, std::size_t last);
  /// dx (+)= gradient of a depthwise convolution: x is dy, y is dx, the shape is that of the forward pass.
  void (*depthwise_input)(const Depthwise&);
  /// w [taps][channels] += gradient of a depthwise convolution: x is x, bias is dy, y is dw.
  void (*depthwise_weights)(const Depthwise&);
  /// y = clamp(a + b)
  void (*add)(const float* a, const float* b, float* y, std::size_t n, float low, float high);
  /// a += b
  void (*accumulate)(float* a, const float* b, std::size_t n);
  /// g = 0 where y is not inside (low, high)
  void (*mask)(const float* y, float* g, std::size_t n, float low, float high);
  void (*threshold_backward)(ThresholdBackward&);
  /// sums[k] += scale * sum over the pixels of x[pixel][k]
  void (*column_sums)(const float* x, std::size_t pixels, std::size_t channels, float scale, float* sums);
};

}  // namespace fat::inline FAT_ABI::float_kernels

#endif
