// Forward declarations, and every default template argument of the public types, once.
#ifndef FAT_FWD_HPP_INCLUDED
#define FAT_FWD_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>

namespace fat::inline FAT_ABI {

class Shape;
struct Partition;
template <class T>
class array;
template <class T>
class span_tensor;
template <class T>
struct tensor_traits;

struct Symmetric;
struct Asymmetric;
struct Scalar;
template <std::size_t Axis>
struct PerChannel;
struct Signed;
struct Unsigned;
template <int N>
struct Bits;
struct HalfToEven;
struct HalfAwayFromZero;
struct HalfUp;
struct NarrowRange;
struct FullRange;
struct MultiplyReciprocal;
struct Divide;

template <class Real>
struct Interval;
template <class Real>
struct Grid;

/// What a Quantizer is where a policy is not named.
struct QuantizerDefaults {
  using scheme = Symmetric;
  using granularity = Scalar;
  using signedness = Signed;
  using bits = Bits<8>;
  using rounding = HalfToEven;
  using scaling = MultiplyReciprocal;
};

template <class Scheme, class Granularity, class Signedness, class Bits, class Rounding, class CodeRange, class Scaling>
struct BasicQuantizer;

class MinMax;
class MovingAverage;
class Percentile;

struct StraightThrough;
struct PaperBounds;
struct Project;
struct ClipOnly;
struct ZeroLeftIfNotNegative;
struct NudgeZeroPoint;

/// What an AdjustableThreshold and a PointwiseScale do where a policy is not named.
struct ThresholdDefaults {
  using bounds = PaperBounds;
  using projection = Project;
  using left_limit = ZeroLeftIfNotNegative;
  using zero_point = NudgeZeroPoint;
  using estimator = StraightThrough;
};

template <class Quantizer, class Real = float, class... Policies>
class AdjustableThreshold;
template <class Real = float, class... Policies>
class PointwiseScale;

}  // namespace fat::inline FAT_ABI

#endif
