// quantize: reals to codes.
#ifndef FAT_QUANTIZER_QUANTIZE_HPP_INCLUDED
#define FAT_QUANTIZER_QUANTIZE_HPP_INCLUDED

#include <fat/quantizer/quantizer.hpp>
#include <fat/quantizer/transform.hpp>

#include <utility>

namespace fat::inline FAT_ABI {

/// Tensors that hold the codes of a quantizer: integers at least as wide as its code_type.
template <class T, class Q>
concept CodeTensorOf = Tensor<T> && std::integral<value_type_of<T>> &&
    std::in_range<value_type_of<T>>(Q::code_min) && std::in_range<value_type_of<T>>(Q::code_max);

struct QuantizeAlgorithm {
  /// Codes of x in an owning tensor of x's shape. NaN becomes the code of 0, infinities the end codes.
  /// Errors: params of another number of channels.
  template <AffineQuantizer Q, RealTensor X>
  auto operator()(const Q& q, const X& x, const Params<value_type_of<X>>& params) const {
    auto codes = make_like<typename Q::code_type>(x);
    (*this)(q, x, params, codes);
    return codes;
  }
  /// The same into a tensor of the caller's. Errors: another shape, too.
  template <AffineQuantizer Q, RealTensor X, MutableTensor Out>
    requires CodeTensorOf<Out, Q>
  void operator()(const Q& q, const X& x, const Params<value_type_of<X>>& params, Out&& out) const {
    using Cell = detail::QuantizeCell<typename Q::rounding, typename Q::scaling>;
    using Code = std::conditional_t<CodeScalar<value_type_of<Out>>, value_type_of<Out>, typename Q::code_type>;
    const Shape shape = shape_of(x);
    const Partition parts = q.partition(shape);
    detail::expect_same_shape("quantize", x, out);
    detail::expect_channels("quantize", shape, parts, params.channels());
    detail::transform_tensor<Cell, value_type_of<X>, Code>(x, out, parts, params.grids().columns());
  }
  template <AffineQuantizer Q, Tensor X, class Real, class... Out>
    requires(!std::same_as<value_type_of<X>, Real>)
  detail::TensorNeedsParamsOfItsOwnReal operator()(const Q&, const X&, const Params<Real>&, Out&&...) const = delete;
};

/// fat::quantize(q, x, params) and fat::quantize(q, x, params, out).
inline constexpr QuantizeAlgorithm quantize{};

}  // namespace fat::inline FAT_ABI

#endif
