// xtensor containers, views, lazy expressions, dynamic and column-major arrays through every algorithm.
#include <fat/adapt/xtensor.hpp>
#include <fat/core.hpp>

#include <xtensor/xmath.hpp>
#include <xtensor/xview.hpp>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_xtensor_tensor)

namespace {

using Weight = fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed>;

xt::xtensor<float, 3> ramp() {
  xt::xtensor<float, 3> x = xt::zeros<float>({4, 5, 6});
  float value = -1.7F;
  for (float& element : x) element = (value += 0.031F);
  return x;
}

/// What the library computes for the same values in its own container.
template <class Q, class X>
fat::array<typename Q::code_type> expected_codes(Q q, const X& x) {
  fat::array<float> plain{fat::shape_of(x)};
  auto from = x.template begin<xt::layout_type::row_major>();
  for (float& value : plain) value = *from++;
  return fat::quantize(q, plain, q.params(fat::observe<fat::MinMax>(q, plain)));
}

/// Every algorithm on any kind of tensor: the same codes, and fake == dequantize(quantize).
template <class Q, class X>
void check(Q q, const X& x, bool contiguous) {
  BOOST_TEST((fat::contiguous_data(x) != nullptr) == contiguous);
  const auto params = q.params(fat::observe<fat::MinMax>(q, x));
  const auto codes = fat::quantize(q, x, params);
  const auto expected = expected_codes(q, x);
  BOOST_TEST((fat::shape_of(codes) == expected.shape()));
  auto code = codes.template begin<xt::layout_type::row_major>();
  for (const auto value : expected) BOOST_TEST(static_cast<int>(*code++) == static_cast<int>(value));
  const auto back = fat::dequantize(q, codes, params);
  const auto fake = fat::fake_quantize(q, x, params);
  BOOST_TEST((back == fake));
}

}  // namespace

BOOST_AUTO_TEST_CASE(containers) {
  const auto x = ramp();
  check(Weight{}, x, true);
  check(fat::Quantizer<fat::Asymmetric, fat::PerChannel<1>>{}, x, true);
  check(fat::Quantizer<fat::Asymmetric, fat::PerChannel<2>, fat::Unsigned>{}, x, true);
  check(fat::Quantizer<>{}, xt::xarray<float>{x}, true);
  check(Weight{}, xt::xarray<float, xt::layout_type::dynamic>{x}, true);
  check(Weight{}, xt::xtensor<float, 3, xt::layout_type::column_major>{x}, false);
}

BOOST_AUTO_TEST_CASE(views) {
  auto x = ramp();
  check(Weight{}, xt::view(x, 2, xt::all(), xt::all()), true);
  check(Weight{}, xt::view(x, xt::range(1, 3)), true);
  check(Weight{}, xt::view(x, xt::all(), 2, xt::all()), false);
  check(Weight{}, xt::view(x, xt::all(), xt::range(0, 5, 2), xt::all()), false);
}

BOOST_AUTO_TEST_CASE(lazy_expressions) {
  const auto x = ramp();
  check(Weight{}, x * 2.0F + 1.0F, false);
  check(fat::Quantizer<fat::Asymmetric>{}, xt::maximum(x, 0.25F), false);
}

BOOST_AUTO_TEST_CASE(result_types) {
  const auto x = ramp();
  const auto params = Weight::params(fat::observe<fat::MinMax>(Weight{}, x));
  static_assert(std::is_same_v<decltype(fat::quantize(Weight{}, x, params)), xt::xtensor<std::int8_t, 3>>);
  static_assert(std::is_same_v<decltype(fat::quantize(Weight{}, x + x, params)), xt::xtensor<std::int8_t, 3>>);
  static_assert(std::is_same_v<fat::rebind_t<xt::xarray<float>, std::int8_t>, xt::xarray<std::int8_t>>);
  using Column = xt::xtensor<float, 2, xt::layout_type::column_major>;
  static_assert(std::is_same_v<fat::rebind_t<Column, double>, xt::xtensor<double, 2, xt::layout_type::column_major>>);
  using Fixed = xt::xtensor_fixed<float, xt::xshape<2, 3>>;
  static_assert(std::is_same_v<fat::rebind_t<Fixed, std::int8_t>, xt::xtensor_fixed<std::int8_t, xt::xshape<2, 3>>>);
  static_assert(fat::MutableTensor<decltype(xt::view(std::declval<xt::xtensor<float, 3>&>(), 0))>);
  static_assert(!fat::MutableTensor<decltype(x + x)>);
}

BOOST_AUTO_TEST_CASE(into_the_callers_tensor) {
  const auto x = ramp();
  const auto params = Weight::params(fat::observe<fat::MinMax>(Weight{}, x));
  const auto expected = fat::fake_quantize(Weight{}, x, params);
  xt::xtensor<float, 4> batch = xt::zeros<float>({2, 4, 5, 6});
  fat::fake_quantize(Weight{}, x, params, xt::view(batch, 1));
  BOOST_TEST((xt::xtensor<float, 3>{xt::view(batch, 1)} == expected));
  BOOST_TEST(xt::sum(xt::abs(xt::view(batch, 0)))() == 0.0F);
  auto in_place = x;
  fat::fake_quantize(Weight{}, in_place, params, in_place);
  BOOST_TEST((in_place == expected));
  xt::xtensor<float, 3, xt::layout_type::column_major> other = xt::zeros<float>({4, 5, 6});
  fat::fake_quantize(Weight{}, x, params, other);
  BOOST_TEST((other == expected));
}

BOOST_AUTO_TEST_CASE(adjustable_threshold) {
  const auto x = ramp();
  const xt::xtensor<float, 3> dy = xt::ones<float>({4, 5, 6});
  fat::AdjustableThreshold<Weight> threshold{fat::observe<fat::MinMax>(Weight{}, x)};
  const auto dense = threshold.backward(x, dy);
  const auto lazy = threshold.backward(x + 0.0F, dy * 1.0F);
  BOOST_TEST((dense.input == lazy.input));
  BOOST_TEST(dense.parameters == lazy.parameters, boost::test_tools::per_element());
  BOOST_TEST((threshold.forward(x) == threshold.forward(x + 0.0F)));
}

BOOST_AUTO_TEST_SUITE_END()
