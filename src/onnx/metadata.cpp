// Entries of ModelProto.metadata_props.
#include "metadata.hpp"

#include <charconv>
#include <cmath>

namespace fat::inline FAT_ABI::onnx {

namespace {

const std::string codes_key = "fat.codes:", bits_key = "fat.weight_bits:", clamp_key = "fat.clamp:",
                  pictures_key = "fat.preprocessing", offset_key = "fat.class_offset",
                  requantize_key = "fat.requantize";

/// Shortest decimal that reads back as the same number.
template <class... Numbers>
std::string list(Numbers... numbers) {
  std::string text;
  const auto add = [&](auto number) {
    char digits[64];
    const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
    if (!text.empty()) text += ' ';
    text.append(digits, end);
  };
  (add(numbers), ...);
  return text;
}

std::vector<double> numbers(const Metadata& metadata, std::string_view file, const std::string& key,
                            std::size_t count) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return {};
  std::vector<double> values;
  const char* at = found->second.data();
  const char* const end = at + found->second.size();
  while (at != end && values.size() <= count) {
    double value = 0.0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || std::isnan(value)) break;
    values.push_back(value);
    at = next != end && *next == ' ' ? next + 1 : next;
  }
  expects(at == end && values.size() == count, file, ": metadata '", std::string_view{key}, "' must be ", count,
          " numbers, it is '", std::string_view{found->second}, "'");
  return values;
}

std::int64_t whole(double value, double low, double high, std::string_view file, const std::string& key) {
  expects(value >= low && value <= high && value == std::floor(value), file, ": metadata '", std::string_view{key},
          "' holds ", value, ", which is no whole number from ", low, " to ", high);
  return static_cast<std::int64_t>(value);
}

}  // namespace

ActivationEncoding encoding_of_type(float step, std::int32_t zero_point, bool is_signed) {
  return {step, zero_point, is_signed ? -128 : 0, is_signed ? 127 : 255, 8, zero_point == 0};
}

Metadata metadata_of(const ::onnx::ModelProto& file) {
  Metadata found;
  for (const auto& entry : file.metadata_props()) found.emplace(entry.key(), entry.value());
  return found;
}

void write_metadata(const QuantizedModel& model, const std::vector<std::string>& codes, bool int8,
                    ::onnx::ModelProto& file) {
  const auto put = [&](const std::string& key, const std::string& value) {
    auto& entry = *file.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  for (ValueId v = 0; v != model.graph.values.size(); ++v) {
    if (!model.activations[v]) continue;
    const ActivationEncoding& e = *model.activations[v];
    if (e != encoding_of_type(e.step, e.zero_point, int8))
      put(codes_key + codes[v], list(e.code_min, e.code_max, e.bits, e.symmetric ? 1 : 0));
  }
  for (const Node& node : model.graph.nodes)
    std::visit(
        [&]<class Layer>(const Layer& layer) {
          if constexpr (ClampedLayer<Layer> && !std::is_same_v<Layer, ClampLayer>)
            if (const auto& e = model.activations[node.output];
                e && layer.clamp.active() && codes_clamp(*e, layer.clamp))
              put(clamp_key + node.name, list(layer.clamp.low, layer.clamp.high));
        },
        node.op);
  for (std::size_t n = 0; n != model.graph.nodes.size(); ++n)
    if (model.weights[n] && model.weights[n]->bits != 8)
      put(bits_key + model.graph.nodes[n].name, list(model.weights[n]->bits));
  put(requantize_key, std::string{name_of(model.requantize)});
  if (model.graph.preprocessing) {
    const Preprocessing& p = *model.graph.preprocessing;
    put(pictures_key, list(p.scale[0], p.scale[1], p.scale[2], p.offset[0], p.offset[1], p.offset[2], p.bgr ? 1 : 0,
                           p.resize, p.crop));
  }
  if (model.graph.class_offset) put(offset_key, list(*model.graph.class_offset));
}

Requantization read_requantization(const Metadata& metadata, std::string_view file, std::string_view producer) {
  const auto found = metadata.find(requantize_key);
  if (found == metadata.end()) return producer == "fat" ? Requantization::half_up : Requantization::half_even;
  const auto how = requantization_named(found->second);
  expects(how.has_value(), file, ": metadata '", std::string_view{requantize_key},
          "' must be half-up, half-even or tflite, it is '", std::string_view{found->second}, "'");
  return *how;
}

void read_model_metadata(const Metadata& metadata, std::string_view file, Model& model) {
  if (const auto p = numbers(metadata, file, pictures_key, 9); !p.empty()) {
    for (const double each : p)
      expects(std::isfinite(each), file, ": metadata '", std::string_view{pictures_key}, "' holds an infinity");
    Preprocessing& how = model.preprocessing.emplace();
    for (std::size_t c = 0; c != 3; ++c)
      how.scale[c] = static_cast<float>(p[c]), how.offset[c] = static_cast<float>(p[c + 3]);
    how.bgr = whole(p[6], 0, 1, file, pictures_key) != 0;
    how.resize = static_cast<std::size_t>(whole(p[7], 0, 65535, file, pictures_key));
    how.crop = static_cast<std::size_t>(whole(p[8], 0, 65535, file, pictures_key));
  }
  if (const auto offset = numbers(metadata, file, offset_key, 1); !offset.empty())
    model.class_offset = static_cast<std::size_t>(whole(offset[0], 0, 1 << 30, file, offset_key));
}

bool read_code_range(const Metadata& metadata, std::string_view file, const std::string& codes,
                     ActivationEncoding& encoding) {
  const std::string key = codes_key + codes;
  const auto range = numbers(metadata, file, key, 4);
  if (range.empty()) return false;
  if (range[0] < 0 && !encoding.is_signed()) {  // signed codes, stored 128 higher
    encoding.zero_point -= 128;
    encoding.code_min -= 128;
    encoding.code_max -= 128;
  }
  encoding.code_min = static_cast<std::int32_t>(whole(range[0], encoding.code_min, encoding.code_max, file, key));
  encoding.code_max = static_cast<std::int32_t>(whole(range[1], encoding.code_min, encoding.code_max, file, key));
  encoding.bits = static_cast<int>(whole(range[2], 2, 8, file, key));
  encoding.symmetric = whole(range[3], 0, 1, file, key) != 0;
  return encoding.code_max - encoding.code_min < 255;
}

bool codes_clamp(const ActivationEncoding& e, const Clamp& clamp) {
  const auto code = [&](float real) {
    return std::nearbyint(static_cast<double>(real) / static_cast<double>(e.step)) + e.zero_point;
  };
  return code(clamp.low) <= e.code_min && code(clamp.high) >= e.code_max;
}

Clamp read_clamp(const Metadata& metadata, std::string_view file, const std::string& node) {
  const auto bounds = numbers(metadata, file, clamp_key + node, 2);
  if (bounds.empty()) return {};
  expects(bounds[0] <= bounds[1], file, ": metadata '", std::string_view{clamp_key}, std::string_view{node},
          "' has its bounds in disorder");
  return {static_cast<float>(bounds[0]), static_cast<float>(bounds[1])};
}

int read_weight_bits(const Metadata& metadata, std::string_view file, const std::string& node) {
  const auto bits = numbers(metadata, file, bits_key + node, 1);
  return bits.empty() ? 8 : static_cast<int>(whole(bits[0], 2, 8, file, bits_key + node));
}

}  // namespace fat::inline FAT_ABI::onnx
