// The demo's int8 network, as a file, gives the same codes in every tensor on every processor, instruction set and number
// of threads. tests/support/demo_int8.npz is written by `build/examples/embedded tests/support/demo_int8.npz`; with
// another file the sums below are those that all paths agree on.
#include <fat/io/quantized_npz.hpp>
#include <fat/model/integer.hpp>

#include <demo/pictures.hpp>

#include "support/kernels.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

constexpr std::size_t picture_count = 10;

/// FNV-1a, 64 bits.
class Checksum {
 public:
  template <class Byte>
  void add(const Byte* bytes, std::size_t size) {
    for (std::size_t i = 0; i != size; ++i) sum_ = (sum_ ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3U;
  }
  std::uint64_t value() const noexcept { return sum_; }

 private:
  std::uint64_t sum_ = 0xcbf29ce484222325U;
};

std::vector<std::int8_t> picture_codes() {
  std::vector<std::int8_t> codes(picture_count * demo::picture_bytes);
  for (std::size_t n = 0; n != picture_count; ++n) {
    demo::Picture picture{};
    demo::draw_picture(demo::evaluation_stream, n, picture);
    for (std::size_t i = 0; i != picture.size(); ++i)
      codes[n * picture.size() + i] = static_cast<std::int8_t>(picture[i] - 128);
  }
  return codes;
}

const fat::QuantizedModel& network() {
  static const fat::QuantizedModel model = fat::read_quantized(FAT_PROJECT_DIR "/tests/support/demo_int8.npz");
  return model;
}

// Of the pictures, of all tensors of the network picture by picture, and of its outputs.
constexpr std::uint64_t pictures_sum = 4433799045853045783U, tensors_sum = 15322134976908131204U,
                        outputs_sum = 4660740049954415390U;

}  // namespace

BOOST_AUTO_TEST_SUITE(golden_demo_network)

BOOST_AUTO_TEST_CASE(pictures_are_the_same_everywhere) {
  const std::vector<std::int8_t> codes = picture_codes();
  Checksum sum;
  sum.add(codes.data(), codes.size());
  BOOST_TEST(sum.value() == pictures_sum);
}

BOOST_AUTO_TEST_CASE(every_tensor_on_every_path) {
  const std::vector<std::int8_t> codes = picture_codes();
  for (const fat::kernel::Kernels* kernels : fat::test::every_kernel()) {
    BOOST_TEST_MESSAGE("kernels " << kernels->name);
    fat::IntegerModel model{network(), {.threads = 1, .set = kernels}};
    std::vector<std::int8_t> outputs(picture_count * model.graph().output_extent().size());
    Checksum all, last;
    model.run(std::span{codes}, picture_count, std::span{outputs},
              [&](fat::ValueId v, std::size_t, std::size_t, const std::uint8_t* bytes) {
                all.add(bytes, model.graph().extent(v).size());
              });
    last.add(outputs.data(), outputs.size());
    BOOST_TEST(all.value() == tensors_sum, kernels->name << ": another sum of all tensors, " << all.value());
    BOOST_TEST(last.value() == outputs_sum, kernels->name << ": another sum of the outputs, " << last.value());
  }
}

BOOST_AUTO_TEST_CASE(threads_change_nothing) {
  const std::vector<std::int8_t> codes = picture_codes();
  fat::IntegerModel model{network(), {.threads = 3}};
  std::vector<std::int8_t> outputs(picture_count * model.graph().output_extent().size());
  model.run(std::span{codes}, picture_count, std::span{outputs});
  Checksum last;
  last.add(outputs.data(), outputs.size());
  BOOST_TEST(last.value() == outputs_sum);
}

BOOST_AUTO_TEST_SUITE_END()
