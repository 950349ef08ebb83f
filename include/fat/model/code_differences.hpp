// Integers against simulation: how many codes of every layer differ when both get the same input codes.
#ifndef FAT_MODEL_CODE_DIFFERENCES_HPP_INCLUDED
#define FAT_MODEL_CODE_DIFFERENCES_HPP_INCLUDED

#include <fat/model/integer.hpp>
#include <fat/model/simulated_rounding.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// Codes of one layer's output, of all images so far.
struct CodeDifference {
  std::size_t codes = 0;
  std::size_t differing = 0;
  int largest = 0;  ///< the largest difference of two codes
  double share() const noexcept {
    return codes == 0 ? 0.0 : static_cast<double>(differing) / static_cast<double>(codes);
  }
};

/// Runs images through IntegerModel and every layer once more in float: on the reals of the very codes that the integer
/// layer read, its result quantized to the nearest code as Simulation does it. So differences do not build up along the
/// network. A layer that touches a float tensor has no codes to compare.
class CodeDifferences {
 public:
  explicit CodeDifferences(const QuantizedModel& quantized)
      : activations_(quantized.activations),
        model_(simulation_model(quantized)),
        engine_(quantized),
        codes_(model_.values.size()),
        found_(model_.nodes.size()) {
    layers_.reserve(model_.nodes.size());
    for (const Node& node : model_.nodes) layers_.emplace_back(model_, node);
    for (std::size_t n = 0; n != model_.nodes.size(); ++n) {
      roundings_.emplace_back();
      if (activations_[model_.nodes[n].output]) roundings_.back().emplace(quantized, model_, n);
    }
  }

  /// One NHWC image of floats. Errors: another size than the model's input.
  void add(std::span<const float> image) {
    std::vector<float> output(model_.output_extent().size());
    engine_.run(image, 1, std::span{output}, [&](ValueId v, std::size_t, std::size_t, const std::uint8_t* bytes) {
      if (activations_[v]) codes_[v].assign(bytes, bytes + model_.extent(v).size());
    });
    for (std::size_t n = 0; n != layers_.size(); ++n) compare(n);
  }

  /// By node of the graph.
  const std::vector<CodeDifference>& layers() const noexcept { return found_; }
  const Model& graph() const noexcept { return model_; }

 private:
  void compare(std::size_t n) {
    const Node& node = model_.nodes[n];
    const auto is_float = [&](ValueId v) { return !activations_[v]; };
    if (is_float(node.output) || std::any_of(node.inputs.begin(), node.inputs.end(), is_float)) return;
    std::vector<std::vector<float>> inputs;
    std::vector<const float*> pointers;
    for (const ValueId input : node.inputs) {
      const detail::ByteGrid grid{*activations_[input]};
      std::vector<float>& reals = inputs.emplace_back();
      for (const std::uint8_t code : codes_[input])
        reals.push_back(static_cast<float>(code - grid.zero) * activations_[input]->step);
    }
    for (const auto& each : inputs) pointers.push_back(each.data());
    const std::vector<std::uint8_t>& made = codes_[node.output];
    std::vector<float> expected(made.size()), scratch(layers_[n].scratch() + 1);
    layers_[n].run(pointers, expected.data(), 0, layers_[n].parts(), scratch.data());
    roundings_[n]->apply(expected.data(), expected.size());
    const int raise = detail::ByteGrid{*activations_[node.output]}.raise;
    for (std::size_t i = 0; i != made.size(); ++i) {
      const int difference = std::abs(quantize_one(expected[i], roundings_[n]->grid()) + raise - made[i]);
      found_[n].differing += difference != 0 ? 1 : 0;
      found_[n].largest = std::max(found_[n].largest, difference);
    }
    found_[n].codes += made.size();
  }

  std::vector<std::optional<ActivationEncoding>> activations_;
  Model model_;
  IntegerModel engine_;
  std::vector<FloatLayer> layers_;
  std::vector<std::optional<SimulatedRounding>> roundings_;
  std::vector<std::vector<std::uint8_t>> codes_;
  std::vector<CodeDifference> found_;
};

}  // namespace fat::inline FAT_ABI

#endif
