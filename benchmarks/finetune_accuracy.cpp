// What training gains on held-out images: the evaluation images in four folds, trained on three, measured on the fourth.
//   finetune_accuracy MODEL.onnx DATA [name=value ...]     DATA holds calibration/, evaluation/ and labels.txt
// names: folds=1,2,3,4 seeds=0 scheme=symmetric|asymmetric granularity=per-channel|scalar bits=8 activation_bits=8
//   train=activations+weights+biases (any of activations, weights, biases, factors, or none) rate=0.003 bias_rate=0.1
//   factor_rate=0.1 epochs=6 batch=16 low=0.5 high=1 loss=batch|element|absolute cycles=1 held_out=0.1 images=300
//   optimizer=adam|sgd threads=2 rescale=none|depthwise|equalize|balance|auto
//   correct=none|nearest|sum|learned (biases corrected and weights rounded so first)
// Logits and biases stay float values on their grids' accumulators; prints one line a fold and one for all folds pooled.
#include <fat/io/image_set.hpp>
#include <fat/io/onnx.hpp>
#include <fat/model/finetune.hpp>
#include <fat/model/quantize_model.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

namespace {

/// name=value words over their defaults.
class Settings {
 public:
  Settings(int count, char** words) {
    for (int i = 3; i < count; ++i) {
      const std::string word = words[i];
      const std::size_t at = word.find('=');
      if (at == std::string::npos || !values_.contains(word.substr(0, at)))
        throw std::invalid_argument("unknown setting '" + word + "'; see the head of finetune_accuracy.cpp");
      values_[word.substr(0, at)] = word.substr(at + 1);
    }
  }
  const std::string& text(const std::string& name) const { return values_.at(name); }
  double real(const std::string& name) const { return std::stod(text(name)); }
  std::size_t count(const std::string& name) const { return std::stoul(text(name)); }
  std::vector<std::size_t> list(const std::string& name) const {
    std::vector<std::size_t> all;
    std::istringstream words{text(name)};
    for (std::string word; std::getline(words, word, ',');) all.push_back(std::stoul(word));
    return all;
  }
  /// The enumerator at the place of the setting's word.
  template <class Enum>
  Enum choice(const std::string& name, const std::vector<std::string>& words) const {
    const auto at = std::find(words.begin(), words.end(), text(name));
    if (at == words.end())
      throw std::invalid_argument("unknown value '" + text(name) + "' of " + name +
                                  "; see the head of finetune_accuracy.cpp");
    return static_cast<Enum>(at - words.begin());
  }
  bool trains(const std::string& part) const {
    return ("+" + text("train") + "+").find("+" + part + "+") != std::string::npos;
  }

 private:
  std::map<std::string, std::string> values_{{"folds", "1,2,3,4"},
                                             {"seeds", "0"},
                                             {"scheme", "symmetric"},
                                             {"granularity", "per-channel"},
                                             {"bits", "8"},
                                             {"activation_bits", "8"},
                                             {"train", "activations+weights+biases"},
                                             {"rate", "0.003"},
                                             {"bias_rate", "0.1"},
                                             {"factor_rate", "0.1"},
                                             {"epochs", "6"},
                                             {"batch", "16"},
                                             {"low", "0.5"},
                                             {"high", "1"},
                                             {"loss", "batch"},
                                             {"optimizer", "adam"},
                                             {"cycles", "1"},
                                             {"rescale", "none"},
                                             {"correct", "none"},
                                             {"held_out", "0.1"},
                                             {"images", "300"},
                                             {"threads", "2"}};
};

/// Figures over any number of images.
struct Figures {
  fat::Distance distance;
  std::size_t agreed = 0, right = 0, images = 0;
  Figures& operator+=(const Figures& other) {
    distance += other.distance;
    agreed += other.agreed;
    right += other.right;
    images += other.images;
    return *this;
  }
  std::string text() const {
    char line[96];
    const auto share = [&](std::size_t n) { return static_cast<double>(n) / static_cast<double>(images); };
    std::snprintf(line, sizeof line, "%.4f %.4f %.4f", share(right), share(agreed), distance.rmse());
    return line;
  }
};

fat::ImageSet load(const std::string& folder, const fat::Model& model, std::size_t threads) {
  std::vector<fat::ImageEntry> entries = fat::list_images(folder);
  fat::attach_labels(entries, folder + "/../labels.txt");
  fat::Threads workers{threads};
  return {entries, model.input_extent(), model.preprocessing.value_or(fat::Preprocessing{}), workers};
}

template <class Runner>
Figures measure(Runner& runner, const fat::ImageSet& images, std::span<const std::size_t> chosen,
                std::span<const float> reference, std::size_t columns) {
  Figures figures;
  std::vector<float> outputs(32 * columns);
  fat::for_each_batch(
      images, chosen, images.image_size(), 32, [&](std::span<const float> some, std::size_t first, std::size_t count) {
        runner.run(some, count, std::span{outputs}.first(count * columns));
        for (std::size_t i = 0; i != count; ++i) {
          const auto found = std::span<const float>{outputs}.subspan(i * columns, columns);
          const auto wanted = reference.subspan((first + i) * columns, columns);
          figures.distance.add(wanted, found);
          const std::size_t best = fat::arg_max(found);
          figures.agreed += best == fat::arg_max(wanted) ? 1U : 0U;
          figures.right += images.label(chosen[first + i]) == best - (columns == 1001 ? 1U : 0U) ? 1U : 0U;
          ++figures.images;
        }
      });
  return figures;
}

fat::TrainingReport train(fat::StudentNetwork& student, const fat::Targets<float>& targets, const Settings& set,
                          std::size_t seed) {
  fat::MinimizeOptions how;
  how.epochs = set.count("epochs");
  how.batch = set.count("batch");
  how.seed = seed;
  how.held_out = set.real("held_out");
  const std::size_t steps = fat::plan_training(targets.samples(), how).steps;
  const fat::CosineRestarts schedule{set.real("rate"), std::max<std::size_t>(steps / set.count("cycles"), 1)};
  const fat::detail::ChosenOptimizer optimizer{set.choice<fat::TrainingOptimizer>("optimizer", {"adam", "sgd"})};
  if (set.text("loss") == "element")
    return fat::minimize(student, targets, fat::ElementRmse{}, optimizer, schedule, how);
  if (set.text("loss") == "absolute")
    return fat::minimize(student, targets, fat::SmoothedAbsolute{}, optimizer, schedule, how);
  return fat::minimize(student, targets, fat::BatchRmse{}, optimizer, schedule, how);
}

int run(int count, char** words) {
  if (count < 3) throw std::invalid_argument("give a model and a data folder; see the head of finetune_accuracy.cpp");
  const Settings set{count, words};
  const fat::Model model = fat::prepare_model(fat::onnx::load(words[1]));
  const std::string data = words[2];
  const std::size_t threads = set.count("threads");
  const std::size_t columns = model.output_extent().size();
  fat::QuantizeOptions options;
  options.scheme = set.text("scheme") == "symmetric" ? fat::Scheme::symmetric : fat::Scheme::asymmetric;
  options.granularity = set.text("granularity") == "scalar" ? fat::Granularity::scalar : fat::Granularity::per_channel;
  options.bits = static_cast<int>(set.count("bits"));
  options.activation_bits = static_cast<int>(set.count("activation_bits"));
  options.keep_float = {model.values[model.output].name};
  options.threads = threads;
  const fat::ImageSet calibration = load(data + "/calibration", model, threads);
  const fat::ImageSet images = load(data + "/evaluation", model, threads);
  options.rescale = set.choice<fat::Rescaling>("rescale", {"none", "depthwise", "equalize", "balance", "auto"});
  const auto all = fat::draw_indices(calibration.size(), calibration.size(), 0);
  const fat::ImageBlock block = fat::load_block(calibration, all, model.input_extent().size(), 64);
  const bool corrects = set.text("correct") != "none";
  const auto rounding = corrects ? set.choice<fat::WeightRounding>("correct", {"nearest", "sum", "learned"})
                                 : fat::WeightRounding::nearest;
  fat::QuantizeOptions tried = options;
  tried.rounding = rounding;
  tried.bias_correction = corrects ? fat::BiasCorrection::on : fat::BiasCorrection::off;
  fat::Model network = model;
  fat::choose_rescaling(network, block, fat::float_outputs(model, block, threads), tried);
  const auto ranges = fat::calibrate(network, calibration, all, fat::MinMax{}, threads);
  const fat::ModelGrids grids = fat::model_grids(network, ranges, options);
  if (corrects) {
    const fat::Model reference = network;
    fat::Threads workers{threads};
    fat::correct_model(network, reference, grids, block.pixels, workers, {.rounding = rounding});
  }
  const auto numbers = fat::draw_indices(images.size(), images.size(), 0);
  const auto outputs = fat::teacher_outputs(model, images, numbers, 16, threads);

  std::printf("fold seed   top-1  agree  RMSE before   top-1  agree  RMSE after   ratio  seconds\n");
  Figures before, after;
  for (const std::size_t fold : set.list("folds")) {
    std::vector<std::size_t> trained, tested;
    for (const std::size_t n : numbers) (n * 4 / numbers.size() + 1 == fold ? tested : trained).push_back(n);
    trained.resize(std::min(trained.size(), set.count("images")));
    const auto rows = [&](std::span<const std::size_t> chosen) {
      fat::aligned_vector<float> some;
      for (const std::size_t n : chosen)
        some.insert(some.end(), outputs.begin() + static_cast<std::ptrdiff_t>(n * columns),
                    outputs.begin() + static_cast<std::ptrdiff_t>((n + 1) * columns));
      return some;
    };
    const auto wanted = rows(tested);
    const auto taught = rows(trained);
    fat::Simulation untrained{fat::encode_model(network, grids, options), threads};
    const Figures first = measure(untrained, images, tested, wanted, columns);
    for (const std::size_t seed : set.list("seeds")) {
      const auto start = std::chrono::steady_clock::now();
      fat::StudentOptions how;
      how.parts = {set.trains("activations"), set.trains("weights"), set.trains("biases"), set.trains("factors"), {}};
      how.parts.bounds.threshold = how.parts.bounds.width = {set.real("low"), set.real("high")};
      how.bias_rate = set.real("bias_rate");
      how.factor_rate = set.real("factor_rate");
      how.batch = set.count("batch");
      how.threads = threads;
      fat::StudentNetwork student{
          network, grids, [&](std::size_t n, std::span<float> to) { images.load(trained[n], to); }, how, ranges};
      if (!student.parameters().empty()) train(student, {taught, columns}, set, seed);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      fat::Simulation made{fat::encode_model(student.trained_model(), student.trained_grids(), options), threads};
      const Figures last = measure(made, images, tested, wanted, columns);
      std::printf("%4zu %4zu   %s        %s       %.3f   %.1f\n", fold, seed, first.text().c_str(), last.text().c_str(),
                  last.distance.rmse() / first.distance.rmse(), seconds);
      std::fflush(stdout);
      before += first;
      after += last;
    }
  }
  std::printf(" all        %s        %s       %.3f\n", before.text().c_str(), after.text().c_str(),
              after.distance.rmse() / before.distance.rmse());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run(count, words);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "finetune_accuracy: %s\n", problem.what());
    return 1;
  }
}
