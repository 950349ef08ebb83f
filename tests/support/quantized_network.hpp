// Small quantized networks with every kind of layer, and whether two quantized models are the same bit for bit.
#ifndef FAT_TESTS_SUPPORT_QUANTIZED_NETWORK_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_QUANTIZED_NETWORK_HPP_INCLUDED

#include <fat/io/quantized_npz.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace fat::test {

/// Uniform in [-1, 1), a different image for every index; an ImageSource.
class NoiseImages {
 public:
  explicit NoiseImages(std::size_t count) : count_(count) {}
  std::size_t size() const noexcept { return count_; }
  void load(std::size_t index, std::span<float> nhwc) const {
    std::mt19937 random{static_cast<std::uint32_t>(index + 1)};
    for (float& value : nhwc) value = static_cast<float>(random() % 65536U) / 32768.0F - 1.0F;
  }

 private:
  std::size_t count_;
};

/// Adds layers one after another, with random weights; names say what they are.
class NetworkBuilder {
 public:
  NetworkBuilder(Extent input, bool channels_first) {
    model.name = "small";
    model.channels_first = channels_first;
    model.input = model.output = model.add_value("image", input);
  }
  ValueId add(const std::string& name, Operator op, std::vector<ValueId> inputs, Extent declared = {}) {
    const ValueId output = model.add_value(name + ".out", declared);
    model.nodes.push_back({name, std::move(op), std::move(inputs), output});
    std::vector<Extent> extents;
    for (const ValueId input : model.nodes.back().inputs) extents.push_back(model.extent(input));
    model.values[output].extent = infer_extent(model.nodes.back(), extents, declared);
    return model.output = output;
  }
  array<float> random(const Shape& shape, float scale) {
    array<float> values{shape};
    for (float& value : values) value = (static_cast<float>(random_() % 65536U) / 32768.0F - 1.0F) * scale;
    return values;
  }
  Convolution convolution(std::size_t out, std::size_t kernel, std::size_t in, const Window& window, const Clamp& clamp,
                          std::size_t groups = 1) {
    const std::size_t depth = in / groups;
    return {window, groups, clamp, random({out, kernel, kernel, depth}, 0.6F), random({out}, 0.3F)};
  }
  Model model;

 private:
  std::mt19937 random_{7};
};

inline Window window_of(std::size_t kernel, std::size_t stride, const Padding& padding, std::size_t dilation = 1) {
  return {{kernel, kernel}, {stride, stride}, {dilation, dilation}, padding};
}

/// A network of 9x7 images with fused clamps, uneven padding, a residual, pools, a joined pair and a dense layer.
inline Model small_network(bool channels_first, bool softmax = true) {
  NetworkBuilder b{{9, 7, 3, false}, channels_first};
  const ValueId stem = b.add("stem", b.convolution(8, 3, 3, window_of(3, 2, {0, 1, 1, 1}), relu6), {b.model.input});
  DepthwiseConvolution depthwise{window_of(3, 1, {1, 1, 1, 1}), 1, relu, b.random({1, 3, 3, 8}, 0.5F),
                                 b.random({8}, 0.2F)};
  const ValueId filtered = b.add("depthwise", depthwise, {stem});
  const ValueId linear = b.add("project", b.convolution(8, 1, 8, window_of(1, 1, {}), {}), {filtered});
  const ValueId sum = b.add("residual", Add{relu}, {stem, linear});
  const ValueId grouped =
      b.add("grouped", b.convolution(4, 3, 8, window_of(3, 1, {2, 2, 2, 2}, 2), {-1.0F, 1.0F}, 2), {sum});
  const ValueId pooled = b.add("pool", Pool{Pool::Kind::max, window_of(2, 1, {}), false}, {sum});
  const ValueId other = b.add("pool2", Pool{Pool::Kind::average, window_of(2, 1, {}), false}, {grouped});
  b.add("join", Concat{2}, {pooled, other});
  const ValueId squeezed = b.add("mean", GlobalAveragePool{}, {b.model.output});
  const ValueId dense = b.add("dense", Dense{{}, b.random({5, 12}, 0.5F), b.random({5}, 0.1F)}, {squeezed});
  if (softmax) b.add("softmax", Softmax{}, {dense});
  return b.model;
}

inline QuantizedModel quantized(const Model& model, const QuantizeOptions& options = {}) {
  return quantize_model(model, NoiseImages{6}, options);
}

/// The first difference of two models, or nothing: graphs, encodings and codes have to be equal to the last bit.
inline std::string difference(const QuantizedModel& a, const QuantizedModel& b) {
  const NpyArrays mine = quantized_to_arrays(a), theirs = quantized_to_arrays(b);
  for (const auto& [key, values] : mine) {
    const auto found = theirs.find(key);
    if (found == theirs.end()) return key + " is missing";
    if (found->second.shape == values.shape && found->second.bytes == values.bytes) continue;
    if (key != "graph") return key + " differs";
    const auto text = [](const NpyArray& array) { return std::string{array.bytes.begin(), array.bytes.end()}; };
    return text(values) + "\n is not \n" + text(found->second);
  }
  return mine.size() == theirs.size() ? "" : "more arrays than expected";
}

/// Codes of the outputs on some noise images, bytes as the engine holds them.
inline std::vector<float> outputs(const QuantizedModel& model, std::size_t images = 4) {
  IntegerModel engine{model};
  const std::size_t in = model.graph.input_extent().size(), out = model.graph.output_extent().size();
  std::vector<float> from(images * in), to(images * out);
  const NoiseImages source{images};
  for (std::size_t i = 0; i != images; ++i) source.load(i + 1000, std::span{from}.subspan(i * in, in));
  engine.run(std::span<const float>{from}, images, std::span{to});
  return to;
}

}  // namespace fat::test

#endif
