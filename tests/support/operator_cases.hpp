// Every operator of a Model in small networks of one node, and numbers to put through them: what gradients are tested on.
#ifndef FAT_TESTS_SUPPORT_OPERATOR_CASES_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_OPERATOR_CASES_HPP_INCLUDED

#include <fat/model/layer_gradient.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace fat::test {

using Values = fat::aligned_vector<float>;

/// One node between values of the given extents.
struct OperatorCase {
  fat::Model model;
  fat::Node& node() { return model.nodes[0]; }
};
using OperatorCases = std::vector<OperatorCase>;

inline OperatorCase operator_case(fat::Operator op, const std::vector<fat::Extent>& inputs,
                                  const fat::Extent& declared = {}) {
  OperatorCase made;
  std::vector<fat::ValueId> ids;
  for (const fat::Extent& each : inputs) ids.push_back(made.model.add_value("x" + std::to_string(ids.size()), each));
  fat::Node node{"node", std::move(op), ids, 0};
  node.output = made.model.add_value("y", fat::infer_extent(node, inputs, declared));
  made.model.output = node.output;
  made.model.nodes.push_back(std::move(node));
  return made;
}

/// Different numbers from -3 to 7, no two nearer than 0.01 and none that near a kink of a clamp or of a hard swish.
inline Values spread(std::size_t count, std::uint32_t seed) {
  Values values(count);
  const float step = 10.0F / static_cast<float>(count + 1);
  for (std::size_t i = 0; i != count; ++i) values[i] = -3.0F + step * (static_cast<float>(i) + 0.5F);
  for (float& v : values)
    for (const float kink : {-3.0F, -0.5F, 0.0F, 3.0F, 6.0F})
      if (std::fabs(v - kink) < 0.01F) v = kink + 0.011F;
  std::shuffle(values.begin(), values.end(), std::mt19937{seed});
  return values;
}
inline Values noise(std::size_t count, std::uint32_t seed) {
  std::mt19937 random{seed};
  std::uniform_real_distribution<float> uniform{-1.0F, 1.0F};
  Values values(count);
  for (float& v : values) v = uniform(random);
  return values;
}
inline fat::array<float> weights(const fat::Shape& shape, std::uint32_t seed) {
  return {shape, noise(shape.elements(), seed)};
}

/// The values that go into a case, one vector for each input.
inline std::vector<Values> inputs_of(OperatorCase& c) {
  std::vector<Values> x;
  for (const fat::ValueId input : c.node().inputs)
    x.push_back(spread(c.model.extent(input).size(), static_cast<std::uint32_t>(7 + input)));
  return x;
}
inline std::vector<const float*> pointers(const std::vector<Values>& values) {
  std::vector<const float*> all;
  for (const Values& each : values) all.push_back(each.data());
  return all;
}
inline Values forward(OperatorCase& c, const std::vector<Values>& x) {
  const fat::FloatLayer layer{c.model, c.node()};
  Values y(c.model.output_extent().size());
  Values scratch(layer.scratch());
  layer.run(pointers(x), y.data(), 0, layer.parts(), scratch.data());
  return y;
}

inline fat::Window window(std::size_t kernel, std::size_t stride = 1, std::size_t dilation = 1,
                          fat::Padding padding = {}) {
  return {{kernel, kernel}, {stride, stride}, {dilation, dilation}, padding};
}
inline fat::Convolution convolution(const fat::Window& w, std::size_t in, std::size_t out, std::size_t groups = 1,
                                    fat::Clamp clamp = {}) {
  return {w, groups, clamp, weights({out, w.kernel.height, w.kernel.width, in / groups}, 5), weights({out}, 6)};
}
inline fat::DepthwiseConvolution depthwise(const fat::Window& w, std::size_t in, std::size_t multiplier = 1,
                                           fat::Clamp clamp = {}) {
  return {w, multiplier, clamp, weights({1, w.kernel.height, w.kernel.width, in * multiplier}, 5),
          weights({in * multiplier}, 6)};
}

inline OperatorCases pointwise_convolution_cases() {
  return {operator_case(convolution(window(1), 5, 7), {{3, 4, 5}}),
          operator_case(convolution(window(1), 16, 34, 1, fat::relu6), {{3, 5, 16}}),
          operator_case(convolution(window(1, 2), 6, 3), {{5, 4, 6}})};
}
inline OperatorCases convolution_cases() {
  return {operator_case(convolution(window(3, 2, 1, {0, 0, 1, 1}), 3, 9, 1, fat::relu6), {{6, 6, 3}}),
          operator_case(convolution(window(3, 1, 2, {2, 1, 1, 2}), 4, 6), {{6, 7, 4}}),
          operator_case(convolution(window(3, 1, 1, {1, 1, 1, 1}), 8, 6, 2), {{4, 5, 8}}),
          operator_case(convolution({{1, 3}, {2, 1}, {1, 1}, {0, 1, 0, 0}}, 2, 3), {{5, 4, 2}}),
          operator_case(convolution(window(3, 2, 2, {2, 2, 2, 2}), 6, 9, 3), {{7, 8, 6}})};
}
inline OperatorCases depthwise_cases() {
  return {operator_case(depthwise(window(3, 1, 1, {1, 1, 1, 1}), 19, 1, fat::relu6), {{6, 7, 19}}),
          operator_case(depthwise(window(3, 2, 1, {0, 0, 1, 1}), 16), {{6, 8, 16}}),
          operator_case(depthwise(window(5, 1, 1, {2, 2, 2, 2}), 9), {{6, 6, 9}}),
          operator_case(depthwise(window(3, 1, 2, {2, 2, 2, 2}), 5), {{6, 6, 5}}),
          operator_case(depthwise({{2, 3}, {1, 2}, {1, 1}, {1, 0, 0, 1}}, 17), {{4, 7, 17}}),
          operator_case(depthwise(window(3, 1, 1, {1, 1, 1, 1}), 4, 2), {{4, 5, 4}}),
          operator_case(depthwise(window(3, 2, 1, {1, 0, 0, 1}), 3, 3, fat::relu), {{6, 5, 3}})};
}
inline OperatorCases dense_cases() {
  return {operator_case(fat::Dense{{}, weights({5, 23}, 5), weights({5}, 6)}, {{1, 1, 23, true}}),
          operator_case(fat::Dense{fat::relu, weights({18, 12}, 5), weights({18}, 6)}, {{2, 2, 3}})};
}
inline OperatorCases sum_and_product_cases() {
  return {
      operator_case(fat::Add{}, {{3, 4, 5}, {3, 4, 5}}), operator_case(fat::Add{fat::relu6}, {{3, 4, 5}, {1, 1, 5}}),
      operator_case(fat::Multiply{}, {{3, 3, 4}, {3, 3, 4}}), operator_case(fat::Multiply{}, {{3, 3, 4}, {1, 1, 4}})};
}
inline OperatorCases pool_cases() {
  OperatorCases cases;
  for (const auto kind : {fat::Pool::Kind::max, fat::Pool::Kind::average})
    for (const bool counted : {false, true}) {
      cases.push_back(operator_case(fat::Pool{kind, window(2, 2), counted}, {{4, 6, 3}}));
      cases.push_back(operator_case(fat::Pool{kind, window(3, 2, 1, {1, 0, 1, 1}), counted}, {{5, 6, 3}}));
    }
  cases.push_back(operator_case(fat::GlobalAveragePool{}, {{3, 4, 5}}));
  return cases;
}
/// What moves values about.
inline OperatorCases placement_cases() {
  return {operator_case(fat::Concat{0}, {{2, 3, 4}, {1, 3, 4}}),
          operator_case(fat::Concat{1}, {{2, 3, 4}, {2, 1, 4}}),
          operator_case(fat::Concat{2}, {{2, 3, 4}, {2, 3, 1}, {2, 3, 2}}),
          operator_case(fat::Pad{{1, 0, 2, 1}, 0.0F}, {{2, 3, 4}}),
          operator_case(fat::Reshape{}, {{2, 3, 4}}, {1, 1, 24, true}),
          operator_case(fat::Reshape{true}, {{2, 3, 4}}, {1, 1, 24, true}),
          operator_case(fat::Reshape{true}, {{2, 3, 4}}, {4, 2, 3})};
}
inline OperatorCases resize_cases() {
  using Coordinates = fat::Resize::Coordinates;
  OperatorCases cases;
  for (const auto kind : {fat::Resize::Kind::nearest, fat::Resize::Kind::bilinear})
    for (const auto lattice : {Coordinates::half_pixel, Coordinates::asymmetric, Coordinates::align_corners,
                               Coordinates::pytorch_half_pixel}) {
      const bool plain = lattice == Coordinates::asymmetric;  // PyTorch's nearest mode
      const auto pixel = plain ? fat::NearestPixel::floor : fat::NearestPixel::round_prefer_floor;
      cases.push_back(operator_case(fat::Resize{kind, lattice, pixel}, {{3, 4, 2}}, {5, 7, 2}));
    }
  return cases;
}
inline OperatorCases activation_cases() {
  return {operator_case(fat::Softmax{}, {{1, 2, 7}}),
          operator_case(fat::ClampLayer{fat::relu6}, {{3, 4, 5}}),
          operator_case(fat::HardSwish{}, {{3, 4, 5}}),
          operator_case(fat::HardSigmoid{0.2F, 0.4F}, {{3, 4, 5}}),
          operator_case(fat::Sigmoid{}, {{3, 4, 5}}),
          operator_case(fat::BatchNormalization{weights({5}, 1), weights({5}, 2), weights({5}, 3),
                                                fat::array<float>{fat::Shape{5}, 0.7F}, 1e-3},
                        {{3, 4, 5}})};
}
/// The layers that tell their own extents, outputs and gradients. Functions that jump are left out: differences step over
/// what gradients leave out.
inline OperatorCases function_cases() {
  using F = fat::Function::Name;
  OperatorCases cases;
  for (const auto& [name, a, b] : std::vector<std::tuple<F, float, float>>{{F::leaky_relu, 0.1F, 0.0F},
                                                                           {F::elu, 0.7F, 0.0F},
                                                                           {F::selu, 1.6F, 1.05F},
                                                                           {F::celu, 0.8F, 0.0F},
                                                                           {F::gelu, 0.0F, 0.0F},
                                                                           {F::gelu_tanh, 0.0F, 0.0F},
                                                                           {F::silu, 0.0F, 0.0F},
                                                                           {F::mish, 0.0F, 0.0F},
                                                                           {F::softplus, 0.0F, 0.0F},
                                                                           {F::softsign, 0.0F, 0.0F},
                                                                           {F::tanh, 0.0F, 0.0F},
                                                                           {F::erf, 0.0F, 0.0F},
                                                                           {F::abs, 0.0F, 0.0F},
                                                                           {F::square, 0.0F, 0.0F},
                                                                           {F::pow, 3.0F, 0.0F},
                                                                           {F::sin, 0.0F, 0.0F},
                                                                           {F::cos, 0.0F, 0.0F}})
    cases.push_back(operator_case(fat::Function{name, a, b}, {{2, 3, 4}}));
  return cases;
}
/// Functions that want their inputs above 0, small, or different.
inline OperatorCases narrow_function_cases() {
  using F = fat::Function::Name;
  OperatorCases cases;
  for (const auto& [name, a] : std::vector<std::pair<F, float>>{
           {F::exp, 0.0F}, {F::log, 0.0F}, {F::sqrt, 0.0F}, {F::reciprocal, 0.0F}, {F::pow, -1.5F}})
    cases.push_back(operator_case(fat::Function{name, a, 0.0F}, {{2, 3, 4}}));
  using B = fat::Binary::Name;
  for (const auto name : {B::divide, B::pow, B::maximum, B::minimum})
    cases.push_back(operator_case(fat::Binary{name}, {{2, 3, 4}, {2, 3, 4}}));
  return cases;
}
inline OperatorCases own_operator_cases() {
  using N = fat::Normalize::Method;
  OperatorCases cases{operator_case(fat::View{{3, 2, 4}, {4, 12, 1}, 0}, {{2, 3, 4}}, {3, 2, 4}),
                      operator_case(fat::View{{2, 3}, {-12, 5}, 13}, {{2, 3, 4}}, {1, 1, 6, true}),
                      operator_case(fat::View{{3, 24}, {0, 1}, 0}, {{2, 3, 4}}, {3, 6, 4}),
                      operator_case(fat::Gather{3, 4, {2, 0, 0, 1}}, {{2, 3, 4}}, {2, 4, 4}),
                      operator_case(fat::PRelu{{0.1F, 0.2F, 0.3F, -0.4F}}, {{2, 3, 4}}),
                      operator_case(fat::Where{}, {{2, 3, 4}, {2, 3, 4}, {2, 3, 4}}),
                      operator_case(fat::MatMul{}, {{2, 3, 4}, {2, 4, 5}}),
                      operator_case(fat::JoinedOutputs{}, {{2, 3, 4}, {1, 1, 5, true}, {1, 2, 2}})};
  for (const auto method : {N::standard, N::rms, N::l2}) {
    cases.push_back(operator_case(fat::Normalize{method, 4, 1, 1e-2F}, {{2, 3, 4}}));
    cases.push_back(operator_case(fat::Normalize{method, 3, 4, 1e-2F}, {{2, 3, 4}}));
  }
  cases.push_back(operator_case(fat::Binary{fat::Binary::Name::subtract}, {{2, 3, 4}, {2, 3, 4}}));
  return cases;
}

inline OperatorCases operator_cases() {
  OperatorCases all;
  for (const OperatorCases& some :
       {pointwise_convolution_cases(), convolution_cases(), depthwise_cases(), dense_cases(), sum_and_product_cases(),
        pool_cases(), placement_cases(), resize_cases(), activation_cases()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}

}  // namespace fat::test

#endif
