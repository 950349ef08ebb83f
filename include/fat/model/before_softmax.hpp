// before_softmax: a network up to the scores that its final softmax reads, which losses and distances compare.
#ifndef FAT_MODEL_BEFORE_SOFTMAX_HPP_INCLUDED
#define FAT_MODEL_BEFORE_SOFTMAX_HPP_INCLUDED

#include <fat/model/quantized_model.hpp>

#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// The nodes at the end of a model from its softmax on, last one first: behind it, clamps that do nothing may change the
/// encoding. Empty where the model does not end so.
inline std::vector<std::size_t> softmax_at_end(const Model& model) {
  std::vector<std::size_t> ending;
  ValueId made = model.output;
  for (std::size_t n = model.nodes.size(); n-- != 0;) {
    const Node& node = model.nodes[n];
    if (node.output != made) break;
    ending.push_back(n);
    if (std::holds_alternative<Softmax>(node.op)) return ending;
    const auto* const clamp = std::get_if<ClampLayer>(&node.op);
    if (clamp == nullptr || clamp->clamp.active()) break;
    made = node.inputs[0];
  }
  return {};
}

/// The model without softmax_at_end, or as it is.
inline Model before_softmax(Model model) {
  for (const std::size_t n : softmax_at_end(model)) {
    model.output = model.nodes[n].inputs[0];
    model.nodes.erase(model.nodes.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return model;
}
inline QuantizedModel before_softmax(QuantizedModel model) {
  for (const std::size_t n : softmax_at_end(model.graph))
    model.weights.erase(model.weights.begin() + static_cast<std::ptrdiff_t>(n));
  model.graph = before_softmax(std::move(model.graph));
  return model;
}

}  // namespace fat::inline FAT_ABI

#endif
