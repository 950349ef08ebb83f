// observe: the intervals in which a tensor's channels live, as the quantizer at hand wants them.
#ifndef FAT_OBSERVE_OBSERVE_HPP_INCLUDED
#define FAT_OBSERVE_OBSERVE_HPP_INCLUDED

#include <fat/core/dense.hpp>
#include <fat/observe/min_max.hpp>
#include <fat/observe/moving_average.hpp>
#include <fat/observe/observer.hpp>
#include <fat/observe/percentile.hpp>
#include <fat/quantizer/quantizer.hpp>

#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// One observer for each channel of a quantizer's tensors, over as many tensors as one likes.
///   fat::Calibration<WeightQuantizer, fat::Percentile> seen{fat::Percentile{99.9}};
///   for (const auto& x : batches) seen.observe(x);
///   auto params = q.params(seen.ranges<float>());
template <AffineQuantizer Q, Observer O>
class Calibration {
 public:
  /// Every channel starts as a copy of `start`.
  explicit Calibration(const O& start = O{}, const Q& q = Q{}) : start_(start), q_(q) {}

  /// Takes one more tensor. Errors: NaN or infinity (with the tensor's name and the place of the first one); another
  /// number of channels than before.
  template <RealTensor X>
  void observe(const X& x, std::string_view name = "tensor") {
    observe_dense(DenseValues<value_type_of<X>>{x}.data(), shape_of(x), name);
  }
  /// Adds what another thread has seen.
  void merge(const Calibration& other) {
    if (channels_.empty()) channels_.resize(other.channels_.size(), start_);
    expects(other.channels_.empty() || other.channels_.size() == channels_.size(),
            "Calibration::merge: ", channels_.size(), " channels here, ", other.channels_.size(), " there");
    for (std::size_t c = 0; c != other.channels_.size(); ++c) channels_[c].merge(other.channels_[c]);
  }
  /// One interval for each channel; those of an asymmetric quantizer are widened to contain 0, so that 0 is a code.
  template <RealScalar Real>
  Ranges<Real> ranges() const {
    std::vector<Interval<Real>> intervals;
    for (const O& channel : channels_) {
      const Interval<double> seen = channel.range();
      const Interval<Real> range{static_cast<Real>(seen.low), static_cast<Real>(seen.high)};
      intervals.push_back(asymmetric() ? with_zero(range) : range);
    }
    return Ranges<Real>{std::move(intervals)};
  }

 private:
  static constexpr bool asymmetric() {
    if constexpr (requires { Q::symmetric; })
      return !Q::symmetric;
    else
      return false;
  }
  template <class Real>
  void observe_dense(const Real* x, const Shape& shape, std::string_view name) {
    const Partition parts = q_.partition(shape);
    if (channels_.empty()) channels_.resize(parts.channels, start_);
    expects(channels_.size() == parts.channels, "observe: tensor '", name, "' of shape ", shape, " has ",
            parts.channels, " channels, earlier ones had ", channels_.size());
    if (parts.size() == 0) return;
    std::vector<Extremes> found(parts.channels);
    extremes_channels(x, parts, found.data());
    for (const Extremes& channel : found)
      if (!channel.finite) refuse(x, parts.size(), name);
    if constexpr (requires(O o, Extremes e) { o.observe(e); }) {
      for (std::size_t c = 0; c != parts.channels; ++c) channels_[c].observe(found[c]);
    } else {
      aligned_vector<Real> run(parts.outer * parts.inner);
      for (std::size_t c = 0; c != parts.channels; ++c) {
        for (std::size_t o = 0; o != parts.outer; ++o)
          std::copy_n(x + (o * parts.channels + c) * parts.inner, parts.inner, run.data() + o * parts.inner);
        channels_[c].observe(run.data(), run.size());
      }
    }
  }
  template <class Real>
  [[noreturn]] static void refuse(const Real* x, std::size_t n, std::string_view name) {
    const std::size_t at = first_not_finite(x, n);
    fail("observe: value ", at, " of tensor '", name, "' is ", is_nan(x[at]) ? "NaN" : "infinite",
         "; a range cannot hold it: look for the layer or file that made it");
  }

  O start_;
  Q q_;
  std::vector<O> channels_;
};

/// fat::observe<fat::MinMax>(q, x): one interval for each channel of x under q (one in all where q is Scalar), widened
/// to contain 0 where q is Asymmetric. `name` appears in errors: NaN and infinities are refused, saying where.
template <Observer O, AffineQuantizer Q, RealTensor X>
Ranges<value_type_of<X>> observe(const Q& q, const X& x, std::string_view name = "tensor", const O& start = O{}) {
  Calibration<Q, O> seen{start, q};
  seen.observe(x, name);
  return seen.template ranges<value_type_of<X>>();
}

}  // namespace fat::inline FAT_ABI

#endif
