// Observer: watches the values of one channel and says which interval they live in.
#ifndef FAT_OBSERVE_OBSERVER_HPP_INCLUDED
#define FAT_OBSERVE_OBSERVER_HPP_INCLUDED

#include <fat/quantizer/grid.hpp>

#include <concepts>
#include <cstddef>

namespace fat::inline FAT_ABI {

/// `o.observe(x, n)` takes one more run of finite values of a channel (a batch, an image), `o.merge(other)` what
/// another thread has seen, `o.range()` answers. Laws: the range of an observer that saw nothing is [0, 0]; it lies
/// within the extremes of the values seen; merging with a fresh observer changes nothing. Memory does not grow with the
/// data.
template <class O>
concept Observer = std::semiregular<O> && requires(O o, const O other, const float* x, const double* y, std::size_t n) {
  o.observe(x, n);
  o.observe(y, n);
  o.merge(other);
  { other.range() } -> std::convertible_to<Interval<double>>;
};

}  // namespace fat::inline FAT_ABI

#endif
