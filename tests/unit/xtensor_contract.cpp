// The public contract, as a user writes it: everything through <fat/fat.hpp> and <fat/io/onnx.hpp>, on xtensor and std types.
#include <fat/fat.hpp>
#include <fat/io/onnx.hpp>

#include <support/small_model.hpp>

#include <xtensor/xtensor.hpp>

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

using WeightQuantizer = fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed>;
using ActivationQuantizer = fat::Quantizer<fat::Asymmetric, fat::Scalar, fat::Unsigned>;
using Int4 = fat::Quantizer<fat::Signed, fat::Symmetric, fat::Scalar, fat::Bits<4>, fat::HalfAwayFromZero>;
static_assert(std::is_same_v<fat::Quantizer<fat::Signed, fat::Symmetric>, fat::Quantizer<fat::Symmetric, fat::Signed>>);
static_assert(WeightQuantizer::code_min == -127 && WeightQuantizer::code_max == 127);
static_assert(Int4::code_min == -7 && Int4::code_max == 7);
static_assert(std::is_same_v<ActivationQuantizer::code_type, std::uint8_t>);
static_assert(fat::Tensor<std::vector<float>> && fat::Tensor<std::span<float>> &&
              fat::Tensor<std::span<const float, 3>>);

namespace {

/// A layer and its normalization of types that are not ours.
struct Layer {
  std::vector<float> kernel{1, 2, 3, 4, 5, 6}, offset{1, 2, 3};
  fat::span_tensor<float> view{kernel.data(), {3, 1, 1, 2}};
  static constexpr std::size_t channel_axis = 0;
  auto& weights() { return view; }
  auto& bias() { return offset; }
};
struct Norm {
  std::vector<float> g{2, 1, 0.5F}, b{0, 1, 2}, m{1, 1, 1}, v{3, 3, 3};
  const auto& gamma() const { return g; }
  const auto& beta() const { return b; }
  const auto& mean() const { return m; }
  const auto& variance() const { return v; }
  double epsilon() const { return 1.0; }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_xtensor_contract)

BOOST_AUTO_TEST_CASE(quantizers_and_thresholds) {
  const xt::xtensor<float, 4> w = xt::ones<float>({2, 1, 1, 3}) * 0.5F;
  WeightQuantizer q;
  auto range = fat::observe<fat::MinMax>(q, w);
  auto params = q.params(range);
  auto codes = fat::quantize(q, w, params);
  auto back = fat::dequantize(q, codes, params);
  auto fake = fat::fake_quantize(q, w, params);
  xt::xtensor<std::int8_t, 4> out = xt::zeros<std::int8_t>(w.shape());
  fat::quantize(q, w, params, out);
  BOOST_TEST((back == fake && out == codes));
  BOOST_TEST(static_cast<int>(codes(0, 0, 0, 0)) == 127);
  BOOST_TEST(params.scale(1) > 0.0F);
  BOOST_TEST(params.zero_point(1) == 0);

  fat::AdjustableThreshold<WeightQuantizer> t{range};
  auto y = t.forward(w);
  auto g = t.backward(w, xt::xtensor<float, 4>(xt::ones_like(w)));
  std::span<float> p = t.parameters();
  t.project();
  BOOST_TEST(p.size() == 2U);
  BOOST_TEST(g.parameters.size() == 2U);
  BOOST_TEST((y == fake));
  fat::PointwiseScale s{w.size()};
  BOOST_TEST(s.parameters().size() == w.size());
}

BOOST_AUTO_TEST_CASE(standard_containers_are_tensors) {
  std::vector<float> w{-1.0F, 0.25F, 1.0F};
  fat::Quantizer<fat::Symmetric, fat::Signed> q;
  const auto params = q.params(fat::observe<fat::MinMax>(q, w));
  const std::vector<std::int8_t> codes = fat::quantize(q, w, params);
  std::vector<std::int8_t> into(3);
  fat::quantize(q, std::span<const float>{w}, params, into);
  BOOST_TEST(codes == into, boost::test_tools::per_element());
  BOOST_TEST(static_cast<int>(codes[0]) == -127);
}

BOOST_AUTO_TEST_CASE(folding_into_a_layer_with_standard_vectors) {
  Layer layer;
  fat::fold_batch_norm(layer, Norm{});
  BOOST_TEST(layer.kernel[0] == 1.0F);  // gamma / sqrt(3 + 1) = 1
  BOOST_TEST(layer.offset[0] == 0.0F);
  BOOST_TEST(layer.kernel[4] == 1.25F);
}

BOOST_AUTO_TEST_CASE(integer_products_and_multipliers) {
  std::vector<std::int8_t> left(6, 2), right(6, 3);
  std::vector<std::int32_t> sums(4), again(4);
  auto a = fat::span_tensor(left.data(), {2, 3});
  auto b = fat::span_tensor(right.data(), {3, 2});
  auto c = fat::span_tensor(sums.data(), {2, 2});
  auto d = fat::span_tensor(again.data(), {2, 2});
  fat::gemm(fat::kernel::reference{}, a, b, c);
  fat::gemm(a, b, d);
  BOOST_TEST(sums == again, boost::test_tools::per_element());
  BOOST_TEST(sums[0] == 18);
  const auto m = fat::FixedPointMultiplier::from_real(0.5);
  BOOST_TEST(fat::requantize(100, m, fat::DoubleRounding{}) == 50);
  BOOST_TEST(fat::requantize(100, m, fat::SingleRounding{}) == 50);
}

BOOST_AUTO_TEST_CASE(the_whole_job) {
  BOOST_CHECK_THROW(fat::onnx::load("no such file.onnx"), fat::error);
  const fat::Model model = fat::test::small_model();
  const fat::test::RandomImages images{model.input_extent(), 16};
  fat::QuantizeOptions options{.scheme = fat::Scheme::symmetric, .calibration = 8};
  const fat::QuantizedModel int8 = fat::quantize_model(model, images, options);
  std::vector<float> input(model.input_extent().size()), output(model.output_extent().size()), simulated(output.size());
  images.load(0, input);
  int8.run(input, output);
  fat::Simulation{int8}.run(input, 1, simulated);
  const float step = int8.activations[int8.graph.output]->step;
  for (std::size_t k = 0; k != output.size(); ++k) BOOST_TEST(std::abs(output[k] - simulated[k]) < 2.5F * step);
}

BOOST_AUTO_TEST_SUITE_END()
