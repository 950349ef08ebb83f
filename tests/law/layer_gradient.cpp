// Backward of every operator of a Model: finite differences of the forward pass, and fast paths against the references.
#include <fat/gradient/threshold_run.hpp>
#include <fat/model/layer_gradient.hpp>

#include "../support/operator_cases.hpp"

#include <cmath>
#include <functional>
#include <variant>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(law_layer_gradient)

namespace {

using fat::Extent;
using fat::test::convolution;
using fat::test::depthwise;
using fat::test::forward;
using fat::test::noise;
using fat::test::pointers;
using fat::test::spread;
using fat::test::Values;
using fat::test::window;
using Case = fat::test::OperatorCase;

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

void expect_gradients(Case c, std::vector<Values> x) {
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

void expect_gradients(Case c) { expect_gradients(c, fat::test::inputs_of(c)); }

void expect_gradients(const fat::test::OperatorCases& cases) {
  for (const Case& each : cases) expect_gradients(each);
}

}  // namespace

BOOST_AUTO_TEST_CASE(pointwise_convolutions) { expect_gradients(fat::test::pointwise_convolution_cases()); }
BOOST_AUTO_TEST_CASE(convolutions) { expect_gradients(fat::test::convolution_cases()); }
BOOST_AUTO_TEST_CASE(depthwise_convolutions) { expect_gradients(fat::test::depthwise_cases()); }
BOOST_AUTO_TEST_CASE(dense_layers) { expect_gradients(fat::test::dense_cases()); }
BOOST_AUTO_TEST_CASE(sums_and_products) { expect_gradients(fat::test::sum_and_product_cases()); }
BOOST_AUTO_TEST_CASE(pools) { expect_gradients(fat::test::pool_cases()); }
BOOST_AUTO_TEST_CASE(what_moves_values_about) { expect_gradients(fat::test::placement_cases()); }
BOOST_AUTO_TEST_CASE(resizing) { expect_gradients(fat::test::resize_cases()); }
BOOST_AUTO_TEST_CASE(activations) { expect_gradients(fat::test::activation_cases()); }

BOOST_AUTO_TEST_CASE(functions) { expect_gradients(fat::test::function_cases()); }
BOOST_AUTO_TEST_CASE(functions_of_positive_numbers) {
  for (Case& each : fat::test::narrow_function_cases()) {
    std::vector<Values> x = fat::test::inputs_of(each);
    for (std::size_t which = 0; which != x.size(); ++which)
      for (float& value : x[which]) value = 0.7F + 0.02F * static_cast<float>(which) + 0.15F * std::fabs(value);
    expect_gradients(each, x);
  }
}
BOOST_AUTO_TEST_CASE(operators_of_their_own) { expect_gradients(fat::test::own_operator_cases()); }

/// A new operator needs its cases here and in the comparison with PyTorch.
BOOST_AUTO_TEST_CASE(every_operator_has_a_case) {
  std::vector<bool> seen(std::variant_size_v<fat::Operator>, false);
  for (const auto& cases : {fat::test::operator_cases(), fat::test::function_cases(), fat::test::own_operator_cases()})
    for (const Case& each : cases) seen[each.model.nodes[0].op.index()] = true;
  seen[fat::Operator{fat::Constant{}}.index()] = true;  // has no input
  for (std::size_t kind = 0; kind != seen.size(); ++kind) BOOST_TEST(seen[kind], "operator number " << kind);
}

/// The kernels of this processor against the plain loops in double, on sizes that fill vectors and tiles.
BOOST_AUTO_TEST_CASE(fast_paths_agree_with_the_reference) {
  const auto compare = [](const auto& op, std::size_t groups, const Extent& in) {
    Case c = fat::test::operator_case(op, {in});
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
