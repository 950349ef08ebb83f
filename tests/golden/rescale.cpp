// Depthwise rescaling against the reference vectors 07_dws.
#include <fat/transform/rescale_depthwise.hpp>

#include <string>
#include <vector>

#include "../support/golden.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(golden_rescale)

namespace {

constexpr auto file = "07_dws.npz";

/// Output channels first, then input channels: the layout a layer has unless it says otherwise.
struct Layer {
  fat::array<double> w;
  fat::array<double> b;
  fat::array<double>& weights() { return w; }
  fat::array<double>& bias() { return b; }
};
struct DepthwiseLayer : Layer {
  std::size_t groups = 16;
};
static_assert(fat::AffineLayer<Layer> && fat::AffineLayer<DepthwiseLayer> && !fat::AffineLayer<int>);

fat::array<double> reals(const std::string& name) { return fat::test::golden(file).at(name).as<double>(); }

template <class Values>
void expect_close(const Values& found, const fat::array<double>& wanted, double tolerance = 1e-10) {
  BOOST_TEST_REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i != wanted.size(); ++i)
    BOOST_TEST(found[i] == wanted[i], boost::test_tools::tolerance(tolerance));
}

/// Depthwise 3x3 with one row of padding, before the activation; [images, channels, height, width].
std::vector<double> depthwise(const fat::array<double>& x, Layer& layer) {
  const std::size_t height = x.shape(2);
  const std::size_t width = x.shape(3);
  const std::size_t channels = x.shape(1);
  std::vector<double> y;
  for (std::size_t plane = 0; plane != x.shape(0) * channels; ++plane)
    for (std::size_t row = 0; row != height; ++row)
      for (std::size_t column = 0; column != width; ++column) {
        const std::size_t channel = plane % channels;
        double sum = layer.b[channel];
        for (std::size_t i = 0; i != 3; ++i)
          for (std::size_t j = 0; j != 3; ++j) {
            const std::size_t r = row + i;
            const std::size_t c = column + j;
            if (r < 1 || c < 1 || r > height || c > width) continue;
            sum += layer.w[(channel * 3 + i) * 3 + j] * x[(plane * height + r - 1) * width + c - 1];
          }
        y.push_back(sum);
      }
  return y;
}

std::vector<double> pointwise(const std::vector<double>& x, std::size_t images, std::size_t pixels, Layer& layer) {
  const std::size_t outputs = layer.w.shape(0);
  const std::size_t inputs = layer.w.shape(1);
  std::vector<double> y;
  for (std::size_t image = 0; image != images; ++image)
    for (std::size_t output = 0; output != outputs; ++output)
      for (std::size_t pixel = 0; pixel != pixels; ++pixel) {
        double sum = layer.b[output];
        for (std::size_t input = 0; input != inputs; ++input)
          sum += layer.w[output * inputs + input] * x[(image * inputs + input) * pixels + pixel];
        y.push_back(sum);
      }
  return y;
}

std::vector<double> maxima(const std::vector<double>& x, std::size_t channels, std::size_t pixels) {
  std::vector<double> top(channels, -1e300);
  for (std::size_t i = 0; i != x.size(); ++i) top[i / pixels % channels] = std::max(top[i / pixels % channels], x[i]);
  return top;
}

double clamp(fat::Identity, double x) { return x; }
double clamp(fat::ReLU, double x) { return std::max(x, 0.0); }
double clamp(fat::ReLU6, double x) { return std::min(std::max(x, 0.0), 6.0); }

template <class Activation>
void expect_rescaling(const std::string& scenario, const std::string& name, Activation activation) {
  const auto x = reals(scenario + "_x");
  DepthwiseLayer first{{reals(scenario + "_wd"), reals(scenario + "_bd")}};
  Layer second{reals(scenario + "_wc"), reals(scenario + "_bc")};
  const std::size_t pixels = x.shape(2) * x.shape(3);
  const auto top = maxima(depthwise(x, first), x.shape(1), pixels);
  const std::string prefix = scenario + "_" + name + "_";
  const auto result = fat::rescale_depthwise(first, activation, second, top, {.lock = 5.9F});
  expect_close(result.factors, reals(prefix + "s"));
  BOOST_TEST(result.control == reals(prefix + "T0")[0], boost::test_tools::tolerance(1e-10));
  expect_close(first.w, reals(prefix + "wd"));
  expect_close(first.b, reals(prefix + "bd"));
  expect_close(second.w, reals(prefix + "wc"));
  if constexpr (Activation::bounded) {
    expect_close(top, reals(prefix + "xmax"), 1e-12);
    const auto locked = fat::test::golden(file).at(prefix + "locked").as<int>();
    for (std::size_t k = 0; k != locked.size(); ++k) BOOST_TEST(result.locked[k] == (locked[k] != 0));
  }
  auto middle = depthwise(x, first);
  for (double& value : middle) value = clamp(activation, value);
  expect_close(pointwise(middle, x.shape(0), pixels, second), reals(prefix + "y"), 1e-9);
}

}  // namespace

BOOST_AUTO_TEST_CASE(identity, *fat::test::needs_golden(file)) {
  expect_rescaling("A", "none", fat::Identity{});
  expect_rescaling("B", "none", fat::Identity{});
}

BOOST_AUTO_TEST_CASE(relu, *fat::test::needs_golden(file)) {
  expect_rescaling("A", "relu", fat::ReLU{});
  expect_rescaling("B", "relu", fat::ReLU{});
}

BOOST_AUTO_TEST_CASE(relu6, *fat::test::needs_golden(file)) {
  expect_rescaling("A", "relu6", fat::ReLU6{});
  expect_rescaling("B", "relu6", fat::ReLU6{});
}

BOOST_AUTO_TEST_CASE(without_locked_channels_the_control_value_is_the_mean_of_all, *fat::test::needs_golden(file)) {
  auto filters = reals("A_wd");
  auto top = reals("A_relu6_xmax");
  for (double& w : filters) w *= 0.01;
  for (double& x : top) x *= 0.01;
  DepthwiseLayer first{{filters, reals("A_bd")}};
  Layer second{reals("A_wc"), reals("A_bc")};
  const auto result = fat::rescale_depthwise(first, fat::ReLU6{}, second, top);
  expect_close(result.factors, reals("relu6_nolock_s"));
  for (const bool locked : result.locked) BOOST_TEST(!locked);
}

BOOST_AUTO_TEST_SUITE_END()
