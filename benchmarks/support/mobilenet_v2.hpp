// MobileNetV2 1.0 at 224 x 224 with random weights: the network that speed is measured on, on any machine.
#ifndef FAT_BENCHMARKS_SUPPORT_MOBILENET_V2_HPP_INCLUDED
#define FAT_BENCHMARKS_SUPPORT_MOBILENET_V2_HPP_INCLUDED

#include <fat/model/model.hpp>

#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace benchmarks {

/// Layers in the order of the paper (Sandler et al. 2018, table 2), batch normalization folded, He-initialised.
class MobileNetV2 {
 public:
  MobileNetV2() {
    model_.name = "mobilenet_v2";
    model_.input = model_.add_value("input", {224, 224, 3});
    struct Stage {
      std::size_t expansion, channels, count, stride;
    };
    fat::ValueId x = convolution(model_.input, 32, 3, 2, true);
    for (const Stage& stage : {Stage{1, 16, 1, 1},
                               {6, 24, 2, 2},
                               {6, 32, 3, 2},
                               {6, 64, 4, 2},
                               {6, 96, 3, 1},
                               {6, 160, 3, 2},
                               {6, 320, 1, 1}})
      for (std::size_t block = 0; block != stage.count; ++block)
        x = bottleneck(x, stage.expansion, stage.channels, block == 0 ? stage.stride : 1);
    x = convolution(x, 1280, 1, 1, true);
    x = add(fat::GlobalAveragePool{}, {x}, {1, 1, 1280, true});
    fat::Dense dense;
    dense.kernel = weights({1000, 1280}, 1280, 1.0);
    dense.offset = bias(1000);
    model_.output = add(dense, {x}, {1, 1, 1000, true});
  }
  const fat::Model& model() const { return model_; }

 private:
  fat::ValueId bottleneck(fat::ValueId x, std::size_t expansion, std::size_t channels, std::size_t stride) {
    const fat::Extent in = model_.extent(x);
    fat::ValueId y = expansion == 1 ? x : convolution(x, in.channels * expansion, 1, 1, true);
    y = depthwise(y, stride);
    y = convolution(y, channels, 1, 1, false);
    return stride == 1 && in.channels == channels ? add(fat::Add{}, {x, y}, in) : y;
  }
  static fat::Window window(std::size_t kernel, std::size_t stride) {
    const std::size_t edge = kernel / 2;
    return {{kernel, kernel}, {stride, stride}, {1, 1}, {edge, edge, edge, edge}};
  }
  fat::ValueId convolution(fat::ValueId x, std::size_t channels, std::size_t kernel, std::size_t stride, bool clamped) {
    const fat::Extent in = model_.extent(x);
    fat::Convolution op;
    op.window = window(kernel, stride);
    if (clamped) op.clamp = fat::relu6;
    op.kernel = weights({channels, kernel, kernel, in.channels}, kernel * kernel * in.channels, clamped ? 2.0 : 1.0);
    op.offset = bias(channels);
    return add(op, {x}, {(in.height - 1) / stride + 1, (in.width - 1) / stride + 1, channels});
  }
  fat::ValueId depthwise(fat::ValueId x, std::size_t stride) {
    const fat::Extent in = model_.extent(x);
    fat::DepthwiseConvolution op;
    op.window = window(3, stride);
    op.clamp = fat::relu6;
    op.kernel = weights({1, 3, 3, in.channels}, 9, 2.0);
    op.offset = bias(in.channels);
    return add(op, {x}, {(in.height - 1) / stride + 1, (in.width - 1) / stride + 1, in.channels});
  }
  fat::ValueId add(fat::Operator op, std::vector<fat::ValueId> inputs, const fat::Extent& extent) {
    const std::string name = "layer" + std::to_string(model_.nodes.size());
    const fat::ValueId output = model_.add_value(name, extent);
    model_.nodes.push_back({name, std::move(op), std::move(inputs), output});
    return output;
  }
  fat::array<float> weights(const fat::Shape& shape, std::size_t fan_in, double gain) {
    std::normal_distribution<float> normal{0.0F, static_cast<float>(std::sqrt(gain / static_cast<double>(fan_in)))};
    fat::array<float> w{shape};
    for (float& each : w) each = normal(random_);
    return w;
  }
  fat::array<float> bias(std::size_t channels) {
    std::normal_distribution<float> normal{0.0F, 0.2F};
    fat::array<float> b{fat::Shape{channels}};
    for (float& each : b) each = normal(random_);
    return b;
  }

  std::mt19937 random_{1};
  fat::Model model_;
};

inline const fat::Model& mobilenet_v2() {
  static const MobileNetV2 network;
  return network.model();
}

/// Images of uniform noise in [-1, 1], an ImageSource of `count` images.
class NoiseImages {
 public:
  explicit NoiseImages(std::size_t count) : pixels_(count * image) {
    std::mt19937 random{2};
    std::uniform_real_distribution<float> uniform{-1.0F, 1.0F};
    for (float& pixel : pixels_) pixel = uniform(random);
  }
  std::size_t size() const { return pixels_.size() / image; }
  void load(std::size_t index, std::span<float> nhwc) const {
    for (std::size_t i = 0; i != nhwc.size(); ++i) nhwc[i] = pixels_[index * image + i];
  }
  std::span<const float> pixels() const { return pixels_; }

 private:
  static constexpr std::size_t image = std::size_t{224} * 224 * 3;
  std::vector<float> pixels_;
};

}  // namespace benchmarks

#endif
