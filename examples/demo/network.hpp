// The demo's network: a small MobileNet v2 for the drawn pictures, with its trained weights inside the program.
#ifndef FAT_EXAMPLES_DEMO_NETWORK_HPP_INCLUDED
#define FAT_EXAMPLES_DEMO_NETWORK_HPP_INCLUDED

#include "pictures.hpp"

#include <fat/model/model.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace demo {

/// Builds the graph layer by layer. Every convolution is followed by batch normalization, as training needs it.
class NetworkBuilder {
 public:
  explicit NetworkBuilder(const fat::Extent& input) {
    model_.name = "demo";
    last_ = model_.input = model_.add_value("input", input);
  }

  NetworkBuilder& convolution(const std::string& name, std::size_t channels, std::size_t kernel, std::size_t stride) {
    fat::Convolution layer;
    layer.window = window(kernel, stride);
    layer.kernel = fat::array<float>({channels, kernel, kernel, last().channels});
    layer.offset = fat::array<float>({channels});
    return append(name, strided(channels, stride), std::move(layer)).batch_normalization(name + "/norm");
  }
  NetworkBuilder& depthwise(const std::string& name, std::size_t stride) {
    const std::size_t channels = last().channels;
    fat::DepthwiseConvolution layer;
    layer.window = window(3, stride);
    layer.kernel = fat::array<float>({1, 3, 3, channels});
    layer.offset = fat::array<float>({channels});
    return append(name, strided(channels, stride), std::move(layer)).batch_normalization(name + "/norm");
  }
  NetworkBuilder& relu6(const std::string& name) { return append(name, last(), fat::ClampLayer{fat::relu6}); }

  /// Inverted residual: expand by 1x1, depthwise 3x3, project by 1x1, and add the input where the shapes agree.
  NetworkBuilder& block(const std::string& name, std::size_t expanded, std::size_t channels, std::size_t stride) {
    const fat::ValueId input = last_;
    if (expanded != last().channels) convolution(name + "/expand", expanded, 1, 1).relu6(name + "/expand/relu6");
    depthwise(name + "/depthwise", stride).relu6(name + "/depthwise/relu6");
    convolution(name + "/project", channels, 1, 1);
    if (model_.extent(input) == last()) {
      append(name + "/add", last(), fat::Add{});
      model_.nodes.back().inputs = {input, model_.nodes.back().inputs.front()};
    }
    return *this;
  }
  NetworkBuilder& classifier(const std::string& name, std::size_t classes) {
    append(name + "/pool", {1, 1, last().channels, true}, fat::GlobalAveragePool{});
    fat::Dense layer;
    layer.kernel = fat::array<float>({classes, last().channels});
    layer.offset = fat::array<float>({classes});
    return append(name, {1, 1, classes, true}, std::move(layer));
  }
  fat::Model finish() {
    model_.output = last_;
    return std::move(model_);
  }

 private:
  const fat::Extent& last() const { return model_.extent(last_); }
  static fat::Window window(std::size_t kernel, std::size_t stride) {
    const std::size_t border = kernel / 2;
    return {{kernel, kernel}, {stride, stride}, {1, 1}, {border, border, border, border}};
  }
  fat::Extent strided(std::size_t channels, std::size_t stride) const {
    return {(last().height - 1) / stride + 1, (last().width - 1) / stride + 1, channels};
  }
  NetworkBuilder& batch_normalization(const std::string& name) {
    const fat::Shape shape{last().channels};
    fat::BatchNormalization layer;
    layer.scale = layer.spread = fat::array<float>(shape, 1.0F);
    layer.shift = layer.center = fat::array<float>(shape);
    return append(name, last(), std::move(layer));
  }
  NetworkBuilder& append(const std::string& name, const fat::Extent& extent, fat::Operator op) {
    const fat::ValueId output = model_.add_value(name, extent);
    model_.nodes.push_back({name, std::move(op), {last_}, output});
    last_ = output;
    return *this;
  }

  fat::Model model_;
  fat::ValueId last_ = 0;
};

/// The graph with all weights zero and batch normalization that changes nothing.
inline fat::Model untrained_network() {
  fat::Model model = NetworkBuilder({picture_side, picture_side, 3})
                         .convolution("stem", 24, 3, 2)
                         .relu6("stem/relu6")
                         .block("block1", 24, 16, 1)
                         .block("block2", 64, 24, 2)
                         .block("block3", 96, 24, 1)
                         .block("block4", 96, 40, 2)
                         .block("block5", 160, 40, 1)
                         .block("block6", 160, 48, 1)
                         .convolution("head", 192, 1, 1)
                         .relu6("head/relu6")
                         .classifier("logits", class_count)
                         .finish();
  model.preprocessing.emplace().resize = picture_side;
  model.preprocessing->crop = picture_side;
  model.class_offset = 0;
  return model;
}

/// Calls visitor(array) for every trained array in a fixed order. Convolutions have none but their kernels: the batch
/// normalization behind them holds the bias.
template <class Network, class Visitor>
void for_each_trained_array(Network& model, Visitor&& visitor) {
  for (auto& node : model.nodes) {
    if (auto* convolution = std::get_if<fat::Convolution>(&node.op)) visitor(convolution->kernel);
    if (auto* depthwise = std::get_if<fat::DepthwiseConvolution>(&node.op)) visitor(depthwise->kernel);
    if (auto* dense = std::get_if<fat::Dense>(&node.op)) {
      visitor(dense->kernel);
      visitor(dense->offset);
    }
    if (auto* norm = std::get_if<fat::BatchNormalization>(&node.op)) {
      visitor(norm->scale);
      visitor(norm->shift);
      visitor(norm->center);
      visitor(norm->spread);
    }
  }
}

/// A float as four printable characters: its upper 24 bits, six at a time ('0' and the 63 characters after it, the
/// backslash replaced by '~'). Relative error at most 2^-16.
struct PackedFloat {
  static constexpr std::size_t width = 4;
  static std::string pack(float value) {
    const std::uint32_t bits = (std::bit_cast<std::uint32_t>(value) + 0x80U) >> 8U;
    std::string text;
    for (const unsigned shift : {18U, 12U, 6U, 0U}) {
      const auto character = static_cast<char>('0' + ((bits >> shift) & 63U));
      text.push_back(character == '\\' ? '~' : character);
    }
    return text;
  }
  static float unpack(std::string_view text) {
    std::uint32_t bits = 0;
    for (const char character : text)
      bits = bits << 6U | static_cast<std::uint32_t>((character == '~' ? '\\' : character) - '0');
    return std::bit_cast<float>(bits << 8U);
  }
};

/// Lines of packed floats, written by the program train_demo.
inline constexpr std::string_view trained_weights[] = {
#include "weights.inc"
};

/// The trained network: 48x48 RGB in, 16 logits out, about 62 000 weights, 4.3 million multiply-adds.
inline fat::Model demo_model() {
  fat::Model model = untrained_network();
  std::size_t line = 0;
  std::size_t column = 0;
  for_each_trained_array(model, [&](fat::array<float>& values) {
    for (float& value : values) {
      fat::expects(line != std::size(trained_weights), "demo: weights.inc ends early; run train_demo to write it anew");
      value = PackedFloat::unpack(trained_weights[line].substr(column, PackedFloat::width));
      column += PackedFloat::width;
      if (column >= trained_weights[line].size()) {
        ++line;
        column = 0;
      }
    }
  });
  fat::expects(line == std::size(trained_weights),
               "demo: weights.inc holds more than the network needs; run train_demo");
  return model;
}

/// A picture as the network's input.
inline void to_input(const Picture& picture, float* input) {
  for (std::size_t i = 0; i != picture_bytes; ++i) input[i] = static_cast<float>(picture[i]) * (1.0F / 127.5F) - 1.0F;
}

}  // namespace demo

#endif
