// Geometry: the extents of a windowed operator (convolution, pool), as plain numbers.
#ifndef FAT_KERNEL_GEOMETRY_HPP_INCLUDED
#define FAT_KERNEL_GEOMETRY_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <cstddef>

namespace fat::inline FAT_ABI {

/// Input [batch, in_height, in_width, in_channels], output [batch, out_height, out_width, out_channels]; the window is
/// laid over rows oy * stride_height + ky * dilation_height - pad_top, columns likewise. Taps outside the image are
/// left out of sums (a convolution sees real 0 there).
struct Geometry {
  std::size_t batch = 1;
  std::size_t in_height = 1, in_width = 1, in_channels = 1;
  std::size_t out_height = 1, out_width = 1, out_channels = 1;
  std::size_t kernel_height = 1, kernel_width = 1;
  std::size_t stride_height = 1, stride_width = 1;
  std::size_t dilation_height = 1, dilation_width = 1;
  std::size_t pad_top = 0, pad_left = 0;
  std::size_t groups = 1;

  constexpr std::size_t taps() const noexcept { return kernel_height * kernel_width; }
  /// Output positions of the whole batch.
  constexpr std::size_t rows() const noexcept { return batch * out_height * out_width; }
  constexpr std::size_t in_size() const noexcept { return in_height * in_width * in_channels; }
  constexpr std::size_t out_size() const noexcept { return out_height * out_width * out_channels; }
  /// Input row under window row `ky` of output row `oy`; in_height or more (it wraps) where that is outside.
  constexpr std::size_t in_row(std::size_t oy, std::size_t ky) const noexcept {
    return oy * stride_height + ky * dilation_height - pad_top;
  }
  constexpr std::size_t in_column(std::size_t ox, std::size_t kx) const noexcept {
    return ox * stride_width + kx * dilation_width - pad_left;
  }
  /// True where output position p reads input position p and nothing else: the operator is a matrix product.
  constexpr bool pointwise() const noexcept {
    return kernel_height == 1 && kernel_width == 1 && stride_height == 1 && stride_width == 1 && pad_top == 0 &&
           pad_left == 0 && in_height == out_height && in_width == out_width && groups == 1;
  }
};

/// Errors: an extent, stride or dilation of zero, groups that do not divide the channels. `who` opens the message.
inline void validate(const Geometry& g, const char* who) {
  const std::size_t all[] = {g.batch,        g.in_height,       g.in_width,       g.in_channels,  g.out_height,
                             g.out_width,    g.out_channels,    g.kernel_height,  g.kernel_width, g.stride_height,
                             g.stride_width, g.dilation_height, g.dilation_width, g.groups};
  for (const std::size_t extent : all)
    expects(extent != 0 && extent < std::size_t{1} << 31U, who,
            ": every extent, stride, dilation and group count must be "
            "from 1 to 2^31 - 1, one is ",
            extent);
  expects(g.in_channels % g.groups == 0 && g.out_channels % g.groups == 0, who, ": ", g.groups,
          " groups do not divide ", g.in_channels, " input and ", g.out_channels, " output channels");
}

}  // namespace fat::inline FAT_ABI

#endif
