// dequantize: codes to reals.
#ifndef FAT_QUANTIZER_DEQUANTIZE_HPP_INCLUDED
#define FAT_QUANTIZER_DEQUANTIZE_HPP_INCLUDED

#include <fat/quantizer/quantize.hpp>

namespace fat::inline FAT_ABI {

struct DequantizeAlgorithm {
  /// Reals (code - zero_point) * step in an owning tensor of the shape of the codes; a dead channel gives zeros.
  /// Errors: params of another number of channels.
  template <AffineQuantizer Q, CodeTensorOf<Q> C, RealScalar Real>
  auto operator()(const Q& q, const C& codes, const Params<Real>& params) const {
    auto reals = make_like<Real>(codes);
    (*this)(q, codes, params, reals);
    return reals;
  }
  /// The same into a tensor of the caller's. Errors: another shape, too.
  template <AffineQuantizer Q, CodeTensorOf<Q> C, RealScalar Real, MutableTensor Out>
    requires std::same_as<value_type_of<Out>, Real>
  void operator()(const Q& q, const C& codes, const Params<Real>& params, Out&& out) const {
    using Code = std::conditional_t<CodeScalar<value_type_of<C>>, value_type_of<C>, typename Q::code_type>;
    const Shape shape = shape_of(codes);
    const Partition parts = q.partition(shape);
    detail::expect_same_shape("dequantize", codes, out);
    detail::expect_channels("dequantize", shape, parts, params.channels());
    detail::transform_tensor<detail::DequantizeCell, Code, Real>(codes, out, parts, params.grids().columns());
  }
};

/// fat::dequantize(q, codes, params) and fat::dequantize(q, codes, params, out).
inline constexpr DequantizeAlgorithm dequantize{};

}  // namespace fat::inline FAT_ABI

#endif
