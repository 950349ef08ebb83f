// fat inspect: layers, sizes, ranges, and what will quantize badly.
#include "files.hpp"
#include "printable.hpp"
#include "report.hpp"

#include <fat/model/encodings.hpp>
#include <fat/model/extents.hpp>

#include <cmath>
#include <cstdio>

namespace cli {
namespace {

struct LayerFacts {
  std::size_t parameters = 0;
  double macs = 0.0;
  fat::Interval<float> range;
  double spread = 0.0;   ///< largest over smallest channel maximum, of live channels
  std::size_t dead = 0;  ///< channels whose weights are all (nearly) zero
  std::size_t channels = 0;
};

template <fat::WeightedLayer Layer>
LayerFacts facts_of(const Layer& layer, const fat::Extent& out) {
  LayerFacts facts;
  facts.parameters = layer.kernel.size() + layer.offset.size();
  facts.macs = static_cast<double>(out.height * out.width) * static_cast<double>(layer.kernel.size());
  facts.range = fat::weight_ranges(layer, fat::Granularity::scalar)[0];
  const double largest = static_cast<double>(fat::threshold_of(facts.range));
  double smallest = largest;
  constexpr double nearly_zero = 1e-6;
  for (const auto& range : fat::weight_ranges(layer, fat::Granularity::per_channel)) {
    ++facts.channels;
    const double threshold = static_cast<double>(fat::threshold_of(range));
    if (threshold <= nearly_zero * largest)
      ++facts.dead;
    else
      smallest = std::min(smallest, threshold);
  }
  facts.spread = smallest > 0.0 ? largest / smallest : 0.0;
  return facts;
}

std::string extent_text(const fat::Extent& e) {
  if (e.vector) return std::to_string(e.channels);
  return std::to_string(e.height) + "x" + std::to_string(e.width) + "x" + std::to_string(e.channels);
}

void warn_about(const fat::Node& node, const LayerFacts& facts, std::vector<std::string>& warnings) {
  constexpr double wide_spread = 30.0;
  if (facts.spread > wide_spread)
    warnings.push_back(
        node.name + ": channel maxima differ by a factor of " + text("%.0f", facts.spread) +
        "; one step for the whole layer (--granularity scalar) will lose its small channels unless --rescale helps");
  if (facts.dead != 0)
    warnings.push_back(node.name + ": " + std::to_string(facts.dead) + " of " + std::to_string(facts.channels) +
                       " channels have weights of (nearly) zero; they become constants");
}

std::size_t print_float(const fat::Model& model, Json& json, std::vector<std::string>& warnings) {
  Table table{{"layer", "kind", "tensor", "output", "parameters", "MMAC", "low", "high", "spread"}};
  std::size_t parameters = 0;
  double macs = 0.0;
  for (const fat::Node& node : model.nodes) {
    const fat::Extent& out = model.extent(node.output);
    LayerFacts facts;
    std::visit(
        [&]<class Layer>(const Layer& layer) {
          if constexpr (fat::WeightedLayer<Layer>) facts = facts_of(layer, out);
        },
        node.op);
    parameters += facts.parameters;
    macs += facts.macs;
    const bool weighted = facts.parameters != 0;
    table.add({node.name, std::string{fat::kind_name(node.op)}, model.values[node.output].name, extent_text(out),
               weighted ? std::to_string(facts.parameters) : "-", weighted ? text("%.2f", facts.macs / 1e6) : "-",
               weighted ? text("%.4g", static_cast<double>(facts.range.low)) : "-",
               weighted ? text("%.4g", static_cast<double>(facts.range.high)) : "-",
               weighted ? text("%.1f", facts.spread) : "-"});
    Json entry{{"name", node.name},
               {"kind", std::string{fat::kind_name(node.op)}},
               {"tensor", model.values[node.output].name},
               {"output", {out.height, out.width, out.channels}},
               {"parameters", facts.parameters},
               {"macs", facts.macs}};
    if (weighted) {
      entry["range"] = {facts.range.low, facts.range.high};
      entry["spread"] = facts.spread;
      entry["dead_channels"] = facts.dead;
    }
    json["layers"].push_back(std::move(entry));
    warn_about(node, facts, warnings);
  }
  table.print();
  std::printf("%zu layers, %.3f M parameters, %.1f M multiply-adds an image\n", model.nodes.size(),
              static_cast<double>(parameters) / 1e6, macs / 1e6);
  json["parameters"] = parameters;
  json["macs"] = macs;
  return parameters;
}

void print_quantized(const fat::QuantizedModel& model, Json& json) {
  Table table{{"layer", "kind", "tensor", "output", "step", "zero point", "codes", "weight bits", "weight steps"}};
  for (std::size_t n = 0; n != model.graph.nodes.size(); ++n) {
    const fat::Node& node = model.graph.nodes[n];
    const auto& out = model.activations[node.output];
    const auto& weights = model.weights[n];
    table.add({node.name, std::string{fat::kind_name(node.op)}, model.graph.values[node.output].name,
               extent_text(model.graph.extent(node.output)),
               out ? text("%.5g", static_cast<double>(out->step)) : "float",
               out ? std::to_string(out->zero_point) : "-",
               out ? std::to_string(out->code_min) + ".." + std::to_string(out->code_max) : "-",
               weights ? std::to_string(weights->bits) : "-", weights ? std::to_string(weights->step.size()) : "-"});
    Json entry{{"name", node.name},
               {"kind", std::string{fat::kind_name(node.op)}},
               {"tensor", model.graph.values[node.output].name}};
    if (out)
      entry["output"] = {{"step", out->step},
                         {"zero_point", out->zero_point},
                         {"code_min", out->code_min},
                         {"code_max", out->code_max}};
    if (weights) entry["weights"] = {{"bits", weights->bits}, {"steps", weights->step.size()}};
    json["layers"].push_back(std::move(entry));
  }
  table.print();
}

}  // namespace

int inspect(const Settings& settings) {
  const LoadedModel loaded = load_model(settings.model, settings.reading);
  const fat::Model& graph = loaded.graph();
  Json json{{"model", settings.model}, {"quantized", loaded.quantized.has_value()}, {"layers", Json::array()}};
  const fat::Extent& in = graph.input_extent();
  const fat::Extent& out = graph.output_extent();
  json["input"] = {in.height, in.width, in.channels};
  json["outputs"] = out.size();
  std::printf("%s: input '%s' %s, output '%s' %s, %s\n", printable(settings.model).c_str(),
              printable(graph.values[graph.input].name).c_str(), extent_text(in).c_str(),
              printable(graph.values[graph.output].name).c_str(), extent_text(out).c_str(),
              loaded.quantized ? "quantized" : "float; batch normalization folded and clamps fused below");
  std::vector<std::string> warnings;
  if (loaded.floating)
    print_float(prepared(settings.model, *loaded.floating), json, warnings);
  else
    print_quantized(*loaded.quantized, json);
  if (graph.class_offset) std::printf("class = arg-max - %zu\n", *graph.class_offset);
  if (!graph.class_offset && out.size() == 1001)
    warnings.emplace_back("1001 outputs: where the first one is the background, evaluate with --class-offset 1");
  json["warnings"] = warnings;
  for (const std::string& warning : warnings) std::printf("warning: %s\n", printable(warning).c_str());
  write_json(settings, json);
  return 0;
}

}  // namespace cli
