// Adam: steps scaled by running moments of the gradient, in the published form or with TensorFlow's epsilon.
#ifndef FAT_TRAIN_ADAM_HPP_INCLUDED
#define FAT_TRAIN_ADAM_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/train/optimizer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace fat::inline FAT_ABI {

/// First and second moments and the number of steps made.
template <class Real>
struct AdamState {
  aligned_vector<Real> first;
  aligned_vector<Real> second;
  std::uint64_t steps = 0;

  template <class Visitor>
  void visit(Visitor&& visitor) {
    visitor(std::span<Real>{first});
    visitor(std::span<Real>{second});
    visitor(std::span<std::uint64_t>{&steps, 1});
  }
};

/// Adam. Where epsilon stands decides how small gradients count:
///   Epsilon::kingma      p -= rate * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)
///   Epsilon::tensorflow  p -= rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)
struct Adam {
  enum class Epsilon { kingma, tensorflow };
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  Epsilon form = Epsilon::kingma;

  /// State of a new run over this many parameters, all zero.
  template <class Parameters>
  auto start(const Parameters& parameters) const {
    using Real = std::remove_cv_t<std::remove_reference_t<decltype(*std::data(parameters))>>;
    AdamState<Real> state;
    state.first.assign(std::size(parameters), Real{0});
    state.second.assign(std::size(parameters), Real{0});
    return state;
  }

  template <class Real>
  void step(AdamState<Real>& state, std::span<std::type_identity_t<Real>> parameters,
            std::span<const std::type_identity_t<Real>> gradients, double rate) const {
    expects(parameters.size() == state.first.size() && gradients.size() == state.first.size(), "Adam: started with ",
            state.first.size(), " parameters, stepped with ", parameters.size(), " and ", gradients.size(),
            " gradients");
    const auto t = static_cast<double>(++state.steps);
    const double first_bias = 1.0 - std::pow(beta1, t);
    const double second_root = std::sqrt(1.0 - std::pow(beta2, t));
    const bool kingma = form == Epsilon::kingma;
    // Both forms as p -= size * m / (sqrt(v) * root_scale + epsilon).
    const auto size = static_cast<Real>(kingma ? rate / first_bias : rate * second_root / first_bias);
    const auto root_scale = static_cast<Real>(kingma ? 1.0 / second_root : 1.0);
    const auto keep_first = static_cast<Real>(beta1);
    const auto keep_second = static_cast<Real>(beta2);
    const auto take_first = static_cast<Real>(1.0 - beta1);
    const auto take_second = static_cast<Real>(1.0 - beta2);
    const auto guard = static_cast<Real>(epsilon);
    Real* const p = parameters.data();
    const Real* const g = gradients.data();
    Real* const m = state.first.data();
    Real* const v = state.second.data();
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      m[i] = keep_first * m[i] + take_first * g[i];
      v[i] = keep_second * v[i] + take_second * (g[i] * g[i]);
      p[i] -= size * m[i] / (std::sqrt(v[i]) * root_scale + guard);
    }
  }
};

}  // namespace fat::inline FAT_ABI

#endif
