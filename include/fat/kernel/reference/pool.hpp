// Reference pools: max, average, mean over height and width.
#ifndef FAT_KERNEL_REFERENCE_POOL_HPP_INCLUDED
#define FAT_KERNEL_REFERENCE_POOL_HPP_INCLUDED

#include <fat/kernel/geometry.hpp>
#include <fat/kernel/reference/elementwise.hpp>
#include <fat/kernel/taps.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// multiplier / count, in integers: the quotient keeps as many bits as the mantissa has room for. count >= 1.
constexpr FixedPointMultiplier divide(FixedPointMultiplier multiplier, std::uint32_t count) noexcept {
  int shift = 31 - std::countl_zero(count);
  if (shift > 31 + multiplier.shift) shift = 31 + multiplier.shift;
  return {static_cast<std::int32_t>((static_cast<std::int64_t>(multiplier.mantissa) << shift) / count),
          multiplier.shift - shift};
}

namespace reference {

/// Calls body(tap index into the image) for every tap inside the image at output (oy, ox).
template <class Body>
void for_each_tap(const Geometry& g, std::size_t oy, std::size_t ox, Body body) {
  // padding may have wrapped (input rows counted from a later output row): the difference is right as a signed number
  const auto top = static_cast<std::ptrdiff_t>(oy * g.stride_height - g.pad_top),
             left = static_cast<std::ptrdiff_t>(ox * g.stride_width - g.pad_left);
  const TapRange rows = taps_inside(top, g.kernel_height, g.dilation_height, g.in_height),
                 columns = taps_inside(left, g.kernel_width, g.dilation_width, g.in_width);
  for (std::size_t ky = rows.first; ky != rows.last; ++ky)
    for (std::size_t kx = columns.first; kx != columns.last; ++kx)
      body(g.in_row(oy, ky) * g.in_width + g.in_column(ox, kx));
}

/// Largest code under the window, between low and high; input and output share one grid. Every window meets the image.
template <class Code>
void max_pool(const Code* x, const Geometry& g, std::int32_t low, std::int32_t high, Code* y) {
  for (std::size_t n = 0; n != g.batch; ++n, x += g.in_size())
    for (std::size_t oy = 0; oy != g.out_height; ++oy)
      for (std::size_t ox = 0; ox != g.out_width; ++ox)
        for (std::size_t c = 0; c != g.in_channels; ++c) {
          std::int32_t best = low;
          for_each_tap(g, oy, ox, [&](std::size_t tap) {
            if (x[tap * g.in_channels + c] > best) best = x[tap * g.in_channels + c];
          });
          *y++ = static_cast<Code>(best > high ? high : best);
        }
}

/// Mean of the codes under the window, rounded as `rounding` says (by default halves away from code 0); input and output
/// share one grid. Taps outside the image are left out, or count as `zero_point` where count_padding.
template <class Code>
void average_pool(const Code* x, const Geometry& g, bool count_padding, std::int32_t zero_point, std::int32_t low,
                  std::int32_t high, Code* y, MeanRounding rounding = {}) {
  for (std::size_t n = 0; n != g.batch; ++n, x += g.in_size())
    for (std::size_t oy = 0; oy != g.out_height; ++oy)
      for (std::size_t ox = 0; ox != g.out_width; ++ox)
        for (std::size_t c = 0; c != g.in_channels; ++c) {
          std::int64_t sum = 0, count = 0;
          for_each_tap(g, oy, ox,
                       [&](std::size_t tap) { sum += x[tap * g.in_channels + c] - rounding.origin, ++count; });
          const auto taps = static_cast<std::int64_t>(g.taps());
          if (count_padding) sum += (taps - count) * (zero_point - rounding.origin), count = taps;
          const auto mean = static_cast<std::int32_t>(
              rounding.origin + (rounding.to_even ? mean_half_even(sum, count) : mean_half_away(sum, count)));
          *y++ = static_cast<Code>(mean < low ? low : mean > high ? high : mean);
        }
}

/// Mean over `positions` of [positions, channels]: requantizes the sum of (x - zero_in) by s.multiplier / positions.
template <class In, class Out, class Rounding = SingleRounding>
void mean(const In* x, std::size_t positions, std::size_t channels, const RequantizeStage& s, Out* y,
          Rounding rounding = {}) {
  const FixedPointMultiplier multiplier = divide(s.multiplier, static_cast<std::uint32_t>(positions));
  for (std::size_t c = 0; c != channels; ++c) {
    std::int32_t sum = 0;
    for (std::size_t p = 0; p != positions; ++p) sum += x[p * channels + c] - s.zero_in;
    y[c] = static_cast<Out>(clamp_code(fat::requantize(sum, multiplier, rounding), s.zero_out, s.low, s.high));
  }
}

}  // namespace reference
}  // namespace fat::inline FAT_ABI

#endif
