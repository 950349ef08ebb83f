// correct_model: layer after layer on calibration images, rounds weights by choice and corrects the biases.
#ifndef FAT_MODEL_CORRECT_MODEL_HPP_INCLUDED
#define FAT_MODEL_CORRECT_MODEL_HPP_INCLUDED

#include <fat/model/layerwise.hpp>
#include <fat/model/metrics.hpp>
#include <fat/model/model_grids.hpp>
#include <fat/model/moments.hpp>
#include <fat/model/options.hpp>
#include <fat/transform/bias_correction.hpp>
#include <fat/transform/round.hpp>

#include <span>
#include <string>
#include <vector>

namespace fat::inline FAT_ABI {

/// What correct_model does.
struct CorrectionOptions {
  WeightRounding rounding = WeightRounding::nearest;
  bool biases = true;
  /// Images used at most; fewer where they need more memory than `memory` bytes.
  std::size_t images = 64;
  std::size_t memory = std::size_t{448} << 20U;
  /// Learned rounding is for layers in which an output reads at most this many inputs; the rest keep the sum of each
  /// filter (depthwise layers) or the nearest code.
  std::size_t largest_filter = 1024;
};

/// What was found at one layer.
struct LayerCorrection {
  std::string name;
  double largest_shift = 0.0;  ///< of a bias
  double sqnr_db = 0.0;        ///< of the layer's output in the quantized network on the first images, after correction
  std::size_t moved_codes = 0;  ///< weights that are not at their nearest code
};

namespace detail {

constexpr std::size_t most_compared_images = 8;  ///< on which the report of a correction compares the two networks

/// Gives each filter the codes that `choose` makes of the nearest ones, and writes them back as reals. Returns how many
/// are not the nearest.
template <WeightedLayer Layer, class Choose>
std::size_t round_filters(Layer& layer, const std::vector<Grid<float>>& grids, Choose&& choose) {
  const Partition parts = partition(layer.kernel.shape(), Layer::channel_axis);
  const std::size_t taps = parts.outer * parts.inner;
  std::vector<float> units(taps);
  std::vector<std::int32_t> codes(taps);
  std::size_t moved = 0;
  const auto at = [&](std::size_t c, std::size_t tap) -> float& {
    return layer.kernel[(tap / parts.inner * parts.channels + c) * parts.inner + tap % parts.inner];
  };
  for (std::size_t c = 0; c != parts.channels; ++c) {
    const Grid<float>& grid = channel_grid(grids, c);
    if (grid.dead()) {
      for (std::size_t tap = 0; tap != taps; ++tap) at(c, tap) = 0.0F;
      continue;
    }
    const CodeLimits limits{grid.code_min - grid.zero_point, grid.code_max - grid.zero_point};
    for (std::size_t tap = 0; tap != taps; ++tap) units[tap] = at(c, tap) * grid.codes_per_unit;
    for (std::size_t tap = 0; tap != taps; ++tap) codes[tap] = nearest_code(units[tap], limits);
    choose(c, std::span<const float>{units}, limits, std::span<std::int32_t>{codes});
    for (std::size_t tap = 0; tap != taps; ++tap) {
      moved += codes[tap] != nearest_code(units[tap], limits) ? 1U : 0U;
      at(c, tap) = static_cast<float>(codes[tap]) * grid.step;
    }
  }
  return moved;
}

/// Means over images and pixels of each channel, from per-image sums added up in the order of the images.
class ChannelMeans {
 public:
  ChannelMeans(std::size_t images, const Extent& extent)
      : channels_(extent.channels), pixels_(extent.size() / extent.channels), sums_(images * extent.channels) {}
  void add(std::size_t image, std::span<const float> values) {
    const std::span<double> sums = std::span{sums_}.subspan(image * channels_, channels_);
    for (std::size_t i = 0; i != pixels_; ++i)
      for (std::size_t c = 0; c != channels_; ++c) sums[c] += static_cast<double>(values[i * channels_ + c]);
  }
  std::vector<double> means() const {
    std::vector<double> means(channels_);
    for (std::size_t i = 0; i != sums_.size(); ++i) means[i % channels_] += sums_[i];
    const std::size_t images = sums_.size() / channels_;
    for (double& mean : means) mean /= static_cast<double>(images * pixels_);
    return means;
  }

 private:
  std::size_t channels_;
  std::size_t pixels_;
  std::vector<double> sums_;
};

/// Means of every channel of what each node of a float network makes before its clamp; a few images at a time.
inline std::vector<ChannelMeans> float_means(const Model& model, std::span<const float> images, Threads& threads) {
  const std::size_t in = model.input_extent().size(), count = images.size() / in, some = 4 * threads.size();
  std::vector<ChannelMeans> means;
  for (const Node& node : model.nodes) means.emplace_back(count, model.extent(node.output));
  for (std::size_t first = 0; first < count; first += some) {
    LayerwiseRunner runner{model, images.subspan(first * in, std::min(some, count - first) * in), threads};
    for (std::size_t n = 0; n != model.nodes.size(); ++n) {
      runner.run(n, model.nodes[n].op, [&](std::size_t image, std::span<float> y) { means[n].add(first + image, y); });
      runner.release(n);
    }
  }
  return means;
}

}  // namespace detail

/// How many of `given` images correct_model looks at: as many as the options and their memory allow, at least one.
inline std::size_t correction_images(const Model& model, std::size_t given, const CorrectionOptions& options = {}) {
  const std::size_t affordable = options.memory / LayerwiseRunner::peak_bytes(model);
  const std::size_t compared = detail::most_compared_images;
  return std::min({given, options.images, affordable <= compared ? std::size_t{1} : affordable - compared});
}

/// Replaces the weights of every quantized layer by values on their grids, rounded as asked, and shifts its biases so
/// that the mean of every output channel is that of `reference`, the float network that the model was made from (or the
/// model itself), although everything before is quantized too. Encoding the result with the same grids gives exactly
/// these codes. Sequential: layer n is corrected on the quantized outputs of the layers before it. images: [count,
/// input extent], preprocessed. Errors: grids that do not fit the model, images of another size.
inline std::vector<LayerCorrection> correct_model(Model& model, const Model& reference, const ModelGrids& grids,
                                                  std::span<const float> images, Threads& threads,
                                                  const CorrectionOptions& options = {}) {
  expects(grids.activations.size() == model.values.size() && grids.weights.size() == model.nodes.size(),
          "correct_model: grids of ", grids.activations.size(), " values and ", grids.weights.size(),
          " layers for a model of ", model.values.size(), " and ", model.nodes.size());
  expects(reference.nodes.size() == model.nodes.size(), "correct_model: a reference of ", reference.nodes.size(),
          " nodes for a model of ", model.nodes.size());
  const std::size_t given = detail::whole_images(model, images, "correct_model"), in = images.size() / given;
  const std::size_t count = correction_images(model, given, options);
  const std::span<const float> used = images.first(count * in);
  const std::size_t compared = std::min(count, detail::most_compared_images);
  const std::vector<detail::ChannelMeans> targets = detail::float_means(reference, used, threads);
  LayerwiseRunner wanted{reference, used.first(compared * in), threads};
  LayerwiseRunner found{reference, used, threads};
  const auto round_to_grid = [&](ValueId value) {
    if (!grids.activations[value]) return;
    threads.run(count, [&](std::size_t image, std::size_t) {
      const std::span<float> y = found.value(value, image);
      fake_quantize_run(y.data(), y.data(), y.size(), *grids.activations[value]);
    });
  };
  round_to_grid(model.input);
  std::vector<LayerCorrection> report;
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    Node& node = model.nodes[n];
    LayerCorrection done{node.name};
    const Extent& extent = model.extent(node.output);
    wanted.run(n);
    const bool quantized = !grids.weights[n].empty();
    if (quantized)
      with_weighted(node.op, [&]<class Layer>(Layer& layer) {
        constexpr bool depthwise = std::is_same_v<Layer, DepthwiseConvolution>;
        const std::size_t filter = layer.kernel.size() / layer.offset.size();
        if (options.rounding == WeightRounding::learned && filter <= options.largest_filter) {
          const InputMoments moments = input_moments(model, node, found, threads, options.biases);
          std::vector<float> slope(filter);
          done.moved_codes =
              detail::round_filters(layer, grids.weights[n], [&](std::size_t c, auto units, auto limits, auto codes) {
                round_to_data<float>(units, moments.of(c), limits, codes, slope);
              });
        } else if (options.rounding != WeightRounding::nearest && depthwise) {
          done.moved_codes = detail::round_filters(
              layer, grids.weights[n],
              [&](std::size_t, auto units, auto limits, auto codes) { round_preserving_sum(units, limits, codes); });
        } else {
          fake_quantize_weights(layer, grids.weights[n]);
        }
      });
    detail::ChannelMeans means{count, extent};
    found.run(n, with_clamp(node.op, {}), [&](std::size_t image, std::span<float> y) { means.add(image, y); });
    std::vector<double> shift(extent.channels, 0.0);
    if (quantized && options.biases) {
      const std::vector<double> target = targets[n].means();
      const std::vector<double> mean = means.means();
      with_weighted(node.op, [&](auto& layer) { done.largest_shift = correct_bias(layer, target, mean); });
      for (std::size_t c = 0; c != shift.size(); ++c) shift[c] = target[c] - mean[c];
    }
    const Clamp clamp = clamp_of(node.op);
    threads.run(count, [&](std::size_t image, std::size_t) {
      const std::span<float> y = found.value(node.output, image);
      for (std::size_t i = 0; i != y.size(); ++i)
        y[i] = std::min(std::max(y[i] + static_cast<float>(shift[i % extent.channels]), clamp.low), clamp.high);
    });
    round_to_grid(node.output);
    if (quantized) {
      Distance distance;
      for (std::size_t image = 0; image != compared; ++image)
        distance.add(wanted.value(node.output, image), found.value(node.output, image));
      done.sqnr_db = distance.sqnr_db();
      report.push_back(done);
    }
    wanted.release(n);
    found.release(n);
  }
  return report;
}

}  // namespace fat::inline FAT_ABI

#endif
