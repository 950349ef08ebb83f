// The graph of a Model as JSON: layers with their attributes, without their weights. Needs nlohmann-json.
#ifndef FAT_IO_MODEL_JSON_HPP_INCLUDED
#define FAT_IO_MODEL_JSON_HPP_INCLUDED

#include <fat/model/extents.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

using Json = nlohmann::json;

inline const Json& json_member(const Json& object, const char* key) {
  expects(object.is_object() && object.contains(key), "graph: '", std::string_view{key}, "' is missing");
  return object.at(key);
}

inline constexpr std::array<std::string_view, 2> pool_kinds{"max", "average"};
inline constexpr std::array<std::string_view, 2> resize_kinds{"nearest", "bilinear"};
inline constexpr std::array<std::string_view, 4> resize_coordinates{"half_pixel", "asymmetric", "align_corners",
                                                                    "pytorch_half_pixel"};
inline constexpr std::array<std::string_view, 4> nearest_pixels{"round_prefer_floor", "round_prefer_ceil", "floor",
                                                                "ceil"};
constexpr const auto& names_of(Pool::Kind) { return pool_kinds; }
constexpr const auto& names_of(Resize::Kind) { return resize_kinds; }
constexpr const auto& names_of(Resize::Coordinates) { return resize_coordinates; }
constexpr const auto& names_of(Function::Name) { return Function::names; }
constexpr const auto& names_of(Binary::Name) { return Binary::names; }
constexpr const auto& names_of(Normalize::Method) { return Normalize::names; }
constexpr const auto& names_of(NearestPixel) { return nearest_pixels; }

/// Calls f(key, field) for every attribute of a layer; the same list writes and reads.
template <class Layer, class Function>
void for_each_attribute(Layer& layer, Function&& f) {
  using L = std::remove_const_t<Layer>;
  if constexpr (OwnOperator<L>) L::attributes(layer, f);
  if constexpr (requires { layer.window; }) {
    f("kernel", layer.window.kernel);
    f("stride", layer.window.stride);
    f("dilation", layer.window.dilation);
    f("padding", layer.window.padding);
  }
  if constexpr (ClampedLayer<L>) f("clamp", layer.clamp);
  if constexpr (std::is_same_v<L, Convolution>) f("groups", layer.groups);
  if constexpr (std::is_same_v<L, DepthwiseConvolution>) f("multiplier", layer.multiplier);
  if constexpr (std::is_same_v<L, BatchNormalization>) f("epsilon", layer.epsilon_value);
  if constexpr (std::is_same_v<L, Concat>) f("axis", layer.axis);
  if constexpr (std::is_same_v<L, Pool>) {
    f("method", layer.kind);
    f("count_padding", layer.count_padding);
  }
  if constexpr (std::is_same_v<L, Pad>) {
    f("pads", layer.padding);
    f("value", layer.value);
  }
  if constexpr (std::is_same_v<L, Reshape>) f("channels_first", layer.channels_first);
  if constexpr (std::is_same_v<L, Resize>) {
    f("method", layer.kind);
    f("coordinates", layer.coordinates);
    f("pixel", layer.pixel);
  }
  if constexpr (std::is_same_v<L, HardSigmoid>) {
    f("slope", layer.slope);
    f("intercept", layer.intercept);
  }
}

template <class T>
  requires std::is_arithmetic_v<T> Json to_json_value(T value) { return value; }
template <class T>
Json to_json_value(const std::vector<T>& list) { return list; }
inline Json to_json_value(const Pair& pair) { return {pair.height, pair.width}; }
inline Json to_json_value(const Padding& p) { return {p.top, p.left, p.bottom, p.right}; }
/// An open end is null.
inline Json to_json_value(const Clamp& clamp) {
  const auto end = [](float value) { return std::isfinite(value) ? Json(value) : Json(); };
  return Json::array({end(clamp.low), end(clamp.high)});
}
template <class T>
  requires std::is_enum_v<T> Json to_json_value(T value) {
    return std::string{names_of(value)[static_cast<std::size_t>(value)]};
  }

inline void from_json_value(const Json& json, std::string_view key, std::size_t& value) {
  expects(json.is_number_unsigned(), "graph: '", key, "' must be a whole number");
  value = json.get<std::size_t>();
}
inline void from_json_value(const Json& json, std::string_view key, bool& value) {
  expects(json.is_boolean(), "graph: '", key, "' must be true or false");
  value = json.get<bool>();
}
template <std::floating_point Real>
void from_json_value(const Json& json, std::string_view key, Real& value) {
  expects(json.is_number(), "graph: '", key, "' must be a number");
  const double wide = json.get<double>();
  expects(std::abs(wide) <= static_cast<double>(std::numeric_limits<Real>::max()), "graph: '", key,
          "' is out of range");
  value = static_cast<Real>(wide);
}
inline void from_json_value(const Json& json, std::string_view key, std::int64_t& value) {
  expects(json.is_number_integer(), "graph: '", key, "' must be a whole number");
  value = json.get<std::int64_t>();
}
template <class T>
void from_json_value(const Json& json, std::string_view key, std::vector<T>& list) {
  expects(json.is_array(), "graph: '", key, "' must be a list");
  list.resize(json.size());
  for (std::size_t i = 0; i != list.size(); ++i) from_json_value(json[i], key, list[i]);
}
template <std::size_t Count>
void from_json_value(const Json& json, std::string_view key, std::array<std::size_t*, Count> fields) {
  expects(json.is_array() && json.size() == Count, "graph: '", key, "' must be a list of ", Count, " numbers");
  for (std::size_t i = 0; i != Count; ++i) from_json_value(json[i], key, *fields[i]);
}
inline void from_json_value(const Json& json, std::string_view key, Pair& pair) {
  from_json_value(json, key, std::array{&pair.height, &pair.width});
}
inline void from_json_value(const Json& json, std::string_view key, Padding& p) {
  from_json_value(json, key, std::array{&p.top, &p.left, &p.bottom, &p.right});
}
inline void from_json_value(const Json& json, std::string_view key, Clamp& clamp) {
  expects(json.is_array() && json.size() == 2, "graph: '", key, "' must be a list of 2 numbers");
  clamp = {};
  if (!json[0].is_null()) from_json_value(json[0], key, clamp.low);
  if (!json[1].is_null()) from_json_value(json[1], key, clamp.high);
  expects(clamp.low <= clamp.high, "graph: '", key, "' is empty");
}
template <class T>
  requires std::is_enum_v<T>
void from_json_value(const Json& json, std::string_view key, T& value) {
  expects(json.is_string(), "graph: '", key, "' must be a word");
  const std::string word = json.get<std::string>();
  const auto& names = names_of(T{});
  for (std::size_t i = 0; i != names.size(); ++i)
    if (names[i] == word) {
      value = static_cast<T>(i);
      return;
    }
  fail("graph: '", std::string_view{word}, "' is no known ", key);
}

/// The operator of a kind, with default attributes. Errors: an unknown kind.
template <std::size_t Index = 0>
Operator operator_of_kind(std::string_view kind) {
  if constexpr (Index == std::variant_size_v<Operator>) {
    fail("graph: the layer kind '", kind, "' is unknown");
  } else {
    Operator op{std::in_place_index<Index>};
    if (kind_name(op) == kind) return op;
    return operator_of_kind<Index + 1>(kind);
  }
}

inline std::string json_text(const Json& object, const char* key) {
  const Json& text = json_member(object, key);
  expects(text.is_string(), "graph: '", std::string_view{key}, "' must be a text");
  return text.get<std::string>();
}

inline void set_pixel_of_old_files(Resize& op) {
  if (op.coordinates == Resize::Coordinates::asymmetric) op.pixel = NearestPixel::floor;
}
template <class Layer>
void set_pixel_of_old_files(Layer&) {}

template <class T>
T json_field(const Json& object, const char* key) {
  T value{};
  from_json_value(json_member(object, key), key, value);
  return value;
}

inline Json ports_to_json(const std::vector<Port>& ports) {
  Json list = Json::array();
  for (const Port& port : ports)
    list.push_back({{"name", port.name},
                    {"dims", port.dims},
                    {"offset", port.offset},
                    {"channels_first", port.channels_first}});
  return list;
}
inline std::vector<Port> ports_from_json(const Json& json) {
  expects(json.is_array(), "graph: 'inputs' and 'outputs' must be lists");
  std::vector<Port> ports;
  for (const Json& each : json)
    ports.push_back({json_text(each, "name"), json_field<std::vector<std::size_t>>(each, "dims"),
                     json_field<std::size_t>(each, "offset"), json_field<bool>(each, "channels_first")});
  return ports;
}

inline Json preprocessing_to_json(const Preprocessing& how) {
  return {{"scale", how.scale}, {"offset", how.offset}, {"bgr", how.bgr}, {"resize", how.resize}, {"crop", how.crop}};
}

inline Preprocessing preprocessing_from_json(const Json& json) {
  Preprocessing how;
  for (const auto& [key, to] : {std::pair{"scale", how.scale}, std::pair{"offset", how.offset}}) {
    const Json& list = json_member(json, key);
    expects(list.is_array() && list.size() == 3, "graph: '", std::string_view{key}, "' must be a list of 3 numbers");
    for (std::size_t c = 0; c != 3; ++c) from_json_value(list[c], key, to[c]);
  }
  how.bgr = json_field<bool>(json, "bgr");
  how.resize = json_field<std::size_t>(json, "resize");
  how.crop = json_field<std::size_t>(json, "crop");
  return how;
}

}  // namespace detail

/// The graph without weights.
inline nlohmann::json graph_to_json(const Model& model) {
  using detail::Json;
  Json values = Json::array();
  for (const Value& value : model.values) {
    const Extent& e = value.extent;
    values.push_back({{"name", value.name}, {"extent", {e.height, e.width, e.channels}}, {"vector", e.vector}});
  }
  Json nodes = Json::array();
  for (const Node& node : model.nodes) {
    Json json{{"name", node.name},
              {"kind", std::string{kind_name(node.op)}},
              {"inputs", node.inputs},
              {"output", node.output}};
    std::visit(
        [&](const auto& layer) {
          detail::for_each_attribute(
              layer, [&](const char* key, const auto& field) { json[key] = detail::to_json_value(field); });
        },
        node.op);
    nodes.push_back(std::move(json));
  }
  Json graph{{"name", model.name},          {"input", model.input},
             {"output", model.output},      {"channels_first", model.channels_first},
             {"values", std::move(values)}, {"nodes", std::move(nodes)}};
  if (!model.inputs.empty()) graph["inputs"] = detail::ports_to_json(model.inputs);
  if (!model.outputs.empty()) graph["outputs"] = detail::ports_to_json(model.outputs);
  if (model.preprocessing) graph["preprocessing"] = detail::preprocessing_to_json(*model.preprocessing);
  if (model.class_offset) graph["class_offset"] = *model.class_offset;
  return graph;
}

/// The graph that graph_to_json wrote, weights empty; what its numbers mean is for validate to check.
/// Errors: anything missing or of the wrong type.
inline Model graph_from_json(const nlohmann::json& json) {
  using namespace detail;
  Model model;
  model.name = json_text(json, "name");
  model.input = json_field<std::size_t>(json, "input");
  model.output = json_field<std::size_t>(json, "output");
  model.channels_first = json_field<bool>(json, "channels_first");
  if (json.contains("inputs")) model.inputs = ports_from_json(json.at("inputs"));
  if (json.contains("outputs")) model.outputs = ports_from_json(json.at("outputs"));
  if (json.contains("preprocessing")) model.preprocessing = preprocessing_from_json(json.at("preprocessing"));
  if (json.contains("class_offset")) model.class_offset = json_field<std::size_t>(json, "class_offset");
  const Json& values = json_member(json, "values");
  const Json& nodes = json_member(json, "nodes");
  expects(values.is_array() && nodes.is_array(), "graph: 'values' and 'nodes' must be lists");
  for (const Json& value : values) {
    Extent extent;
    from_json_value(json_member(value, "extent"), "extent",
                    std::array{&extent.height, &extent.width, &extent.channels});
    extent.vector = json_field<bool>(value, "vector");
    model.add_value(json_text(value, "name"), extent);
  }
  for (const Json& node : nodes) {
    Node made{json_text(node, "name"),
              operator_of_kind(json_text(node, "kind")),
              {},
              json_field<std::size_t>(node, "output")};
    const Json& inputs = json_member(node, "inputs");
    expects(inputs.is_array(), "graph: 'inputs' must be a list");
    for (const Json& input : inputs) from_json_value(input, "inputs", made.inputs.emplace_back());
    std::visit(
        [&](auto& layer) {
          for_each_attribute(layer, [&](const char* key, auto& field) {
            if (std::string_view{key} != "pixel" || node.contains(key))
              from_json_value(json_member(node, key), key, field);
            else  // files written before there was a choice
              set_pixel_of_old_files(layer);
          });
        },
        made.op);
    model.nodes.push_back(std::move(made));
  }
  return model;
}

}  // namespace fat::inline FAT_ABI

#endif
