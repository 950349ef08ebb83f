// Your own network and your own optimizer in the training loop: nothing here knows fat::Model.
// Two dense layers with thresholds of your own kind (one step for each weight matrix) are trained to give the outputs
// of the float network again: integers of 4 bits for the weights, no labels.
#include <fat/core/span_tensor.hpp>
#include <fat/gradient/adjustable_threshold.hpp>
#include <fat/observe/min_max.hpp>
#include <fat/observe/observe.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/minimize.hpp>
#include <fat/train/schedule.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <span>
#include <vector>

namespace {

constexpr std::size_t inputs = 16, hidden = 32, outputs = 4, samples = 256;
using Weights = fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed, fat::Bits<4>>;
using Threshold = fat::AdjustableThreshold<Weights>;
using Matrix = fat::array<float>;

Matrix random_matrix(std::size_t rows, std::size_t columns, unsigned seed) {
  std::mt19937 random{seed};
  std::normal_distribution<float> normal{0.0F, 1.0F / std::sqrt(static_cast<float>(columns))};
  Matrix made{fat::Shape{rows, columns}};
  for (float& v : made) v = normal(random);
  return made;
}

/// y += W x
void multiply(const Matrix& w, const float* x, float* y) {
  for (std::size_t r = 0; r != w.shape(0); ++r)
    for (std::size_t c = 0; c != w.shape(1); ++c) y[r] += w[r * w.shape(1) + c] * x[c];
}

/// y = W2 max(W1 x, 0) with fake-quantized weights. What the loop asks for: parameters, gradients, forward, backward,
/// project (fat::Network).
class TwoLayers {
 public:
  TwoLayers(Matrix x, Matrix w1, Matrix w2) : x_(std::move(x)), w1_(std::move(w1)), w2_(std::move(w2)) {
    quantized(true);
  }

  void quantized(bool on) {
    on_ = on;
    parameters_.assign(hidden + outputs, 1.0F);
    gradients_.assign(parameters_.size(), 0.0F);
  }
  std::span<float> parameters() { return parameters_; }
  std::span<const float> gradients() const { return gradients_; }

  std::span<const float> forward(std::span<const std::size_t> chosen) {
    std::copy_n(parameters_.begin(), hidden, t1_.parameters().begin());
    std::copy_n(parameters_.begin() + hidden, outputs, t2_.parameters().begin());
    q1_ = on_ ? t1_.forward(w1_) : w1_;
    q2_ = on_ ? t2_.forward(w2_) : w2_;
    chosen_.assign(chosen.begin(), chosen.end());
    between_.assign(chosen.size() * hidden, 0.0F);
    made_.assign(chosen.size() * outputs, 0.0F);
    for (std::size_t i = 0; i != chosen.size(); ++i) {
      float* const h = between_.data() + i * hidden;
      multiply(q1_, x_.data() + chosen[i] * inputs, h);
      for (std::size_t k = 0; k != hidden; ++k) h[k] = std::max(h[k], 0.0F);
      multiply(q2_, h, made_.data() + i * outputs);
    }
    return made_;
  }

  void backward(std::span<const float> slopes) {
    Matrix d1{w1_.shape()}, d2{w2_.shape()};
    for (std::size_t i = 0; i != chosen_.size(); ++i) {
      const float* const h = between_.data() + i * hidden;
      for (std::size_t k = 0; k != hidden; ++k) {
        float through = 0.0F;
        for (std::size_t o = 0; o != outputs; ++o) {
          const float g = slopes[i * outputs + o];
          d2[o * hidden + k] += g * h[k];
          through += g * q2_[o * hidden + k];
        }
        for (std::size_t c = 0; h[k] > 0.0F && c != inputs; ++c)
          d1[k * inputs + c] += through * x_[chosen_[i] * inputs + c];
      }
    }
    const auto g1 = t1_.backward(w1_, d1).parameters;
    const auto g2 = t2_.backward(w2_, d2).parameters;
    std::copy(g1.begin(), g1.end(), gradients_.begin());
    std::copy(g2.begin(), g2.end(), gradients_.begin() + hidden);
  }

  void project() {
    for (float& p : parameters_) p = std::clamp(p, 0.5F, 1.0F);
  }

 private:
  Matrix x_, w1_, w2_, q1_, q2_;
  Threshold t1_{fat::observe<fat::MinMax>(Weights{}, w1_)}, t2_{fat::observe<fat::MinMax>(Weights{}, w2_)};
  std::vector<float> parameters_, gradients_, between_, made_;
  std::vector<std::size_t> chosen_;
  bool on_ = true;
};

/// An optimizer of your own (fat::Optimizer): moves by the sign of an averaged gradient.
struct SignDescent {
  float keep = 0.9F;
  struct State {
    std::vector<float> average;
    template <class Visitor>
    void visit(Visitor&& visitor) {  // what a checkpoint holds
      visitor(std::span<float>{average});
    }
  };
  State start(std::span<const float> parameters) const { return {std::vector<float>(parameters.size())}; }
  void step(State& state, std::span<float> parameters, std::span<const float> gradients, double rate) const {
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      float& a = state.average[i];
      a = keep * a + (1.0F - keep) * gradients[i];
      parameters[i] -= static_cast<float>(rate) * static_cast<float>((a > 0.0F) - (a < 0.0F));
    }
  }
};

static_assert(fat::Network<TwoLayers>);
static_assert(fat::Optimizer<SignDescent>);

}  // namespace

int main() {
  TwoLayers network{random_matrix(samples, inputs, 1), random_matrix(hidden, inputs, 2),
                    random_matrix(outputs, hidden, 3)};
  network.quantized(false);
  const auto teacher =
      fat::cache_outputs<float>([&](std::span<const std::size_t> some) { return network.forward(some); }, samples, 32);
  network.quantized(true);
  const fat::TrainingReport report =
      fat::minimize(network, fat::Targets<float>{teacher, outputs}, fat::ElementRmse{}, SignDescent{},
                    fat::CosineRestarts{.rate = 5e-3, .cycle = 140}, fat::MinimizeOptions{.epochs = 20, .batch = 32});
  std::printf("RMSE on held-out samples: %.4f before, %.4f after %zu steps\n", report.validations.front(),
              report.best_validation, report.best_step);
  return report.best_validation < report.validations.front() ? 0 : 1;
}
