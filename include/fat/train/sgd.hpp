// Sgd: gradient descent with momentum.
#ifndef FAT_TRAIN_SGD_HPP_INCLUDED
#define FAT_TRAIN_SGD_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/train/optimizer.hpp>

#include <cstddef>
#include <iterator>

namespace fat::inline FAT_ABI {

/// The running velocity.
template <class Real>
struct SgdState {
  aligned_vector<Real> velocity;

  template <class Visitor>
  void visit(Visitor&& visitor) {
    visitor(std::span<Real>{velocity});
  }
};

/// v = momentum * v + g;  p -= rate * v, or with nesterov p -= rate * (g + momentum * v). Momentum 0 is plain descent.
struct Sgd {
  double momentum = 0.9;
  bool nesterov = false;

  /// State of a new run over this many parameters, all zero.
  template <class Parameters>
  auto start(const Parameters& parameters) const {
    using Real = std::remove_cv_t<std::remove_reference_t<decltype(*std::data(parameters))>>;
    SgdState<Real> state;
    state.velocity.assign(std::size(parameters), Real{0});
    return state;
  }

  template <class Real>
  void step(SgdState<Real>& state, std::span<std::type_identity_t<Real>> parameters,
            std::span<const std::type_identity_t<Real>> gradients, double rate) const {
    expects(parameters.size() == state.velocity.size() && gradients.size() == state.velocity.size(),
            "Sgd: started with ", state.velocity.size(), " parameters, stepped with ", parameters.size(), " and ",
            gradients.size(), " gradients");
    const auto keep = static_cast<Real>(momentum);
    const auto size = static_cast<Real>(rate);
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      const Real g = gradients[i];
      Real& v = state.velocity[i];
      v = keep * v + g;
      parameters[i] -= size * (nesterov ? g + keep * v : v);
    }
  }
};

}  // namespace fat::inline FAT_ABI

#endif
