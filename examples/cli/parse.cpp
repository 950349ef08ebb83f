// The command line of `fat`: commands, options, their defaults and limits.
#include "files.hpp"
#include "printable.hpp"
#include "settings.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <system_error>
#include <thread>

namespace cli {
namespace {

using fat::BiasCorrection;
using fat::Finetuning;
using fat::Granularity;
using fat::RangeRule;
using fat::Rescaling;
using fat::Scheme;
using fat::WeightRounding;

const std::map<std::string, Scheme> schemes{{"symmetric", Scheme::symmetric}, {"asymmetric", Scheme::asymmetric}};
const std::map<std::string, Granularity> granularities{{"scalar", Granularity::scalar},
                                                       {"per-channel", Granularity::per_channel}};
const std::map<std::string, RangeRule> observers{{"minmax", RangeRule::minmax},
                                                 {"percentile", RangeRule::percentile},
                                                 {"mse", RangeRule::mse},
                                                 {"entropy", RangeRule::entropy}};
const std::map<std::string, BiasCorrection> corrections{{"on", BiasCorrection::on},
                                                        {"off", BiasCorrection::off},
                                                        {"auto", BiasCorrection::automatic},
                                                        {"analytic", BiasCorrection::analytic}};
const std::map<std::string, bool> booleans{{"on", true}, {"off", false}};
const std::map<std::string, WeightRounding> roundings{
    {"nearest", WeightRounding::nearest}, {"sum", WeightRounding::sum}, {"learned", WeightRounding::learned}};
const std::map<std::string, fat::Requantization> requantizations{{"half-up", fat::Requantization::half_up},
                                                                 {"half-even", fat::Requantization::half_even},
                                                                 {"tflite", fat::Requantization::tflite}};
const std::map<std::string, Rescaling> rescalings{{"none", Rescaling::none},
                                                  {"depthwise", Rescaling::depthwise},
                                                  {"equalize", Rescaling::equalize},
                                                  {"balance", Rescaling::balance},
                                                  {"auto", Rescaling::automatic}};
const std::map<std::string, Finetuning> finetunings{{"none", Finetuning::none},
                                                    {"thresholds", Finetuning::thresholds},
                                                    {"pointwise", Finetuning::pointwise},
                                                    {"both", Finetuning::both}};

const std::map<std::string, Quality> qualities{
    {"fast", Quality::fast}, {"balanced", Quality::balanced}, {"best", Quality::best}};

const std::map<std::string, fat::TrainingLoss> losses{{"rmse", fat::TrainingLoss::batch_rmse},
                                                      {"element-rmse", fat::TrainingLoss::element_rmse},
                                                      {"absolute", fat::TrainingLoss::absolute}};
const std::map<std::string, fat::TrainingOptimizer> optimizers{{"adam", fat::TrainingOptimizer::adam},
                                                               {"sgd", fat::TrainingOptimizer::sgd}};
const std::map<std::string, fat::TrainingSchedule> schedules{{"cosine", fat::TrainingSchedule::cosine},
                                                             {"constant", fat::TrainingSchedule::constant},
                                                             {"authors", fat::TrainingSchedule::authors}};

/// Digits alone, of a number that 64 bits hold: a sign or an overflow would wrap.
const CLI::Validator whole_number{
    [](const std::string& text) {
      std::uint64_t value = 0;
      const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
      return status == std::errc{} && end == text.data() + text.size() ? std::string{}
                                                                       : "'" + text + "' is no whole number of 64 bits";
    },
    ""};

/// A positive number that is finite: NaN passes every comparison of a range.
const CLI::Validator positive_number{[](const std::string& text) {
                                       double value = 0.0;
                                       return CLI::detail::lexical_cast(text, value) && value > 0.0 &&
                                                      std::isfinite(value)
                                                  ? std::string{}
                                                  : "'" + text + "' is no positive number";
                                     },
                                     ""};

/// An option that takes one of a few words; the help shows them and the default.
template <class T>
CLI::Option* choice(CLI::App& app, const std::string& flag, T& value, const std::map<std::string, T>& words,
                    const std::string& help) {
  std::string list;
  std::string preset;
  for (const auto& [word, meaning] : words) {
    list += (list.empty() ? "" : "|") + word;
    if (meaning == value) preset = word;
  }
  return app.add_option(flag, value, help + " [" + preset + "]")
      ->transform(CLI::CheckedTransformer(words).description(list));
}

/// NAME:key=value,key=value as the options of one layer. Errors: a key or a value that is none.
fat::LayerOptions layer_options(const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    throw CLI::ValidationError("--layer",
                               "'" + text + "': " + why + "; give NAME:key=value,... with the keys bits, " +
                                   "weight-scheme, granularity, train-activations, train-weights, train-biases");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) refuse("no name before a colon");
  fat::LayerOptions layer{.layer = text.substr(0, colon)};
  for (const std::string& setting : CLI::detail::split(text.substr(colon + 1), ',')) {
    const std::size_t equals = std::min(setting.find('='), setting.size());
    const std::string key = setting.substr(0, equals);
    const std::string word = setting.substr(std::min(equals + 1, setting.size()));
    const auto choose = [&](auto& value, const auto& words) {
      const auto found = words.find(word);
      if (found == words.end()) refuse("'" + word + "' is no value of " + key);
      value = found->second;
    };
    static const std::map<std::string, int> widths{{"2", 2}, {"3", 3}, {"4", 4}, {"5", 5},
                                                   {"6", 6}, {"7", 7}, {"8", 8}};
    if (key == "bits")
      choose(layer.bits, widths);
    else if (key == "weight-scheme")
      choose(layer.weight_scheme, schemes);
    else if (key == "granularity")
      choose(layer.granularity, granularities);
    else if (key == "train-activations")
      choose(layer.train_activations, booleans);
    else if (key == "train-weights")
      choose(layer.train_weights, booleans);
    else if (key == "train-biases")
      choose(layer.train_biases, booleans);
    else
      refuse("'" + key + "' is no key");
  }
  return layer;
}

void add_images(CLI::App& app, Settings& s) {
  app.add_option("--images", s.images, "folder (recursive), list file with `path class` lines, or .npy tensors")
      ->required();
}

/// What every command that reads images or tensors takes.
void add_common(CLI::App& app, Settings& s) {
  app.add_option("--preprocess", s.preprocess, "how pixels become numbers [the model's, else tf]")
      ->check(CLI::IsMember({"tf", "torch", "caffe", "raw"}));
  app.add_option("--resize", s.resize,
                 "shorter side before the crop, 0 for none [the model's, else 256 for a 224 input]")
      ->check(CLI::Range(0, 65535));
  app.add_option("--crop", s.crop, "side of the centre crop, 0 for none [the model's, else its input]")
      ->check(CLI::Range(0, 65535));
  app.add_option("--class-offset", s.class_offset, "class = arg-max - N [the model's, else 0]")
      ->check(CLI::Range(0, 1 << 30));
  app.add_option("--threads", s.options.threads, "threads to compute with, at most one for each processor [all]")
      ->check(CLI::Range(1, 1024));
}

/// NAME=1,3,320,320 as the shape of one input. Errors: anything else.
void add_shape(fat::ReadOptions& reading, const std::string& text) {
  const std::size_t equals = text.rfind('=');
  const auto refuse = [&] {
    throw CLI::ValidationError("--shape", "'" + text + "' is no shape; give NAME=1,3,320,320");
  };
  if (equals == std::string::npos || equals == 0) refuse();
  std::vector<std::int64_t> dims;
  for (const std::string& word : CLI::detail::split(text.substr(equals + 1), ',')) {
    std::int64_t dim = 0;
    const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), dim);
    if (status != std::errc{} || end != word.data() + word.size()) refuse();
    dims.push_back(dim);
  }
  if (!reading.shapes.emplace(text.substr(0, equals), std::move(dims)).second)
    throw CLI::ValidationError("--shape", "'" + text.substr(0, equals) + "' is given two shapes");
}

/// What every command that reads a float model takes.
void add_reading(CLI::App& app, Settings& s) {
  app.add_option_function<std::vector<std::string>>(
         "--shape",
         [&s](const std::vector<std::string>& all) {
           for (const std::string& text : all) add_shape(s.reading, text);
         },
         "NAME=1,3,H,W: the shape of an input whose dimensions the file leaves open; may be repeated")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  app.add_option("--end-at", s.reading.end_at, "tensors that become the outputs [those of the file]")->delimiter(',');
  app.add_flag("--strict", s.reading.strict, "refuse what cannot be read; else the network ends before it");
}

/// Another rounding for a quantized model than its own.
void add_requantize(CLI::App& app, Settings& s) {
  app.add_option("--requantize", s.requantize, "how the quantized model rounds its results to codes [as its file says]")
      ->transform(CLI::CheckedTransformer(requantizations).description("half-even|half-up|tflite"));
}

void add_json(CLI::App& app, Settings& s) { app.add_option("--json", s.json, "write the figures to this file too"); }

/// What --tensorrt chooses. Errors: options that contradict it, no file that it is for.
void choose_for_tensorrt(Settings& s, bool scheme_given) {
  fat::QuantizeOptions& o = s.options;
  const auto refuse = [](const std::string& why) { throw CLI::ValidationError("--tensorrt", why); };
  const auto is_onnx = [](const std::string& path) { return extension_of(path) == ".onnx"; };
  if (std::none_of(s.outputs.begin(), s.outputs.end(), is_onnx)) refuse("is for .onnx files; add -o FILE.onnx");
  if (scheme_given && o.scheme == Scheme::asymmetric) refuse("zero points are 0 there; leave out --scheme asymmetric");
  if (o.weight_scheme == Scheme::asymmetric) refuse("zero points are 0 there; leave out --weight-scheme asymmetric");
  for (const fat::LayerOptions& each : o.layers)
    if (each.weight_scheme == Scheme::asymmetric)
      refuse("zero points are 0 there; leave out weight-scheme=asymmetric of layer '" + each.layer + "'");
  o.scheme = Scheme::symmetric;
  o.signed_activations = true;
}

/// What a quality does: seconds; the best of what needs no long training; the same with a longer one.
void choose_quality(fat::QuantizeOptions& o, Quality quality) {
  o.rescale = Rescaling::automatic;
  o.bias_correction = BiasCorrection::automatic;
  o.rounding = quality == Quality::fast ? WeightRounding::nearest : WeightRounding::learned;
  o.finetune = quality == Quality::fast ? Finetuning::none : Finetuning::thresholds;
  if (quality == Quality::best) o.epochs = 3 * fat::QuantizeOptions{}.epochs;
}

void add_quantize_options(CLI::App& app, Settings& s) {
  fat::QuantizeOptions& o = s.options;
  choose_quality(o, Quality::balanced);
  const CLI::Option* const scheme = choice(app, "--scheme", o.scheme, schemes, "of activations");
  choice(app, "--weight-scheme", o.weight_scheme, schemes, "of weights");
  choice(app, "--granularity", o.granularity, granularities, "of weights");
  app.add_option("--bits", o.bits, "of weights [8]")->check(CLI::Range(2, 8));
  app.add_option("--activation-bits", o.activation_bits, "of activations [8]")->check(CLI::Range(2, 8));
  choice(app, "--observer", o.observer, observers, "how activation ranges follow from calibration");
  app.add_option("--percentile", o.percentile, "percent of the values the percentile observer keeps [99.99]")
      ->check(CLI::Range(std::nextafter(50.0, 51.0), 100.0))
      ->check(positive_number);
  const CLI::Option* const correction =
      choice(app, "--bias-correction", o.bias_correction, corrections, "move biases so that mean outputs are kept");
  const CLI::Option* const rounding = choice(app, "--rounding", o.rounding, roundings, "of weights");
  choice(app, "--requantize", o.requantize, requantizations, "how the int8 network rounds its results to codes");
  app.add_option("--keep-float", o.keep_float, "tensors or layers that stay float")->delimiter(',');
  app.add_option_function<std::vector<std::string>>(
         "--layer",
         [&o](const std::vector<std::string>& all) {
           for (const std::string& text : all) o.layers.push_back(layer_options(text));
         },
         "NAME:key=value,...: what one layer does differently (bits, granularity, train-weights, ...); may be repeated")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  choice(app, "--train-activations", o.train_activations, booleans, "train the thresholds of activations");
  choice(app, "--train-weights", o.train_weights, booleans, "train the thresholds of weights");
  choice(app, "--train-biases", o.train_biases, booleans, "train biases with them");
  app.add_option("--calibration", o.calibration, "images to observe ranges on, drawn by the seed [100]")
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--train", o.train, "images to train on [all]")->check(CLI::Range(1, 1 << 30));
  const CLI::Option* const rescale =
      choice(app, "--rescale", o.rescale, rescalings, "change the float network first");
  app.add_option("--rescale-lock", o.rescale_lock, "ReLU6: channels that reach this are not rescaled [5.9, balance 5]")
      ->check(positive_number)
      ->check(CLI::Range(0.0, 6.0));
  const CLI::Option* const finetune = choice(app, "--finetune", o.finetune, finetunings, "what to train");
  const CLI::Option* const epochs =
      app.add_option("--epochs", o.epochs, "passes over the training images [6]")->check(CLI::Range(1, 1 << 20));
  choice(app, "--quality", s.quality, qualities, "what is done where no option says otherwise");
  app.add_option("--batch", o.batch, "images a training step [16]")->check(CLI::Range(1, 4096));
  app.add_option("--patience", o.patience,
                 "end the training after N epochs without a smaller loss on held-out images [never]")
      ->check(CLI::Range(1, 1 << 20));
  choice(app, "--loss", o.loss, losses, "what training brings down");
  choice(app, "--optimizer", o.optimizer, optimizers, "what moves the parameters");
  app.add_option("--learning-rate", o.learning_rate, "of the optimizer, at its highest [by what is trained]")
      ->check(positive_number);
  choice(app, "--schedule", o.schedule, schedules, "how the rate falls");
  app.add_option("--cycles", o.cycles,
                 "equal cycles of the schedule, each with a fresh optimizer [1; authors: of 400 steps]")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--seed", o.seed, "of every random choice [0]")->check(whole_number);
  app.add_option("--checkpoint", o.checkpoint, "folder for the state of the training");
  app.add_flag("--resume", o.resume, "continue from --checkpoint");
  CLI::Option* const evaluate = app.add_option("--evaluate", s.evaluate, "images to measure the result on");
  app.add_option("--labels", s.labels, "file of `path class` lines, for --evaluate")->needs(evaluate);
  app.add_flag("--tensorrt", s.tensorrt,
               "for TensorRT: symmetric int8 activations, softmax in float; .onnx files have float biases");
  app.final_callback([&s, scheme, correction, rounding, rescale, finetune, epochs] {
    fat::QuantizeOptions chosen = s.options;
    choose_quality(chosen, s.quality);
    const auto follow = [](const CLI::Option* given, auto& value, const auto& preset) {
      if (given->count() == 0) value = preset;
    };
    follow(rescale, s.options.rescale, chosen.rescale);
    follow(finetune, s.options.finetune, chosen.finetune);
    follow(epochs, s.options.epochs, chosen.epochs);
    // Analytic correction and trained weights are for weights at their nearest codes.
    const auto trains = [](const fat::LayerOptions& layer) { return layer.train_weights.value_or(false); };
    const bool nearest = s.options.bias_correction == BiasCorrection::analytic ||
                         (s.options.finetune != Finetuning::none && s.options.finetune != Finetuning::thresholds) ||
                         std::any_of(s.options.layers.begin(), s.options.layers.end(), trains);
    follow(rounding, s.options.rounding, nearest ? WeightRounding::nearest : chosen.rounding);
    follow(correction, s.options.bias_correction, chosen.bias_correction);
    if (s.tensorrt) choose_for_tensorrt(s, scheme->count() != 0);
  });
  app.add_option("--report", s.report, "write the per-layer table as a web page");
}

/// The files of a quantized model.
void add_outputs(CLI::App& app, Settings& s) {
  app.add_option("-o,--output", s.outputs, "file to write, by extension: .npz .json .onnx .tflite .h; may be repeated")
      ->required()
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
}

void add_commands(CLI::App& app, Settings& s) {
  const auto model = [&](CLI::App& command, const char* help) {
    command.add_option("MODEL", s.model, help)->required();
  };
  CLI::App& inspect = *app.add_subcommand("inspect", "layers, sizes, ranges, and what will quantize badly");
  model(inspect, ".onnx, .tflite or quantized .npz");
  add_json(inspect, s);
  add_reading(inspect, s);

  CLI::App& quantize = *app.add_subcommand("quantize", "float model and images to an int8 model");
  model(quantize, "float .onnx or .tflite");
  add_images(quantize, s);
  add_outputs(quantize, s);
  add_quantize_options(quantize, s);
  add_reading(quantize, s);
  add_common(quantize, s);
  add_json(quantize, s);

  CLI::App& convert = *app.add_subcommand("convert", "a quantized model as other files, code for code");
  model(convert, "quantized .onnx, .tflite or .npz");
  add_outputs(convert, s);
  add_requantize(convert, s);
  convert.add_flag("--tensorrt", s.tensorrt, "write .onnx for TensorRT: int8, zero points 0, float biases");

  CLI::App& evaluate = *app.add_subcommand("evaluate", "accuracy of a float or quantized model");
  model(evaluate, ".onnx, .tflite or quantized .npz");
  add_images(evaluate, s);
  evaluate.add_option("--labels", s.labels, "file of `path class` lines");
  evaluate.add_option("--reference", s.reference, "float model to compare with");
  evaluate.add_flag("--simulate", s.simulate, "run a quantized model as fake-quantized floats");
  add_common(evaluate, s);
  add_json(evaluate, s);
  add_reading(evaluate, s);

  CLI::App& compare = *app.add_subcommand("compare", "two models side by side, layer by layer");
  compare.add_option("MODEL_A", s.model, "the reference")->required();
  compare.add_option("MODEL_B", s.second_model, "the other model")->required();
  add_images(compare, s);
  compare.add_flag("--simulate", s.simulate, "run quantized models as fake-quantized floats");
  add_common(compare, s);
  add_json(compare, s);
  add_reading(compare, s);

  CLI::App& run = *app.add_subcommand("run", "raw tensors through a model");
  model(run, ".onnx, .tflite or quantized .npz");
  run.add_option("--input", s.inputs, "[NAME=]FILE.npy in the layout of the model's file, or FILE.npz; may be repeated")
      ->required()
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  run.add_option("-o,--output", s.outputs, ".npy file to write, or .npz with all outputs by name")->required()->expected(1);
  run.add_flag("--codes", s.codes, "write integer codes instead of reals");
  run.add_option("--tensor", s.tensor, "write this tensor instead of the output");
  run.add_flag("--simulate", s.simulate, "run a quantized model as fake-quantized floats");
  add_requantize(run, s);
  add_common(run, s);
  add_reading(run, s);

  CLI::App& bench = *app.add_subcommand("bench", "time per layer");
  model(bench, ".onnx, .tflite or quantized .npz");
  bench.add_option("--threads", s.options.threads, "threads to compute with, at most one for each processor [1]")
      ->check(CLI::Range(1, 1024));
  bench.add_option("--batch", s.batch_of_bench, "images at a time [1]")->check(CLI::Range(1, 1024));
  add_json(bench, s);
  add_reading(bench, s);

  CLI::App& demo = *app.add_subcommand("demo", "the embedded network: float, scalar int8 and per-channel int8");
  demo.add_option("--threads", s.options.threads, "threads to compute with, at most one for each processor [all]")
      ->check(CLI::Range(1, 1024));
  demo.add_option("--seed", s.options.seed, "of every random choice [0]")->check(whole_number);
  add_json(demo, s);
}

}  // namespace

std::optional<int> parse(int count, const char* const* words, Settings& settings) {
  CLI::App app{"fat: int8 quantization of trained convolutional networks", "fat"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::to_string(FAT_VERSION_MAJOR) + "." + std::to_string(FAT_VERSION_MINOR) + "." +
                                        std::to_string(FAT_VERSION_PATCH));
  add_commands(app, settings);
  const bool bench = count > 1 && std::string{words[1]} == "bench";
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  settings.options.threads = bench ? 1U : processors;
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) {
      app.exit(problem);
      return 0;
    }
    std::fprintf(stderr, "fat: %s; run `fat --help` or `fat COMMAND --help`\n", printable(problem.what()).c_str());
    return 2;
  }
  settings.options.threads = std::min(settings.options.threads, processors);  // more of them only wait for each other
  settings.command = app.get_subcommands().front()->get_name();
  if (settings.options.cycles && settings.options.schedule == fat::TrainingSchedule::constant) {
    std::fprintf(stderr, "fat: --cycles has no meaning for --schedule constant; run `fat quantize --help`\n");
    return 2;
  }
  if (settings.options.resume && settings.options.checkpoint.empty()) {
    std::fprintf(stderr, "fat: --resume needs --checkpoint DIR; run `fat quantize --help`\n");
    return 2;
  }
  return std::nullopt;
}

}  // namespace cli
