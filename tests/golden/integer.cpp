// The integer operators against the reference vectors: accumulators, four requantizations, tables of both roundings.
#include <fat/kernel/native.hpp>
#include <fat/kernel/product.hpp>
#include <fat/kernel/reference/convolution.hpp>

#include "support/golden.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

/// One layer of the file, brought from NCHW and OIHW to the library's layouts.
struct Case {
  fat::Geometry g;
  std::vector<std::int32_t> x;
  std::vector<std::int8_t> w;
  std::vector<std::int32_t> bias;
  std::vector<double> real;
  std::vector<fat::FixedPointMultiplier> multipliers;
  fat::OutputStage stage;
  std::int32_t x_zero = 0;
  bool depthwise = false;
  std::string name;

  explicit Case(const std::string& label) : name(label) {
    const auto& file = fat::test::golden("09_integer.npz");
    const auto qx = file.at(label + "_qx"), qw = file.at(label + "_qw");
    const auto conf = file.at(label + "_conf").as<std::int64_t>();
    const auto extent = [](const fat::NpyArray& a, std::size_t axis) {
      return axis < a.shape.rank() ? a.shape[axis] : std::size_t{1};
    };
    g.batch = extent(qx, 0), g.in_channels = extent(qx, 1), g.in_height = extent(qx, 2), g.in_width = extent(qx, 3);
    g.out_channels = extent(qw, 0), g.kernel_height = extent(qw, 2), g.kernel_width = extent(qw, 3);
    g.stride_height = g.stride_width = static_cast<std::size_t>(conf[3]);
    g.pad_top = g.pad_left = static_cast<std::size_t>(conf[4]);
    depthwise = conf[5] != 1;
    const auto acc = file.at(label + "_acc");
    g.out_height = extent(acc, 2), g.out_width = extent(acc, 3);
    const auto codes = qx.as<std::int32_t>(), weights = qw.as<std::int32_t>();
    x.assign(codes.begin(), codes.end());
    x = to_nhwc(x, g.batch, g.in_channels, g.in_height * g.in_width);
    const std::size_t depth = extent(qw, 1), taps = g.taps();
    w.resize(weights.size());
    for (std::size_t o = 0; o != g.out_channels; ++o)
      for (std::size_t i = 0; i != depth; ++i)
        for (std::size_t t = 0; t != taps; ++t)
          w[depthwise ? t * g.out_channels + o : (o * taps + t) * depth + i] =
              static_cast<std::int8_t>(weights[(o * depth + i) * taps + t]);
    const auto b = file.at(label + "_qb").as<std::int32_t>();
    bias.assign(b.begin(), b.end());
    const auto m = file.at(label + "_M").as<double>();
    real.assign(m.begin(), m.end());
    for (const double each : real) multipliers.push_back(fat::FixedPointMultiplier::from_real(each));
    stage = {multipliers.data(), false, static_cast<std::int32_t>(conf[0]), static_cast<std::int32_t>(conf[1]),
             static_cast<std::int32_t>(conf[2])};
    x_zero = static_cast<std::int32_t>(file.at(label + "_zx").as<std::int64_t>()[0]);
  }
  static std::vector<std::int32_t> to_nhwc(const std::vector<std::int32_t>& from, std::size_t batch,
                                           std::size_t channels, std::size_t pixels) {
    std::vector<std::int32_t> to(from.size());
    for (std::size_t n = 0; n != batch; ++n)
      for (std::size_t c = 0; c != channels; ++c)
        for (std::size_t p = 0; p != pixels; ++p)
          to[(n * pixels + p) * channels + c] = from[(n * channels + c) * pixels + p];
    return to;
  }
  std::vector<std::int32_t> expected(const std::string& what) const {
    const auto raw = fat::test::golden("09_integer.npz").at(name + what).as<std::int32_t>();
    return to_nhwc({raw.begin(), raw.end()}, g.batch, g.out_channels, g.out_height * g.out_width);
  }
  std::vector<std::int32_t> sums() const {
    std::vector<std::int32_t> out(g.rows() * g.out_channels);
    if (depthwise)
      fat::reference::depthwise(x.data(), x_zero, w.data(), nullptr, bias.data(), g, out.data());
    else
      fat::reference::convolution(x.data(), x_zero, w.data(), nullptr, bias.data(), g, out.data());
    return out;
  }
  std::int32_t code(std::int32_t value) const { return std::clamp(value + stage.zero_point, stage.low, stage.high); }
};

const char* const layers[] = {"conv_asym_pc",     "conv_u8_pt_relu6", "conv_s8_pc_relu",
                              "dw_asym_pc_relu6", "dense_u8_pt",      "single_ch"};

void check_equal(const std::vector<std::int32_t>& got, const std::vector<std::int32_t>& expected) {
  BOOST_TEST_REQUIRE(got.size() == expected.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i != got.size(); ++i) wrong += got[i] != expected[i] ? 1U : 0U;
  BOOST_TEST(wrong == 0U);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(golden_integer)

BOOST_AUTO_TEST_CASE(layers_give_the_sums_and_codes, *fat::test::needs_golden("09_integer.npz")) {
  for (const char* label : layers) {
    BOOST_TEST_CONTEXT(label) {
      const Case layer{label};
      const auto sums = layer.sums();
      check_equal(sums, layer.expected("_acc"));
      std::vector<std::int32_t> codes(sums.size());
      fat::reference::finish(sums.data(), layer.g.rows(), layer.g.out_channels, layer.stage, codes.data());
      check_equal(codes, layer.expected("_q31s"));
      fat::reference::finish(sums.data(), layer.g.rows(), layer.g.out_channels, layer.stage, codes.data(),
                             fat::DoubleRounding{});
      check_equal(codes, layer.expected("_q31"));
      // a mantissa of 31 bits is the multiplier as far as these sums can tell
      fat::reference::finish(sums.data(), layer.g.rows(), layer.g.out_channels, layer.stage, codes.data(),
                             fat::SingleHalfEven{});
      check_equal(codes, layer.expected("_f64"));
      for (std::size_t i = 0; i != sums.size(); ++i)
        codes[i] = layer.code(fat::requantize(sums[i], layer.real[i % layer.g.out_channels], fat::FloatHalfEven{}));
      check_equal(codes, layer.expected("_f32"));
      for (std::size_t i = 0; i != sums.size(); ++i)
        codes[i] = layer.code(fat::requantize(sums[i], layer.real[i % layer.g.out_channels], fat::DoubleHalfEven{}));
      check_equal(codes, layer.expected("_f64"));
    }
  }
}

BOOST_AUTO_TEST_CASE(multipliers_are_decomposed_as_given, *fat::test::needs_golden("09_integer.npz")) {
  const auto& file = fat::test::golden("09_integer.npz");
  const auto check = [&](const std::string& prefix) {
    const auto real = file.at(prefix + "_M").as<double>();
    const auto fixed = file.at(prefix + "_qm").as<std::int64_t>();
    for (std::size_t i = 0; i != real.size(); ++i) {
      const auto m = fat::FixedPointMultiplier::from_real(real[i]);
      BOOST_TEST(m.mantissa == fixed[2 * i]);
      BOOST_TEST(m.shift == fixed[2 * i + 1]);
    }
  };
  for (const char* label : layers) check(label);
  check("tab");
}

BOOST_AUTO_TEST_CASE(tables_of_both_roundings, *fat::test::needs_golden("09_integer.npz")) {
  const auto& file = fat::test::golden("09_integer.npz");
  const auto acc = file.at("tab_acc").as<std::int32_t>();
  const auto real = file.at("tab_M").as<double>();
  const auto twice = file.at("tab_q31").as<std::int64_t>(), once = file.at("tab_q31s").as<std::int64_t>();
  std::size_t compared = 0;
  for (std::size_t m = 0; m != real.size(); ++m)
    for (std::size_t i = 0; i != acc.size(); ++i) {
      const double product = static_cast<double>(acc[i]) * real[m];
      if (product >= 2147483647.0 || product < -2147483648.0) continue;
      const auto multiplier = fat::FixedPointMultiplier::from_real(real[m]);
      BOOST_TEST(fat::requantize(acc[i], multiplier, fat::DoubleRounding{}) == twice[m * acc.size() + i]);
      BOOST_TEST(fat::requantize(acc[i], multiplier, fat::SingleRounding{}) == once[m * acc.size() + i]);
      if (multiplier.real() == real[m] && std::abs(product) < 4503599627370496.0)  // product is exact below 2^52
        BOOST_TEST(fat::requantize(acc[i], multiplier, fat::SingleHalfEven{}) == std::nearbyint(product));
      ++compared;
    }
  BOOST_TEST(compared > 5000U);
}

BOOST_AUTO_TEST_CASE(the_two_steps_of_double_rounding, *fat::test::needs_golden("09_integer.npz")) {
  const auto& file = fat::test::golden("09_integer.npz");
  const auto pairs = file.at("srdhm_ab").as<std::int64_t>(), high = file.at("srdhm").as<std::int64_t>();
  for (std::size_t i = 0; i != high.size(); ++i)
    BOOST_TEST(fat::rounding_doubling_high_multiply(static_cast<std::int32_t>(pairs[2 * i]),
                                                    static_cast<std::int32_t>(pairs[2 * i + 1])) == high[i]);
  const auto shifts = file.at("rdbpot_xe").as<std::int64_t>(), quotients = file.at("rdbpot").as<std::int64_t>();
  for (std::size_t i = 0; i != quotients.size(); ++i)
    BOOST_TEST(fat::rounding_divide_by_power(static_cast<std::int32_t>(shifts[2 * i]),
                                             static_cast<int>(shifts[2 * i + 1])) == quotients[i]);
}

BOOST_AUTO_TEST_SUITE_END()
