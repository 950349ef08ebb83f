// Quantizer: policies in any order make one type that turns ranges into grids.
#ifndef FAT_QUANTIZER_QUANTIZER_HPP_INCLUDED
#define FAT_QUANTIZER_QUANTIZER_HPP_INCLUDED

#include <fat/fwd.hpp>
#include <fat/policy/code_range.hpp>
#include <fat/policy/granularity.hpp>
#include <fat/policy/scheme.hpp>
#include <fat/policy/signedness.hpp>
#include <fat/quantizer/params.hpp>
#include <fat/quantizer/ranges.hpp>

#include <type_traits>

namespace fat::inline FAT_ABI {

/// The canonical form of a Quantizer; write `fat::Quantizer<policies...>`. Laws, for every live grid: quantize is
/// monotone; quantize(dequantize(c)) == c; 0 is exact; |x - dequantize(quantize(x))| <= step / 2 inside the range.
template <class Scheme, class Granularity, class Signedness, class Bits, class Rounding, class CodeRange, class Scaling>
struct BasicQuantizer {
  using scheme = Scheme;
  using granularity = Granularity;
  using rounding = Rounding;
  using scaling = Scaling;
  static constexpr bool symmetric = std::is_same_v<Scheme, Symmetric>;
  static constexpr bool is_signed = Signedness::is_signed;
  static constexpr int bits = Bits::bits;
  static constexpr Codes codes =
      symmetric ? symmetric_codes(bits, is_signed, CodeRange::full) : asymmetric_codes(bits, is_signed);
  static constexpr std::int32_t code_min = codes.min;
  static constexpr std::int32_t code_max = codes.max;
  using code_type = std::conditional_t<bits <= 8, std::conditional_t<is_signed, std::int8_t, std::uint8_t>,
                                       std::conditional_t<is_signed, std::int16_t, std::uint16_t>>;

  /// The grid that covers an interval: symmetric max(|low|, |high|); asymmetric from low to high.
  template <RealScalar Real>
  static constexpr Grid<Real> grid(const Interval<Real>& range) {
    if constexpr (symmetric)
      return symmetric_grid(threshold_of(range), codes);
    else
      return asymmetric_grid<Rounding, Scaling>(range.low, range.high - range.low, codes);
  }

  /// One grid for each interval. Errors: no interval; one that is not finite, has low > high, or (asymmetric) is wider
  /// than Real can say.
  template <RealScalar Real>
  static Params<Real> params(const Ranges<Real>& ranges) {
    expects(ranges.size() != 0, "Quantizer::params: no interval; observe a tensor that has channels");
    GridTable<Real> grids(ranges.size());
    for (std::size_t c = 0; c != ranges.size(); ++c) {
      expects(is_finite(ranges[c].low) && is_finite(ranges[c].high) && ranges[c].low <= ranges[c].high,
              "Quantizer::params: the interval of channel ", c, " is [", ranges[c].low, ", ", ranges[c].high,
              "]; give finite limits in order");
      if constexpr (!symmetric)
        expects(is_finite(ranges[c].high - ranges[c].low), "Quantizer::params: the interval of channel ", c, " is [",
                ranges[c].low, ", ", ranges[c].high,
                "], whose width is no finite number; divide the tensor by a constant");
      grids.set(c, grid(ranges[c]));
    }
    return Params<Real>{std::move(grids)};
  }
  template <RealScalar Real>
  static Params<Real> params(const Interval<Real>& range) {
    return params(Ranges<Real>{range});
  }

  /// Which elements of a tensor share a grid.
  static constexpr Partition partition(const Shape& shape) { return Granularity::partition(shape); }
};

/// What the algorithms ask of a quantizer; every fat::Quantizer is one, a user's own may be.
template <class Q>
concept AffineQuantizer = std::semiregular<Q> && CodeScalar<typename Q::code_type> &&
    RoundingPolicy<typename Q::rounding> && Policy<typename Q::scaling> &&
    requires(const Q q, const Shape& shape, const Interval<float>& range) {
  { q.partition(shape) } -> std::same_as<Partition>;
  { q.grid(range) } -> std::same_as<Grid<float>>;
};

namespace detail {

template <class... Ps>
struct ComposeQuantizer {
  using D = QuantizerDefaults;
  template <class P>
  static constexpr bool known =
      Fills<P, SchemeSlot> || Fills<P, GranularitySlot> || Fills<P, SignednessSlot> || Fills<P, BitsSlot> ||
      Fills<P, RoundingSlot> || Fills<P, CodeRangeSlot> || Fills<P, ScalingSlot>;
  static_assert(
      (known<Ps> && ...),
      "fat::Quantizer: an argument is not a quantizer policy; choose among Symmetric, Asymmetric, Scalar, "
      "PerChannel<Axis>, Signed, Unsigned, Bits<N>, HalfToEven, HalfAwayFromZero, HalfUp, NarrowRange, FullRange, "
      "MultiplyReciprocal, Divide, or give your own policy a slot");
  static_assert(count_of<SchemeSlot, Ps...> <= 1, "fat::Quantizer: two schemes; give Symmetric or Asymmetric, once");
  static_assert(count_of<GranularitySlot, Ps...> <= 1,
                "fat::Quantizer: two granularities; give Scalar or PerChannel<Axis>, once");
  static_assert(count_of<SignednessSlot, Ps...> <= 1,
                "fat::Quantizer: two kinds of sign; give Signed or Unsigned, once");
  static_assert(count_of<BitsSlot, Ps...> <= 1, "fat::Quantizer: two numbers of bits; give Bits<N> once");
  static_assert(count_of<RoundingSlot, Ps...> <= 1, "fat::Quantizer: two roundings; give one");
  static_assert(count_of<CodeRangeSlot, Ps...> <= 1,
                "fat::Quantizer: two code ranges; give NarrowRange or FullRange, once");
  static_assert(count_of<ScalingSlot, Ps...> <= 1,
                "fat::Quantizer: two scalings; give MultiplyReciprocal or Divide, once");

  using scheme = select_t<SchemeSlot, D::scheme, Ps...>;
  using signedness = select_t<SignednessSlot, D::signedness, Ps...>;
  static constexpr bool has_narrow = std::is_same_v<scheme, Symmetric> && std::is_same_v<signedness, Signed>;
  using code_range = select_t<CodeRangeSlot, std::conditional_t<has_narrow, NarrowRange, FullRange>, Ps...>;
  static_assert(
      has_narrow || !std::is_same_v<code_range, NarrowRange>,
      "fat::Quantizer: NarrowRange contradicts the other policies; only Symmetric Signed codes have a narrow range");

  using type = BasicQuantizer<scheme, select_t<GranularitySlot, D::granularity, Ps...>, signedness,
                              select_t<BitsSlot, D::bits, Ps...>, select_t<RoundingSlot, D::rounding, Ps...>,
                              code_range, select_t<ScalingSlot, D::scaling, Ps...>>;
};

}  // namespace detail

/// A quantizer by its policies, in any order; what is not named is Symmetric, Scalar, Signed, Bits<8>, HalfToEven,
/// MultiplyReciprocal, and NarrowRange where there is a choice.
///   using Int4 = fat::Quantizer<fat::Signed, fat::Symmetric, fat::Bits<4>, fat::HalfAwayFromZero>;
template <class... Policies>
using Quantizer = typename detail::ComposeQuantizer<Policies...>::type;

}  // namespace fat::inline FAT_ABI

#endif
