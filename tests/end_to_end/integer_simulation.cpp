// MobileNetV2's integers against their simulation on real images, one weight step a channel and one a layer: given the same
// input codes, every layer is at most one code apart.
#include <fat/io/image_set.hpp>
#include <fat/io/images.hpp>
#include <fat/io/onnx.hpp>
#include <fat/model/code_differences.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>

#include "support/golden.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(end_to_end_integer_simulation)

BOOST_AUTO_TEST_CASE(mobilenet_v2,
                     *fat::test::needs_data("models/mobilenet_v2_1.0_224.onnx") * fat::test::needs_data("imagenet")) {
  const fat::Model model = fat::onnx::load(fat::test::data_path("models/mobilenet_v2_1.0_224.onnx").string());
  std::vector<fat::ImageEntry> entries = fat::list_images(fat::test::data_path("imagenet").string());
  entries.resize(std::min<std::size_t>(entries.size(), 10));
  fat::Threads threads{1};
  const fat::ImageSet images{entries, model.input_extent(), fat::preprocessing_preset("tf"), threads};
  for (const fat::Granularity granularity : {fat::Granularity::per_channel, fat::Granularity::scalar}) {
    fat::CodeDifferences differences{
        fat::quantize_model(model, images, {.granularity = granularity, .calibration = 10})};
    std::vector<float> image(images.image_size());
    for (std::size_t i = 0; i != 3; ++i) {
      images.load(i, image);
      differences.add(image);
    }
    fat::CodeDifference all;
    for (std::size_t n = 0; n != differences.layers().size(); ++n) {
      const fat::CodeDifference& each = differences.layers()[n];
      BOOST_TEST(each.largest <= 1, differences.graph().nodes[n].name << ": codes differ by " << each.largest);
      BOOST_TEST(each.share() <= 0.01, differences.graph().nodes[n].name << ": " << each.differing << " of "
                                                                         << each.codes << " codes differ");
      all.codes += each.codes, all.differing += each.differing;
    }
    BOOST_TEST(all.codes != 0U);
    BOOST_TEST_MESSAGE((granularity == fat::Granularity::scalar ? "scalar" : "per channel")
                       << ": " << 100.0 * all.share() << " % of the codes differ");
  }
}

BOOST_AUTO_TEST_CASE(memory,
                     *fat::test::needs_data("models/mobilenet_v2_1.0_224.onnx") * fat::test::needs_data("imagenet")) {
  const fat::Model model = fat::onnx::load(fat::test::data_path("models/mobilenet_v2_1.0_224.onnx").string());
  std::vector<fat::ImageEntry> entries = fat::list_images(fat::test::data_path("imagenet").string());
  entries.resize(1);
  fat::Threads threads{1};
  const fat::ImageSet images{entries, model.input_extent(), fat::preprocessing_preset("tf"), threads};
  const fat::QuantizedModel quantized = fat::quantize_model(model, images, {.calibration = 1});
  std::size_t weights = 0;
  for (const auto& each : quantized.weights) weights += each ? each->codes.size() : 0;
  std::vector<fat::Lifetime> lifetimes = fat::value_lifetimes(quantized.graph);
  for (std::size_t v = 0; v != lifetimes.size(); ++v) lifetimes[v].size *= quantized.activations[v] ? 1 : sizeof(float);
  const auto least = static_cast<double>(fat::busiest_step(lifetimes));
  for (const fat::kernel::Kernels* kernels : fat::kernel::available()) {
    const fat::IntegerModel engine{quantized, {.set = kernels}};
    BOOST_TEST(static_cast<double>(engine.packed_bytes()) <= 1.15 * static_cast<double>(weights), kernels->name);
    BOOST_TEST(static_cast<double>(engine.arena_bytes()) <= 1.1 * least, kernels->name);
    BOOST_TEST(engine.packed_bytes() >= weights, kernels->name);
    BOOST_TEST(static_cast<double>(engine.arena_bytes()) >= least, kernels->name);
  }
}

BOOST_AUTO_TEST_SUITE_END()
