// The native file of a QuantizedModel: an .npz archive that numpy opens, with the graph as JSON text in one array.
#ifndef FAT_IO_QUANTIZED_NPZ_HPP_INCLUDED
#define FAT_IO_QUANTIZED_NPZ_HPP_INCLUDED

#include <fat/io/model_json.hpp>
#include <fat/io/npz.hpp>
#include <fat/model/simulation_model.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

// Arrays of the file (V values, N nodes of the graph, numbered as in its JSON):
//   graph                     uint8, UTF-8 JSON text: bytes(z['graph']) in Python
//   activation.step           float32 [V], 0 for a tensor that stays float
//   activation.zero_point, .code_min, .code_max, .bits, .symmetric   int32 [V]
//   requantize                uint8, one of half-up, half-even, tflite as text; absent: half-up
//   layer0007.codes           int8, the layout of the layer; .step float32, .zero_point int32, .bits int32 [1],
//                             .bias int32
//   layer0007.weights, .offset   float32, of a layer that stays float

namespace detail {

inline std::string layer_key(std::size_t node, const char* part) {
  char text[64];
  std::snprintf(text, sizeof(text), "layer%04zu.%s", node, part);
  return text;
}

template <class T>
NpyArray npy_vector(const std::vector<T>& values) {
  return {Shape{values.size()}, values.data()};
}

/// Arrays of a file by name; every failure says which array.
class ArrayReader {
 public:
  ArrayReader(const NpyArrays& arrays, std::string_view path) : arrays_(arrays), path_(path) {}
  bool has(const std::string& key) const { return arrays_.contains(key); }
  template <class T>
  array<T> get(const std::string& key, std::size_t rank) const {
    const auto at = arrays_.find(key);
    expects(at != arrays_.end(), path_, ": array '", std::string_view{key},
            "' is missing; the file is no quantized model");
    expects(at->second.shape.rank() == rank && at->second.type == npy_type<T>(), path_, ": array '",
            std::string_view{key}, "' has the wrong type or ", at->second.shape.rank(), " dimensions instead of ",
            rank);
    return at->second.template as<T>();
  }
  template <class T>
  std::vector<T> vector(const std::string& key) const {
    const array<T> values = get<T>(key, 1);
    return {values.begin(), values.end()};
  }
  template <class T>
  std::vector<T> vector(const std::string& key, std::size_t count) const {
    std::vector<T> values = vector<T>(key);
    expects(values.size() == count, path_, ": array '", std::string_view{key}, "' has ", values.size(),
            " elements instead of ", count);
    return values;
  }

 private:
  const NpyArrays& arrays_;
  std::string_view path_;
};

inline void read_activations(const ArrayReader& file, QuantizedModel& model) {
  const std::size_t count = model.graph.values.size();
  const auto step = file.vector<float>("activation.step", count);
  const auto zero_point = file.vector<std::int32_t>("activation.zero_point", count);
  const auto low = file.vector<std::int32_t>("activation.code_min", count);
  const auto high = file.vector<std::int32_t>("activation.code_max", count);
  const auto bits = file.vector<std::int32_t>("activation.bits", count);
  const auto symmetric = file.vector<std::int32_t>("activation.symmetric", count);
  model.activations.resize(count);
  for (std::size_t v = 0; v != count; ++v)
    if (step[v] != 0.0F) model.activations[v] = {step[v], zero_point[v], low[v], high[v], bits[v], symmetric[v] != 0};
}

template <WeightedLayer Layer>
void read_layer(const ArrayReader& file, std::size_t node, Layer& layer, std::optional<WeightEncoding>& encoding) {
  constexpr std::size_t rank = std::is_same_v<Layer, Dense> ? 2 : 4;
  if (!file.has(layer_key(node, "codes"))) {
    layer.kernel = file.get<float>(layer_key(node, "weights"), rank);
    layer.offset = file.get<float>(layer_key(node, "offset"), 1);
    return;
  }
  encoding = WeightEncoding{
      file.get<std::int8_t>(layer_key(node, "codes"), rank), file.vector<float>(layer_key(node, "step")),
      file.vector<std::int32_t>(layer_key(node, "zero_point")),
      file.vector<std::int32_t>(layer_key(node, "bits"), 1)[0], file.get<std::int32_t>(layer_key(node, "bias"), 1)};
}

}  // namespace detail

/// The arrays of the native file.
inline NpyArrays quantized_to_arrays(const QuantizedModel& model) {
  NpyArrays arrays;
  nlohmann::json graph = graph_to_json(model.graph);
  graph["format"] = "fat quantized model";
  graph["version"] = 1;
  const std::string text = graph.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  arrays["graph"] = NpyArray{Shape{text.size()}, reinterpret_cast<const std::uint8_t*>(text.data())};
  if (model.requantize != Requantization::half_up) {
    const std::string_view how = name_of(model.requantize);
    arrays["requantize"] = NpyArray{Shape{how.size()}, reinterpret_cast<const std::uint8_t*>(how.data())};
  }
  std::vector<float> step;
  std::vector<std::int32_t> zero_point, low, high, bits, symmetric;
  for (const auto& encoding : model.activations) {
    const ActivationEncoding e = encoding.value_or(ActivationEncoding{});
    step.push_back(encoding ? e.step : 0.0F);
    zero_point.push_back(e.zero_point);
    low.push_back(e.code_min);
    high.push_back(e.code_max);
    bits.push_back(e.bits);
    symmetric.push_back(e.symmetric ? 1 : 0);
  }
  arrays["activation.step"] = detail::npy_vector(step);
  arrays["activation.zero_point"] = detail::npy_vector(zero_point);
  arrays["activation.code_min"] = detail::npy_vector(low);
  arrays["activation.code_max"] = detail::npy_vector(high);
  arrays["activation.bits"] = detail::npy_vector(bits);
  arrays["activation.symmetric"] = detail::npy_vector(symmetric);
  for (std::size_t n = 0; n != model.graph.nodes.size(); ++n)
    with_weighted(model.graph.nodes[n].op, [&](const auto& layer) {
      if (!model.weights[n]) {
        arrays[detail::layer_key(n, "weights")] = NpyArray{layer.kernel};
        arrays[detail::layer_key(n, "offset")] = NpyArray{layer.offset};
        return;
      }
      const WeightEncoding& encoding = *model.weights[n];
      arrays[detail::layer_key(n, "codes")] = NpyArray{encoding.codes};
      arrays[detail::layer_key(n, "step")] = detail::npy_vector(encoding.step);
      arrays[detail::layer_key(n, "zero_point")] = detail::npy_vector(encoding.zero_point);
      arrays[detail::layer_key(n, "bits")] = detail::npy_vector(std::vector<std::int32_t>{encoding.bits});
      arrays[detail::layer_key(n, "bias")] = NpyArray{encoding.bias};
    });
  return arrays;
}

/// The model in the arrays of a native file, validated; `path` is what errors call it. Errors: arrays that are missing
/// or of the wrong type, a graph that does not hold together, encodings out of range.
inline QuantizedModel quantized_from_arrays(const NpyArrays& arrays, std::string_view path) {
  const detail::ArrayReader file{arrays, path};
  const std::vector<std::uint8_t> text = file.vector<std::uint8_t>("graph");
  const nlohmann::json graph = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  expects(!graph.is_discarded() && graph.is_object(), path,
          ": array 'graph' is not JSON; the file is no quantized model");
  expects(
      graph.value("format", nlohmann::json{}) == "fat quantized model" && graph.value("version", nlohmann::json{}) == 1,
      path, ": the file is no quantized model of version 1; write it again with `fat quantize`");
  QuantizedModel model{graph_from_json(graph), {}, {}};
  if (file.has("requantize")) {
    const std::vector<std::uint8_t> word = file.vector<std::uint8_t>("requantize");
    const auto how = requantization_named({reinterpret_cast<const char*>(word.data()), word.size()});
    expects(how.has_value(), path, ": array 'requantize' is none of half-up, half-even, tflite; the file is damaged");
    model.requantize = *how;
  }
  detail::read_activations(file, model);
  model.weights.resize(model.graph.nodes.size());
  for (std::size_t n = 0; n != model.graph.nodes.size(); ++n)
    with_weighted(model.graph.nodes[n].op, [&](auto& layer) { detail::read_layer(file, n, layer, model.weights[n]); });
  validate(model);
  return model;
}

/// Writes the native file. Errors: those of write_npz.
inline void write_quantized(const std::filesystem::path& path, const QuantizedModel& model) {
  write_npz(path, quantized_to_arrays(model));
}

/// Reads a native file. Errors: those of read_npz and quantized_from_arrays.
inline QuantizedModel read_quantized(const std::filesystem::path& path) {
  return quantized_from_arrays(read_npz(path), path.string());
}

}  // namespace fat::inline FAT_ABI

#endif
