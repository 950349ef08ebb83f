// Real ONNX models give the reference outputs.
#include <fat/io/onnx.hpp>
#include <fat/model/forward.hpp>
#include <fat/model/simplify.hpp>

#include "support/golden.hpp"
#include "support/run_model.hpp"

#include <boost/test/unit_test.hpp>

namespace {

void compare(const char* file, const char* input, const char* output) {
  fat::Model model = fat::onnx::load(fat::test::data_path(file).string());
  const auto x = fat::read_npy(fat::test::data_path(input)).as<float>();
  const auto expected = fat::read_npy(fat::test::data_path(output)).as<float>();
  BOOST_TEST(fat::test::relative_difference(fat::test::run_in_file_order(model, x), expected) <= 1e-4);
  fat::fuse_clamps(model);
  fat::fold_batch_norm(model);
  BOOST_TEST(fat::test::relative_difference(fat::test::run_in_file_order(model, x), expected) <= 1e-4);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(golden_onnx_models)

BOOST_AUTO_TEST_CASE(mobilenet_v2, *fat::test::needs_data("models/mobilenet_v2_1.0_224.onnx")) {
  compare("models/mobilenet_v2_1.0_224.onnx", "reference/input.npy", "reference/mobilenet_v2_1.0_224_logits.npy");
}

BOOST_AUTO_TEST_CASE(mobilenet_v1, *fat::test::needs_data("models/mobilenet_v1_0.25_224.onnx")) {
  compare("models/mobilenet_v1_0.25_224.onnx", "reference/input.npy", "reference/mobilenet_v1_0.25_224_logits.npy");
}

BOOST_AUTO_TEST_CASE(features, *fat::test::needs_data("models/mobilenet_v2_features_bn.onnx")) {
  compare("models/mobilenet_v2_features_bn.onnx", "reference/input.npy",
          "reference/mobilenet_v2_features_bn_features.npy");
}

BOOST_AUTO_TEST_CASE(resnet8, *fat::test::needs_data("models/resnet8_cifar10.onnx")) {
  compare("models/resnet8_cifar10.onnx", "reference/cifar10_input.npy", "reference/resnet8_cifar10_probabilities.npy");
}

BOOST_AUTO_TEST_SUITE_END()
