// rescale_channels: multiplies the channels between two layers by positive factors without changing what the pair computes.
#ifndef FAT_TRANSFORM_RESCALE_CHANNELS_HPP_INCLUDED
#define FAT_TRANSFORM_RESCALE_CHANNELS_HPP_INCLUDED

#include <fat/transform/affine_layer.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <span>
#include <type_traits>

namespace fat::inline FAT_ABI {

/// What stands between two layers. Identity and ReLU commute with every positive factor; activations with a bound only
/// where no value is cut.
struct Identity {
  static constexpr bool bounded = false;
};
struct ReLU {
  static constexpr bool bounded = false;
};
struct ReLU6 {
  static constexpr bool bounded = true;
  static constexpr double bound = 6.0;
};
/// min(max(x, 0), bound).
struct BoundedReLU {
  static constexpr bool bounded = true;
  double bound = 6.0;
};

/// An activation that rescaling can pass: f(s x) = s f(x) for every s > 0, and, where it is `bounded`, as long as neither
/// side exceeds `bound`. A leaky ReLU of your own is `struct LeakyReLU { static constexpr bool bounded = false; };`.
template <class A>
concept ScalableActivation = std::same_as < std::remove_cv_t<decltype(A::bounded)>,
bool > &&(!A::bounded || requires(const A& activation) {
  { activation.bound } -> std::convertible_to<double>;
});

/// Lowers factors above 1 under which a bias would outgrow the scaled weights of the whole layer more than it did: the
/// step of the weights would have to grow until the bias fits 32 bits. Only channels whose weights are next to nothing
/// beside their bias are concerned, those that are always or never cut. thresholds: those of the first layer's outputs.
template <AffineLayer First>
void limit_by_biases(First& first, std::span<const double> thresholds, std::span<double> factors) {
  // Bias codes of 1024 * 127 * 255 / (range of the inputs) fit 32 bits where that range is 1/64 or more.
  constexpr double room = 1024.0;
  double most = 0.0;
  for (std::size_t k = 0; k != factors.size(); ++k) most = std::max(most, room * thresholds[k] * factors[k]);
  auto&& bias = first.bias();
  const auto begin = traits_of<decltype(bias)>::begin(bias);
  auto at = begin;
  for (std::size_t k = 0; k != factors.size(); ++k, ++at) most = std::max(most, std::abs(static_cast<double>(*at)));
  at = begin;
  for (std::size_t k = 0; k != factors.size(); ++k, ++at) {
    const double magnitude = std::abs(static_cast<double>(*at));
    if (factors[k] > 1.0 && magnitude * factors[k] > most) factors[k] = std::max(1.0, most / magnitude);
  }
}

/// w_first[k] *= s[k]; b_first[k] *= s[k]; w_second[:, k] /= s[k]: the pair computes the same for Identity and ReLU,
/// and for bounded ones where neither the value nor the scaled value exceeds the bound.
/// Errors, before anything is changed: layers whose channels do not match, weights or biases that are not finite, a factor
/// that is not positive and finite or under which a weight or a bias overflows or becomes 0.
template <AffineLayer First, AffineLayer Second>
void rescale_channels(First& first, Second& second, std::span<const double> factors) {
  const std::size_t channels = connections(first).outputs();
  const std::size_t inputs = connections(second).inputs();
  expects(channels == inputs, "rescale_channels: the first layer has ", channels, " output channels, the second ",
          inputs, " input channels; they must follow each other");
  expects(factors.size() == channels, "rescale_channels: ", factors.size(), " factors for ", channels, " channels");
  for (std::size_t k = 0; k != channels; ++k)
    expects(factors[k] > 0.0 && factors[k] <= 1e300, "rescale_channels: the factor of channel ", k, " is ", factors[k],
            "; factors are positive and finite");
  const auto fits = [&]<class Real>(const Real& value, double factor, std::size_t k) {
    using Range = std::numeric_limits<Real>;
    const double scaled = std::abs(static_cast<double>(value) * factor);
    expects(std::isfinite(value), "rescale_channels: a weight or bias of channel ", k, " is ", value);
    expects(scaled <= static_cast<double>(Range::max()), "rescale_channels: the factor of channel ", k, " is ",
            factors[k], ", with which ", value, " overflows");
    expects(std::abs(value) < Range::min() || scaled >= static_cast<double>(Range::denorm_min()),
            "rescale_channels: the factor of channel ", k, " is ", factors[k], ", with which ", value, " becomes 0");
  };
  for_each_weight(first, [&](auto& weight, std::size_t output, std::size_t) { fits(weight, factors[output], output); });
  for_each_weight(second,
                  [&](auto& weight, std::size_t, std::size_t input) { fits(weight, 1.0 / factors[input], input); });
  auto&& bias = first.bias();
  auto at = traits_of<decltype(bias)>::begin(bias);
  for (std::size_t k = 0; k != channels; ++k, ++at) fits(*at, factors[k], k);
  auto scale = [&](auto& value, double factor) {
    value = static_cast<std::remove_cvref_t<decltype(value)>>(static_cast<double>(value) * factor);
  };
  for_each_weight(first, [&](auto& weight, std::size_t output, std::size_t) { scale(weight, factors[output]); });
  at = traits_of<decltype(bias)>::begin(bias);
  for (std::size_t k = 0; k != channels; ++k, ++at) scale(*at, factors[k]);
  for_each_weight(second, [&](auto& weight, std::size_t, std::size_t input) {
    weight = static_cast<std::remove_cvref_t<decltype(weight)>>(static_cast<double>(weight) / factors[input]);
  });
}

}  // namespace fat::inline FAT_ABI

#endif
