// Which taps of a window lie inside the image, so that no kernel visits those outside.
#ifndef FAT_KERNEL_TAPS_HPP_INCLUDED
#define FAT_KERNEL_TAPS_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>

namespace fat::inline FAT_ABI {

/// Taps [first, last) of a row or column of a window.
struct TapRange {
  std::size_t first = 0;
  std::size_t last = 0;
  constexpr std::size_t count() const noexcept { return last - first; }
};

/// Of `taps` taps `dilation` apart, the first of which lies on place `start` (negative: before the image), those on
/// places [0, size): at most `size`, whatever `taps` is.
constexpr TapRange taps_inside(std::ptrdiff_t start, std::size_t taps, std::size_t dilation,
                               std::size_t size) noexcept {
  const auto step = static_cast<std::ptrdiff_t>(dilation), end = static_cast<std::ptrdiff_t>(size);
  const std::size_t first = start >= 0 ? 0 : static_cast<std::size_t>((step - 1 - start) / step);
  const std::size_t last = start >= end ? 0 : static_cast<std::size_t>((end - start + step - 1) / step);
  const std::size_t bounded = last < taps ? last : taps;
  return {first < bounded ? first : bounded, bounded};
}

}  // namespace fat::inline FAT_ABI

#endif
