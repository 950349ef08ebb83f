// A two-layer network that knows nothing of the library but the shape of its training loop: y = w2 * tanh(w1 * x).
#ifndef FAT_TESTS_SUPPORT_TWO_LAYER_NETWORK_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_TWO_LAYER_NETWORK_HPP_INCLUDED

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace tests {

/// hidden = 3, one input and one output a sample; sample i has x = i / 10 - 2.
template <class Real>
class TwoLayerNetwork {
 public:
  static constexpr std::size_t hidden = 3;

  std::span<Real> parameters() { return parameters_; }
  std::span<const Real> gradients() { return gradients_; }
  std::span<const Real> forward(std::span<const std::size_t> samples) {
    samples_.assign(samples.begin(), samples.end());
    outputs_.clear();
    for (const std::size_t sample : samples) {
      Real y = 0;
      for (std::size_t h = 0; h != hidden; ++h)
        y += parameters_[hidden + h] * std::tanh(parameters_[h] * input(sample));
      outputs_.push_back(y);
    }
    return outputs_;
  }
  void backward(std::span<const Real> outputs) {
    for (Real& g : gradients_) g = 0;
    for (std::size_t i = 0; i != samples_.size(); ++i)
      for (std::size_t h = 0; h != hidden; ++h) {
        const Real x = input(samples_[i]);
        const Real t = std::tanh(parameters_[h] * x);
        gradients_[hidden + h] += outputs[i] * t;
        gradients_[h] += outputs[i] * parameters_[hidden + h] * (1 - t * t) * x;
      }
  }
  void project() {
    for (Real& p : parameters_) p = std::fmin(std::fmax(p, Real(-4)), Real(4));
  }

 private:
  static Real input(std::size_t sample) { return static_cast<Real>(sample) / 10 - 2; }

  std::vector<Real> parameters_{Real(0.5), Real(-0.25), Real(1), Real(0.1), Real(0.2), Real(-0.3)};
  std::vector<Real> gradients_ = std::vector<Real>(2 * hidden);
  std::vector<Real> outputs_;
  std::vector<std::size_t> samples_;
};

}  // namespace tests

#endif
