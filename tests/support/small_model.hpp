// A small network with every kind of quantized layer, and random images for it.
#ifndef FAT_TESTS_SUPPORT_SMALL_MODEL_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_SMALL_MODEL_HPP_INCLUDED

#include <fat/model/extents.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace fat::test {

/// Builds a Model node by node; extents are inferred.
class Builder {
 public:
  explicit Builder(const Extent& input) { model_.input = model_.add_value("input", input); }
  ValueId add(std::string name, Operator op, std::vector<ValueId> inputs, const Extent& declared = {}) {
    Node node{name, std::move(op), std::move(inputs), 0};
    std::vector<Extent> extents;
    for (const ValueId input : node.inputs) extents.push_back(model_.extent(input));
    node.output = model_.add_value(std::move(name), infer_extent(node, extents, declared));
    model_.output = node.output;
    model_.nodes.push_back(std::move(node));
    return model_.output;
  }
  Model take() { return std::move(model_); }

 private:
  Model model_;
};

/// Normal values of deviation `size`.
inline array<float> normal(const Shape& shape, std::mt19937& random, float size) {
  std::normal_distribution<float> distribution{0.0F, size};
  array<float> values{shape};
  for (float& v : values) v = distribution(random);
  return values;
}

/// 12x12x3 images: 3x3 stride 2 and ReLU6 -> depthwise 3x3 and ReLU6 -> 1x1 -> + stem -> max pool -> mean -> dense to
/// 5.
inline Model small_model(std::uint32_t seed = 1) {
  std::mt19937 random{seed};
  Builder b{{12, 12, 3}};
  const Window three{{3, 3}, {2, 2}, {1, 1}, {0, 0, 1, 1}};
  const Window same{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  const ValueId stem =
      b.add("stem", Convolution{three, 1, relu6, normal({8, 3, 3, 3}, random, 0.7F), normal({8}, random, 0.5F)}, {0});
  const ValueId dw =
      b.add("dw", DepthwiseConvolution{same, 1, relu6, normal({1, 3, 3, 8}, random, 0.6F), normal({8}, random, 0.5F)},
            {stem});
  const ValueId pw =
      b.add("pw", Convolution{{}, 1, {}, normal({8, 1, 1, 8}, random, 0.5F), normal({8}, random, 0.3F)}, {dw});
  const ValueId sum = b.add("sum", Add{}, {pw, stem});
  const ValueId pool = b.add("pool", Pool{Pool::Kind::max, {{2, 2}, {2, 2}, {1, 1}, {}}, false}, {sum});
  Extent vector;
  vector.vector = true;
  const ValueId mean = b.add("mean", GlobalAveragePool{}, {pool}, vector);
  b.add("dense", Dense{{}, normal({5, 8}, random, 1.0F), normal({5}, random, 0.1F)}, {mean});
  return b.take();
}

/// Random images of a given extent, an ImageSource.
class RandomImages {
 public:
  RandomImages(const Extent& extent, std::size_t count, std::uint32_t seed = 2)
      : size_(extent.size()), values_(count * size_) {
    std::mt19937 random{seed};
    std::normal_distribution<float> distribution;
    for (float& v : values_) v = distribution(random);
  }
  std::size_t size() const noexcept { return values_.size() / size_; }
  void load(std::size_t index, std::span<float> nhwc) const {
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(index * size_), size_, nhwc.begin());
  }

 private:
  std::size_t size_;
  std::vector<float> values_;
};

}  // namespace fat::test

#endif
