// Backward of every operator of a Model: finite differences of the forward pass, and fast paths against the references.
#include <fat/gradient/threshold_run.hpp>
#include <fat/model/layer_gradient.hpp>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(law_layer_gradient)

namespace {

using fat::Extent;
using Values = fat::aligned_vector<float>;

/// One node between values of the given extents.
struct Case {
  fat::Model model;
  fat::Node& node() { return model.nodes[0]; }
};

Case make(fat::Operator op, const std::vector<Extent>& inputs, const Extent& declared = {}) {
  Case made;
  std::vector<fat::ValueId> ids;
  for (const Extent& each : inputs) ids.push_back(made.model.add_value("x" + std::to_string(ids.size()), each));
  fat::Node node{"node", std::move(op), ids, 0};
  node.output = made.model.add_value("y", fat::infer_extent(node, inputs, declared));
  made.model.output = node.output;
  made.model.nodes.push_back(std::move(node));
  return made;
}

/// Different numbers from -3 to 7, no two nearer than 0.01 and none that near a kink of a clamp or of a hard swish.
Values spread(std::size_t count, std::uint32_t seed) {
  Values values(count);
  const float step = 10.0F / static_cast<float>(count + 1);
  for (std::size_t i = 0; i != count; ++i) values[i] = -3.0F + step * (static_cast<float>(i) + 0.5F);
  for (float& v : values)
    for (const float kink : {-3.0F, -0.5F, 0.0F, 3.0F, 6.0F})
      if (std::fabs(v - kink) < 0.01F) v = kink + 0.011F;
  std::shuffle(values.begin(), values.end(), std::mt19937{seed});
  return values;
}
Values noise(std::size_t count, std::uint32_t seed) {
  std::mt19937 random{seed};
  std::uniform_real_distribution<float> uniform{-1.0F, 1.0F};
  Values values(count);
  for (float& v : values) v = uniform(random);
  return values;
}
fat::array<float> weights(const fat::Shape& shape, std::uint32_t seed) {
  return {shape, noise(shape.elements(), seed)};
}

std::vector<const float*> pointers(const std::vector<Values>& values) {
  std::vector<const float*> all;
  for (const Values& each : values) all.push_back(each.data());
  return all;
}

Values forward(Case& c, const std::vector<Values>& x) {
  const fat::FloatLayer layer{c.model, c.node()};
  Values y(c.model.output_extent().size());
  Values scratch(layer.scratch());
  layer.run(pointers(x), y.data(), 0, layer.parts(), scratch.data());
  return y;
}

/// Loss: the outputs' sum, each times a weight of its own.
double loss(Case& c, const std::vector<Values>& x, const Values& dy) {
  const Values y = forward(c, x);
  double sum = 0.0;
  for (std::size_t i = 0; i != y.size(); ++i) sum += static_cast<double>(y[i]) * static_cast<double>(dy[i]);
  return sum;
}

/// Central difference of f along a number that is moved by 1/256 to both sides.
double difference(float& at, const std::function<double()>& f) {
  const float before = at;
  constexpr float step = 1.0F / 256.0F;
  at = before + step;
  const double above = f();
  at = before - step;
  const double below = f();
  at = before;
  return (above - below) / (2.0 * static_cast<double>(step));
}

void expect_near(double found, double wanted, const char* what, std::size_t at) {
  BOOST_TEST(std::fabs(found - wanted) <= 2e-3 * (1.0 + std::fabs(wanted)),
             what << " " << at << ": " << found << " for " << wanted);
}

void expect_gradients(Case c) {
  std::vector<Values> x;
  for (const fat::ValueId input : c.node().inputs)
    x.push_back(spread(c.model.extent(input).size(), static_cast<std::uint32_t>(7 + input)));
  const Values seed = noise(c.model.output_extent().size(), 3);
  const Values y = forward(c, x);
  const fat::LayerGradient layer{c.model, c.node()};
  Values scratch(layer.scratch());
  Values dy = seed;
  const fat::Clamp clamp = fat::fused_clamp(c.node().op);
  fat::float_kernels::native().mask(y.data(), dy.data(), dy.size(), clamp.low, clamp.high);
  // A clamp has kinks that differences would step over: from here on only its mask takes part.
  std::visit(
      []<class Layer>(Layer& op) {
        if constexpr (fat::WeightedLayer<Layer>) op.clamp = {};
      },
      c.node().op);
  for (std::size_t which = 0; which != x.size(); ++which) {
    Values dx(x[which].size(), 77.0F);
    layer.input(which, pointers(x), y.data(), dy.data(), dx.data(), false, scratch.data());
    Values twice = dx;
    layer.input(which, pointers(x), y.data(), dy.data(), twice.data(), true, scratch.data());
    for (std::size_t i = 0; i != dx.size(); ++i) {
      expect_near(static_cast<double>(dx[i]), difference(x[which][i], [&] { return loss(c, x, dy); }), "input", i);
      BOOST_TEST(twice[i] == 2.0F * dx[i], boost::test_tools::tolerance(1e-4F));
    }
  }
  std::visit(
      [&]<class Layer>(Layer& op) {
        if constexpr (fat::WeightedLayer<Layer>) {
          Values dw(op.kernel.size(), 1.0F);
          Values db(op.offset.size(), 1.0F);
          layer.weights(x[0].data(), dy.data(), dw.data(), scratch.data());
          layer.bias(dy.data(), db.data());
          for (std::size_t i = 0; i != dw.size(); ++i)
            expect_near(static_cast<double>(dw[i]) - 1.0, difference(op.kernel[i], [&] { return loss(c, x, dy); }),
                        "weight", i);
          for (std::size_t i = 0; i != db.size(); ++i)
            expect_near(static_cast<double>(db[i]) - 1.0, difference(op.offset[i], [&] { return loss(c, x, dy); }),
                        "bias", i);
          if (!layer.products()) return;
          // The slope along a direction is the gradient's product with it, channel by channel.
          const Values direction = noise(op.kernel.size(), 11);
          Values packed(layer.direction_size());
          Values slopes(op.offset.size(), 0.5F);
          layer.pack_direction(direction.data(), packed.data());
          layer.along(packed.data(), x[0].data(), dy.data(), slopes.data(), scratch.data());
          const std::size_t depth = dw.size() / slopes.size();
          for (std::size_t k = 0; k != slopes.size(); ++k) {
            double sum = 0.5;
            for (std::size_t i = 0; i != depth; ++i)
              sum += (static_cast<double>(dw[k * depth + i]) - 1.0) * static_cast<double>(direction[k * depth + i]);
            expect_near(static_cast<double>(slopes[k]), sum, "slope", k);
          }
        }
      },
      c.node().op);
}

fat::Window window(std::size_t kernel, std::size_t stride = 1, std::size_t dilation = 1, fat::Padding padding = {}) {
  return {{kernel, kernel}, {stride, stride}, {dilation, dilation}, padding};
}

fat::Convolution convolution(const fat::Window& w, std::size_t in, std::size_t out, std::size_t groups = 1,
                             fat::Clamp clamp = {}) {
  return {w, groups, clamp, weights({out, w.kernel.height, w.kernel.width, in / groups}, 5), weights({out}, 6)};
}
fat::DepthwiseConvolution depthwise(const fat::Window& w, std::size_t in, std::size_t multiplier = 1,
                                    fat::Clamp clamp = {}) {
  return {w, multiplier, clamp, weights({1, w.kernel.height, w.kernel.width, in * multiplier}, 5),
          weights({in * multiplier}, 6)};
}

}  // namespace

BOOST_AUTO_TEST_CASE(pointwise_convolutions) {
  expect_gradients(make(convolution(window(1), 5, 7), {{3, 4, 5}}));
  expect_gradients(make(convolution(window(1), 16, 34, 1, fat::relu6), {{3, 5, 16}}));
  expect_gradients(make(convolution(window(1, 2), 6, 3), {{5, 4, 6}}));
}

BOOST_AUTO_TEST_CASE(convolutions) {
  expect_gradients(make(convolution(window(3, 2, 1, {0, 0, 1, 1}), 3, 9, 1, fat::relu6), {{6, 6, 3}}));
  expect_gradients(make(convolution(window(3, 1, 2, {2, 1, 1, 2}), 4, 6), {{6, 7, 4}}));
  expect_gradients(make(convolution(window(3, 1, 1, {1, 1, 1, 1}), 8, 6, 2), {{4, 5, 8}}));
  expect_gradients(make(convolution({{1, 3}, {2, 1}, {1, 1}, {0, 1, 0, 0}}, 2, 3), {{5, 4, 2}}));
}

BOOST_AUTO_TEST_CASE(depthwise_convolutions) {
  expect_gradients(make(depthwise(window(3, 1, 1, {1, 1, 1, 1}), 19, 1, fat::relu6), {{6, 7, 19}}));
  expect_gradients(make(depthwise(window(3, 2, 1, {0, 0, 1, 1}), 16), {{6, 8, 16}}));
  expect_gradients(make(depthwise(window(5, 1, 1, {2, 2, 2, 2}), 9), {{6, 6, 9}}));
  expect_gradients(make(depthwise(window(3, 1, 2, {2, 2, 2, 2}), 5), {{6, 6, 5}}));
  expect_gradients(make(depthwise({{2, 3}, {1, 2}, {1, 1}, {1, 0, 0, 1}}, 17), {{4, 7, 17}}));
  expect_gradients(make(depthwise(window(3, 1, 1, {1, 1, 1, 1}), 4, 2), {{4, 5, 4}}));
}

BOOST_AUTO_TEST_CASE(dense_layers) {
  expect_gradients(make(fat::Dense{{}, weights({5, 23}, 5), weights({5}, 6)}, {{1, 1, 23, true}}));
  expect_gradients(make(fat::Dense{fat::relu, weights({18, 12}, 5), weights({18}, 6)}, {{2, 2, 3}}));
}

BOOST_AUTO_TEST_CASE(sums_and_products) {
  expect_gradients(make(fat::Add{}, {{3, 4, 5}, {3, 4, 5}}));
  expect_gradients(make(fat::Add{fat::relu6}, {{3, 4, 5}, {1, 1, 5}}));
  expect_gradients(make(fat::Multiply{}, {{3, 3, 4}, {3, 3, 4}}));
  expect_gradients(make(fat::Multiply{}, {{3, 3, 4}, {1, 1, 4}}));
}

BOOST_AUTO_TEST_CASE(pools) {
  for (const auto kind : {fat::Pool::Kind::max, fat::Pool::Kind::average})
    for (const bool counted : {false, true}) {
      expect_gradients(make(fat::Pool{kind, window(2, 2), counted}, {{4, 6, 3}}));
      expect_gradients(make(fat::Pool{kind, window(3, 2, 1, {1, 0, 1, 1}), counted}, {{5, 6, 3}}));
    }
  expect_gradients(make(fat::GlobalAveragePool{}, {{3, 4, 5}}));
}

BOOST_AUTO_TEST_CASE(what_moves_values_about) {
  expect_gradients(make(fat::Concat{0}, {{2, 3, 4}, {1, 3, 4}}));
  expect_gradients(make(fat::Concat{1}, {{2, 3, 4}, {2, 1, 4}}));
  expect_gradients(make(fat::Concat{2}, {{2, 3, 4}, {2, 3, 1}, {2, 3, 2}}));
  expect_gradients(make(fat::Pad{{1, 0, 2, 1}, 0.0F}, {{2, 3, 4}}));
  expect_gradients(make(fat::Reshape{}, {{2, 3, 4}}, {1, 1, 24, true}));
  expect_gradients(make(fat::Reshape{true}, {{2, 3, 4}}, {1, 1, 24, true}));
  expect_gradients(make(fat::Reshape{true}, {{2, 3, 4}}, {4, 2, 3}));
  for (const auto kind : {fat::Resize::Kind::nearest, fat::Resize::Kind::bilinear})
    for (const auto lattice : {fat::Resize::Coordinates::half_pixel, fat::Resize::Coordinates::asymmetric,
                               fat::Resize::Coordinates::align_corners, fat::Resize::Coordinates::pytorch_half_pixel})
      expect_gradients(make(fat::Resize{kind, lattice}, {{3, 4, 2}}, {5, 7, 2}));
}

BOOST_AUTO_TEST_CASE(activations) {
  expect_gradients(make(fat::Softmax{}, {{1, 2, 7}}));
  expect_gradients(make(fat::ClampLayer{fat::relu6}, {{3, 4, 5}}));
  expect_gradients(make(fat::HardSwish{}, {{3, 4, 5}}));
  expect_gradients(make(fat::HardSigmoid{0.2F, 0.4F}, {{3, 4, 5}}));
  expect_gradients(make(fat::Sigmoid{}, {{3, 4, 5}}));
  expect_gradients(make(fat::BatchNormalization{weights({5}, 1), weights({5}, 2), weights({5}, 3),
                                                fat::array<float>{fat::Shape{5}, 0.7F}, 1e-3},
                        {{3, 4, 5}}));
}

/// The kernels of this processor against the plain loops in double, on sizes that fill vectors and tiles.
BOOST_AUTO_TEST_CASE(fast_paths_agree_with_the_reference) {
  const auto compare = [](const auto& op, std::size_t groups, const Extent& in) {
    Case c = make(op, {in});
    const fat::WindowShape s = fat::window_shape(op.window, in, c.model.output_extent());
    const Values x = spread(s.in_size(), 1);
    const Values dy = noise(s.out_size(), 2);
    const fat::LayerGradient layer{c.model, c.node()};
    Values scratch(layer.scratch());
    Values dx(x.size()), dw(op.kernel.size()), db(s.out_channels);
    layer.input(0, {}, nullptr, dy.data(), dx.data(), false, scratch.data());
    layer.weights(x.data(), dy.data(), dw.data(), scratch.data());
    layer.bias(dy.data(), db.data());
    const auto wide = [](const auto& from) { return std::vector<double>(from.begin(), from.end()); };
    std::vector<double> rx(dx.size()), rw(dw.size()), rb(db.size());
    fat::float_reference::convolution_backward<double>(s, groups, wide(x).data(), wide(op.kernel).data(),
                                                       wide(dy).data(), rx.data(), rw.data(), rb.data());
    const auto expect_close = [](const Values& found, const std::vector<double>& wanted) {
      double error = 0.0, size = 0.0;
      for (std::size_t i = 0; i != wanted.size(); ++i) {
        error = std::fmax(error, std::fabs(static_cast<double>(found[i]) - wanted[i]));
        size = std::fmax(size, std::fabs(wanted[i]));
      }
      BOOST_TEST(error <= 2e-6 * size * std::sqrt(static_cast<double>(found.size())));
    };
    expect_close(dx, rx);
    expect_close(dw, rw);
    expect_close(db, rb);
  };
  compare(convolution(window(1), 32, 96), 1, {9, 11, 32});
  compare(convolution(window(1), 40, 24), 1, {7, 7, 40});
  compare(convolution(window(3, 2, 1, {0, 0, 1, 1}), 3, 32), 1, {16, 18, 3});
  compare(depthwise(window(3, 1, 1, {1, 1, 1, 1}), 96), 0, {14, 13, 96});
  compare(depthwise(window(3, 2, 1, {0, 0, 1, 1}), 36), 0, {14, 14, 36});
}

/// The fused pass of this processor's vectors against the closed forms, clamped or not, in whole vectors and in rests.
BOOST_AUTO_TEST_CASE(quantization_backward_agrees_with_the_threshold_run) {
  const auto grid = fat::asymmetric_grid(-1.7F, 5.3F, fat::asymmetric_codes(5, true));
  for (const std::size_t n : {1U, 7U, 16U, 33U, 20000U})
    for (const fat::Clamp& clamp : {fat::Clamp{}, fat::Clamp{-1.0F, 3.0F}}) {
      Values x = noise(n, 1);
      for (float& v : x) v = std::fmin(std::fmax(6.0F * v, clamp.low), clamp.high);
      if (n > 20) x[3] = std::nanf(""), x[4] = 1e30F, x[5] = grid.step * 2.5F;
      const Values dy = noise(n, 2);
      Values wanted(n), found(n);
      const fat::ThresholdSums sums = fat::threshold_backward_run(x.data(), dy.data(), wanted.data(), n, grid);
      for (std::size_t i = 0; i != n; ++i)
        if (!(x[i] > clamp.low && x[i] < clamp.high)) wanted[i] = 0.0F;
      const auto p = fat::detail::grid_parameters(grid);
      fat::float_kernels::ThresholdBackward call{x.data(), dy.data(), found.data(), n,         p[0],
                                                 p[2],     p[3],      clamp.low,    clamp.high};
      fat::float_kernels::native().threshold_backward(call);
      BOOST_TEST(found == wanted, boost::test_tools::per_element());
      const double tolerance = 1e-5 * std::sqrt(static_cast<double>(n));
      BOOST_TEST(std::fabs(call.residue - sums.residue) <= tolerance * 16.0);
      BOOST_TEST(std::fabs(call.outside - sums.outside) <= tolerance);
      call.dx = nullptr;
      const double once = call.residue;
      fat::float_kernels::native().threshold_backward(call);
      BOOST_TEST(call.residue == 2.0 * once, boost::test_tools::tolerance(1e-12));
    }
}

BOOST_AUTO_TEST_SUITE_END()
