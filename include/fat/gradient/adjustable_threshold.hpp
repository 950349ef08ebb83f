// AdjustableThreshold: fake quantization whose thresholds an optimizer moves.
#ifndef FAT_GRADIENT_ADJUSTABLE_THRESHOLD_HPP_INCLUDED
#define FAT_GRADIENT_ADJUSTABLE_THRESHOLD_HPP_INCLUDED

#include <fat/core/dense.hpp>
#include <fat/fwd.hpp>
#include <fat/gradient/threshold.hpp>
#include <fat/policy/left_limit.hpp>
#include <fat/policy/projection.hpp>
#include <fat/quantizer/quantizer.hpp>
#include <fat/quantizer/transform.hpp>

#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// What a backward pass gives: dL/dx, and dL/dparameter in the order of parameters().
template <class Input, class Real>
struct Gradients {
  Input input;
  std::vector<Real> parameters;
};

namespace detail {

/// The policies of a threshold, checked and completed.
template <class Q, class... Ps>
struct ThresholdPolicies {
  static_assert(AffineQuantizer<Q>,
                "fat::AdjustableThreshold: give a Quantizer, e.g. AdjustableThreshold<Quantizer<Asymmetric>, float>");
  using D = ThresholdDefaults;
  template <class P>
  static constexpr bool known = Fills<P, BoundsSlot> || Fills<P, ProjectionSlot> || Fills<P, LeftLimitSlot> ||
                                Fills<P, ZeroPointSlot> || Fills<P, EstimatorSlot>;
  static_assert(
      (known<Ps> && ...),
      "fat::AdjustableThreshold: an argument is not a threshold policy; choose among PaperBounds, WideBounds, Project, "
      "ClipOnly, FreeLeft, ZeroLeft, ZeroLeftIfNotNegative, PaperUnsigned, NudgeZeroPoint, CodeZeroPoint, "
      "OffsetZeroPoint, StraightThrough, or give your own policy a slot");
  static_assert(count_of<BoundsSlot, Ps...> <= 1, "fat::AdjustableThreshold: two bounds; give one");
  static_assert(count_of<ProjectionSlot, Ps...> <= 1,
                "fat::AdjustableThreshold: two projections; give Project or ClipOnly, once");
  static_assert(count_of<LeftLimitSlot, Ps...> <= 1, "fat::AdjustableThreshold: two left limits; give one");
  static_assert(count_of<ZeroPointSlot, Ps...> <= 1, "fat::AdjustableThreshold: two zero-point forms; give one");
  static_assert(count_of<EstimatorSlot, Ps...> <= 1, "fat::AdjustableThreshold: two gradient estimators; give one");
  static_assert(
      !Q::symmetric || count_of<LeftLimitSlot, Ps...> + count_of<ZeroPointSlot, Ps...> == 0,
      "fat::AdjustableThreshold: a symmetric quantizer has neither a left limit nor a zero point; drop that policy");

  using bounds = select_t<BoundsSlot, D::bounds, Ps...>;
  using projection = select_t<ProjectionSlot, D::projection, Ps...>;
  using left_limit = select_t<LeftLimitSlot, D::left_limit, Ps...>;
  using zero_point = select_t<ZeroPointSlot, D::zero_point, Ps...>;
  using estimator = select_t<EstimatorSlot, D::estimator, Ps...>;
  static_assert(GradientEstimator<estimator>,
                "fat::AdjustableThreshold: the estimator is not a fat::GradientEstimator");
};

}  // namespace detail

/// Fake quantization with trained thresholds, one (symmetric: alpha, starts at 1) or two (asymmetric: alpha_T, starts
/// at 0, and alpha_R, starts at 1) factors a channel, NUMERICS 2 and 3. The interval is taken as given; widening it to
/// contain 0 is the observer's work. Policies in any order: bounds, projection, left limit, zero-point form, gradient
/// estimator.
template <class Quantizer, class Real, class... Policies>
class AdjustableThreshold {
  using Chosen = detail::ThresholdPolicies<Quantizer, Policies...>;
  using Rounding = typename Quantizer::rounding;
  using Scaling = typename Quantizer::scaling;
  using Estimator = typename Chosen::estimator;
  static constexpr bool symmetric = Quantizer::symmetric;
  static constexpr bool shifted = !symmetric && Chosen::zero_point::shifted;
  static constexpr std::size_t columns_count = shifted ? 6 : 5;

 public:
  using quantizer_type = Quantizer;

  /// Errors: no interval; one that is not finite or has low > high.
  explicit AdjustableThreshold(const Ranges<Real>& ranges, const ThresholdBounds& bounds = Chosen::bounds::value)
      : ranges_(ranges), bounds_(bounds), grids_(ranges.size()), residue_(ranges.size()), outside_(ranges.size()) {
    Quantizer::params(ranges);
    bounds_.left = Chosen::left_limit::limits(bounds.left);
    bool negative = false;
    for (const Interval<Real>& range : ranges_) negative = negative || range.low < Real{0};
    zero_left_ = !symmetric && Chosen::left_limit::fixed(negative);
    if (!symmetric && !zero_left_) parameters_.assign(channels(), Real{0});
    parameters_.resize(parameters_.size() + channels(), Real{1});
    if constexpr (shifted) origins_.resize(channels());
  }

  std::size_t channels() const noexcept { return ranges_.size(); }
  /// What an optimizer moves. Symmetric: alpha of every channel. Asymmetric: alpha_T of every channel, then alpha_R of
  /// every channel; alpha_R alone where the left limit is fixed at 0.
  std::span<Real> parameters() noexcept { return parameters_; }
  std::span<const Real> parameters() const noexcept { return parameters_; }
  /// Moves parameters back into their bounds, as the projection policy says. Call it after every optimizer step.
  void project() noexcept {
    for (std::size_t i = 0; i != parameters_.size(); ++i)
      parameters_[i] = Chosen::projection::apply(parameters_[i], limits(i));
  }

  /// The grid of a channel under the present parameters; with OffsetZeroPoint it counts from the left limit.
  Grid<Real> grid(std::size_t channel = 0) const {
    if constexpr (symmetric)
      return threshold(channel).grid(parameters_[channel]);
    else
      return threshold(channel).grid(left_factor(channel), width_factor(channel));
  }
  /// The present grids as the parameters of the quantizer, for quantize() and export.
  Params<Real> params() const requires(!shifted) {
    GridTable<Real> grids(channels());
    for (std::size_t c = 0; c != channels(); ++c) grids.set(c, grid(c));
    return Params<Real>{std::move(grids)};
  }

  /// Fake-quantized x under the present parameters. Errors: another number of channels than the ranges had.
  template <RealTensor X>
    requires std::same_as<value_type_of<X>, Real>
  auto forward(const X& x) {
    auto y = make_like<Real>(x);
    forward(x, y);
    return y;
  }
  /// The same into a tensor of the caller's (it may be x); allocates nothing where both are contiguous.
  template <RealTensor X, MutableTensor Y>
    requires std::same_as<value_type_of<X>, Real> && std::same_as<value_type_of<Y>, Real>
  void forward(const X& x, Y&& y) {
    const Partition parts = partition("AdjustableThreshold::forward", x);
    detail::expect_same_shape("AdjustableThreshold::forward", x, y);
    refresh();
    detail::transform_tensor<detail::FakeQuantizeCell<Rounding, Scaling>, Real, Real>(x, y, parts, columns());
  }

  /// The gradients of a loss whose gradient with respect to forward(x) is dy.
  template <RealTensor X, RealTensor DY>
    requires std::same_as<value_type_of<X>, Real> && std::same_as<value_type_of<DY>, Real>
  auto backward(const X& x, const DY& dy) {
    Gradients<rebind_t<X, Real>, Real> gradients{make_like<Real>(x), std::vector<Real>(parameters_.size())};
    backward(x, dy, gradients.input, gradients.parameters);
    return gradients;
  }
  /// The same into the caller's memory: dL/dx into dx, dL/dparameters into dparameters. Allocates nothing where all
  /// three tensors are contiguous. Errors: shapes differ; dparameters has another size than parameters().
  template <RealTensor X, RealTensor DY, MutableTensor DX>
    requires std::same_as<value_type_of<X>, Real> && std::same_as<value_type_of<DY>, Real> &&
        std::same_as<value_type_of<DX>, Real>
  void backward(const X& x, const DY& dy, DX&& dx, std::span<Real> dparameters) {
    const Partition parts = partition("AdjustableThreshold::backward", x);
    detail::expect_same_shape("AdjustableThreshold::backward", x, dy);
    detail::expect_same_shape("AdjustableThreshold::backward", x, dx);
    expects(dparameters.size() == parameters_.size(), "AdjustableThreshold::backward: room for ", dparameters.size(),
            " parameter gradients; there are ", parameters_.size());
    refresh();
    const DenseValues<Real> dense_x{x};
    const DenseValues<Real> dense_dy{dy};
    write_dense(dx, [&](Real* to) {
      detail::backward_channels<Rounding, Scaling, Estimator>(dense_x.data(), dense_dy.data(), to, parts, columns(),
                                                              residue_.data(), outside_.data());
    });
    for (std::size_t c = 0; c != channels(); ++c) store_gradient(c, {residue_[c], outside_[c]}, dparameters);
  }

 private:
  auto threshold(std::size_t channel) const {
    if constexpr (symmetric)
      return SymmetricThreshold<Real>{threshold_of(ranges_[channel]), Quantizer::codes, bounds_.threshold};
    else
      return AsymmetricThreshold<Real, typename Chosen::zero_point, Rounding, Scaling>{
          ranges_[channel], Quantizer::codes, zero_left_, bounds_.left, bounds_.width};
  }
  Real left_factor(std::size_t channel) const { return zero_left_ ? Real{0} : parameters_[channel]; }
  Real width_factor(std::size_t channel) const { return parameters_[channel + (zero_left_ ? 0 : channels())]; }
  const Limits& limits(std::size_t parameter) const noexcept {
    if constexpr (symmetric)
      return bounds_.threshold;
    else
      return !zero_left_ && parameter < channels() ? bounds_.left : bounds_.width;
  }
  void store_gradient(std::size_t channel, const ThresholdSums& sums, std::span<Real> to) const {
    if constexpr (symmetric) {
      to[channel] = threshold(channel).gradient(parameters_[channel], sums);
    } else {
      const auto made = threshold(channel).gradient(left_factor(channel), width_factor(channel), sums);
      if (!zero_left_) to[channel] = made.left;
      to[channel + (zero_left_ ? 0 : channels())] = made.width;
    }
  }
  template <class X>
  Partition partition(const char* algorithm, const X& x) const {
    const Shape shape = shape_of(x);
    const Partition parts = Quantizer::partition(shape);
    detail::expect_channels(algorithm, shape, parts, channels());
    return parts;
  }
  /// Makes the grids of the present parameters, which the optimizer may have moved since the last call.
  void refresh() {
    for (std::size_t c = 0; c != channels(); ++c) grids_.set(c, grid(c));
    if constexpr (shifted)
      for (std::size_t c = 0; c != channels(); ++c)
        origins_[c] = grid(c).dead() ? Real{0} : threshold(c).left(left_factor(c));
  }
  detail::Columns<Real, columns_count> columns() const {
    const detail::GridColumns<Real> grid_columns = grids_.columns();
    detail::Columns<Real, columns_count> all{};
    std::copy_n(grid_columns.column.begin(), grid_columns.column.size(), all.column.begin());
    if constexpr (shifted) all.column[5] = origins_.data();
    return all;
  }

  Ranges<Real> ranges_;
  ThresholdBounds bounds_;
  bool zero_left_ = false;
  std::vector<Real> parameters_;
  GridTable<Real> grids_;
  aligned_vector<Real> origins_;
  aligned_vector<double> residue_;
  aligned_vector<double> outside_;
};

}  // namespace fat::inline FAT_ABI

#endif
