// Standard containers and spans as tensors of one axis: what they are, what they give, and that they are written in place.
#include <fat/core.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

using Weights = fat::Quantizer<fat::Symmetric, fat::Scalar, fat::Signed>;
using PerValue = fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed>;

static_assert(fat::Tensor<std::span<float>> && fat::Tensor<std::span<const float>> &&
              fat::Tensor<std::span<const float, 3>>);
static_assert(fat::Tensor<std::vector<float>> && fat::Tensor<const std::vector<float>&> &&
              fat::Tensor<std::vector<std::int8_t>>);
static_assert(fat::RealTensor<std::vector<double>> && !fat::RealTensor<std::vector<int>>);
// What a temporary span shows can be written, what is const cannot.
static_assert(fat::MutableTensor<std::span<float>> && fat::MutableTensor<std::vector<float>&>);
static_assert(!fat::MutableTensor<std::span<const float>> && !fat::MutableTensor<const std::vector<float>&>);
static_assert(std::is_same_v<fat::value_type_of<std::span<const float>>, float>);
static_assert(std::is_same_v<fat::rebind_t<std::vector<float>, std::int8_t>, std::vector<std::int8_t>>);
static_assert(std::is_same_v<fat::rebind_t<std::span<const float>, std::int8_t>, fat::array<std::int8_t>>);
static_assert(!fat::Tensor<int> && !fat::Tensor<float*>);

/// Weights in a tensor of two axes, biases in what the user has anyway.
struct WithVector {
  std::vector<float> w{1.0F, 2.0F, 3.0F, 4.0F};
  std::vector<float> b{0.5F, -0.5F};
  auto weights() { return fat::span_tensor(w.data(), {2, 2}); }
  std::vector<float>& bias() { return b; }
};
struct WithSpan {
  std::array<float, 4> w{1.0F, 2.0F, 3.0F, 4.0F};
  std::array<float, 2> b{0.5F, -0.5F};
  auto weights() { return fat::span_tensor(w.data(), {2, 2}); }
  auto bias() { return std::span{b}; }
};
struct OnlyToRead {
  std::vector<float> b;
  auto weights() { return fat::span_tensor(b.data(), {1, 1}); }
  const std::vector<float>& bias() { return b; }
};
static_assert(fat::AffineLayer<WithVector> && fat::AffineLayer<WithSpan> && !fat::AffineLayer<OnlyToRead>);

struct Norm {
  std::vector<double> g{2.0, 4.0}, h{1.0, 0.0}, m{0.5, 0.5}, v{3.0, 15.0};
  const auto& gamma() const { return g; }
  const auto& beta() const { return h; }
  auto mean() const { return std::span{m}; }
  auto variance() const { return std::span{v}; }
  double epsilon() const { return 1.0; }
};
static_assert(fat::Normalization<Norm>);

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_adaptors)

BOOST_AUTO_TEST_CASE(a_sequence_is_one_axis_in_its_own_memory) {
  std::vector<float> values{1.0F, 2.0F, 3.0F};
  const std::span<const float> view{values};
  BOOST_TEST((fat::shape_of(values) == fat::Shape{3}));
  BOOST_TEST((fat::shape_of(view) == fat::Shape{3}));
  BOOST_TEST(fat::size_of(view) == 3U);
  BOOST_TEST(fat::contiguous_data(values) == values.data());
  BOOST_TEST(fat::contiguous_data(view) == values.data());
  std::vector<float> nothing;
  BOOST_TEST(fat::contiguous_data(nothing) == nullptr);
}

BOOST_AUTO_TEST_CASE(results_are_vectors_of_vectors_and_arrays_of_spans) {
  const std::vector<float> x{-1.0F, 0.25F, 1.0F};
  const auto params = Weights::params(fat::observe<fat::MinMax>(Weights{}, x));
  const std::vector<std::int8_t> wanted{-127, 32, 127};
  const std::vector<std::int8_t> codes = fat::quantize(Weights{}, x, params);
  const fat::array<std::int8_t> of_span = fat::quantize(Weights{}, std::span{x}, params);
  BOOST_TEST(codes == wanted, boost::test_tools::per_element());
  BOOST_TEST(std::vector<std::int8_t>(of_span.begin(), of_span.end()) == wanted, boost::test_tools::per_element());
  const std::vector<float> back = fat::dequantize(Weights{}, codes, params);
  BOOST_TEST(back == fat::fake_quantize(Weights{}, x, params), boost::test_tools::per_element());

  std::array<std::int8_t, 3> into{};
  fat::quantize(Weights{}, x, params, std::span{into});  // a temporary view of memory that stays
  BOOST_TEST(std::vector<std::int8_t>(into.begin(), into.end()) == wanted, boost::test_tools::per_element());
  std::vector<std::int8_t> short_of_one(2);
  BOOST_CHECK_THROW(fat::quantize(Weights{}, x, params, short_of_one), fat::error);
}

BOOST_AUTO_TEST_CASE(each_value_of_a_sequence_may_be_a_channel) {
  const std::vector<float> x{-1.0F, 2.0F, 0.5F};
  const auto params = PerValue::params(fat::observe<fat::MinMax>(PerValue{}, x));
  BOOST_TEST(params.channels() == 3U);
  const std::vector<std::int8_t> wanted{-127, 127, 127};
  BOOST_TEST(fat::quantize(PerValue{}, x, params) == wanted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(layers_with_standard_biases_are_folded_in_place) {
  WithVector one;
  WithSpan two;
  fat::fold_batch_norm(one, Norm{});  // factors 1 and 1
  fat::fold_batch_norm(two, Norm{});
  const std::vector<float> w{1.0F, 2.0F, 3.0F, 4.0F}, b{1.0F, -1.0F};
  BOOST_TEST(one.w == w, boost::test_tools::per_element());
  BOOST_TEST(one.b == b, boost::test_tools::per_element());
  BOOST_TEST(std::vector<float>(two.b.begin(), two.b.end()) == b, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(products_by_the_specification_need_the_core_only) {
  const std::vector<std::int8_t> a{1, 2, 3, 4, 5, 6}, b{-1, 2};
  std::vector<std::int32_t> c(3);
  fat::gemm(fat::kernel::reference{}, fat::span_tensor(a.data(), {3, 2}), fat::span_tensor(b.data(), {2, 1}),
            fat::span_tensor(c.data(), {3, 1}));
  const std::vector<std::int32_t> wanted{3, 5, 7};
  BOOST_TEST(c == wanted, boost::test_tools::per_element());
  const std::vector<std::int8_t> flat{1, 2};
  BOOST_CHECK_THROW(
      fat::gemm(fat::kernel::reference{}, flat, fat::span_tensor(b.data(), {2, 1}), fat::span_tensor(c.data(), {1, 1})),
      fat::error);
}

BOOST_AUTO_TEST_CASE(tensors_larger_than_memory_are_errors_of_the_library) {
  constexpr std::size_t many = std::size_t{1} << 62U;
  const auto says_so = [](const fat::error& problem) {
    return std::string_view{problem.what()}.find("larger than memory") != std::string_view::npos;
  };
  BOOST_CHECK_EXCEPTION(fat::array<float>{fat::Shape{many}}, fat::error, says_so);
  BOOST_CHECK_EXCEPTION((fat::array<float>{fat::Shape{std::size_t{1} << 31U, std::size_t{1} << 30U}}), fat::error,
                        says_so);
  BOOST_CHECK_THROW((fat::array<float>{fat::Shape{many, 8}}), fat::error);
}

BOOST_AUTO_TEST_SUITE_END()
