// StudentNetwork: a fake-quantized Model whose thresholds, biases and weight factors are trained.
#ifndef FAT_MODEL_STUDENT_HPP_INCLUDED
#define FAT_MODEL_STUDENT_HPP_INCLUDED

#include <fat/kernel/threads.hpp>
#include <fat/model/plan.hpp>
#include <fat/model/student_layer.hpp>
#include <fat/train/network.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// What a student trains and how it runs.
struct StudentOptions {
  StudentParts parts = {};
  /// What is trained of the value of every id (activations) and of the layer that makes it; empty: `parts` of them all.
  std::vector<StudentParts> parts_of{};
  /// Rates of biases and of weight factors, relative to that of the thresholds.
  double bias_rate = 0.1;
  double factor_rate = 0.1;
  /// Biases move onto the grid of the accumulator, as they will be integers.
  bool round_biases = true;
  /// Images of the largest batch.
  std::size_t batch = 16;
  std::size_t threads = 1;
};

/// Fills one NHWC image of the model's input extent.
using LoadImage = std::function<void(std::size_t sample, std::span<float> nhwc)>;

/// A fat::Network over images: simulates the integer model that encode_model would make (the same values, bit for bit,
/// where a layer that reads a float tensor has no weight grids) and goes backward through it with straight-through
/// estimators and the closed forms of NUMERICS 2, 3 and 7. Weights move onto their grids once a step. Values before
/// quantization are kept for all images of a batch, everything else lies in arenas planned at construction; forward and
/// backward allocate nothing and give the same bits for any number of threads. The model must outlive the student.
/// Errors of the constructor: those of validate; an empty batch.
class StudentNetwork {
 public:
  /// `observed`, where not empty, are the ranges that the grids of the activations were made from.
  StudentNetwork(const Model& model, const ModelGrids& grids, LoadImage load, const StudentOptions& options = {},
                 std::span<const Interval<float>> observed = {})
      : model_((validate(model), &model)),
        load_(std::move(load)),
        options_(options),
        threads_(options.threads),
        plan_(plan_tensors(model)),
        student_(model) {
    expects(options.batch != 0, "StudentNetwork: the batch is 0; give at least 1");
    options_.parts_of.resize(options.parts_of.empty() ? model.values.size() : options.parts_of.size(), options.parts);
    expects(options_.parts_of.size() == model.values.size(), "StudentNetwork: parts of ", options_.parts_of.size(),
            " values for a model of ", model.values.size());
    for (const Node& node : student_.nodes) {
      layers_.emplace_back(student_, node);
      backward_.emplace_back(student_, node);
    }
    plan_parameters(grids, observed);
    plan_flow();
    plan_memory();
  }

  std::span<float> parameters() noexcept { return parameters_; }
  std::span<const float> gradients() const noexcept { return gradients_; }
  std::span<const ParameterGroup> groups() const noexcept { return groups_; }
  void project() noexcept {
    const StudentParameters<float*> p = split(parameters_);
    for (std::size_t v = 0; v != activations_.size(); ++v) activations_[v].project(p.thresholds + activation_at_[v]);
    for (const auto& layer : weights_)
      if (layer) layer->project(p);
  }

  std::span<const float> forward(std::span<const std::size_t> samples) {
    expects(samples.size() <= options_.batch, "StudentNetwork: ", samples.size(), " samples in a batch of at most ",
            options_.batch);
    if (applied_ != parameters_ || !ready_) apply();
    batch_ = samples.size();
    const Extent& in = model_->input_extent();
    for (std::size_t image = 0; image != batch_; ++image)
      load_(samples[image], std::span{kept(image, model_->input), in.size()});
    threads_.run(batch_, [&](std::size_t image, std::size_t worker) { forward_image(image, memory_[worker]); });
    return std::span<const float>{outputs_}.first(batch_ * model_->output_extent().size());
  }

  /// Gradients of the last forward's outputs, [samples, outputs], to gradients().
  void backward(std::span<const float> output_gradients) {
    const std::size_t outputs = model_->output_extent().size();
    expects(output_gradients.size() == batch_ * outputs, "StudentNetwork: ", output_gradients.size(), " gradients of ",
            batch_ * outputs, " outputs");
    threads_.run(std::min(lanes_, batch_), [&](std::size_t lane, std::size_t worker) {
      float* const sums = lane_memory_.data() + lane * lane_size_;
      std::fill_n(sums, lane_size_, 0.0F);
      for (std::size_t image = lane; image < batch_; image += lanes_)
        backward_image(image, output_gradients.data() + image * outputs, sums, memory_[worker]);
    });
    reduce();
  }

  /// The grids of the parameters as they stand.
  ModelGrids trained_grids() const {
    const StudentParameters<const float*> p = split(parameters_);
    ModelGrids grids{std::vector<std::optional<Grid<float>>>(activations_.size()), {}};
    for (std::size_t v = 0; v != activations_.size(); ++v)
      if (grids_[v]) grids.activations[v] = activation_grid_of(v);
    for (const auto& layer : weights_) grids.weights.push_back(layer ? layer->grids(p) : std::vector<Grid<float>>{});
    return grids;
  }
  /// The float model, its biases moved and its weights multiplied by their factors as the parameters say.
  Model trained_model() const {
    Model model = *model_;
    for_each_weighted(
        [&](std::size_t n, const auto& from, auto& to) { weights_[n]->scale(from, to, split(parameters_)); }, model);
    return model;
  }
  /// The network of the last forward: weights and biases on their grids.
  const Model& simulated() const noexcept { return student_; }

 private:
  /// How gradients go through one node.
  struct Flow {
    bool live = false;   ///< a gradient reaches the output
    bool reads = false;  ///< the values of the inputs are needed
    std::vector<char> wanted, accumulate;
  };
  /// Memory of one thread.
  struct Memory {
    aligned_vector<float> values, gradients, scratch;
    std::vector<aligned_vector<float>> inputs;
    std::vector<const float*> pointers;
  };

  StudentParameters<float*> split(aligned_vector<float>& all) const noexcept {
    return {all.data(), all.data() + groups_[1].first, all.data() + groups_[2].first};
  }
  StudentParameters<const float*> split(const aligned_vector<float>& all) const noexcept {
    return {all.data(), all.data() + groups_[1].first, all.data() + groups_[2].first};
  }
  template <class Function, class Other>
  void for_each_weighted(Function&& f, Other& other) const {
    for (std::size_t n = 0; n != weights_.size(); ++n)
      if (weights_[n]) weighted(n, f, other);
  }
  template <class Function, class Other>
  void weighted(std::size_t n, Function&& f, Other& other) const {
    with_weighted(model_->nodes[n].op,
                  [&]<class Layer>(const Layer& from) { f(n, from, std::get<Layer>(other.nodes[n].op)); });
  }

  void plan_parameters(const ModelGrids& grids, std::span<const Interval<float>> observed) {
    const std::size_t count = model_->values.size();
    StudentParameters<std::size_t> counts;
    grids_ = grids.activations;
    for (ValueId value = 0; value != count; ++value) {
      const StudentParts& parts = options_.parts_of[value];
      const bool trained = parts.activations && grids_[value] && !plan_.unit[value] && plan_.group[value] == value;
      activation_at_.push_back(counts.thresholds);
      if (!trained) {
        activations_.emplace_back(grids_[value].value_or(Grid<float>{}));
        continue;
      }
      Interval<float> hull = observed.empty() ? Interval<float>{} : observed[value];
      for (ValueId other = 0; !observed.empty() && other != count; ++other)
        if (plan_.group[other] == value)
          hull = {std::min(hull.low, observed[other].low), std::max(hull.high, observed[other].high)};
      activations_.emplace_back(*grids_[value], hull, parts.bounds);
      counts.thresholds += activations_.back().count();
    }
    weights_.resize(model_->nodes.size());
    for (std::size_t n = 0; n != weights_.size(); ++n)
      with_weighted(model_->nodes[n].op, [&](const auto& layer) {
        const Node& node = model_->nodes[n];
        const float unit = grids_[node.output] ? activations_[plan_.group[node.output]].extent() : 1.0F;
        weights_[n].emplace(layer, grids.weights[n], options_.parts_of[node.output], unit, counts);
      });
    groups_ = {{0, counts.thresholds, 1.0},
               {counts.thresholds, counts.biases, options_.bias_rate},
               {counts.thresholds + counts.biases, counts.factors, options_.factor_rate}};
    parameters_.resize(counts.thresholds + counts.biases + counts.factors);
    gradients_.resize(parameters_.size());
    applied_.resize(parameters_.size());
    const StudentParameters<float*> p = split(parameters_);
    for (std::size_t v = 0; v != count; ++v) activations_[v].begin(p.thresholds + activation_at_[v]);
    for (const auto& layer : weights_)
      if (layer) layer->begin(p);
  }

  void plan_flow() {
    std::vector<bool> begun(model_->values.size(), false);
    begun[model_->output] = true;
    const bool input_trained = activations_[model_->input].count() != 0 || trained_with(model_->input);
    flow_.resize(model_->nodes.size());
    for (std::size_t n = flow_.size(); n-- != 0;) {
      const Node& node = model_->nodes[n];
      Flow& flow = flow_[n];
      flow.live = begun[node.output];
      for (const ValueId input : node.inputs) {
        flow.wanted.push_back(flow.live && (input != model_->input || input_trained) ? 1 : 0);
        flow.accumulate.push_back(begun[input] ? 1 : 0);
        if (flow.wanted.back() != 0) begun[input] = true;
      }
      flow.reads = gradient_reads_inputs(node.op) || (weights_[n] && weights_[n]->reads_input());
    }
  }
  /// Whether a trained grid is shared by this value.
  bool trained_with(ValueId value) const { return activations_[plan_.group[value]].count() != 0; }

  void plan_memory() {
    const std::size_t steps = model_->nodes.size() + 1;
    std::vector<Lifetime> forward = value_lifetimes(*model_);
    std::vector<Lifetime> backward(forward.size());
    std::size_t scratch = 0, largest = 0, most = 0;
    for (ValueId value = 0; value != forward.size(); ++value) {
      const std::size_t size = model_->extent(value).size();
      kept_at_.push_back(kept_size_);
      kept_size_ += (size + 15) / 16 * 16;
      largest = std::max(largest, size);
      backward[value] = {size, steps - forward[value].last, steps - forward[value].first};
      if (!grids_[value]) forward[value].size = 0;
    }
    values_ = plan_arena(forward);
    gradient_plan_ = plan_arena(backward);
    for (std::size_t n = 0; n != flow_.size(); ++n) {
      scratch = std::max({scratch, layers_[n].scratch(), backward_[n].scratch()});
      most = std::max(most, model_->nodes[n].inputs.size());
    }
    std::size_t inputs = 0;
    for (std::size_t n = 0; n != flow_.size(); ++n)
      if (flow_[n].reads) inputs = std::max(inputs, model_->nodes[n].inputs.size());
    bool full = false;
    for (const auto& layer : weights_) {
      lane_at_.push_back(lane_size_);
      if (!layer) continue;
      lane_size_ += (layer->lane_size() + 15) / 16 * 16;
      full |= layer->full() && layer->lane_size() > most_sums_per_image;
    }
    lanes_ = full ? std::min<std::size_t>(options_.batch, 8) : options_.batch;
    lane_memory_.resize(lanes_ * lane_size_);
    kept_.resize(options_.batch * kept_size_);
    activation_sums_.resize(options_.batch * activations_.size());
    outputs_.resize(options_.batch * model_->output_extent().size());
    memory_.resize(threads_.size());
    for (Memory& each : memory_) {
      each.values.resize(values_.size);
      each.gradients.resize(gradient_plan_.size);
      each.scratch.resize(scratch);
      each.inputs.assign(inputs, aligned_vector<float>(largest));
      each.pointers.resize(most);
    }
  }

  /// Grids as an encoding holds them, weights and biases on theirs.
  void apply() {
    for (ValueId value = 0; value != grids_.size(); ++value)
      if (grids_[value]) {
        const Grid<float> grid = activation_grid_of(value);
        const float step = grid.dead() ? 1.0F : grid.step;
        grids_[value] = Grid<float>{1.0F / step, step, grid.zero_point, grid.code_min, grid.code_max};
      }
    threads_.run(weights_.size(), [&](std::size_t n, std::size_t) {
      if (!weights_[n]) return;
      const auto &input = grids_[model_->nodes[n].inputs[0]], &output = grids_[model_->nodes[n].output];
      weighted(
          n,
          [&](std::size_t, const auto& from, auto& to) {
            weights_[n]->apply(from, to, input && options_.round_biases ? input->step : 0.0F,
                               output ? output->step : 0.0F, split(std::as_const(parameters_)), layers_[n],
                               backward_[n]);
          },
          student_);
    });
    std::copy(parameters_.begin(), parameters_.end(), applied_.begin());
    ready_ = true;
  }
  Grid<float> activation_grid_of(ValueId value) const {
    const ValueId from = plan_.unit[value] ? value : plan_.group[value];
    return activations_[from].grid(parameters_.data() + activation_at_[from]);
  }

  float* kept(std::size_t image, ValueId value) noexcept { return kept_.data() + image * kept_size_ + kept_at_[value]; }

  void forward_image(std::size_t image, Memory& memory) {
    const auto read = [&](ValueId value) -> const float* {
      return grids_[value] ? memory.values.data() + values_.offset[value] : kept(image, value);
    };
    const auto made = [&](ValueId value) {
      if (grids_[value])
        fake_quantize_run(kept(image, value), memory.values.data() + values_.offset[value],
                          model_->extent(value).size(), *grids_[value]);
    };
    made(model_->input);
    for (std::size_t n = 0; n != layers_.size(); ++n) {
      const Node& node = model_->nodes[n];
      const std::span<const float*> inputs = std::span{memory.pointers}.first(node.inputs.size());
      std::transform(node.inputs.begin(), node.inputs.end(), inputs.begin(), read);
      layers_[n].run(inputs, kept(image, node.output), 0, layers_[n].parts(), memory.scratch.data());
      made(node.output);
    }
    const std::size_t outputs = model_->output_extent().size();
    std::copy_n(read(model_->output), outputs, outputs_.data() + image * outputs);
  }

  void backward_image(std::size_t image, const float* output_gradient, float* lane, Memory& memory) {
    ThresholdSums* const sums = activation_sums_.data() + image * activations_.size();
    const auto gradient = [&](ValueId value) { return memory.gradients.data() + gradient_plan_.offset[value]; };
    std::copy_n(output_gradient, model_->output_extent().size(), gradient(model_->output));
    for (std::size_t n = flow_.size(); n-- != 0;) {
      const Node& node = model_->nodes[n];
      const Flow& flow = flow_[n];
      if (!flow.live) continue;
      float* const dy = gradient(node.output);
      const float* const y = kept(image, node.output);
      const std::size_t size = model_->extent(node.output).size();
      const Clamp clamp = fused_clamp(node.op);
      if (grids_[node.output])
        sums[node.output] = quantization_backward(y, dy, dy, size, *grids_[node.output], clamp);
      else if (clamp.active())
        float_kernels::native().mask(y, dy, size, clamp.low, clamp.high);
      const std::span<const float*> inputs = std::span{memory.pointers}.first(node.inputs.size());
      for (std::size_t i = 0; flow.reads && i != inputs.size(); ++i)
        inputs[i] = read_again(image, node.inputs[i], memory.inputs[i]);
      if (weights_[n]) weights_[n]->add(backward_[n], inputs[0], dy, lane + lane_at_[n], memory.scratch.data());
      for (std::size_t i = 0; i != inputs.size(); ++i)
        if (flow.wanted[i] != 0)
          backward_[n].input(i, inputs, y, dy, gradient(node.inputs[i]), flow.accumulate[i] != 0,
                             memory.scratch.data());
    }
    const ValueId input = model_->input;
    if (trained_with(input) && grids_[input])
      sums[input] = quantization_backward(kept(image, input), gradient(input), nullptr, model_->input_extent().size(),
                                          *grids_[input], Clamp{});
  }
  /// One pass through fake quantization and the clamp before it. The grid of a step is never dead.
  static ThresholdSums quantization_backward(const float* x, const float* dy, float* dx, std::size_t n,
                                             const Grid<float>& grid, const Clamp& clamp) {
    const auto p = detail::grid_parameters(grid);
    float_kernels::ThresholdBackward call{x, dy, dx, n, p[0], p[2], p[3], clamp.low, clamp.high};
    float_kernels::native().threshold_backward(call);
    return {call.residue, call.outside};
  }
  /// A value as its readers saw it.
  const float* read_again(std::size_t image, ValueId value, aligned_vector<float>& to) {
    const float* const from = kept(image, value);
    if (!grids_[value]) return from;
    fake_quantize_run(from, to.data(), model_->extent(value).size(), *grids_[value]);
    return to.data();
  }

  /// Adds up in the order of images and lanes.
  void reduce() {
    const StudentParameters<const float*> p = split(std::as_const(parameters_));
    const StudentParameters<float*> to = split(gradients_);
    for (ValueId leader = 0; leader != activations_.size(); ++leader) {
      if (activations_[leader].count() == 0) continue;
      ThresholdSums total;
      for (ValueId value = 0; value != activations_.size(); ++value) {
        if (plan_.group[value] != leader || !grids_[value]) continue;
        for (std::size_t image = 0; image != batch_; ++image) {
          total.residue += activation_sums_[image * activations_.size() + value].residue;
          total.outside += activation_sums_[image * activations_.size() + value].outside;
        }
      }
      activations_[leader].gradient(p.thresholds + activation_at_[leader], total,
                                    to.thresholds + activation_at_[leader]);
    }
    threads_.run(weights_.size(), [&](std::size_t n, std::size_t) {
      if (!weights_[n]) return;
      weighted(
          n,
          [&](std::size_t, const auto& from, const auto&) {
            weights_[n]->reduce(from, lane_memory_.data() + lane_at_[n], std::min(lanes_, batch_), lane_size_, p, to);
          },
          student_);
    });
  }

  /// Layers with more sums than this share them between images.
  static constexpr std::size_t most_sums_per_image = std::size_t{1} << 16;

  const Model* model_;
  LoadImage load_;
  StudentOptions options_;
  Threads threads_;
  TensorPlan plan_;
  Model student_;
  std::vector<FloatLayer> layers_;
  std::vector<LayerGradient> backward_;
  std::vector<Flow> flow_;
  aligned_vector<float> parameters_, applied_, gradients_;
  std::vector<ParameterGroup> groups_;                ///< thresholds, biases, factors
  std::vector<TrainedGrid> activations_;              ///< one a value; factors only where it leads its group
  std::vector<std::size_t> activation_at_;            ///< its first factor
  std::vector<std::optional<Grid<float>>> grids_;     ///< of this step, as an encoding holds them
  std::vector<std::optional<StudentLayer>> weights_;  ///< one a node
  ArenaPlan values_, gradient_plan_;
  std::vector<std::size_t> kept_at_, lane_at_;
  std::size_t kept_size_ = 0, lane_size_ = 0, lanes_ = 0, batch_ = 0;
  aligned_vector<float> kept_, lane_memory_, outputs_;
  std::vector<Memory> memory_;
  std::vector<ThresholdSums> activation_sums_;  ///< [image][value]
  bool ready_ = false;
};

}  // namespace fat::inline FAT_ABI

#endif
