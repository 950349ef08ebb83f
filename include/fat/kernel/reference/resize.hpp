// Reference resizing of codes: nearest pixels found in integers, and bilinear with 10-bit weights (TFLite's integer form).
#ifndef FAT_KERNEL_REFERENCE_RESIZE_HPP_INCLUDED
#define FAT_KERNEL_REFERENCE_RESIZE_HPP_INCLUDED

#include <fat/kernel/requantize.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fat::inline FAT_ABI {

/// Where output coordinate i of `out` falls in an input of extent `in` (ONNX's coordinate_transformation_mode):
/// half_pixel (i + 1/2) in / out - 1/2, asymmetric i in / out, align_corners i (in - 1) / (out - 1), pytorch_half_pixel
/// as half_pixel. The last two are 0 where out is 1.
enum class ResizeCoordinates { half_pixel, asymmetric, align_corners, pytorch_half_pixel };

/// Which pixel a place between two belongs to (ONNX's nearest_mode): the closest, the lower or the upper one of two that
/// are equally far; always the lower; always the upper.
enum class NearestPixel { round_prefer_floor, round_prefer_ceil, floor, ceil };

/// The input pixel of output coordinate `at`, below `in`; exact, because it is computed in integers. Extents below 2^30.
constexpr std::uint32_t nearest_sample(std::size_t at, std::size_t in, std::size_t out, ResizeCoordinates coordinates,
                                       NearestPixel pixel) noexcept {
  const auto i = static_cast<std::int64_t>(at), from = static_cast<std::int64_t>(in),
             to = static_cast<std::int64_t>(out);
  const bool first = to == 1 && (coordinates == ResizeCoordinates::align_corners ||
                                 coordinates == ResizeCoordinates::pytorch_half_pixel);
  // the place is above / below, below being even
  std::int64_t above = (2 * i + 1) * from - to, below = 2 * to;
  if (coordinates == ResizeCoordinates::asymmetric) above = 2 * i * from;
  if (coordinates == ResizeCoordinates::align_corners) above = 2 * i * (from - 1), below = 2 * (to - 1);
  if (first) above = 0, below = 2;
  if (pixel == NearestPixel::round_prefer_floor) above -= below / 2;
  if (pixel == NearestPixel::round_prefer_ceil) above += below / 2;
  const bool upper = pixel == NearestPixel::ceil || pixel == NearestPixel::round_prefer_floor;
  if (above < 0) return 0;
  return static_cast<std::uint32_t>(std::min((upper ? above + below - 1 : above) / below, from - 1));
}

/// Where one output row or column reads: between `low` and `high`, `weight` / 1024 of the way.
struct ResizeSample {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  std::int32_t weight = 0;
};

/// Where output coordinate `at` of `out` falls among `in`, for linear interpolation, in TFLite's steps of 1/1024.
constexpr ResizeSample linear_sample(std::size_t at, std::size_t in, std::size_t out, bool half_pixel,
                                     bool align_corners) noexcept {
  const auto i = static_cast<std::int64_t>(at), from = static_cast<std::int64_t>(in),
             to = static_cast<std::int64_t>(out);
  const bool corners = align_corners && to > 1;
  const std::int64_t scale = corners ? (1024 * (from - 1) + (to - 1) / 2) / (to - 1) : (1024 * from + to / 2) / to;
  const std::int64_t position = i * scale + (half_pixel ? scale / 2 - 512 : 0);
  const std::int64_t low = std::clamp<std::int64_t>(position / 1024, 0, from - 1);
  const std::int64_t high = std::clamp<std::int64_t>((position + 1023) / 1024, 0, from - 1);
  return {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high),
          low == high ? 0 : static_cast<std::int32_t>(position - 1024 * low)};
}

/// One image [_, in_width, channels] to [out_height, out_width, channels]; `rows` has out_height samples into the input
/// rows, `columns` out_width.
namespace reference {

template <class Code>
void resize_nearest(const Code* x, std::size_t in_width, std::size_t channels, const ResizeSample* rows,
                    std::size_t out_height, const ResizeSample* columns, std::size_t out_width, Code* y) {
  for (std::size_t oy = 0; oy != out_height; ++oy)
    for (std::size_t ox = 0; ox != out_width; ++ox)
      for (std::size_t c = 0; c != channels; ++c) *y++ = x[(rows[oy].low * in_width + columns[ox].low) * channels + c];
}

/// rounding: of the means, whose origin the codes are relative to (TFLite: halves away from code 0, so that they depend
/// on the code's sign).
template <class Code>
void resize_bilinear(const Code* x, std::size_t in_width, std::size_t channels, const ResizeSample* rows,
                     std::size_t out_height, const ResizeSample* columns, std::size_t out_width, MeanRounding rounding,
                     Code* y) {
  for (std::size_t oy = 0; oy != out_height; ++oy)
    for (std::size_t ox = 0; ox != out_width; ++ox)
      for (std::size_t c = 0; c != channels; ++c) {
        const ResizeSample r = rows[oy], k = columns[ox];
        const auto at = [&](std::size_t row, std::size_t column) {
          return std::int32_t{x[(row * in_width + column) * channels + c]} - rounding.origin;
        };
        const std::int32_t top = at(r.low, k.low) * (1024 - k.weight) + at(r.low, k.high) * k.weight;
        const std::int32_t bottom = at(r.high, k.low) * (1024 - k.weight) + at(r.high, k.high) * k.weight;
        const std::int32_t sum = top * (1024 - r.weight) + bottom * r.weight;  // below 2^29, as codes have 8 bits
        constexpr std::int32_t count = std::int32_t{1} << 20;  // of the weights
        const std::int32_t mean = rounding.to_even ? mean_half_even(sum, count) : mean_half_away(sum, count);
        *y++ = static_cast<Code>(mean + rounding.origin);
      }
}

}  // namespace reference
}  // namespace fat::inline FAT_ABI

#endif
