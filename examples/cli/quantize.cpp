// fat quantize: a float model and images to an int8 model, with the figures that tell how good it is.
#include "executor.hpp"
#include "interrupt.hpp"
#include "printable.hpp"
#include "problems.hpp"
#include "report.hpp"

#include <fat/io/file.hpp>
#include <fat/model/quantize_model.hpp>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <numeric>

namespace cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

/// The per-layer table, heads first.
Rows layer_rows(const fat::QuantizeReport& report) {
  Rows rows{{"layer", "kind", "low", "high", "step", "weight step", "weight SQNR dB", "output SQNR dB"}};
  for (const fat::LayerReport& layer : report.layers) {
    std::string weight_step = "-";
    if (layer.weight_step_high != 0.0) weight_step = text("%.3g", layer.weight_step_low);
    if (layer.weight_step_high != layer.weight_step_low) weight_step += ".." + text("%.3g", layer.weight_step_high);
    rows.push_back({layer.name, layer.kind, text("%.4g", static_cast<double>(layer.range.low)),
                    text("%.4g", static_cast<double>(layer.range.high)),
                    layer.step ? text("%.4g", static_cast<double>(*layer.step)) : "float", weight_step,
                    text("%.1f", layer.weight_sqnr_db), text("%.1f", layer.output_sqnr_db)});
  }
  return rows;
}

/// Text for a web page: names of layers come from a file and may hold anything.
std::string escaped(const std::string& plain) {
  std::string safe;
  for (const char c : printable(plain)) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else
      safe += c;
  }
  return safe;
}

/// Writes the web page of --report, where one was asked for.
void write_page(const Settings& settings, const Rows& rows, const fat::Metrics& exact, const fat::Metrics& quantized) {
  if (settings.report.empty()) return;
  const std::string title = escaped(settings.model) + ", quantized";
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + title +
      "</title>\n<style>td, th { padding: 0 1em; text-align: right } td:first-child { text-align: left }</style>"
      "</head>\n<body><h1>" +
      title + "</h1>\n<pre>float     " + metrics_json(exact).dump() + "\nquantized " + metrics_json(quantized).dump() +
      "</pre>\n<table>\n";
  for (const std::vector<std::string>& row : rows) {
    const std::string cell = &row == &rows.front() ? "th" : "td";
    page += "<tr>";
    for (const std::string& entry : row)
      page.append("<").append(cell).append(">").append(escaped(entry)).append("</").append(cell).append(">");
    page += "</tr>\n";
  }
  fat::write_file_atomically(settings.report, page + "</table></body></html>\n");
}

void print_layers(const fat::QuantizeReport& report, const Rows& rows) {
  Table table{rows.front()};
  for (std::size_t i = 1; i != rows.size(); ++i) table.add(rows[i]);
  table.print();
  for (const fat::LayerReport& layer : report.layers) {
    if (layer.notes.dead_channels != 0)
      std::printf("%s: %zu channels have only zero weights\n", printable(layer.name).c_str(),
                  layer.notes.dead_channels);
    if (layer.notes.raised_channels != 0)
      std::printf("%s: weight step raised in %zu channels, whose bias would not fit 32 bits\n",
                  printable(layer.name).c_str(), layer.notes.raised_channels);
  }
  for (const std::string& message : report.messages) std::printf("%s\n", printable(message).c_str());
}

/// What rescaling did; null where there was none.
Json corrections_json(const std::vector<fat::LayerCorrection>& corrections) {
  Json json = Json::array();
  for (const fat::LayerCorrection& each : corrections) {
    json.push_back({{"layer", each.name}, {"largest_shift", each.largest_shift}, {"moved_codes", each.moved_codes}});
    if (std::isfinite(each.sqnr_db)) json.back()["sqnr_db"] = each.sqnr_db;
  }
  return json;
}

Json rescaling_json(const fat::RescalingChoice& choice) {
  if (choice.way == fat::Rescaling::none && choice.trials.empty()) return nullptr;
  Json json{{"way", fat::name_of(choice.way)}, {"float_output_rmse", choice.done.output_rmse}};
  for (const fat::RescalingTrial& trial : choice.trials) {
    json["trials"].push_back({{"way", fat::name_of(trial.way)}, {"held_out_rmse", trial.output_rmse}});
    if (trial.applied_rmse) json["trials"].back()["applied_rmse"] = *trial.applied_rmse;
  }
  for (const fat::PairRescaling& pair : choice.done.pairs)
    json["pairs"].push_back({{"first", pair.first},
                             {"second", pair.second},
                             {"factors", pair.factors},
                             {"locked", pair.locked},
                             {"control", pair.control},
                             {"first_sqnr_db", {pair.first_sqnr_before, pair.first_sqnr_after}},
                             {"second_sqnr_db", {pair.second_sqnr_before, pair.second_sqnr_after}}});
  return json;
}

Json layers_json(const fat::QuantizeReport& report) {
  Json layers = Json::array();
  for (const fat::LayerReport& layer : report.layers) {
    Json json{{"name", layer.name}, {"kind", layer.kind}, {"range", {layer.range.low, layer.range.high}}};
    if (layer.step) json["step"] = *layer.step;
    if (layer.weight_step_high != 0.0) json["weight_step"] = {layer.weight_step_low, layer.weight_step_high};
    const auto put = [&](const char* key, const std::optional<double>& value) {
      if (value && std::isfinite(*value)) json[key] = *value;
    };
    put("weight_sqnr_db", layer.weight_sqnr_db);
    put("output_sqnr_db", layer.output_sqnr_db);
    layers.push_back(std::move(json));
  }
  return layers;
}

/// Errors: an output whose format cannot hold what the options make of the network, or what `fat run` would refuse;
/// found on one image before the work begins. What only training or more images could show is left to the writing.
template <class Images>
void check_formats(const Settings& settings, const fat::QuantizeOptions& options, const fat::Model& model,
                   const Images& images) {
  if (images.size() == 0) return;
  fat::QuantizeOptions quick = options;
  quick.calibration = 1;
  quick.rescale = fat::Rescaling::none;
  quick.finetune = fat::Finetuning::none;
  quick.bias_correction = fat::BiasCorrection::off;
  quick.rounding = fat::WeightRounding::nearest;
  quick.checkpoint.clear();
  quick.resume = false;
  std::optional<fat::QuantizedModel> sample;
  try {
    sample = fat::quantize_model(model, images, quick);
  } catch (const fat::error&) {  // the job itself says it better
    return;
  }
  for (const std::string& path : settings.outputs) check_writable(*sample, path, settings.tensorrt);
}

/// Says on stderr that a .json file is of other weights than the user's model has, where that is so.
void note_changed_weights(const std::vector<std::string>& written, const fat::Model& model,
                          const fat::QuantizeReport& report, const std::string& name) {
  const bool folded = std::any_of(model.nodes.begin(), model.nodes.end(), [](const fat::Node& node) {
    return std::holds_alternative<fat::BatchNormalization>(node.op);
  });
  if (!folded && report.rescaling.done.pairs.empty()) return;
  for (const std::string& path : written)
    if (extension_of(path) == ".json")
      std::fprintf(
          stderr,
          "fat: note: %s: its encodings are of the weights after batch normalizations were folded and channels "
          "rescaled, not of those in %s; -o FILE.onnx writes the model that they belong to\n",
          printable(path).c_str(), printable(name).c_str());
}

/// What the measured images were used for before, as the report says it.
enum class Use { none, calibration, training };

/// Images to measure on where no others are named: up to 100 that were neither calibrated nor trained on; where there
/// are none, those that were not trained on; or else all.
std::vector<std::size_t> held_out(std::size_t total, const fat::QuantizeOptions& options, Use& use) {
  std::vector<std::size_t> all(total);
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto without = [](const std::vector<std::size_t>& some, const std::vector<std::size_t>& used) {
    std::vector<std::size_t> rest;
    std::set_difference(some.begin(), some.end(), used.begin(), used.end(), std::back_inserter(rest));
    return rest;
  };
  const std::vector<std::size_t> untrained = without(all, fat::trained_images(total, options));
  const std::vector<std::size_t> fresh =
      without(untrained, fat::draw_indices(total, options.calibration, options.seed));
  use = !fresh.empty() ? Use::none : !untrained.empty() ? Use::calibration : Use::training;
  std::vector<std::size_t> chosen = use == Use::none ? fresh : use == Use::calibration ? untrained : all;
  constexpr std::size_t most = 100;
  if (chosen.size() > most) chosen.resize(most);
  return chosen;
}

/// A finished job, ready to be measured.
struct Job {
  const fat::ImageSet& images;
  const fat::ImageSet* others;  ///< of --evaluate
  std::size_t offset;
  const fat::QuantizeReport& report;
  LoadedModel& loaded;
  LoadedModel& reference;
  const std::vector<std::string>& written;
  ProgressBar& bar;
};

/// Measures the result and prints the figures.
void report_on(const Settings& settings, const Job& job, Problems& problems) {
  drop_softmax(job.loaded, job.reference);
  const bool others = job.others != nullptr;
  const fat::QuantizeReport& report = job.report;
  Executor executor{job.loaded, false, settings.options.threads};
  Executor exact{job.reference, false, settings.options.threads};
  const fat::ImageSet& measured = others ? *job.others : job.images;
  Use use = Use::none;
  std::vector<std::size_t> chosen(measured.size());
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  if (!others) chosen = held_out(job.images.size(), settings.options, use);
  const Measurement found = measure(executor, &exact, measured, chosen, job.offset, [&](std::size_t done) {
    job.bar({.stage = "evaluate", .done = done, .total = chosen.size()});
  });

  const Rows rows = layer_rows(report);
  print_layers(report, rows);
  const bool trained = settings.options.finetune != fat::Finetuning::none;
  const char* where = others                    ? ""
                      : use == Use::training    ? "trained on"
                      : use == Use::calibration ? "calibrated on"
                      : trained                 ? "neither calibrated nor trained on"
                                                : "not calibrated on";
  std::printf("%s: measured on %zu images%s%s%s\n", printable(settings.model).c_str(), chosen.size(),
              others ? "" : " (", where, others ? "" : ")");
  print_metrics("float", *found.reference);
  print_metrics("quantized", found.metrics);
  print_outputs(found.outputs);
  for (const auto& [stage, seconds] : report.seconds) std::printf("%s %.1f s, ", stage.c_str(), seconds);
  std::printf("evaluate %.1f s, peak memory %.0f MiB\n", found.seconds, peak_rss_mib());
  for (const std::string& path : job.written) std::printf("wrote %s\n", printable(path).c_str());

  Json json{{"model", settings.model},
            {"images", chosen.size()},
            {"images_were", others ? "other images" : where},
            {"float", metrics_json(*found.reference)},
            {"quantized", metrics_json(found.metrics)}};
  if (!found.outputs.empty()) json["outputs"] = outputs_json(found.outputs);
  json["seconds"] = report.seconds;
  json["seconds"]["evaluate"] = found.seconds;
  json["ms_per_image"] = 1000.0 * found.seconds / static_cast<double>(chosen.size());
  json["peak_rss_mib"] = peak_rss_mib();
  json["options"] = options_json(settings.options);
  json["messages"] = report.messages;
  json["layers"] = layers_json(report);
  json["rescaling"] = rescaling_json(report.rescaling);
  json["corrections"] = corrections_json(report.corrections);
  if (!report.losses.empty()) json["losses"] = report.losses;
  problems.attempt([&] { write_json(settings, json); });
  problems.attempt([&] { write_page(settings, rows, *found.reference, found.metrics); });
}

}  // namespace

int quantize(const Settings& settings) {
  check_extensions(settings.outputs);
  fat::check_checkpoint(settings.options);
  fat::Model model = load_float_model(settings.model, settings.reading);
  const std::size_t offset =
      settings.evaluate.empty() ? settings.class_offset.value_or(0) : class_offset_for(model, settings);
  const fat::ImageSet images = load_images(settings.images, "", model, settings);
  std::optional<fat::ImageSet> others;
  if (!settings.evaluate.empty()) others.emplace(load_images(settings.evaluate, settings.labels, model, settings));
  check_classes(others ? *others : images,
                !settings.labels.empty() ? settings.labels
                : others                 ? settings.evaluate
                                         : settings.images,
                model, offset);
  model.preprocessing = preprocessing_for(model, settings);
  if (settings.class_offset) model.class_offset = settings.class_offset;
  fat::QuantizeOptions options = settings.options;
  check_formats(settings, options, model, images);

  ProgressBar bar;
  fat::QuantizeReport report;
  LoadedModel loaded{settings.outputs.front(), {}, {}};
  {
    InterruptTraining interrupt;
    const bool keeps = options.finetune != fat::Finetuning::none && !options.checkpoint.empty();
    if (keeps) options.stop = Interrupt::flag();
    loaded.quantized = naming(settings.model, [&] {
      return fat::quantize_model(
          model, images, options,
          [&](const fat::ProgressEvent& event) {
            if (keeps) interrupt(event.stage);
            bar(event);
          },
          &report);
    });
  }
  Problems problems;
  std::vector<std::string> written;
  for (const std::string& path : settings.outputs)
    if (problems.attempt([&] { write_quantized_model(*loaded.quantized, path, settings.tensorrt); }))
      written.push_back(path);
  note_changed_weights(written, model, report, settings.model);
  LoadedModel reference{settings.model, std::move(model), {}};
  const Job job{images, others ? &*others : nullptr, offset, report, loaded, reference, written, bar};
  problems.attempt([&] { report_on(settings, job, problems); });
  problems.report();
  return 0;
}

}  // namespace cli
