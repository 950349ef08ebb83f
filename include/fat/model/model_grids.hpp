// ModelGrids: the grid of every activation and of every weight of a Model, as plain numbers.
#ifndef FAT_MODEL_MODEL_GRIDS_HPP_INCLUDED
#define FAT_MODEL_MODEL_GRIDS_HPP_INCLUDED

#include <fat/core/partition.hpp>
#include <fat/model/model.hpp>
#include <fat/quantizer/run.hpp>

#include <optional>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// What turns a float Model into its simulation. activations: one entry a value, empty where the value stays float.
/// weights: one entry a node; one grid for the whole layer, one an output channel, or none where the layer stays float.
struct ModelGrids {
  std::vector<std::optional<Grid<float>>> activations;
  std::vector<std::vector<Grid<float>>> weights;
};

/// The grid of one output channel.
inline const Grid<float>& channel_grid(const std::vector<Grid<float>>& grids, std::size_t channel) {
  return grids[grids.size() == 1 ? 0 : channel];
}

/// Moves the weights of a layer onto their grids, in place: the nearest code of each.
template <WeightedLayer Layer>
void fake_quantize_weights(Layer& layer, const std::vector<Grid<float>>& grids) {
  array<float>& weights = layer.weights();
  if (grids.size() == 1) {
    fake_quantize_run(weights.data(), weights.data(), weights.size(), grids[0]);
    return;
  }
  const Partition parts = partition(weights.shape(), Layer::channel_axis);
  GridTable<float> table{parts.channels};
  for (std::size_t c = 0; c != parts.channels; ++c) table.set(c, grids[c]);
  fake_quantize_channels(weights.data(), weights.data(), parts, table);
}

}  // namespace fat::inline FAT_ABI

#endif
