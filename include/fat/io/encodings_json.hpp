// Encodings as JSON text: the step, zero point and range of every tensor and layer, for other tools. Needs nlohmann-json.
#ifndef FAT_IO_ENCODINGS_JSON_HPP_INCLUDED
#define FAT_IO_ENCODINGS_JSON_HPP_INCLUDED

#include <fat/io/file.hpp>
#include <fat/model/quantized_model.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace fat::inline FAT_ABI {

namespace detail {

/// The keys of the encodings files that quantization tools exchange: real = scale * (code + offset) for codes from 0,
/// so offset = code_min - zero_point, min = scale * offset.
inline nlohmann::json encoding_entry(float step, std::int32_t zero_point, std::int32_t low, std::int32_t high, int bits,
                                     bool symmetric) {
  const double scale = static_cast<double>(step);
  return {{"bitwidth", bits},
          {"dtype", "int"},
          {"is_symmetric", symmetric ? "True" : "False"},
          {"min", scale * (low - zero_point)},
          {"max", scale * (high - zero_point)},
          {"offset", low - zero_point},
          {"scale", scale}};
}

}  // namespace detail

/// {"version", "activation_encodings": {tensor: [entry]}, "param_encodings": {layer.weight: [entry per channel]}}.
inline nlohmann::json encodings_to_json(const QuantizedModel& model) {
  nlohmann::json activations = nlohmann::json::object();
  for (std::size_t v = 0; v != model.graph.values.size(); ++v) {
    if (!model.activations[v]) continue;
    const ActivationEncoding& e = *model.activations[v];
    activations[model.graph.values[v].name] = nlohmann::json::array(
        {detail::encoding_entry(e.step, e.zero_point, e.code_min, e.code_max, e.bits, e.symmetric)});
  }
  nlohmann::json parameters = nlohmann::json::object();
  for (std::size_t n = 0; n != model.graph.nodes.size(); ++n) {
    if (!model.weights[n]) continue;
    const WeightEncoding& e = *model.weights[n];
    bool symmetric = true;
    for (const std::int32_t zero_point : e.zero_point) symmetric = symmetric && zero_point == 0;
    const std::int32_t high = (1 << (e.bits - 1)) - 1;
    nlohmann::json list = nlohmann::json::array();
    for (std::size_t c = 0; c != e.step.size(); ++c)
      list.push_back(
          detail::encoding_entry(e.step[c], e.zero_point[c], symmetric ? -high : -high - 1, high, e.bits, symmetric));
    parameters[model.graph.nodes[n].name + ".weight"] = std::move(list);
  }
  return {{"version", "0.6.1"},
          {"activation_encodings", std::move(activations)},
          {"param_encodings", std::move(parameters)}};
}

/// Writes the encodings. Errors: those of write_file_atomically.
inline void write_encodings_json(const std::filesystem::path& path, const QuantizedModel& model) {
  write_file_atomically(path,
                        encodings_to_json(model).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace fat::inline FAT_ABI

#endif
