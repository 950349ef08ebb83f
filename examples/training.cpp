// Trains a network of one's own with the library's loop: any type with parameters, gradients, forward, backward, project.
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/minimize.hpp>

#include <cstdio>
#include <span>
#include <vector>

/// y = a * x + b, over samples x = 0, 0.1, 0.2, ...
class Line {
 public:
  std::span<double> parameters() { return parameters_; }
  std::span<const double> gradients() { return gradients_; }
  std::span<const double> forward(std::span<const std::size_t> samples) {
    inputs_.clear();
    outputs_.clear();
    for (const std::size_t sample : samples) {
      inputs_.push_back(0.1 * static_cast<double>(sample));
      outputs_.push_back(parameters_[0] * inputs_.back() + parameters_[1]);
    }
    return outputs_;
  }
  void backward(std::span<const double> outputs) {
    gradients_ = {0.0, 0.0};
    for (std::size_t i = 0; i != outputs.size(); ++i) {
      gradients_[0] += outputs[i] * inputs_[i];
      gradients_[1] += outputs[i];
    }
  }
  void project() {}

 private:
  std::vector<double> parameters_{0.0, 0.0};
  std::vector<double> gradients_{0.0, 0.0};
  std::vector<double> inputs_;
  std::vector<double> outputs_;
};

int main() {
  std::vector<double> wanted;
  for (int sample = 0; sample != 40; ++sample) wanted.push_back(3.0 * 0.1 * sample - 1.0);
  Line line;
  const fat::CosineRestarts schedule{.rate = 0.2, .cycle = 300};
  const auto report = fat::minimize(line, fat::Targets<double>{wanted, 1}, fat::BatchRmse{}, fat::Adam{}, schedule,
                                    {.epochs = 100, .batch = 8});
  std::printf("y = %.2f x + %.2f, held-out loss %.3f -> %.3f\n", line.parameters()[0], line.parameters()[1],
              report.validations.front(), report.best_validation);
}
