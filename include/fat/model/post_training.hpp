// post_training: from a float network and its grids to codes, with weights rounded and biases corrected as asked.
#ifndef FAT_MODEL_POST_TRAINING_HPP_INCLUDED
#define FAT_MODEL_POST_TRAINING_HPP_INCLUDED

#include <fat/model/before_softmax.hpp>
#include <fat/model/calibrate.hpp>
#include <fat/model/correct_model.hpp>
#include <fat/model/encode_model.hpp>
#include <fat/model/simulate.hpp>
#include <fat/observe/entropy.hpp>
#include <fat/observe/squared_error.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// Ranges of every value of the model over the chosen images, by the rule of the options.
template <ImageSource Images>
std::vector<Interval<float>> observe_ranges(const Model& model, const Images& images,
                                            std::span<const std::size_t> chosen, const QuantizeOptions& options,
                                            const Progress& progress = {}) {
  if (options.observer == RangeRule::minmax)
    return calibrate(model, images, chosen, MinMax{}, options.threads, progress);
  const int levels = (1 << options.activation_bits) - 1;
  if (options.observer == RangeRule::percentile)
    return calibrate(model, images, chosen, Percentile{options.percentile, levels}, options.threads, progress);
  if (options.observer == RangeRule::mse)
    return calibrate(model, images, chosen, SquaredError{levels}, options.threads, progress);
  return calibrate(model, images, chosen, Entropy{levels}, options.threads, progress);
}

/// Images decoded and held in memory for the steps that look at them more than once.
struct ImageBlock {
  std::vector<float> pixels;  ///< [count, input extent]
  std::size_t count = 0;

  std::size_t size() const noexcept { return count; }
  void load(std::size_t index, std::span<float> nhwc) const {
    std::copy_n(pixels.data() + index * nhwc.size(), nhwc.size(), nhwc.data());
  }
};

/// The first images of `chosen`, at most `most`. Errors: those of loading.
template <ImageSource Images>
ImageBlock load_block(const Images& images, std::span<const std::size_t> chosen, std::size_t image_size,
                      std::size_t most) {
  ImageBlock block{{}, std::min(most, chosen.size())};
  block.pixels.resize(block.count * image_size);
  for (std::size_t i = 0; i != block.count; ++i)
    images.load(chosen[i], std::span{block.pixels}.subspan(i * image_size, image_size));
  return block;
}

/// Outputs of a float model for all images of a block, [count, outputs]; those before softmax where it ends with one.
inline std::vector<float> float_outputs(const Model& model, const ImageBlock& images, std::size_t threads) {
  const Model scored = before_softmax(model);
  std::vector<float> outputs(images.count * scored.output_extent().size());
  FloatRunner{scored, {.threads = threads}}.run(images.pixels, images.count, outputs);
  return outputs;
}

/// Root mean square distance of the simulated outputs from `wanted`, the float_outputs of the same images.
inline double simulated_rmse(const QuantizedModel& quantized, const ImageBlock& images, std::span<const float> wanted,
                             std::size_t threads) {
  std::vector<float> outputs(wanted.size());
  Simulation{before_softmax(quantized), threads}.run(images.pixels, images.count, outputs);
  Distance distance;
  distance.add(wanted, outputs);
  return distance.rmse();
}

/// A quantized model and what its layers met on the way.
struct PostTraining {
  QuantizedModel quantized;
  std::vector<EncodingNotes> notes;          ///< one a node
  std::vector<LayerCorrection> corrections;  ///< one a corrected layer; empty where nothing was rounded or corrected
  bool corrected = false;                    ///< whether biases were moved
};

/// Rounds weights and corrects biases by the options on the images, then encodes. Every layer's mean outputs are
/// brought to those of `reference`, the float network that `network` was trained from, or `network` itself. Automatic
/// correction is kept where it brings the outputs nearer to `wanted`, the float network's float_outputs on the
/// images. Errors: grids that do not fit the network, images of another size.
inline PostTraining post_training(const Model& network, const Model& reference, const ModelGrids& grids,
                                  const ImageBlock& images, std::span<const float> wanted,
                                  const QuantizeOptions& options) {
  const auto encode = [&](bool biases) {
    PostTraining done;
    Model changed = network;
    if (biases || options.rounding != WeightRounding::nearest) {
      Threads threads{options.threads};
      done.corrections = correct_model(changed, reference, grids, images.pixels, threads, {options.rounding, biases});
    }
    done.corrected = biases;
    done.quantized = encode_model(changed, grids, options, &done.notes);
    return done;
  };
  if (options.bias_correction != BiasCorrection::automatic)
    return encode(options.bias_correction == BiasCorrection::on);
  PostTraining without = encode(false);
  PostTraining with = encode(true);
  const bool better = simulated_rmse(with.quantized, images, wanted, options.threads) <
                      simulated_rmse(without.quantized, images, wanted, options.threads);
  return better ? std::move(with) : std::move(without);
}

/// Gives a float network the biases that correct_model finds under the grids, its weights left as they are: where
/// training starts from. Automatic correction is taken where it brings the simulated outputs nearer to `wanted`.
inline void correct_biases(Model& network, const ModelGrids& grids, const ImageBlock& images,
                           std::span<const float> wanted, const QuantizeOptions& options) {
  Model changed = network;
  Threads threads{options.threads};
  correct_model(changed, network, grids, images.pixels, threads, {});
  const auto rmse = [&](const Model& model) {
    return simulated_rmse(encode_model(model, grids, options), images, wanted, options.threads);
  };
  if (options.bias_correction == BiasCorrection::automatic && rmse(changed) >= rmse(network)) return;
  for (std::size_t n = 0; n != network.nodes.size(); ++n)
    with_weighted(network.nodes[n].op,
                  [&]<class Layer>(Layer& layer) { layer.bias() = std::get<Layer>(changed.nodes[n].op).bias(); });
}

}  // namespace fat::inline FAT_ABI

#endif
