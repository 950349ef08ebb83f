// Options: every choice of quantize_model with its default, the images it reads and the listener it talks to.
#ifndef FAT_MODEL_OPTIONS_HPP_INCLUDED
#define FAT_MODEL_OPTIONS_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/kernel/requantize.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// Whether a grid has its zero in the middle (or at the bottom, where nothing is negative) or wherever the range wants
/// it.
enum class Scheme { symmetric, asymmetric };
/// One weight step for a whole layer, or one for each output channel.
enum class Granularity { scalar, per_channel };
/// How the range of an activation follows from what was observed.
enum class RangeRule { minmax, percentile, mse, entropy };
/// How a weight becomes a code: the nearest; such that each depthwise filter keeps its sum, others the nearest; such
/// that each filter's outputs on the calibration images move least.
enum class WeightRounding { nearest, sum, learned };
/// What is done to the float network before it is quantized: nothing; depthwise filters brought to one threshold (the
/// paper); both sides of every channel to one threshold; the channels scaled by what rounding costs (balance_model);
/// the one of these that costs least on the calibration images.
enum class Rescaling { none, depthwise, equalize, balance, automatic };
/// What is trained by distillation from the float network.
enum class Finetuning { none, thresholds, pointwise, both };
/// What training brings down, between the outputs of the trained and of the float network before softmax: the paper's
/// root of the sum of squares over a batch (BatchRmse); the root of their mean (ElementRmse); absolute differences with
/// a rounded corner (SmoothedAbsolute), which single large ones weigh less in.
enum class TrainingLoss { batch_rmse, element_rmse, absolute };
/// What moves the parameters: Adam, or gradient descent with a momentum of 0.9.
enum class TrainingOptimizer { adam, sgd };
/// How the rate falls: by a cosine to 0 over every cycle; not at all; as the method's authors have it
/// (AuthorsSchedule).
enum class TrainingSchedule { cosine, constant, authors };
/// How biases make up for what quantization does to mean outputs: not; by mean outputs on calibration images, layer
/// after layer; the same where it lowers the output error; by the means that batch normalizations promise, no image
/// looked at.
enum class BiasCorrection { off, on, automatic, analytic };

/// What one layer does differently; what is left empty follows the options of all layers.
struct LayerOptions {
  /// Its name, or that of the tensor it makes.
  std::string layer{};
  /// Of its weights.
  std::optional<int> bits{};
  std::optional<Scheme> weight_scheme{};
  std::optional<Granularity> granularity{};
  /// Whether the threshold of the tensor it makes, those of its weights and its biases take part in the training. A layer
  /// whose weights are told not to has no factors either.
  std::optional<bool> train_activations{};
  std::optional<bool> train_weights{};
  std::optional<bool> train_biases{};

  bool operator==(const LayerOptions&) const = default;
};

/// Every choice of quantize_model. Use designated initialisers: `{.scheme = fat::Scheme::symmetric, .bits = 4}`. Here
/// nothing is rescaled or trained unless asked for; the program `fat quantize` asks for `.rescale = automatic, .finetune
/// = thresholds` by default.
struct QuantizeOptions {
  /// Of activations. Symmetric: [-127, 127], or [0, 255] where nothing negative was observed.
  Scheme scheme = Scheme::asymmetric;
  /// Of weights. Asymmetric weights cost the integer kernels a sum over the inputs.
  Scheme weight_scheme = Scheme::symmetric;
  /// Of weights; activations have one step a tensor.
  Granularity granularity = Granularity::per_channel;
  /// Symmetric activations have signed codes everywhere, [-127, 127] or fewer, for runtimes without unsigned ones. A
  /// softmax in integers has an unsigned output: it stays float then.
  bool signed_activations = false;
  /// Of weights, 2 to 8.
  int bits = 8;
  /// Of activations, 2 to 8. Softmax and sigmoid have a fixed output grid of 8 bits whatever the others have.
  int activation_bits = 8;
  /// Of activations; weights take their exact extremes.
  RangeRule observer = RangeRule::minmax;
  /// Percent of the values other than 0 that the percentile rule keeps inside the range; half of the rest lies beyond
  /// each end. It keeps more where cutting them off would cost too much (Percentile).
  double percentile = 99.99;
  /// Moves biases so that every channel's mean output is the float network's.
  BiasCorrection bias_correction = BiasCorrection::off;
  /// Of weights.
  WeightRounding rounding = WeightRounding::nearest;
  /// How the result's integers round; halves up are the fastest.
  Requantization requantize = Requantization::half_up;
  /// Tensors (or layers, standing for their output) that stay float. A layer that reads a float tensor keeps float
  /// weights.
  std::vector<std::string> keep_float{};
  /// What single layers do differently; of two entries for one layer the later one counts.
  std::vector<LayerOptions> layers{};
  /// Images drawn by the seed to observe ranges; all of them where there are fewer.
  std::size_t calibration = 100;
  /// What is done to the float network first.
  Rescaling rescale = Rescaling::none;
  /// Channels whose largest value before a ReLU6 reaches this are not rescaled; empty: the default of the way, 5.9 and
  /// for balance 5. For a ReLU with another bound, in proportion.
  std::optional<float> rescale_lock{};
  /// What is trained, on unlabelled images.
  Finetuning finetune = Finetuning::none;
  /// Whether the thresholds of activations and of weights take part in the training; those of weights do not where
  /// `rounding` is other than nearest.
  bool train_activations = true;
  bool train_weights = true;
  /// Whether biases move with them: they cost nothing and correct what rounded weights do to means.
  bool train_biases = true;
  /// Images drawn by the seed to train on; empty: all.
  std::optional<std::size_t> train{};
  /// Passes over the training images.
  std::size_t epochs = 6;
  /// Images a training step.
  std::size_t batch = 16;
  /// Passes without a smaller loss on the held-out images after which training ends early; 0: never.
  std::size_t patience = 0;
  TrainingLoss loss = TrainingLoss::batch_rmse;
  TrainingOptimizer optimizer = TrainingOptimizer::adam;
  /// At its highest; empty: a tenth, a third or all of default_learning_rate, by short trials (choose_learning_rate).
  std::optional<double> learning_rate{};
  TrainingSchedule schedule = TrainingSchedule::cosine;
  /// Into so many equal cycles the steps are divided; at the beginning of each the optimizer starts afresh and the rate
  /// is at its highest. Empty: one, and for the authors' schedule cycles of 400 steps.
  std::optional<std::size_t> cycles{};
  /// Folder for the state of an interrupted training; empty: none is kept.
  std::string checkpoint{};
  /// Continues from `checkpoint`, bit for bit; without it a folder that holds a state is an error.
  bool resume = false;
  /// Training ends after the step in which this becomes true, its state saved in `checkpoint`; a signal handler may set
  /// it.
  const std::atomic<bool>* stop = nullptr;
  /// Of every random choice. The same seed gives the same result for any number of threads.
  std::uint64_t seed = 0;
  /// Threads to compute with.
  std::size_t threads = 1;

  bool operator==(const QuantizeOptions&) const = default;
};

/// Anything that yields images: `load` fills one image of the model's input extent, in NHWC order, preprocessed.
template <class S>
concept ImageSource = requires(S& images, std::size_t index, std::span<float> nhwc) {
  { images.size() } -> std::convertible_to<std::size_t>;
  images.load(index, nhwc);
};

/// One notice of a running job.
struct ProgressEvent {
  /// "calibrate", "train", ...; from the first "train" to "trained" options.stop is looked at, else it is not.
  std::string_view stage;
  std::size_t done = 0;  ///< of `total`
  std::size_t total = 0;
  double loss = std::numeric_limits<double>::quiet_NaN();  ///< of the last training step, where there is one
  double rate = std::numeric_limits<double>::quiet_NaN();  ///< learning rate of that step
  bool ends_epoch = false;                                 ///< training: the last step of an epoch
  std::string_view message = {};                           ///< something the user has to know, else empty
};

/// Receives every notice of a running job, on the thread that called it. An empty listener is fine.
using Progress = std::function<void(const ProgressEvent&)>;

namespace detail {

inline void notify(const Progress& progress, const ProgressEvent& event) {
  if (progress) progress(event);
}

/// Errors: an option outside its range.
inline void check(const QuantizeOptions& options) {
  expects(options.bits >= 2 && options.bits <= 8, "quantize_model: bits is ", options.bits, "; give 2 to 8");
  for (const LayerOptions& each : options.layers)
    expects(!each.bits || (*each.bits >= 2 && *each.bits <= 8), "quantize_model: bits of layer '",
            std::string_view{each.layer}, "' is ", each.bits.value_or(0), "; give 2 to 8");
  // A step that weights were rounded to by choice may not move afterwards; the general default of train_weights yields.
  for (const LayerOptions& each : options.layers)
    expects(
        options.finetune == Finetuning::none || options.rounding == WeightRounding::nearest ||
            !each.train_weights.value_or(false),
        "quantize_model: weights of layer '", std::string_view{each.layer},
        "' cannot be trained after they were rounded by choice; choose rounding nearest, or leave train-weights out");
  expects(options.activation_bits >= 2 && options.activation_bits <= 8, "quantize_model: activation_bits is ",
          options.activation_bits, "; give 2 to 8");
  expects(!options.signed_activations || options.scheme == Scheme::symmetric,
          "quantize_model: signed_activations is for symmetric activations; choose that scheme, or leave it out");
  expects(options.percentile > 50.0 && options.percentile <= 100.0, "quantize_model: percentile is ",
          options.percentile, "; give more than 50 and at most 100 percent");
  expects(options.bias_correction != BiasCorrection::analytic || options.rounding == WeightRounding::nearest,
          "quantize_model: analytic bias correction is for weights rounded to the nearest code; choose bias correction "
          "on, or rounding nearest");
  expects(options.calibration != 0, "quantize_model: calibration is 0; give at least one image");
  expects(options.threads != 0, "quantize_model: threads is 0; give at least 1");
  expects(options.batch != 0, "quantize_model: batch is 0; give at least 1");
  expects(!options.train || *options.train != 0,
          "quantize_model: train is 0; give at least one image, or finetune none");
  expects(!options.rescale_lock || (*options.rescale_lock > 0.0F && *options.rescale_lock <= 6.0F),
          "quantize_model: rescale_lock is ", options.rescale_lock.value_or(0.0F),
          "; give a positive number up to 6, where ReLU6 cuts");
  expects(!options.learning_rate || *options.learning_rate > 0.0, "quantize_model: learning_rate is not positive");
  expects(!options.cycles || *options.cycles != 0, "quantize_model: cycles is 0; give at least 1");
  expects(!options.cycles || options.schedule != TrainingSchedule::constant,
          "quantize_model: a constant rate has no cycles; leave them out, or choose another schedule");
  expects(!options.resume || !options.checkpoint.empty(), "quantize_model: resume needs a checkpoint folder");
}

}  // namespace detail

}  // namespace fat::inline FAT_ABI

#endif
