// fat evaluate: accuracy of a float or quantized model.
#include "executor.hpp"
#include "printable.hpp"
#include "report.hpp"

#include <cstdio>
#include <numeric>

namespace cli {

int evaluate(const Settings& settings) {
  LoadedModel loaded = load_model(settings.model, settings.reading);
  std::optional<LoadedModel> reference;
  if (settings.reference.empty()) {
    drop_softmax(loaded);
  } else {
    reference = LoadedModel{settings.reference, load_float_model(settings.reference, settings.reading), {}};
    drop_softmax(loaded, *reference);
    const auto agrees = [](const fat::Extent& a, const fat::Extent& b) { return a.size() == b.size(); };
    fat::expects(agrees(loaded.graph().input_extent(), reference->graph().input_extent()) &&
                     agrees(loaded.graph().output_extent(), reference->graph().output_extent()),
                 settings.reference, ": its input or output has another size than that of ", settings.model,
                 "; give the float model that it was made from");
  }
  const std::size_t offset = class_offset_for(loaded.graph(), settings);
  const fat::ImageSet images = load_images(settings.images, settings.labels, loaded.graph(), settings);
  check_classes(images, settings.labels.empty() ? settings.images : settings.labels, loaded.graph(), offset);
  std::vector<std::size_t> all(images.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  Executor executor{loaded, settings.simulate, settings.options.threads};
  std::optional<Executor> other;
  if (reference) other.emplace(*reference, false, settings.options.threads);
  Measurement found;
  {
    ProgressBar bar;
    found = measure(executor, other ? &*other : nullptr, images, all, offset,
                    [&](std::size_t done) { bar({.stage = "evaluate", .done = done, .total = all.size()}); });
  }
  const double per_image = 1000.0 * found.seconds / static_cast<double>(all.size());
  const bool quantized = loaded.quantized.has_value();
  std::printf("%s: %zu images\n", printable(settings.model).c_str(), images.size());
  if (found.reference) print_metrics("float", *found.reference);
  print_metrics(quantized ? "quantized" : "float", found.metrics);
  print_outputs(found.outputs);
  std::printf("%.2f ms per image on %zu threads, peak memory %.0f MiB\n", per_image, settings.options.threads,
              peak_rss_mib());
  Json json{{"model", settings.model}, {"images", images.size()}, {"skipped", images.skipped().size()}};
  if (found.reference) json["float"] = metrics_json(*found.reference);
  json[quantized ? "quantized" : "float"] = metrics_json(found.metrics);
  if (!quantized && found.reference) json["reference"] = metrics_json(*found.reference);
  if (!found.outputs.empty()) json["outputs"] = outputs_json(found.outputs);
  json["seconds"] = {{"evaluate", found.seconds}};
  json["ms_per_image"] = per_image;
  json["peak_rss_mib"] = peak_rss_mib();
  json["options"] = {{"simulate", settings.simulate}, {"class_offset", offset}, {"threads", settings.options.threads}};
  write_json(settings, json);
  return 0;
}

}  // namespace cli
