// PointwiseScale: one trained factor for every weight, thresholds fixed (NUMERICS 7).
#ifndef FAT_GRADIENT_POINTWISE_SCALE_HPP_INCLUDED
#define FAT_GRADIENT_POINTWISE_SCALE_HPP_INCLUDED

#include <fat/gradient/adjustable_threshold.hpp>
#include <fat/quantizer/fake_quantize.hpp>

namespace fat::inline FAT_ABI {

/// y = fake_quantize(w * clip(g, 0.75, 1.25)), one factor g for every element, start 1; the parameters of the quantizer
/// stay those of the unscaled w. Biases are scaled without quantization. Policy: Project (default) or ClipOnly.
template <class Real, class... Policies>
class PointwiseScale {
  static_assert((Fills<Policies, ProjectionSlot> && ...) && sizeof...(Policies) <= 1,
                "fat::PointwiseScale: the only policy is the projection; give Project or ClipOnly, once");
  using Projection = detail::select_t<ProjectionSlot, ThresholdDefaults::projection, Policies...>;

 public:
  static constexpr Limits limits{0.75, 1.25};

  /// One factor for each of `size` elements.
  explicit PointwiseScale(std::size_t size) : factors_(size, Real{1}) {}

  std::span<Real> parameters() noexcept { return factors_; }
  std::span<const Real> parameters() const noexcept { return factors_; }
  void project() noexcept {
    for (Real& factor : factors_) factor = Projection::apply(factor, limits);
  }

  /// w * clip(g): a bias, or weights that are quantized elsewhere. Errors: w has another number of elements.
  template <RealTensor W>
  auto forward(const W& w) const {
    auto scaled = make_like<Real>(w);
    scale(w, scaled);
    return scaled;
  }
  /// fake_quantize(w * clip(g)). Errors: as fake_quantize, and w of another number of elements.
  template <AffineQuantizer Q, RealTensor W>
  auto forward(const Q& q, const W& w, const Params<Real>& params) const {
    auto y = forward(w);
    fake_quantize(q, y, params, y);
    return y;
  }
  /// dL/dw and dL/dg of forward(w) for its gradient dy.
  template <RealTensor W, RealTensor DY>
  auto backward(const W& w, const DY& dy) const {
    return chain(w, dy);
  }
  /// dL/dw and dL/dg of forward(q, w, params) for its gradient dy.
  template <AffineQuantizer Q, RealTensor W, RealTensor DY>
  auto backward(const Q& q, const W& w, const DY& dy, const Params<Real>& params) const {
    using Rounding = typename Q::rounding;
    using Scaling = typename Q::scaling;
    const auto scaled = forward(w);
    const Shape shape = shape_of(w);
    const Partition parts = q.partition(shape);
    detail::expect_channels("PointwiseScale::backward", shape, parts, params.channels());
    detail::expect_same_shape("PointwiseScale::backward", w, dy);
    aligned_vector<double> sums(2 * parts.channels);
    array<Real> through{shape};
    threshold_backward_channels<Rounding, Scaling>(DenseValues<Real>{scaled}.data(), DenseValues<Real>{dy}.data(),
                                                   through.data(), parts, params.grids(), sums.data(),
                                                   sums.data() + parts.channels);
    return chain(w, through);
  }

 private:
  template <class W>
  void scale(const W& w, auto& out) const {
    expect_size(w);
    auto to = traits_of<decltype(out)>::begin(out);
    auto from = traits_of<W>::begin(w);
    for (const Real factor : factors_) {
      *to = static_cast<Real>(*from) * limits.clip(factor);
      ++to;
      ++from;
    }
  }
  /// From dL/d(w * clip(g)) to dL/dw and dL/dg.
  template <class W, class D>
  auto chain(const W& w, const D& through) const {
    expect_size(w);
    Gradients<rebind_t<W, Real>, Real> gradients{make_like<Real>(w), std::vector<Real>(factors_.size())};
    auto value = traits_of<W>::begin(w);
    auto gradient = traits_of<D>::begin(through);
    auto input = traits_of<rebind_t<W, Real>>::begin(gradients.input);
    for (std::size_t i = 0; i != factors_.size(); ++i, ++value, ++gradient, ++input) {
      *input = *gradient * limits.clip(factors_[i]);
      gradients.parameters[i] = limits.contain(factors_[i]) ? *gradient * static_cast<Real>(*value) : Real{0};
    }
    return gradients;
  }
  template <class W>
  void expect_size(const W& w) const {
    expects(size_of(w) == factors_.size(), "PointwiseScale: a tensor of shape ", shape_of(w), " but ", factors_.size(),
            " factors; make one factor for each element");
  }

  std::vector<Real> factors_;
};

}  // namespace fat::inline FAT_ABI

#endif
