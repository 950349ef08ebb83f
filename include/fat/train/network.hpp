// Network: what the training loop asks of a network, whether it is ours, a Model's student or a user's own.
#ifndef FAT_TRAIN_NETWORK_HPP_INCLUDED
#define FAT_TRAIN_NETWORK_HPP_INCLUDED

#include <fat/config.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace fat::inline FAT_ABI {

/// A run of parameters [first, first + count) that moves at `rate` times the schedule's rate, with its own optimizer
/// state.
struct ParameterGroup {
  std::size_t first = 0;
  std::size_t count = 0;
  double rate = 1.0;
  bool operator==(const ParameterGroup&) const = default;
};

/// How the loop reaches a network. The default calls the members of the same names; specialise it for a type that is
/// not yours. `groups` is optional: without it all parameters form one group of rate 1.
template <class N>
struct network_traits {
  template <class M>
  static auto parameters(M& network) -> decltype(network.parameters()) {
    return network.parameters();
  }
  template <class M>
  static auto gradients(M& network) -> decltype(network.gradients()) {
    return network.gradients();
  }
  template <class M, class Samples>
  static auto forward(M& network, Samples samples) -> decltype(network.forward(samples)) {
    return network.forward(samples);
  }
  template <class M, class Gradients>
  static auto backward(M& network, Gradients outputs) -> decltype(network.backward(outputs)) {
    return network.backward(outputs);
  }
  template <class M>
  static auto project(M& network) -> decltype(network.project()) {
    return network.project();
  }
  template <class M>
  static auto groups(M& network) -> decltype(network.groups()) {
    return network.groups();
  }
};

/// float or double: the element type of the network's parameters, whatever a span can be made of (a vector, a span).
template <class N>
using network_real_t = typename decltype(std::span{network_traits<N>::parameters(std::declval<N&>())})::element_type;

/// What a network's parameters are made of: reals that may be written, so not those of a span<const float>.
template <class Real>
concept TrainableReal = std::floating_point<Real> && !std::is_const_v<Real>;

/// A trainable network over a set of samples that it, or what it refers to, holds. Samples are addressed by number, so
/// that a teacher's outputs are computed once and looked up afterwards.
///   parameters()      the trained values, float or double, to be written to; the same memory for the network's life
///   gradients()       as many: dL/dparameter of the last backward; valid until the next backward
///   forward(samples)  outputs of these samples before softmax, [samples.size(), outputs] row-major; valid until the
///                     next forward
///   backward(dy)      given dL/d(outputs of the last forward), overwrites gradients()
///   project()         moves the parameters back into their bounds; called after every optimizer step
template <class N>
concept Network = TrainableReal<network_real_t<N>> &&
    requires(N& network, std::span<const std::size_t> samples, std::span<const network_real_t<N>> output_gradients) {
  { network_traits<N>::parameters(network) } -> std::convertible_to<std::span<network_real_t<N>>>;
  { network_traits<N>::gradients(network) } -> std::convertible_to<std::span<const network_real_t<N>>>;
  { network_traits<N>::forward(network, samples) } -> std::convertible_to<std::span<const network_real_t<N>>>;
  network_traits<N>::backward(network, output_gradients);
  network_traits<N>::project(network);
};

/// A Network that says how its parameters are grouped; the groups do not overlap.
template <class N>
concept GroupedNetwork = Network<N> && requires(N& network) {
  { network_traits<N>::groups(network) } -> std::convertible_to<std::span<const ParameterGroup>>;
};

}  // namespace fat::inline FAT_ABI

#endif
