// fat compare: two models side by side, tensor by tensor.
#include "executor.hpp"
#include "printable.hpp"
#include "report.hpp"

#include <fat/model/code_differences.hpp>

#include <cstdio>
#include <map>
#include <optional>
#include <string>

namespace cli {
namespace {

/// Float models in the form that is quantized, so that tensors have the same names.
LoadedModel load_prepared(const std::string& path, const fat::ReadOptions& reading) {
  LoadedModel loaded = load_model(path, reading);
  if (loaded.floating) loaded.floating = prepared(path, std::move(*loaded.floating));
  return loaded;
}

/// The quantized model's integers against its own simulation, layer by layer on the same input codes.
Json print_code_differences(const fat::CodeDifferences& differences) {
  Table table{{"layer", "codes differing %", "largest"}};
  Json layers = Json::array();
  fat::CodeDifference all;
  for (std::size_t n = 0; n != differences.layers().size(); ++n) {
    const fat::CodeDifference& each = differences.layers()[n];
    if (each.codes == 0) continue;
    const std::string& name = differences.graph().nodes[n].name;
    table.add({name, text("%.4f", 100.0 * each.share()), std::to_string(each.largest)});
    layers.push_back({{"name", name}, {"differing", each.share()}, {"largest", each.largest}});
    all.codes += each.codes, all.differing += each.differing, all.largest = std::max(all.largest, each.largest);
  }
  std::printf("\ninteger codes against simulated ones, each layer given the same input codes\n");
  table.add({"all", text("%.4f", 100.0 * all.share()), std::to_string(all.largest)});
  table.print();
  return layers;
}

}  // namespace

int compare(const Settings& settings) {
  LoadedModel a = load_prepared(settings.model, settings.reading);
  LoadedModel b = load_prepared(settings.second_model, settings.reading);
  drop_softmax(a, b);
  fat::expects(a.graph().input_extent().size() == b.graph().input_extent().size() &&
                   a.graph().output_extent().size() == b.graph().output_extent().size(),
               settings.second_model, ": its input or output has another size than that of ", settings.model,
               "; compare two forms of one network");
  const fat::ImageSet images = load_images(settings.images, "", a.graph(), settings);
  std::map<std::string, fat::ValueId> by_name;
  for (fat::ValueId value = 0; value != b.graph().values.size(); ++value) by_name[b.graph().values[value].name] = value;
  Executor first{a, settings.simulate, settings.options.threads};
  Executor second{b, settings.simulate, settings.options.threads};
  std::vector<fat::Distance> distances(a.graph().values.size());
  fat::Score score;
  std::optional<fat::CodeDifferences> differences;
  if (b.quantized) naming(b.path, [&] { differences.emplace(*b.quantized); });
  {
    ProgressBar bar;
    std::vector<float> image(images.image_size());
    for (std::size_t i = 0; i != images.size(); ++i) {
      images.load(i, image);
      const auto mine = first.values(image);
      const auto theirs = second.values(image);
      for (fat::ValueId value = 0; value != mine.size(); ++value) {
        const auto at = by_name.find(a.graph().values[value].name);
        if (at != by_name.end() && theirs[at->second].size() == mine[value].size())
          distances[value].add(mine[value], theirs[at->second]);
      }
      naming(a.path, images.name(i), [&] { fat::expects_finite(mine[a.graph().output]); });
      naming(b.path, images.name(i), [&] { score.add(theirs[b.graph().output], {}, mine[a.graph().output]); });
      if (differences) differences->add(image);
      bar({.stage = "compare", .done = i + 1, .total = images.size()});
    }
  }
  Table table{{"tensor", "SQNR dB", "RMSE"}};
  Json tensors = Json::array();
  for (fat::ValueId value = 0; value != distances.size(); ++value) {
    if (distances[value].count == 0) continue;
    const std::string& name = a.graph().values[value].name;
    table.add({name, text("%.2f", distances[value].sqnr_db()), text("%.4g", distances[value].rmse())});
    Json json{{"name", name}, {"rmse", distances[value].rmse()}};
    if (std::isfinite(distances[value].sqnr_db())) json["sqnr_db"] = distances[value].sqnr_db();
    tensors.push_back(std::move(json));
  }
  table.print();
  const fat::Metrics metrics = score.metrics();
  std::printf("%s against %s: %zu images\n", printable(settings.second_model).c_str(),
              printable(settings.model).c_str(), images.size());
  print_metrics("second", metrics);
  Json json{{"model", settings.second_model}, {"reference", settings.model}, {"images", images.size()}};
  json[b.quantized ? "quantized" : "float"] = metrics_json(metrics);
  json["tensors"] = std::move(tensors);
  if (differences) json["code_differences"] = print_code_differences(*differences);
  json["peak_rss_mib"] = peak_rss_mib();
  write_json(settings, json);
  return 0;
}

}  // namespace cli
