// finetune: trains the thresholds of a model (its biases, its weights' factors) to give the float model's outputs.
#ifndef FAT_MODEL_FINETUNE_HPP_INCLUDED
#define FAT_MODEL_FINETUNE_HPP_INCLUDED

#include <fat/model/before_softmax.hpp>
#include <fat/model/calibrate.hpp>
#include <fat/model/choose_rate.hpp>
#include <fat/model/encode_model.hpp>
#include <fat/model/student.hpp>
#include <fat/model/training_choice.hpp>
#include <fat/train/minimize.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// What finetune made: use both in place of what it was given.
struct Finetuned {
  Model model;
  ModelGrids grids;
  TrainingReport report;
};

namespace detail {

/// Without the grids of weights whose layer reads a float tensor: encode_model leaves those float.
inline ModelGrids used_grids(const Model& model, ModelGrids grids) {
  for (std::size_t n = 0; n != model.nodes.size(); ++n)
    if (!grids.weights[n].empty() && !grids.activations[model.nodes[n].inputs[0]]) grids.weights[n].clear();
  return grids;
}

/// Everything that decides the course of a training and that minimize cannot see; the images are in the teacher's
/// outputs.
inline std::uint64_t training_fingerprint(const Model& model, const ModelGrids& grids, const QuantizeOptions& options) {
  Fingerprint print;
  const auto add_grid = [&](const Grid<float>& g) {
    print.add(g.step).add(g.zero_point).add(g.code_min).add(g.code_max);
  };
  print.add(options.finetune);
  for (const LayerOptions& each : layer_options(model, options))
    print.add(*each.train_activations).add(*each.train_weights).add(*each.train_biases);
  for (const auto& grid : grids.activations)
    if (grid) add_grid(*grid);
  for (const auto& of_layer : grids.weights)
    for (const Grid<float>& grid : of_layer) add_grid(grid);
  for (const Node& node : model.nodes)
    with_weighted(node.op, [&](const auto& layer) {
      print.add(std::span<const float>{layer.weights()}).add(std::span<const float>{layer.bias()});
    });
  return print.value();
}

/// The file in a checkpoint folder that holds the state of the training.
inline std::filesystem::path checkpoint_path(const std::string& folder) {
  return std::filesystem::path{folder} / "training.fat";
}

inline std::string checkpoint_file(const std::string& folder) {
  if (folder.empty()) return {};
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  expects(!problem, "finetune: cannot create the checkpoint folder ", std::string_view{folder}, ": ",
          std::string_view{problem.message()});
  return checkpoint_path(folder).string();
}

/// One sentence on how a training went, and what else the user has to know.
inline std::string describe(const TrainingReport& report) {
  const auto number = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", value);
    return std::string{text};
  };
  std::string text = "training: " + std::to_string(report.steps) + " steps";
  if (!report.validations.empty())
    text += ", loss on held-out images " + number(report.validations.front()) + " before, " +
            number(report.best_validation) + " after step " + std::to_string(report.best_step) + ", the best";
  if (report.restores != 0)
    text += ", unstable " + (report.restores == 1 ? std::string{"once"} : std::to_string(report.restores) + " times") +
            " (good values restored, rate halved)";
  if (report.ending == Ending::diverged) text += ", given up as unstable";
  if (report.ending == Ending::early) text += ", ended early since that loss no longer fell";
  for (const std::string& note : report.notes) text += "; " + note;
  return text;
}

}  // namespace detail

/// What quantize_model trains of a model under these options. Errors: options for a layer that the model does not have.
inline StudentOptions student_options(const Model& model, const QuantizeOptions& options) {
  StudentOptions student;
  const bool thresholds = options.finetune != Finetuning::pointwise;
  student.parts.factors = options.finetune != Finetuning::thresholds;
  for (const LayerOptions& each : layer_options(model, options)) {
    StudentParts& parts = student.parts_of.emplace_back(student.parts);
    parts.activations = thresholds && *each.train_activations;
    parts.weights = thresholds && *each.train_weights;
    parts.biases = thresholds && *each.train_biases;
  }
  for (const LayerOptions& each : options.layers)
    if (each.train_weights == false) student.parts_of[detail::value_named(model, each.layer, "layers")].factors = false;
  // With few codes a factor has a long way to the next rounding boundary.
  if (options.finetune == Finetuning::pointwise || options.bits < 6) student.factor_rate = 1.0;
  student.batch = options.batch;
  student.threads = options.threads;
  return student;
}

/// How quantize_model trains on this many images. So few that a batch needs them all are all trained on: then nothing
/// is held out and the last parameters are kept.
inline MinimizeOptions minimize_options(std::size_t images, const QuantizeOptions& options) {
  MinimizeOptions how;
  how.epochs = options.epochs;
  how.batch = options.batch;
  how.seed = options.seed;
  how.patience = options.patience;
  how.resume = options.resume;
  how.stop = options.stop;
  if (images - held_samples(images, how.held_out) < options.batch) how.held_out = 0.0;
  return how;
}

/// Of `total` images those that quantize_model makes training steps with: drawn by the seed, without the held-out ones.
inline std::vector<std::size_t> trained_images(std::size_t total, const QuantizeOptions& options) {
  if (options.finetune == Finetuning::none) return {};
  const std::vector<std::size_t> chosen = draw_indices(total, options.train.value_or(total), options.seed);
  const MinimizeOptions how = minimize_options(chosen.size(), options);
  std::vector<std::size_t> trained;
  const std::vector<std::size_t> order = sample_order(chosen.size(), how.seed);
  for (std::size_t n = plan_training(chosen.size(), how).held; n != order.size(); ++n)
    trained.push_back(chosen[order[n]]);
  std::sort(trained.begin(), trained.end());
  return trained;
}

/// Errors: a training is asked for whose checkpoint folder holds the state of another one that is not to be resumed, or
/// one that cannot be read. Cheap, to be asked before the work begins.
inline void check_checkpoint(const QuantizeOptions& options) {
  if (options.finetune != Finetuning::none && !options.checkpoint.empty())
    has_checkpoint(detail::checkpoint_path(options.checkpoint).string(), options.resume);
}

/// The float model's outputs for every chosen image, [chosen.size(), outputs]: what a student is trained towards.
template <ImageSource Images>
aligned_vector<float> teacher_outputs(const Model& model, const Images& images, std::span<const std::size_t> chosen,
                                      std::size_t batch, std::size_t threads, const Progress& progress = {}) {
  const std::size_t columns = model.output_extent().size();
  aligned_vector<float> outputs(chosen.size() * columns);
  FloatRunner runner{model, {.threads = threads}};
  for_each_batch(images, chosen, model.input_extent().size(), batch,
                 [&](std::span<const float> some, std::size_t first, std::size_t count) {
                   runner.run(some, count, std::span{outputs}.subspan(first * columns, count * columns));
                   detail::notify(progress, {.stage = "teacher", .done = first + count, .total = chosen.size()});
                 });
  return outputs;
}

/// Trains on the `chosen` images, no labels, against the outputs of `teacher_model` before softmax (the float network
/// that `model` was made from, or `model` itself), by default with Adam under one cosine and the paper's loss, at the
/// rate of choose_learning_rate where none is given; a tenth of the images is held out and the parameters that do best on them are kept. `observed` are the ranges that the activations' grids
/// were made from, or empty. The result depends on the inputs and the seed alone,
/// bit for bit. Errors: no images, fewer than a batch; nothing to train; patience without held-out images; more cycles
/// than steps; those of minimize; an interruption
/// (options.stop), after the state was saved where there is a checkpoint folder.
template <ImageSource Images>
Finetuned finetune(const Model& model, const ModelGrids& grids, std::span<const Interval<float>> observed,
                   const Model& teacher_model, const Images& images, std::span<const std::size_t> chosen,
                   const QuantizeOptions& options, const Progress& progress = {}) {
  expects(!chosen.empty(), "finetune: no training images; give some, or finetune none");
  expects(chosen.size() >= options.batch, "finetune: ", chosen.size(), " training images, fewer than a batch of ",
          options.batch, "; give more images or a smaller batch");
  check_checkpoint(options);
  const Model scored = before_softmax(model);
  StudentNetwork student{scored, detail::used_grids(scored, grids),
                         [&](std::size_t sample, std::span<float> nhwc) { images.load(chosen[sample], nhwc); },
                         student_options(model, options), observed};
  expects(!student.parameters().empty(),
          "finetune: nothing to train; switch on the thresholds of activations, or those of weights (where rounding is "
          "nearest), or biases");
  MinimizeOptions how = minimize_options(chosen.size(), options);
  const TrainingPlan plan = plan_training(chosen.size(), how);
  detail::ChosenSchedule schedule{options, plan.steps};  // refuses cycles before any work

  const std::size_t columns = scored.output_extent().size();
  const aligned_vector<float> teacher =
      teacher_outputs(before_softmax(teacher_model), images, chosen, options.batch, options.threads, progress);

  std::string rate_note;
  if (!options.learning_rate) {
    const RateChoice rate = choose_learning_rate(
        student, Targets<float>{teacher, columns}, options, how, [&](std::size_t done, std::size_t total) {
          detail::notify(progress, {.stage = "learning rate", .done = done, .total = total});
        });
    QuantizeOptions chosen_rate = options;
    chosen_rate.learning_rate = rate.rate;
    schedule = detail::ChosenSchedule{chosen_rate, plan.steps};
    rate_note = detail::describe(rate);
  }

  how.checkpoint = detail::checkpoint_file(options.checkpoint);
  how.fingerprint = detail::training_fingerprint(model, grids, options);
  detail::notify(progress, {.stage = "train", .total = plan.steps});
  TrainingReport report = minimize(
      student, Targets<float>{teacher, columns}, detail::ChosenLoss{options.loss},
      detail::ChosenOptimizer{options.optimizer}, schedule, how, [&](const StepReport& step) {
        detail::notify(progress,
                       {.stage = "train",
                        .done = step.step,
                        .total = step.steps,
                        .loss = step.loss,
                        .rate = step.rate,
                        .ends_epoch = step.step % plan.steps_per_epoch == 0,
                        .message = step.restored ? "training became unstable; the last good thresholds are back and "
                                                   "the learning rate is halved"
                                                 : step.note});
      });
  expects(
      report.ending != Ending::interrupted, "finetune: interrupted after ", report.steps, " steps; ",
      std::string_view{how.checkpoint.empty() ? "nothing was kept, give a checkpoint folder to be able to resume"
                       : report.saved         ? "the state is in the checkpoint folder, resume to go on"
                                      : "the state could not be saved, the checkpoint folder holds an earlier one"});
  detail::notify(progress, {.stage = "trained"});
  if (!rate_note.empty()) report.notes.push_back(std::move(rate_note));
  if (plan.held == 0)
    report.notes.push_back("all " + std::to_string(chosen.size()) +
                           " images were trained on and none was held out to choose the parameters by; give more "
                           "images or a smaller batch");

  Finetuned result{model, grids, std::move(report)};
  ModelGrids trained_grids = student.trained_grids();
  result.grids.activations = std::move(trained_grids.activations);
  const Model moved = student.trained_model();
  for (std::size_t n = 0; n != moved.nodes.size(); ++n) {
    result.model.nodes[n].op = moved.nodes[n].op;
    if (!trained_grids.weights[n].empty()) result.grids.weights[n] = std::move(trained_grids.weights[n]);
  }
  return result;
}

}  // namespace fat::inline FAT_ABI

#endif
