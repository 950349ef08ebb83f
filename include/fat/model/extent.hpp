// Extent, Pair, Padding, Clamp, Window: the sizes that operators are described with.
#ifndef FAT_MODEL_EXTENT_HPP_INCLUDED
#define FAT_MODEL_EXTENT_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>
#include <limits>

namespace fat::inline FAT_ABI {

/// Extent of one image's tensor; the batch is left out. A vector (rank 2 in the file) has height = width = 1.
struct Extent {
  std::size_t height = 1;
  std::size_t width = 1;
  std::size_t channels = 1;
  /// True for [batch, channels], false for [batch, height, width, channels].
  bool vector = false;
  std::size_t size() const noexcept { return height * width * channels; }
  bool operator==(const Extent&) const = default;
};

/// A pair of extents, distances or steps along height and width.
struct Pair {
  std::size_t height = 1;
  std::size_t width = 1;
  bool operator==(const Pair&) const = default;
};

/// Rows and columns added around an image; the four sides are independent (TensorFlow's SAME is not symmetric).
struct Padding {
  std::size_t top = 0;
  std::size_t left = 0;
  std::size_t bottom = 0;
  std::size_t right = 0;
  bool operator==(const Padding&) const = default;
};

/// Activation fused into the layer before it: min(max(x, low), high). The default does nothing.
struct Clamp {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  bool active() const noexcept { return *this != Clamp{}; }
  bool operator==(const Clamp&) const = default;
};
inline constexpr Clamp relu{0.0F, std::numeric_limits<float>::infinity()};
inline constexpr Clamp relu6{0.0F, 6.0F};

/// What convolutions and pools share: kernel, stride, dilation, padding.
struct Window {
  Pair kernel;
  Pair stride;
  Pair dilation;
  Padding padding;
  bool operator==(const Window&) const = default;
};

}  // namespace fat::inline FAT_ABI

#endif
