// Trains the demo's network from nothing on drawn pictures and writes its weights: train_demo OUT [steps] [seed] [threads]
#include "demo/network.hpp"

#include <fat/kernel/threads.hpp>
#include <fat/train/adam.hpp>
#include <fat/train/schedule.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numbers>
#include <span>
#include <vector>

#include <cblas.h>

namespace {

using fat::aligned_vector;
using fat::Node;
using fat::ValueId;

constexpr std::size_t shards = 2;  // parts of a batch, each normalized by its own statistics
constexpr std::size_t shard_pictures = 32;
constexpr float statistics_momentum = 0.01F;

/// Where one node's parameters and statistics stand in the flat vectors.
struct Slot {
  std::size_t first = 0;
  std::size_t second = 0;
  std::size_t mean = 0;
  std::size_t variance = 0;
};

/// All parameters and all running statistics, flat.
struct Weights {
  explicit Weights(const fat::Model& model) {
    for (const Node& node : model.nodes) {
      Slot slot;
      if (const auto* convolution = std::get_if<fat::Convolution>(&node.op)) {
        slot.first = take(parameters, convolution->kernel.size());
      } else if (const auto* depthwise = std::get_if<fat::DepthwiseConvolution>(&node.op)) {
        slot.first = take(parameters, depthwise->kernel.size());
      } else if (const auto* dense = std::get_if<fat::Dense>(&node.op)) {
        slot.first = take(parameters, dense->kernel.size());
        slot.second = take(parameters, dense->offset.size());
      } else if (const auto* norm = std::get_if<fat::BatchNormalization>(&node.op)) {
        slot.first = take(parameters, norm->scale.size());
        slot.second = take(parameters, norm->shift.size());
        slot.mean = take(statistics, norm->center.size());
        slot.variance = take(statistics, norm->spread.size());
      }
      slots.push_back(slot);
    }
  }

  /// Kernels uniform with the variance that keeps signals through ReLU, gamma 1, beta 0.
  void initialize(const fat::Model& model, std::uint64_t seed) {
    demo::Random random{seed};
    const auto draw = [&](std::size_t first, const fat::array<float>& kernel, std::size_t fan_in) {
      const float bound = std::sqrt(6.0F / static_cast<float>(fan_in));
      for (std::size_t i = 0; i != kernel.size(); ++i)
        parameters[first + i] = bound * (static_cast<float>(random.bits() >> 40U) * 0x1p-23F - 1.0F);
    };
    for (std::size_t n = 0; n != model.nodes.size(); ++n) {
      const fat::Operator& op = model.nodes[n].op;
      if (const auto* convolution = std::get_if<fat::Convolution>(&op))
        draw(slots[n].first, convolution->kernel, convolution->kernel.size() / convolution->kernel.shape(0));
      if (const auto* depthwise = std::get_if<fat::DepthwiseConvolution>(&op))
        draw(slots[n].first, depthwise->kernel, 9);
      if (const auto* dense = std::get_if<fat::Dense>(&op)) draw(slots[n].first, dense->kernel, dense->kernel.shape(1));
      if (const auto* norm = std::get_if<fat::BatchNormalization>(&op)) {
        std::fill_n(parameters.begin() + static_cast<std::ptrdiff_t>(slots[n].first), norm->scale.size(), 1.0F);
        std::fill_n(statistics.begin() + static_cast<std::ptrdiff_t>(slots[n].variance), norm->spread.size(), 1.0F);
      }
    }
  }

  /// Puts the values into the model.
  void store(fat::Model& model) const {
    for (std::size_t n = 0; n != model.nodes.size(); ++n) {
      const auto copy = [](const aligned_vector<float>& from, std::size_t first, fat::array<float>& to) {
        std::copy_n(from.data() + first, to.size(), to.data());
      };
      fat::Operator& op = model.nodes[n].op;
      if (auto* convolution = std::get_if<fat::Convolution>(&op)) copy(parameters, slots[n].first, convolution->kernel);
      if (auto* depthwise = std::get_if<fat::DepthwiseConvolution>(&op))
        copy(parameters, slots[n].first, depthwise->kernel);
      if (auto* dense = std::get_if<fat::Dense>(&op)) {
        copy(parameters, slots[n].first, dense->kernel);
        copy(parameters, slots[n].second, dense->offset);
      }
      if (auto* norm = std::get_if<fat::BatchNormalization>(&op)) {
        copy(parameters, slots[n].first, norm->scale);
        copy(parameters, slots[n].second, norm->shift);
        copy(statistics, slots[n].mean, norm->center);
        copy(statistics, slots[n].variance, norm->spread);
      }
    }
  }

  std::vector<Slot> slots;
  aligned_vector<float> parameters;
  aligned_vector<float> statistics;

 private:
  static std::size_t take(aligned_vector<float>& flat, std::size_t count) {
    flat.resize(flat.size() + count);
    return flat.size() - count;
  }
};

/// Forward and backward pass of one part of a batch; gradients add up where a value has several readers.
class Shard {
 public:
  Shard(const fat::Model& model, const Weights& weights) : model_(model), weights_(weights) {
    for (const fat::Value& value : model.values) {
      values_.emplace_back(shard_pictures * value.extent.size());
      slopes_.emplace_back(shard_pictures * value.extent.size());
    }
    gradient.resize(weights.parameters.size());
    statistics.resize(weights.statistics.size());
    labels_.resize(shard_pictures);
  }

  /// Draws pictures first..first + shard_pictures - 1 of a stream.
  void draw(std::uint64_t stream, std::uint64_t first, const demo::Style& style = {}) {
    demo::Picture picture{};
    for (std::size_t i = 0; i != shard_pictures; ++i) {
      demo::draw_picture(stream, first + i, picture, style);
      demo::to_input(picture, values_[model_.input].data() + i * demo::picture_bytes);
      labels_[i] = demo::picture_label(first + i);
    }
  }

  /// Normalizes by the part's own statistics when training, else by the running ones.
  void forward(bool training) {
    training_ = training;
    for (std::size_t n = 0; n != model_.nodes.size(); ++n)
      std::visit([&](const auto& layer) { forward(layer, model_.nodes[n], weights_.slots[n]); }, model_.nodes[n].op);
  }

  /// Gradient of the mean cross-entropy of the whole batch; returns this part's sum of cross-entropies.
  double backward() {
    for (auto& slope : slopes_) std::fill(slope.begin(), slope.end(), 0.0F);
    std::fill(gradient.begin(), gradient.end(), 0.0F);
    const double loss = cross_entropy();
    for (std::size_t n = model_.nodes.size(); n-- != 0;)
      std::visit([&](const auto& layer) { backward(layer, model_.nodes[n], weights_.slots[n]); }, model_.nodes[n].op);
    return loss;
  }

  std::size_t correct() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i != shard_pictures; ++i) {
      const float* logits = values_[model_.output].data() + i * demo::class_count;
      count += std::max_element(logits, logits + demo::class_count) == logits + labels_[i] ? 1 : 0;
    }
    return count;
  }

  aligned_vector<float> gradient;
  aligned_vector<float> statistics;  // mean and variance of this part, where Slot says

 private:
  std::size_t rows(ValueId value) const {
    return shard_pictures * model_.extent(value).height * model_.extent(value).width;
  }
  float* in(const Node& node, std::size_t which = 0) { return values_[node.inputs[which]].data(); }
  float* out(const Node& node) { return values_[node.output].data(); }
  float* in_slope(const Node& node, std::size_t which = 0) { return slopes_[node.inputs[which]].data(); }
  const float* out_slope(const Node& node) { return slopes_[node.output].data(); }
  const float* parameter(std::size_t at) const { return weights_.parameters.data() + at; }

  double cross_entropy() {
    double loss = 0.0;
    for (std::size_t i = 0; i != shard_pictures; ++i) {
      const float* logits = values_[model_.output].data() + i * demo::class_count;
      float* slope = slopes_[model_.output].data() + i * demo::class_count;
      const float top = *std::max_element(logits, logits + demo::class_count);
      float sum = 0.0F;
      for (std::size_t c = 0; c != demo::class_count; ++c) sum += slope[c] = std::exp(logits[c] - top);
      for (std::size_t c = 0; c != demo::class_count; ++c)
        slope[c] = (slope[c] / sum - (c == labels_[i] ? 1.0F : 0.0F)) / static_cast<float>(shards * shard_pictures);
      loss += static_cast<double>(std::log(sum) + top - logits[labels_[i]]);
    }
    return loss;
  }

  /// Row-major C[m, n] = A[m, k] * B[k, n] + keep * C, either factor transposed on request.
  static void multiply(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const float* a,
                       const float* b, float keep, float* c) {
    const auto size = [](std::size_t extent) { return static_cast<blasint>(extent); };
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                size(m), size(n), size(k), 1.0F, a, size(transpose_a ? m : k), b, size(transpose_b ? k : n), keep, c,
                size(n));
  }

  /// Calls visitor(input row, output row, tap) for every tap inside the image; rows count pixels of the whole batch.
  template <class Visitor>
  void for_each_tap(const fat::Window& window, const Node& node, Visitor&& visitor) const {
    const fat::Extent& from = model_.extent(node.inputs[0]);
    const fat::Extent& to = model_.extent(node.output);
    for (std::size_t row = 0; row != rows(node.output); ++row) {
      const std::size_t image = row / (to.height * to.width);
      const std::size_t y0 = row / to.width % to.height * window.stride.height;
      const std::size_t x0 = row % to.width * window.stride.width;
      for (std::size_t ky = 0; ky != window.kernel.height; ++ky)
        for (std::size_t kx = 0; kx != window.kernel.width; ++kx) {
          const std::size_t y = y0 + ky - window.padding.top;  // wraps around where it is negative
          const std::size_t x = x0 + kx - window.padding.left;
          if (y < from.height && x < from.width)
            visitor((image * from.height + y) * from.width + x, row, ky * window.kernel.width + kx);
        }
    }
  }

  /// The rows that meet the kernel; the input itself for 1x1.
  const float* columns(const fat::Convolution& layer, const Node& node) {
    const std::size_t taps = layer.window.kernel.height * layer.window.kernel.width;
    if (taps == 1) return in(node);
    const std::size_t channels = model_.extent(node.inputs[0]).channels;
    columns_.assign(rows(node.output) * taps * channels, 0.0F);
    for_each_tap(layer.window, node, [&](std::size_t from, std::size_t to, std::size_t tap) {
      std::copy_n(in(node) + from * channels, channels, columns_.data() + (to * taps + tap) * channels);
    });
    return columns_.data();
  }

  void forward(const fat::Convolution& layer, const Node& node, const Slot& slot) {
    const std::size_t channels = layer.kernel.shape(0);
    const std::size_t depth = layer.kernel.size() / channels;
    multiply(false, true, rows(node.output), channels, depth, columns(layer, node), parameter(slot.first), 0.0F,
             out(node));
  }
  void backward(const fat::Convolution& layer, const Node& node, const Slot& slot) {
    const std::size_t channels = layer.kernel.shape(0);
    const std::size_t depth = layer.kernel.size() / channels;
    multiply(true, false, channels, depth, rows(node.output), out_slope(node), columns(layer, node), 0.0F,
             gradient.data() + slot.first);
    if (node.inputs[0] == model_.input) return;
    fat::expects(layer.window.kernel == fat::Pair{1, 1},
                 "train_demo: only the first convolution may be larger than 1x1");
    multiply(false, false, rows(node.output), depth, channels, out_slope(node), parameter(slot.first), 1.0F,
             in_slope(node));
  }

  void forward(const fat::DepthwiseConvolution& layer, const Node& node, const Slot& slot) {
    const std::size_t channels = layer.kernel.shape(3);
    std::fill_n(out(node), rows(node.output) * channels, 0.0F);
    for_each_tap(layer.window, node, [&](std::size_t from, std::size_t to, std::size_t tap) {
      const float* x = in(node) + from * channels;
      const float* w = parameter(slot.first) + tap * channels;
      float* y = out(node) + to * channels;
      for (std::size_t c = 0; c != channels; ++c) y[c] += x[c] * w[c];
    });
  }
  void backward(const fat::DepthwiseConvolution& layer, const Node& node, const Slot& slot) {
    const std::size_t channels = layer.kernel.shape(3);
    for_each_tap(layer.window, node, [&](std::size_t from, std::size_t to, std::size_t tap) {
      const float* x = in(node) + from * channels;
      const float* w = parameter(slot.first) + tap * channels;
      const float* dy = out_slope(node) + to * channels;
      float* dx = in_slope(node) + from * channels;
      float* dw = gradient.data() + slot.first + tap * channels;
      for (std::size_t c = 0; c != channels; ++c) {
        dx[c] += dy[c] * w[c];
        dw[c] += dy[c] * x[c];
      }
    });
  }

  void forward(const fat::Dense& layer, const Node& node, const Slot& slot) {
    const std::size_t classes = layer.kernel.shape(0);
    for (std::size_t i = 0; i != shard_pictures; ++i)
      std::copy_n(parameter(slot.second), classes, out(node) + i * classes);
    multiply(false, true, shard_pictures, classes, layer.kernel.shape(1), in(node), parameter(slot.first), 1.0F,
             out(node));
  }
  void backward(const fat::Dense& layer, const Node& node, const Slot& slot) {
    const std::size_t classes = layer.kernel.shape(0);
    const std::size_t depth = layer.kernel.shape(1);
    multiply(true, false, classes, depth, shard_pictures, out_slope(node), in(node), 0.0F,
             gradient.data() + slot.first);
    for (std::size_t i = 0; i != shard_pictures * classes; ++i)
      gradient[slot.second + i % classes] += out_slope(node)[i];
    multiply(false, false, shard_pictures, depth, classes, out_slope(node), parameter(slot.first), 1.0F,
             in_slope(node));
  }

  void forward(const fat::BatchNormalization& layer, const Node& node, const Slot& slot) {
    const std::size_t channels = layer.scale.size();
    const std::size_t count = rows(node.output);
    const float* x = in(node);
    float* mean = statistics.data() + slot.mean;
    float* variance = statistics.data() + slot.variance;
    if (training_) {
      std::fill_n(mean, channels, 0.0F);
      std::fill_n(variance, channels, 0.0F);
      for (std::size_t i = 0; i != count; ++i)
        for (std::size_t c = 0; c != channels; ++c) mean[c] += x[i * channels + c];
      for (std::size_t c = 0; c != channels; ++c) mean[c] /= static_cast<float>(count);
      for (std::size_t i = 0; i != count; ++i)
        for (std::size_t c = 0; c != channels; ++c) {
          const float away = x[i * channels + c] - mean[c];
          variance[c] += away * away;
        }
      for (std::size_t c = 0; c != channels; ++c) variance[c] /= static_cast<float>(count);
    } else {
      std::copy_n(weights_.statistics.data() + slot.mean, channels, mean);
      std::copy_n(weights_.statistics.data() + slot.variance, channels, variance);
    }
    factor_.resize(channels);
    for (std::size_t c = 0; c != channels; ++c)
      factor_[c] = parameter(slot.first)[c] * inverse_deviation(layer, variance[c]);
    const float* factor = factor_.data();
    const float* shift = parameter(slot.second);
    float* y = out(node);
    for (std::size_t i = 0; i != count; ++i)
      for (std::size_t c = 0; c != channels; ++c)
        y[i * channels + c] = (x[i * channels + c] - mean[c]) * factor[c] + shift[c];
  }
  void backward(const fat::BatchNormalization& layer, const Node& node, const Slot& slot) {
    const std::size_t channels = layer.scale.size();
    const std::size_t count = rows(node.output);
    const float* x = in(node);
    const float* dy = out_slope(node);
    float* dx = in_slope(node);
    const float* mean = statistics.data() + slot.mean;
    float* dgamma = gradient.data() + slot.first;
    float* dbeta = gradient.data() + slot.second;
    factor_.resize(channels);
    float* inverse = factor_.data();
    for (std::size_t c = 0; c != channels; ++c) inverse[c] = inverse_deviation(layer, statistics[slot.variance + c]);
    for (std::size_t i = 0; i != count; ++i)
      for (std::size_t c = 0; c != channels; ++c) {
        dbeta[c] += dy[i * channels + c];
        dgamma[c] += dy[i * channels + c] * (x[i * channels + c] - mean[c]) * inverse[c];
      }
    const float* gamma = parameter(slot.first);
    const float share = 1.0F / static_cast<float>(count);
    for (std::size_t i = 0; i != count; ++i)
      for (std::size_t c = 0; c != channels; ++c) {
        const float unit = (x[i * channels + c] - mean[c]) * inverse[c];
        dx[i * channels + c] += gamma[c] * inverse[c] * (dy[i * channels + c] - share * (dbeta[c] + unit * dgamma[c]));
      }
  }
  static float inverse_deviation(const fat::BatchNormalization& layer, float variance) {
    return 1.0F / std::sqrt(variance + static_cast<float>(layer.epsilon()));
  }

  void forward(const fat::ClampLayer& layer, const Node& node, const Slot&) {
    const float* x = in(node);
    float* y = out(node);
    for (std::size_t i = 0; i != values_[node.output].size(); ++i)
      y[i] = std::clamp(x[i], layer.clamp.low, layer.clamp.high);
  }
  void backward(const fat::ClampLayer& layer, const Node& node, const Slot&) {
    const float* x = in(node);
    const float* dy = out_slope(node);
    float* dx = in_slope(node);
    for (std::size_t i = 0; i != values_[node.output].size(); ++i)
      dx[i] += x[i] > layer.clamp.low && x[i] < layer.clamp.high ? dy[i] : 0.0F;
  }

  void forward(const fat::Add&, const Node& node, const Slot&) {
    for (std::size_t i = 0; i != values_[node.output].size(); ++i) out(node)[i] = in(node, 0)[i] + in(node, 1)[i];
  }
  void backward(const fat::Add&, const Node& node, const Slot&) {
    for (std::size_t which = 0; which != 2; ++which)
      for (std::size_t i = 0; i != values_[node.output].size(); ++i) in_slope(node, which)[i] += out_slope(node)[i];
  }

  void forward(const fat::GlobalAveragePool&, const Node& node, const Slot&) {
    const std::size_t channels = model_.extent(node.output).channels;
    const std::size_t area = rows(node.inputs[0]) / shard_pictures;
    std::fill_n(out(node), shard_pictures * channels, 0.0F);
    for (std::size_t row = 0; row != rows(node.inputs[0]); ++row)
      for (std::size_t c = 0; c != channels; ++c)
        out(node)[row / area * channels + c] += in(node)[row * channels + c] / static_cast<float>(area);
  }
  void backward(const fat::GlobalAveragePool&, const Node& node, const Slot&) {
    const std::size_t channels = model_.extent(node.output).channels;
    const std::size_t area = rows(node.inputs[0]) / shard_pictures;
    for (std::size_t row = 0; row != rows(node.inputs[0]); ++row)
      for (std::size_t c = 0; c != channels; ++c)
        in_slope(node)[row * channels + c] += out_slope(node)[row / area * channels + c] / static_cast<float>(area);
  }

  /// Operators the demo's network does not have.
  template <class Layer>
  void forward(const Layer&, const Node& node, const Slot&) {
    fat::fail("train_demo: node '", node.name, "' cannot be trained here");
  }
  template <class Layer>
  void backward(const Layer&, const Node& node, const Slot&) {
    fat::fail("train_demo: node '", node.name, "' cannot be trained here");
  }

  const fat::Model& model_;
  const Weights& weights_;
  std::vector<aligned_vector<float>> values_;
  std::vector<aligned_vector<float>> slopes_;
  aligned_vector<float> columns_;
  aligned_vector<float> factor_;
  std::vector<std::size_t> labels_;
  bool training_ = true;
};

/// Writes the text that network.hpp includes, under a temporary name until it is complete.
void write(const std::string& path, const fat::Model& model) {
  constexpr std::size_t line_length = 28 * demo::PackedFloat::width;
  const std::string partial = path + ".partial";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(partial.c_str(), "w"), &std::fclose);
  fat::expects(file != nullptr, "train_demo: cannot create ", partial);
  std::string line;
  const auto flush = [&] {
    for (std::size_t at = 0; (at = line.find("?\?", at)) != line.npos; ++at)
      line.insert(at + 1, 1, '\\');  // no trigraphs
    fat::expects(line.empty() || std::fprintf(file.get(), "\"%s\",\n", line.c_str()) > 0, "train_demo: cannot write ",
                 partial);
    line.clear();
  };
  demo::for_each_trained_array(model, [&](const fat::array<float>& values) {
    for (const float value : values) {
      line += demo::PackedFloat::pack(value);
      if (line.size() == line_length) flush();
    }
  });
  flush();
  fat::expects(std::fflush(file.get()) == 0 && std::rename(partial.c_str(), path.c_str()) == 0,
               "train_demo: cannot write ", path);
}

void train(const std::string& path, std::size_t steps, std::uint64_t seed, std::size_t thread_count) {
  constexpr std::size_t batch = shards * shard_pictures;
  constexpr std::size_t warm_up = 100;
  fat::Model model = demo::untrained_network();
  Weights weights(model);
  weights.initialize(model, seed);
  std::vector<Shard> parts;
  for (std::size_t part = 0; part != shards; ++part) parts.emplace_back(model, weights);
  openblas_set_num_threads(1);
  fat::Threads threads(thread_count);
  const fat::Adam adam;
  const fat::CosineRestarts schedule{.rate = 5e-3, .cycle = steps};
  auto state = adam.start(weights.parameters);
  std::printf("%zu parameters, %zu steps of %zu pictures\n", weights.parameters.size(), steps, batch);

  double loss = 0.0;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<double> losses(shards);
  for (std::size_t step = 0; step != steps; ++step) {
    threads.run(shards, [&](std::size_t part, std::size_t) {
      parts[part].draw(demo::training_stream, step * batch + part * shard_pictures,
                       step < steps / 6 ? demo::easy_style : demo::Style{});
      parts[part].forward(true);
      losses[part] = parts[part].backward();
    });
    for (std::size_t part = 1; part != shards; ++part)
      for (std::size_t i = 0; i != weights.parameters.size(); ++i) parts[0].gradient[i] += parts[part].gradient[i];
    for (const Shard& part : parts)
      for (std::size_t i = 0; i != weights.statistics.size(); ++i)
        weights.statistics[i] += statistics_momentum * (part.statistics[i] - weights.statistics[i]);
    const double warmth = std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(warm_up));
    adam.step(state, weights.parameters, parts[0].gradient, warmth * schedule.at(step).rate);
    for (const double part : losses) loss += part / static_cast<double>(100 * batch);
    if ((step + 1) % 100 != 0) continue;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    std::printf("step %zu  cross-entropy %.4f  %.0f s\n", step + 1, loss, spent.count());
    std::fflush(stdout);
    loss = 0.0;
  }

  constexpr std::size_t test_batches = 64;
  std::size_t correct = 0;
  for (std::size_t i = 0; i != test_batches; ++i) {
    parts[0].draw(demo::evaluation_stream, i * shard_pictures);
    parts[0].forward(false);
    correct += parts[0].correct();
  }
  std::printf("top-1 on %zu other pictures: %.4f\n", test_batches * shard_pictures,
              static_cast<double>(correct) / static_cast<double>(test_batches * shard_pictures));
  weights.store(model);
  write(path, model);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2 || argc > 5) {
    std::fprintf(stderr, "usage: train_demo OUT [steps] [seed] [threads]\n");
    return 2;
  }
  const auto number = [&](int at, unsigned long long otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  train(argv[1], number(2, 2800), number(3, 1), number(4, 2));
  return 0;
} catch (const fat::error& failure) {
  std::fprintf(stderr, "train_demo: %s\n", failure.what());
  return 1;
}
