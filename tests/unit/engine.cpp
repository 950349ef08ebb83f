// The compiled engine beside the integer engine it is made of, its sessions in several threads, and its C interface.
#include <support/quantized_network.hpp>
#include <support/temporary.hpp>

#include <fat/engine.h>
#include <fat/engine.hpp>
#include <fat/io/quantized_npz.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

fat::QuantizedModel network() {
  fat::test::NetworkBuilder b{{8, 8, 3, false}, true};
  const fat::ValueId x = b.add("conv", b.convolution(8, 3, 3, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, fat::relu), {b.model.input});
  b.add("mean", fat::GlobalAveragePool{}, {x}, {1, 1, 8, true});
  b.add("dense", fat::Dense{{}, b.random({5, 8}, 0.5F), b.random({5}, 0.1F)}, {b.model.output});
  fat::QuantizedModel model = fat::quantize_model(b.model, fat::test::NoiseImages{8});
  model.graph.preprocessing = fat::Preprocessing{};
  return model;
}

std::vector<float> images(std::size_t count) {
  std::vector<float> all(count * 192);
  for (std::size_t i = 0; i != count; ++i)
    fat::test::NoiseImages{count}.load(100 + i, std::span{all}.subspan(i * 192, 192));
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_engine)

BOOST_AUTO_TEST_CASE(floats_codes_and_pixels_give_what_the_integer_engine_gives) {
  const fat::QuantizedModel model = network();
  const fat::Engine engine{model};
  BOOST_REQUIRE(engine.inputs().size() == 1U);
  BOOST_TEST(engine.inputs()[0].dims == (std::vector<std::size_t>{1, 8, 8, 3}), boost::test_tools::per_element());
  BOOST_TEST(engine.outputs()[0].size == 5U);
  const std::vector<float> from = images(3);
  std::vector<float> expected(15), found(15);
  fat::IntegerModel{model}.run(from, 3, expected);
  fat::Engine::Session run = engine.session({.threads = 2});
  run(std::span<const float>{from}, std::span{found});
  BOOST_TEST(found == expected, boost::test_tools::per_element());

  std::vector<std::uint8_t> pixels(192);
  std::vector<float> numbers(192), one(5), again(5);
  for (std::size_t i = 0; i != pixels.size(); ++i) {
    pixels[i] = static_cast<std::uint8_t>(i * 37 % 256);
    numbers[i] = static_cast<float>(pixels[i]) * (1.0F / 127.5F) - 1.0F;
  }
  run(std::span<const std::uint8_t>{pixels}, std::span{one});
  run(std::span<const float>{numbers}, std::span{again});
  BOOST_TEST(one == again, boost::test_tools::per_element());

  const std::string in = engine.inputs()[0].name, out = engine.outputs()[0].name;
  std::copy(numbers.begin(), numbers.end(), run.input(in).begin());
  run.run();
  BOOST_TEST(std::vector<float>(run.output(out).begin(), run.output(out).end()) == again, boost::test_tools::per_element());
  BOOST_CHECK_THROW(run.input("other"), fat::error);
  BOOST_CHECK_THROW(run(std::span<const float>{from}, std::span{one}), fat::error);
  BOOST_CHECK_THROW(run(std::span<const float>{numbers}.first(191), std::span{one}), fat::error);
}

BOOST_AUTO_TEST_CASE(eight_sessions_at_once_give_the_same_bits) {
  const fat::QuantizedModel model = network();
  const fat::Engine engine{model};
  const std::vector<float> from = images(1);
  std::vector<float> expected(5);
  engine.session()(std::span<const float>{from}, std::span{expected});
  std::atomic<int> different{0};
  std::vector<std::thread> threads;
  for (int t = 0; t != 8; ++t)
    threads.emplace_back([&] {
      fat::Engine::Session run = engine.session();
      std::vector<float> found(5);
      for (int i = 0; i != 50; ++i) {
        run(std::span<const float>{from}, std::span{found});
        different += std::memcmp(found.data(), expected.data(), sizeof(float) * 5) != 0;
      }
    });
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(different == 0);
}

BOOST_AUTO_TEST_CASE(the_c_interface_does_the_same_and_reports_errors) {
  const fat::test::TemporaryFolder folder;
  const std::string path = (folder.path() / "model.npz").string();
  const fat::QuantizedModel model = network();
  fat::write_quantized(path, model);
  const std::vector<float> from = images(1);
  std::vector<float> expected(5), found(5);
  fat::IntegerModel{model}.run(from, 1, expected);

  fat_engine* engine = nullptr;
  BOOST_REQUIRE(fat_engine_open(path.c_str(), &engine) == FAT_OK);
  BOOST_TEST(fat_engine_input_size(engine) == 192U);
  BOOST_TEST(fat_engine_output_size(engine) == 5U);
  fat_session* session = nullptr;
  BOOST_REQUIRE(fat_session_open(engine, 1, &session) == FAT_OK);
  fat_engine_close(engine);
  BOOST_TEST(fat_session_run(session, from.data(), from.size(), found.data(), found.size()) == FAT_OK);
  BOOST_TEST(found == expected, boost::test_tools::per_element());
  BOOST_TEST(fat_session_run(session, from.data(), from.size() - 1, found.data(), found.size()) == FAT_ERROR);
  BOOST_TEST(std::string{fat_last_error()}.find("191 inputs") != std::string::npos);
  fat_session_close(session);
  BOOST_TEST(fat_engine_open((path + ".none").c_str(), &engine) == FAT_ERROR);
  BOOST_TEST(std::string{fat_last_error()}.find("none") != std::string::npos);
  BOOST_TEST(fat_engine_open_memory("no archive", 10, &engine) == FAT_ERROR);
}

BOOST_AUTO_TEST_SUITE_END()
