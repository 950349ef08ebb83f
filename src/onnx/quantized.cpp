// From a QDQ file to a QuantizedModel: clamps join their layers, and what has no integer form is kept in float.
#include "external.hpp"
#include "importer.hpp"

#include <fat/io/file.hpp>
#include <fat/io/onnx.hpp>
#include <fat/model/simplify.hpp>
#include <fat/model/simulation_model.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace fat::inline FAT_ABI::onnx {

namespace {

class Settler {
 public:
  Settler(Importer& importer, QuantizedModel& model)
      : model_(model), graph_(model.graph), narrowed_(importer.narrowed) {
    model_.activations.resize(graph_.values.size());
    for (const auto& [value, encoding] : importer.encodings) model_.activations[value] = encoding;
    for (const Node& node : graph_.nodes) {
      const auto found = importer.weight_codes.find(node.name);
      if (found == importer.weight_codes.end())
        model_.weights.emplace_back();
      else
        model_.weights.emplace_back(std::move(found->second));
    }
  }

  void run() {
    join_clamps();
    replace_normalizations();
    keep_in_float();
    drop_unused();
    validate(model_);
  }

 private:
  /// A clamp between a layer and the QuantizeLinear of its output belongs to the layer, or states the range of the
  /// codes.
  void join_clamps() {
    detail::ModelUses uses{graph_};
    for (std::size_t n = 0; n != graph_.nodes.size(); ++n)
      if (const auto* const layer = std::get_if<ClampLayer>(&graph_.nodes[n].op); layer && layer->clamp.active())
        join_clamp(uses, n, layer->clamp);
    uses.remove_dropped(graph_, model_.weights);
  }
  void join_clamp(detail::ModelUses& uses, std::size_t n, const Clamp& clamp) {
    const ValueId from = graph_.nodes[n].inputs[0], to = graph_.nodes[n].output;
    if (model_.activations[from] || from == graph_.output || uses.readers(from) != 1) return;
    const bool range = narrowed_.contains(to) && clamp == range_of_codes(*model_.activations[to]);
    if (from == graph_.input) {
      if (!range) return;
      model_.activations[from] = model_.activations[to];
      if (to == graph_.output) {  // which has a name of its own
        graph_.nodes[n].op = Reshape{};
        return;
      }
      for (Node& node : graph_.nodes) std::replace(node.inputs.begin(), node.inputs.end(), to, from);
      uses.drop(graph_, n);
      return;
    }
    const std::size_t producer = *uses.sole_producer(from);
    const bool taken = range || std::visit(
                                    [&]<class Before>(Before& before) {
                                      if constexpr (ClampedLayer<Before>) {
                                        if (std::is_same_v<Before, ClampLayer> && !before.clamp.active()) return false;
                                        before.clamp = {std::clamp(before.clamp.low, clamp.low, clamp.high),
                                                        std::clamp(before.clamp.high, clamp.low, clamp.high)};
                                        return true;
                                      } else {
                                        return false;
                                      }
                                    },
                                    graph_.nodes[producer].op);
    if (!taken) return;
    if (range && to != graph_.output) graph_.values[to].name = graph_.values[from].name;
    uses.absorb(graph_, producer, n);
  }

  /// A scale and shift for each channel becomes a depthwise convolution.
  void replace_normalizations() {
    bool any = false;
    for (Node& node : graph_.nodes) {
      const auto* const norm = std::get_if<BatchNormalization>(&node.op);
      if (norm == nullptr) continue;
      const ChannelAffine affine = channel_affine(*norm);
      const std::size_t channels = affine.scale.size();
      DepthwiseConvolution scale;
      scale.kernel = array<float>{{1, 1, 1, channels}, {affine.scale.begin(), affine.scale.end()}};
      scale.offset = array<float>{{channels}, {affine.shift.begin(), affine.shift.end()}};
      graph_.values[node.output].extent.vector = false;
      node.op = std::move(scale);
      any = true;
    }
    if (!any) return;
    Model floats = simulation_model(model_);
    infer_extents(floats);
    for (ValueId v = 0; v != graph_.values.size(); ++v) graph_.values[v].extent = floats.extent(v);
  }

  static bool same_grid(const ActivationEncoding& a, const ActivationEncoding& b) {
    return a.step == b.step && a.zero_point + (a.is_signed() ? 128 : 0) == b.zero_point + (b.is_signed() ? 128 : 0);
  }
  /// Whether the integer engine has no form of the layer between these encodings. Files that narrow an encoding are
  /// this library's and stay as they were.
  bool only_float(std::size_t n) const {
    const Node& node = graph_.nodes[n];
    if (!model_.activations[node.output] || narrowed_.contains(node.output)) return false;
    for (const ValueId input : node.inputs)
      if (!model_.activations[input]) return false;
    const ActivationEncoding &x = *model_.activations[node.inputs[0]], &y = *model_.activations[node.output];
    return std::visit(
        [&]<class Layer>(const Layer& op) {
          if constexpr (WeightedLayer<Layer>)
            return !model_.weights[n].has_value();
          else if constexpr (std::is_same_v<Layer, Pool>)
            return !same_grid(x, y);
          else if constexpr (std::is_same_v<Layer, Softmax>)
            return y.step != 1.0F / 256.0F || y.zero_point != y.code_min;
          else if constexpr (std::is_same_v<Layer, Resize>)
            return op.kind == Resize::Kind::bilinear && !same_grid(x, y);
          else
            return false;
        },
        node.op);
  }
  /// Such a layer makes floats, which a layer of its own quantizes: what the file says.
  void keep_in_float() {
    std::vector<bool> in_float;
    for (std::size_t n = 0; n != graph_.nodes.size(); ++n) in_float.push_back(only_float(n));
    std::vector<Node> nodes;
    std::vector<std::optional<WeightEncoding>> weights;
    for (std::size_t n = 0; n != in_float.size(); ++n) {
      Node& node = nodes.emplace_back(std::move(graph_.nodes[n]));
      weights.push_back(std::move(model_.weights[n]));
      if (!in_float[n]) continue;
      const ValueId encoded = node.output;
      const ValueId real = graph_.add_value(graph_.values[encoded].name + ":float", graph_.extent(encoded));
      model_.activations.emplace_back();
      node.output = real;
      nodes.push_back({node.name + ":quantize", ClampLayer{}, {real}, encoded});
      weights.emplace_back();
    }
    graph_.nodes = std::move(nodes);
    model_.weights = std::move(weights);
  }

  void drop_unused() {
    std::vector<bool> made(graph_.values.size(), false);
    made[graph_.input] = true;
    for (const Node& node : graph_.nodes) made[node.output] = true;
    std::vector<std::optional<ActivationEncoding>> kept;
    for (ValueId v = 0; v != made.size(); ++v)
      if (made[v]) kept.push_back(model_.activations[v]);
    model_.activations = std::move(kept);
    drop_unused_values(graph_);
  }

  QuantizedModel& model_;
  Model& graph_;
  const std::set<ValueId>& narrowed_;
};

}  // namespace

bool has_quantized_activations(const ::onnx::ModelProto& file) {
  std::unordered_set<std::string> constants;
  for (const auto& tensor : file.graph().initializer()) constants.insert(tensor.name());
  for (const auto& node : file.graph().node()) {
    if (node.op_type() == "Constant" && node.output_size() != 0) constants.insert(node.output(0));
    if (node.op_type() == "QuantizeLinear" && node.input_size() != 0 && !constants.contains(node.input(0))) return true;
  }
  return false;
}

bool is_quantized(const std::string& path) { return has_quantized_activations(parse(read_file(path), path)); }

namespace {

QuantizedModel read_proto(::onnx::ModelProto proto, std::string_view name) {
  expects(has_quantized_activations(proto), name, ": has no QuantizeLinear on an activation; load it as a float model");
  Importer importer{proto, name, true};
  QuantizedModel model{importer.run(), {}, {}};
  const Metadata metadata = metadata_of(proto);
  model.requantize = read_requantization(metadata, name, proto.producer_name());
  for (::fat::Node& node : model.graph.nodes)
    std::visit(
        [&]<class Layer>(Layer& layer) {
          if constexpr (ClampedLayer<Layer> && !std::is_same_v<Layer, ClampLayer>)
            layer.clamp = read_clamp(metadata, name, node.name);
        },
        node.op);
  in_file(name, [&] { Settler{importer, model}.run(); });
  return model;
}

}  // namespace

QuantizedModel read_quantized(std::string_view file, std::string_view name) {
  return read_proto(parse(file, name), name);
}

QuantizedModel load_quantized(const std::string& path) {
  ::onnx::ModelProto proto = parse(read_file(path), path);
  read_external_data(proto, path);
  return read_proto(std::move(proto), path);
}

}  // namespace fat::inline FAT_ABI::onnx
