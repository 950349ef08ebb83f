// ONNX files whose tensors lie in files beside them: read from the model's folder alone, each kind of damage with a message
// of its own.
#include <fat/io/onnx.hpp>
#include <fat/model/forward.hpp>

#include "support/temporary.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_onnx_external)

namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

// Messages of protocol buffers: a number, or what is inside, behind its field.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value % 128 + 128);
  return bytes + static_cast<char>(value);
}
std::string number(std::uint64_t field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string inside(std::uint64_t field, const std::string& bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string vector_of(const std::string& name, std::uint64_t size) {
  const std::string shape = inside(1, number(1, 1)) + inside(1, number(1, size));
  return inside(1, name) + inside(2, inside(1, number(1, 1) + inside(2, shape)));
}

/// y = x w with w [2, 3] kept as the entries say.
std::string model(const Entries& entries) {
  std::string weights = number(1, 2) + number(1, 3) + number(2, 1) + inside(8, "w");
  for (const auto& [key, value] : entries) weights += inside(13, inside(1, key) + inside(2, value));
  weights += number(14, 1);
  const std::string node =
      inside(1, "x") + inside(1, "w") + inside(2, "y") + inside(3, "product") + inside(4, "MatMul");
  const std::string graph = inside(1, node) + inside(2, "network") + inside(5, weights) +
                            inside(11, vector_of("x", 2)) + inside(12, vector_of("y", 3));
  return number(1, 8) + inside(7, graph) + inside(8, number(2, 13));
}

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream{path, std::ios::binary} << bytes;
}

std::string weights_behind(std::size_t offset) {
  const float values[] = {1.0F, 2.0F, 3.0F, 10.0F, 20.0F, 30.0F};
  std::string bytes(offset + sizeof values, 'x');
  std::memcpy(bytes.data() + offset, values, sizeof values);
  return bytes;
}

/// What loading says; empty where the network is the right one.
std::string answer(const std::filesystem::path& folder, const Entries& entries) {
  write(folder / "model.onnx", model(entries));
  try {
    const fat::Model loaded = fat::onnx::load((folder / "model.onnx").string());
    const std::vector<float> x{1.0F, 0.5F};
    std::vector<float> y(3);
    fat::FloatRunner runner{loaded};
    runner.run({x.data(), 2}, 1, {y.data(), 3});
    return y == std::vector<float>{6.0F, 12.0F, 18.0F} ? "" : "wrong numbers";
  } catch (const fat::error& problem) {
    return problem.what();
  }
}

void expect_refused(const std::filesystem::path& folder, const Entries& entries, const std::string& part) {
  const std::string message = answer(folder, entries);
  BOOST_TEST(message.find(part) != std::string::npos, "'" << message << "' says nothing of '" << part << "'");
  BOOST_TEST(message.find("model.onnx: tensor 'w'") != std::string::npos, message);
}

}  // namespace

BOOST_AUTO_TEST_CASE(data_beside_the_model_is_read) {
  const fat::test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "below");
  write(folder.path() / "w.data", weights_behind(0));
  write(folder.path() / "behind.data", weights_behind(64));
  write(folder.path() / "below" / "w.data", weights_behind(0) + "and more");
  for (const Entries& entries :
       {Entries{{"location", "w.data"}}, Entries{{"location", "./w.data"}, {"offset", "0"}, {"length", "24"}},
        Entries{{"location", "behind.data"}, {"offset", "64"}, {"length", "24"}},
        Entries{{"location", "behind.data"}, {"offset", "64"}},
        Entries{{"location", "below/w.data"}, {"length", "24"}}})
    BOOST_TEST(answer(folder.path(), entries) == "");
}

BOOST_AUTO_TEST_CASE(nothing_outside_the_folder_is_read) {
  const fat::test::TemporaryFolder outer;
  const std::filesystem::path folder = outer.path() / "models";
  std::filesystem::create_directory(folder);
  write(outer.path() / "w.data", weights_behind(0));
  std::filesystem::create_symlink(outer.path() / "w.data", folder / "link");
  std::filesystem::create_symlink(outer.path(), folder / "away");
  std::filesystem::create_directory(folder / "below");
  for (const std::string& location : {std::string{"../w.data"}, std::string{"below/../../w.data"}, std::string{},
                                      (outer.path() / "w.data").string(), std::string{"below/.."}})
    expect_refused(folder, {{"location", location}}, "no file in the model's folder");
  expect_refused(folder, {{"location", "link"}}, "link");
  expect_refused(folder, {{"location", "away/w.data"}}, "link");
  expect_refused(folder, {{"location", "below"}}, "no plain file");
}

BOOST_AUTO_TEST_CASE(missing_and_short_files_are_named) {
  const fat::test::TemporaryFolder folder;
  write(folder.path() / "w.data", weights_behind(0));
  write(folder.path() / "short.data", weights_behind(0).substr(0, 23));
  expect_refused(folder.path(), {{"location", "none.data"}}, "'none.data', which is missing");
  expect_refused(folder.path(), {{"location", "short.data"}}, "which has 23");
  expect_refused(folder.path(), {{"location", "w.data"}, {"offset", "1"}}, "from byte 1");
  expect_refused(folder.path(), {{"location", "w.data"}, {"offset", "4611686018427387904"}},
                 "from byte 46116860184273879");
  expect_refused(folder.path(), {{"location", "w.data"}, {"length", "20"}}, "its length in 'w.data' is 20");
  for (const char* text : {"-1", "99999999999999999999", "4 bytes", ""})
    expect_refused(folder.path(), {{"location", "w.data"}, {"offset", text}}, "damaged");
}

BOOST_AUTO_TEST_CASE(a_model_in_memory_has_no_folder) {
  try {
    fat::onnx::read(model({{"location", "w.data"}}), "model");
    BOOST_ERROR("no error");
  } catch (const fat::error& problem) {
    const std::string message = problem.what();
    BOOST_TEST(message.find("in memory") != std::string::npos, message);
  }
}

BOOST_AUTO_TEST_SUITE_END()
