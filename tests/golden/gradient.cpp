// Thresholds' forward and backward passes, and point-wise factors, against reference vectors.
#include <fat/core.hpp>

#include "support/golden.hpp"

#include <cmath>
#include <string>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(golden_gradient)

namespace {

using fat::test::golden;

template <class Real>
void check_close(const fat::array<Real>& made, const fat::array<double>& expected, double relative,
                 const std::string& what) {
  BOOST_REQUIRE_EQUAL(made.size(), expected.size());
  double worst = 0.0;
  for (std::size_t i = 0; i != made.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(made[i]) - expected[i]) / (std::abs(expected[i]) + 1e-6));
  BOOST_CHECK_MESSAGE(worst <= relative, what << ": relative error " << worst << ", allowed " << relative);
}

void check_number(double made, double expected, double tolerance, const std::string& what) {
  BOOST_CHECK_MESSAGE(std::abs(made - expected) <= tolerance, what << ": " << made << " instead of " << expected);
}

/// Allowed error of a sum of gradients of `g` times numbers of size `unit`.
template <class Real>
double sum_tolerance(const fat::array<double>& g, double expected, double unit) {
  if constexpr (sizeof(Real) == 8) return 1e-9 * (1.0 + std::abs(expected));
  double sum = 0.0;
  for (const double value : g) sum += std::abs(value);
  return 1e-4 * sum * unit;
}

template <class Real>
constexpr double forward_tolerance = sizeof(Real) == 8 ? 1e-12 : 1e-5;

template <class Real, int N, class Sign>
void check_symmetric(const fat::NpyArrays& file, const std::string& place, double alpha) {
  const std::string prefix = place + (Sign::is_signed ? "_s" : "_u") + std::to_string(N) + "_";
  const auto x = file.at("x").as<Real>();
  const auto g = file.at("g").as<Real>();
  fat::AdjustableThreshold<fat::Quantizer<fat::Symmetric, Sign, fat::Bits<N>>, Real> threshold{
      fat::Interval<Real>{-4, 4}};
  threshold.parameters()[0] = static_cast<Real>(alpha);
  check_close(threshold.forward(x), file.at(prefix + "y").as<double>(), forward_tolerance<Real>, prefix + "y");
  const auto made = threshold.backward(x, g);
  check_close(made.input, file.at(prefix + "dx").as<double>(), sizeof(Real) == 8 ? 0.0 : 1e-7, prefix + "dx");
  const double expected = file.at(prefix + "dalpha").as<double>()[0];
  BOOST_REQUIRE_EQUAL(made.parameters.size(), 1);
  check_number(static_cast<double>(made.parameters[0]), expected,
               sum_tolerance<Real>(file.at("g").as<double>(), expected, 4.0), prefix + "dalpha");
}

template <class Real>
void check_all_symmetric() {
  const auto& file = golden("03_grad_symmetric.npz");
  const std::pair<const char*, double> places[] = {
      {"in", 0.8}, {"lo", 0.5}, {"hi", 1.0}, {"below", 0.3}, {"above", 1.2}};
  for (const auto& [place, alpha] : places) {
    check_symmetric<Real, 8, fat::Signed>(file, place, alpha);
    check_symmetric<Real, 8, fat::Unsigned>(file, place, alpha);
    check_symmetric<Real, 4, fat::Signed>(file, place, alpha);
    check_symmetric<Real, 2, fat::Signed>(file, place, alpha);
    check_symmetric<Real, 2, fat::Unsigned>(file, place, alpha);
  }
}

template <class Real, class Q, class... Policies>
void check_asymmetric(const fat::NpyArrays& file, const std::string& prefix, const fat::Ranges<Real>& ranges,
                      const fat::array<double>& alpha_t, const fat::array<double>& alpha_r) {
  const auto x = file.at("x").as<Real>();
  const auto g = file.at("g").as<Real>();
  const std::size_t channels = ranges.size();
  fat::AdjustableThreshold<Q, Real, Policies...> threshold{ranges};
  BOOST_REQUIRE_EQUAL(threshold.parameters().size(), 2 * channels);
  for (std::size_t c = 0; c != channels; ++c) {
    threshold.parameters()[c] = static_cast<Real>(alpha_t[c]);
    threshold.parameters()[channels + c] = static_cast<Real>(alpha_r[c]);
  }
  if (sizeof(Real) == 8)  // in float, a tie of the double computation may go the other way
    check_close(threshold.forward(x), file.at(prefix + "y").as<double>(), 1e-12, prefix + "y");
  const auto made = threshold.backward(x, g);
  check_close(made.input, file.at(prefix + "dx").as<double>(), sizeof(Real) == 8 ? 0.0 : 1e-7, prefix + "dx");
  const auto by_left = file.at(prefix + "daT").as<double>();
  const auto by_width = file.at(prefix + "daR").as<double>();
  const auto reference_g = file.at("g").as<double>();
  for (std::size_t c = 0; c != channels; ++c) {
    const double unit = static_cast<double>(ranges[c].high - ranges[c].low);
    check_number(static_cast<double>(made.parameters[c]), by_left[c],
                 sum_tolerance<Real>(reference_g, by_left[c], unit), prefix + "daT");
    check_number(static_cast<double>(made.parameters[channels + c]), by_width[c],
                 sum_tolerance<Real>(reference_g, by_width[c], unit), prefix + "daR");
  }
}

template <class Real, class Q, class Left>
void check_forms(const fat::NpyArrays& file, const std::string& name, const fat::Ranges<Real>& ranges,
                 const fat::array<double>& alpha_t, const fat::array<double>& alpha_r) {
  check_asymmetric<Real, Q, Left, fat::NudgeZeroPoint>(file, name + "_nudge_", ranges, alpha_t, alpha_r);
  check_asymmetric<Real, Q, fat::CodeZeroPoint, Left>(file, name + "_code_", ranges, alpha_t, alpha_r);
  check_asymmetric<Real, Q, fat::OffsetZeroPoint, Left>(file, name + "_offset_", ranges, alpha_t, alpha_r);
}

template <class Real, int N, class Left = fat::FreeLeft>
void check_case(const std::string& name) {
  const auto& file = golden("04_asymmetric.npz");
  const auto par = file.at(name + "_par").as<double>();
  const fat::Interval<Real> range{static_cast<Real>(par[0]), static_cast<Real>(par[1])};
  check_forms<Real, fat::Quantizer<fat::Asymmetric, fat::Bits<N>>, Left>(
      file, name, range, fat::array<double>({1}, par[2]), fat::array<double>({1}, par[3]));
}

template <class Real>
void check_all_asymmetric() {
  for (const char* name : {"base", "shift", "lclip", "rclip", "edge", "edge2", "pos", "neg"}) check_case<Real, 8>(name);
  for (const char* name : {"uns", "unsneg", "unsshift"}) check_case<Real, 8, fat::PaperUnsigned>(name);
  check_case<Real, 4>("b4");
  check_case<Real, 2>("b2");
  const auto& file = golden("04_asymmetric.npz");
  const auto par = file.at("pc_par").as<double>();
  std::vector<fat::Interval<Real>> intervals;
  fat::array<double> alpha_t{{4}};
  fat::array<double> alpha_r{{4}};
  for (std::size_t c = 0; c != 4; ++c) {
    intervals.push_back({static_cast<Real>(par[c]), static_cast<Real>(par[4 + c])});
    alpha_t[c] = par[8 + c];
    alpha_r[c] = par[12 + c];
  }
  using Q = fat::Quantizer<fat::Asymmetric, fat::PerChannel<0>, fat::Unsigned>;
  check_forms<Real, Q, fat::FreeLeft>(file, "pc", fat::Ranges<Real>{intervals}, alpha_t, alpha_r);
}

}  // namespace

BOOST_AUTO_TEST_CASE(symmetric_double, *fat::test::needs_golden("03_grad_symmetric.npz")) {
  check_all_symmetric<double>();
}
BOOST_AUTO_TEST_CASE(symmetric_float, *fat::test::needs_golden("03_grad_symmetric.npz")) {
  check_all_symmetric<float>();
}

BOOST_AUTO_TEST_CASE(symmetric_per_channel, *fat::test::needs_golden("03_grad_symmetric.npz")) {
  const auto& file = golden("03_grad_symmetric.npz");
  const auto x = file.at("x").as<double>();
  const auto alpha = file.at("pc_alpha").as<double>();
  using Q = fat::Quantizer<fat::PerChannel<0>>;
  fat::AdjustableThreshold<Q, double> threshold{fat::observe<fat::MinMax>(Q{}, x)};
  std::copy(alpha.begin(), alpha.end(), threshold.parameters().begin());
  check_close(threshold.forward(x), file.at("pc_y").as<double>(), 1e-12, "pc_y");
  const auto made = threshold.backward(x, file.at("g").as<double>());
  check_close(made.input, file.at("pc_dx").as<double>(), 0.0, "pc_dx");
  const auto expected = file.at("pc_dalpha").as<double>();
  for (std::size_t c = 0; c != 4; ++c)
    check_number(made.parameters[c], expected[c], 1e-9 * (1.0 + std::abs(expected[c])), "pc_dalpha");
}

BOOST_AUTO_TEST_CASE(asymmetric_double, *fat::test::needs_golden("04_asymmetric.npz")) {
  check_all_asymmetric<double>();
}
BOOST_AUTO_TEST_CASE(asymmetric_float, *fat::test::needs_golden("04_asymmetric.npz")) { check_all_asymmetric<float>(); }

BOOST_AUTO_TEST_CASE(pointwise, *fat::test::needs_golden("08_training.npz")) {
  const auto& file = golden("08_training.npz");
  const auto w = file.at("pw_w").as<double>();
  const auto factors = file.at("pw_g").as<double>();
  const auto thresholds = file.at("pw_T").as<double>();
  using Q = fat::Quantizer<fat::PerChannel<0>>;
  std::vector<fat::Interval<double>> intervals;
  for (const double t : thresholds) intervals.push_back({-t, t});
  const auto params = Q::params(fat::Ranges<double>{intervals});
  fat::PointwiseScale<double> scale{w.size()};
  std::copy(factors.begin(), factors.end(), scale.parameters().begin());
  check_close(scale.forward(Q{}, w, params), file.at("pw_y").as<double>(), 1e-12, "pw_y");
  const auto made = scale.backward(Q{}, w, file.at("pw_up").as<double>(), params);
  fat::array<double> by_factor{w.shape()};
  std::copy(made.parameters.begin(), made.parameters.end(), by_factor.begin());
  check_close(by_factor, file.at("pw_dg").as<double>(), 1e-12, "pw_dg");
}

BOOST_AUTO_TEST_SUITE_END()
