// Moments: second moments of what the filters of a layer meet on calibration data, the metric of learned rounding.
#ifndef FAT_MODEL_MOMENTS_HPP_INCLUDED
#define FAT_MODEL_MOMENTS_HPP_INCLUDED

#include <fat/model/layerwise.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// Second moments of the inputs of each filter, row-major [size, size] for each of the kinds of input there are: one for a
/// dense or ungrouped layer, one a group otherwise (depthwise: one an input channel). Filter taps are in the order of
/// the weights: kernel row, kernel column, input.
struct InputMoments {
  std::size_t size = 0;
  std::size_t filters_per_kind = 1;
  aligned_vector<float> values;

  /// Moments of the filter of one output channel.
  std::span<const float> of(std::size_t channel) const {
    return std::span<const float>{values}.subspan(channel / filters_per_kind * size * size, size * size);
  }
};

namespace detail {

/// Which inputs the taps of a layer meet.
struct TapGeometry {
  Window window;
  std::size_t groups = 1;
  std::size_t inputs_per_group = 1;
  std::size_t outputs_per_group = 1;
};

inline TapGeometry tap_geometry(const Convolution& op) {
  return {op.window, op.groups, op.kernel.shape(3), op.kernel.shape(0) / op.groups};
}
inline TapGeometry tap_geometry(const DepthwiseConvolution& op) {
  return {op.window, op.kernel.shape(3) / op.multiplier, 1, op.multiplier};
}
inline TapGeometry tap_geometry(const Dense& op) { return {Window{}, 1, op.kernel.shape(1), op.kernel.shape(0)}; }

/// Adds x x' of one sample, lower triangle.
inline void add_outer_product(std::span<const float> x, float* sums) {
  for (std::size_t i = 0; i != x.size(); ++i) {
    const float factor = x[i];
    float* const row = sums + i * x.size();
    if (factor == 0.0F) continue;
    for (std::size_t j = 0; j <= i; ++j) row[j] += factor * x[j];
  }
}

}  // namespace detail

/// Moments of a weighted node's inputs over the images of a runner that stands before the node, about their means where
/// `centered` (the metric where a bias takes back the mean), else about 0; at most about 8000 places spread over all
/// images are looked at for large filters. Padding counts as the zeros it is.
inline InputMoments input_moments(const Model& model, const Node& node, LayerwiseRunner& runner, Threads& threads,
                                  bool centered) {
  detail::TapGeometry taps;
  with_weighted(node.op, [&](const auto& layer) { taps = detail::tap_geometry(layer); });
  const bool dense = std::holds_alternative<Dense>(node.op);
  Extent in = model.extent(node.inputs[0]);
  Extent out = model.extent(node.output);
  if (dense) {
    in = Extent{1, 1, in.size()};
    out = Extent{1, 1, out.size()};
  }
  const Window& window = taps.window;
  const std::size_t size = window.kernel.height * window.kernel.width * taps.inputs_per_group;
  const std::size_t places = out.height * out.width * runner.images();
  const std::size_t stride = size <= 32 ? 1 : std::max<std::size_t>(1, places / 8192);
  InputMoments moments{size, taps.outputs_per_group, aligned_vector<float>(taps.groups * size * size)};
  threads.run(taps.groups, [&](std::size_t group, std::size_t) {
    std::vector<float> x(size);
    std::vector<double> mean(size);
    float* const sums = moments.values.data() + group * size * size;
    std::size_t count = 0;
    // Added up image by image, so that float sums stay short.
    std::vector<float> part(size * size);
    std::vector<double> total(size * size);
    std::size_t next = 0;
    for (std::size_t image = 0; image != runner.images(); ++image) {
      const std::span<const float> values = runner.value(node.inputs[0], image);
      std::fill(part.begin(), part.end(), 0.0F);
      const std::size_t first = image * out.height * out.width;
      for (; next < first + out.height * out.width; next += stride) {
        const std::size_t row = (next - first) / out.width;
        const std::size_t column = (next - first) % out.width;
        std::size_t tap = 0;
        for (std::size_t i = 0; i != window.kernel.height; ++i)
          for (std::size_t j = 0; j != window.kernel.width; ++j) {
            const std::size_t y = row * window.stride.height + i * window.dilation.height - window.padding.top;
            const std::size_t z = column * window.stride.width + j * window.dilation.width - window.padding.left;
            const bool inside = y < in.height && z < in.width;  // before the first row or column wraps to large numbers
            const float* const from =
                values.data() + (inside ? (y * in.width + z) * in.channels : 0) + group * taps.inputs_per_group;
            for (std::size_t k = 0; k != taps.inputs_per_group; ++k) x[tap++] = inside ? from[k] : 0.0F;
          }
        detail::add_outer_product(x, part.data());
        for (std::size_t i = 0; i != size; ++i) mean[i] += static_cast<double>(x[i]);
        ++count;
      }
      for (std::size_t i = 0; i != part.size(); ++i) total[i] += static_cast<double>(part[i]);
    }
    const double share = 1.0 / static_cast<double>(count);
    if (!centered) std::fill(mean.begin(), mean.end(), 0.0);
    for (std::size_t i = 0; i != size; ++i)
      for (std::size_t j = 0; j <= i; ++j)
        sums[i * size + j] = sums[j * size + i] =
            static_cast<float>(total[i * size + j] * share - mean[i] * share * (mean[j] * share));
  });
  return moments;
}

}  // namespace fat::inline FAT_ABI

#endif
