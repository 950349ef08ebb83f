// fake_quantize: reals moved onto the grid, the float image of quantization.
#ifndef FAT_QUANTIZER_FAKE_QUANTIZE_HPP_INCLUDED
#define FAT_QUANTIZER_FAKE_QUANTIZE_HPP_INCLUDED

#include <fat/quantizer/quantizer.hpp>
#include <fat/quantizer/transform.hpp>

namespace fat::inline FAT_ABI {

struct FakeQuantizeAlgorithm {
  /// dequantize(quantize(x)), bit for bit, in one pass. Errors: params of another number of channels.
  template <AffineQuantizer Q, RealTensor X>
  auto operator()(const Q& q, const X& x, const Params<value_type_of<X>>& params) const {
    auto y = make_like<value_type_of<X>>(x);
    (*this)(q, x, params, y);
    return y;
  }
  /// The same into a tensor of the caller's, which may be x itself. Errors: another shape, too.
  template <AffineQuantizer Q, RealTensor X, MutableTensor Out>
    requires std::same_as<value_type_of<Out>, value_type_of<X>>
  void operator()(const Q& q, const X& x, const Params<value_type_of<X>>& params, Out&& out) const {
    using Cell = detail::FakeQuantizeCell<typename Q::rounding, typename Q::scaling>;
    using Real = value_type_of<X>;
    const Shape shape = shape_of(x);
    const Partition parts = q.partition(shape);
    detail::expect_same_shape("fake_quantize", x, out);
    detail::expect_channels("fake_quantize", shape, parts, params.channels());
    detail::transform_tensor<Cell, Real, Real>(x, out, parts, params.grids().columns());
  }
  template <AffineQuantizer Q, Tensor X, class Real, class... Out>
    requires(!std::same_as<value_type_of<X>, Real>)
  detail::TensorNeedsParamsOfItsOwnReal operator()(const Q&, const X&, const Params<Real>&, Out&&...) const = delete;
};

/// fat::fake_quantize(q, x, params) and fat::fake_quantize(q, x, params, out).
inline constexpr FakeQuantizeAlgorithm fake_quantize{};

}  // namespace fat::inline FAT_ABI

#endif
