// WindowShape: all extents of a sliding window over one NHWC image, as plain numbers for the float kernels.
#ifndef FAT_KERNEL_FLOAT_GEOMETRY_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_GEOMETRY_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>

namespace fat::inline FAT_ABI {

/// Input row of output row r and kernel row k: r * stride_height + k * dilation_height - pad_top, outside the image
/// where that is negative or not less than in_height. Columns likewise.
struct WindowShape {
  std::size_t in_height = 1, in_width = 1, in_channels = 1;
  std::size_t out_height = 1, out_width = 1, out_channels = 1;
  std::size_t kernel_height = 1, kernel_width = 1;
  std::size_t stride_height = 1, stride_width = 1;
  std::size_t dilation_height = 1, dilation_width = 1;
  std::size_t pad_top = 0, pad_left = 0;

  /// The input row (or in_height: outside) under kernel row k of output row r.
  constexpr std::size_t input_row(std::size_t r, std::size_t k) const noexcept {
    const std::size_t row = r * stride_height + k * dilation_height;
    return row < pad_top || row - pad_top >= in_height ? in_height : row - pad_top;
  }
  /// The input column (or in_width: outside) under kernel column k of output column c.
  constexpr std::size_t input_column(std::size_t c, std::size_t k) const noexcept {
    const std::size_t column = c * stride_width + k * dilation_width;
    return column < pad_left || column - pad_left >= in_width ? in_width : column - pad_left;
  }
  constexpr std::size_t taps() const noexcept { return kernel_height * kernel_width; }
  constexpr std::size_t in_size() const noexcept { return in_height * in_width * in_channels; }
  constexpr std::size_t out_size() const noexcept { return out_height * out_width * out_channels; }
  /// True where the window is a single pixel that visits every pixel: a plain matrix product.
  constexpr bool pointwise() const noexcept {
    return taps() == 1 && stride_height == 1 && stride_width == 1 && pad_top == 0 && pad_left == 0 &&
           in_height == out_height && in_width == out_width;
  }
};

}  // namespace fat::inline FAT_ABI

#endif
