// StudentLayer: the weights and bias of one node of a student, moved onto trained grids every step, and their gradients.
#ifndef FAT_MODEL_STUDENT_LAYER_HPP_INCLUDED
#define FAT_MODEL_STUDENT_LAYER_HPP_INCLUDED

#include <fat/gradient/pointwise_scale.hpp>
#include <fat/gradient/threshold_slopes.hpp>
#include <fat/model/layer_gradient.hpp>
#include <fat/model/model_grids.hpp>
#include <fat/model/trained_grid.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fat::inline FAT_ABI {

/// What a student trains.
struct StudentParts {
  /// Threshold factors of activations and of weights.
  bool activations = true;
  bool weights = true;
  /// An offset added to every bias, in units of its output's range.
  bool biases = false;
  /// A factor for every weight and every bias (NUMERICS 7).
  bool factors = false;
  ThresholdBounds bounds = {};
};

/// Pointers to, or numbers of, the three kinds of parameters.
template <class T>
struct StudentParameters {
  T thresholds{}, biases{}, factors{};
};

/// One node with weights. Its parameters begin at the counts that the layers before it left in `counts`.
class StudentLayer {
 public:
  /// `grids` as in ModelGrids; empty where the weights stay float. `unit` is what a bias parameter of 1 adds.
  template <WeightedLayer Layer>
  StudentLayer(const Layer& layer, const std::vector<Grid<float>>& grids, const StudentParts& parts, float unit,
               StudentParameters<std::size_t>& counts)
      : parts_(parts),
        channels_(layer.bias().size()),
        unit_(unit),
        partition_(grids.size() == 1 ? partition(layer.weights().shape())
                                     : partition(layer.weights().shape(), Layer::channel_axis)),
        settled_(grids.size()),
        table_(grids.size()),
        first_(counts) {
    bool asymmetric = false;
    std::vector<Interval<float>> ranges;
    if (!grids.empty())
      ranges = weight_ranges(layer, grids.size() == 1 ? Granularity::scalar : Granularity::per_channel);
    for (std::size_t g = 0; g != grids.size(); ++g) {
      asymmetric |= grids[g].code_min != -grids[g].code_max;
      grids_.push_back(parts.weights ? TrainedGrid{grids[g], ranges[g], parts.bounds} : TrainedGrid{grids[g]});
      threshold_at_.push_back(counts.thresholds);
      counts.thresholds += grids_.back().count();
    }
    const bool thresholds = counts.thresholds != first_.thresholds;
    counts.biases += parts.biases ? channels_ : 0;
    counts.factors += parts.factors ? layer.weights().size() + channels_ : 0;
    full_ = parts.factors || (thresholds && (asymmetric || std::is_same_v<Layer, DepthwiseConvolution>));
    length_ = full_ ? layer.weights().size() : thresholds ? channels_ : 0;
    if (thresholds || full_) buffer_.resize(layer.weights().size());
    if (full_) effective_.resize(layer.weights().size());
    sums_.resize(length_ + (biases() ? channels_ : 0));
    residue_.resize(std::max(grids.size(), std::size_t{1}));
    outside_.resize(residue_.size());
  }

  bool full() const noexcept { return full_; }
  /// Floats of a lane: what the images of one lane add up to.
  std::size_t lane_size() const noexcept { return sums_.size(); }
  bool reads_input() const noexcept { return length_ != 0; }

  void begin(const StudentParameters<float*>& p) const {
    for (std::size_t g = 0; g != grids_.size(); ++g) grids_[g].begin(p.thresholds + threshold_at_[g]);
    if (parts_.biases) std::fill_n(p.biases + first_.biases, channels_, 0.0F);
    if (parts_.factors) std::fill_n(p.factors + first_.factors, length_ + channels_, 1.0F);
  }
  void project(const StudentParameters<float*>& p) const noexcept {
    for (std::size_t g = 0; g != grids_.size(); ++g) grids_[g].project(p.thresholds + threshold_at_[g]);
    for (std::size_t k = 0; parts_.factors && k != length_ + channels_; ++k)
      p.factors[first_.factors + k] = limits.clip(p.factors[first_.factors + k]);
  }
  /// The grids of these parameters, before any of them is raised for its bias.
  std::vector<Grid<float>> grids(const StudentParameters<const float*>& p) const {
    std::vector<Grid<float>> all;
    for (std::size_t g = 0; g != grids_.size(); ++g) all.push_back(grids_[g].grid(p.thresholds + threshold_at_[g]));
    return all;
  }
  /// Float weights and bias of these parameters: those of `from` times their factors, biases moved.
  template <WeightedLayer Layer>
  void scale(const Layer& from, Layer& to, const StudentParameters<const float*>& p) const {
    std::copy(from.kernel.begin(), from.kernel.end(), to.kernel.begin());
    for (std::size_t c = 0; c != channels_; ++c) to.offset[c] = moved_bias(from.offset[c], c, p) * bias_factor(c, p);
    const float* factor = p.factors + first_.factors;
    for (std::size_t k = 0; parts_.factors && k != to.kernel.size(); ++k) to.kernel[k] *= limits.clip(factor[k]);
  }

  /// Moves weights and biases onto the grids of these parameters. `input_step` is the step of what the node reads; 0
  /// where biases stay as they are. `output_step` is that of what it makes, 0 where that stays float.
  template <WeightedLayer Layer>
  void apply(const Layer& from, Layer& to, float input_step, float output_step,
             const StudentParameters<const float*>& p, FloatLayer& forward, LayerGradient& backward) {
    scale(from, to, p);
    if (full_) std::copy(to.kernel.begin(), to.kernel.end(), effective_.begin());
    if (!grids_.empty()) {
      for (std::size_t g = 0; g != grids_.size(); ++g) settled_[g] = grids_[g].grid(p.thresholds + threshold_at_[g]);
      if (input_step > 0.0F) detail::settle_grids(settled_, to.offset, input_step, output_step);
      for (std::size_t g = 0; g != grids_.size(); ++g) table_.set(g, settled_[g]);
      if (length_ != 0 && !full_) {
        threshold_slopes(to.kernel.data(), buffer_.data(), partition_, table_);
        if (packed_.empty()) packed_.resize(backward.direction_size());
        backward.pack_direction(buffer_.data(), packed_.data());
      }
      fake_quantize_channels(to.kernel.data(), to.kernel.data(), partition_, table_);
      if (input_step > 0.0F) round_bias(to.offset, static_cast<double>(input_step));
    }
    forward.refresh();
    backward.refresh();
  }

  /// Adds one image's gradients to a lane. `x` is what the node read, `dy` the gradient before its clamp.
  void add(const LayerGradient& backward, const float* x, const float* dy, float* lane, float* scratch) const {
    if (full_)
      backward.weights(x, dy, lane, scratch);
    else if (length_ != 0)
      backward.along(packed_.data(), x, dy, lane, scratch);
    if (biases()) backward.bias(dy, lane + length_);
  }

  /// dL/dparameters from the lanes, added up in their order.
  template <WeightedLayer Layer>
  void reduce(const Layer& from, const float* lanes, std::size_t count, std::size_t stride,
              const StudentParameters<const float*>& p, const StudentParameters<float*>& gradients) {
    for (std::size_t k = 0; k != sums_.size(); ++k) {
      double sum = 0.0;
      for (std::size_t lane = 0; lane != count; ++lane) sum += static_cast<double>(lanes[lane * stride + k]);
      sums_[k] = sum;
    }
    if (full_) {
      for (std::size_t k = 0; k != length_; ++k) buffer_[k] = static_cast<float>(sums_[k]);
      if (!grids_.empty())
        threshold_backward_channels(effective_.data(), buffer_.data(), buffer_.data(), partition_, table_,
                                    residue_.data(), outside_.data());
    } else if (length_ != 0) {
      std::fill(residue_.begin(), residue_.end(), 0.0);
      for (std::size_t c = 0; c != channels_; ++c) residue_[grids_.size() == 1 ? 0 : c] += sums_[c];
    }
    for (std::size_t g = 0; g != grids_.size(); ++g)
      grids_[g].gradient(p.thresholds + threshold_at_[g], {residue_[g], outside_[g]},
                         gradients.thresholds + threshold_at_[g]);
    float* to = gradients.factors + first_.factors;
    const float* factor = p.factors + first_.factors;
    for (std::size_t k = 0; parts_.factors && k != length_; ++k)
      to[k] = limits.contain(factor[k]) ? buffer_[k] * from.kernel[k] : 0.0F;
    for (std::size_t c = 0; biases() && c != channels_; ++c) {
      const auto sum = static_cast<float>(sums_[length_ + c]);
      if (parts_.biases) gradients.biases[first_.biases + c] = sum * unit_ * bias_factor(c, p);
      if (parts_.factors)
        to[length_ + c] = limits.contain(factor[length_ + c]) ? sum * moved_bias(from.offset[c], c, p) : 0.0F;
    }
  }

 private:
  static constexpr Limits limits = PointwiseScale<float>::limits;

  bool biases() const noexcept { return parts_.biases || parts_.factors; }
  float moved_bias(float bias, std::size_t c, const StudentParameters<const float*>& p) const {
    return parts_.biases ? bias + p.biases[first_.biases + c] * unit_ : bias;
  }
  float bias_factor(std::size_t c, const StudentParameters<const float*>& p) const {
    return parts_.factors ? limits.clip(p.factors[first_.factors + length_ + c]) : 1.0F;
  }
  void round_bias(array<float>& bias, double input_step) const {
    for (std::size_t c = 0; c != bias.size(); ++c) {
      const auto step = static_cast<double>(channel_grid(settled_, c).step);
      const std::int32_t code = quantize_bias_one(static_cast<double>(bias[c]), 1.0 / (input_step * step));
      bias[c] = static_cast<float>(static_cast<double>(code) * input_step * step);
    }
  }

  StudentParts parts_;
  std::size_t channels_;
  float unit_;
  Partition partition_;
  std::vector<TrainedGrid> grids_;         ///< one, or one for each output channel
  std::vector<std::size_t> threshold_at_;  ///< first threshold factor of each grid
  std::vector<Grid<float>> settled_;       ///< of this step
  GridTable<float> table_;
  StudentParameters<std::size_t> first_;
  bool full_ = false;       ///< gradients of all weights, else slopes of channels
  std::size_t length_ = 0;  ///< weight gradients or slopes in a lane; bias gradients follow
  aligned_vector<float> buffer_, effective_, packed_;
  std::vector<double> sums_, residue_, outside_;
};

}  // namespace fat::inline FAT_ABI

#endif
