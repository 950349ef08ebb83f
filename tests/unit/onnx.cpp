// ONNX import: every way of writing a layer gives the outputs of ONNX Runtime; damaged and hostile files are errors.
#include <fat/io/onnx.hpp>
#include <fat/model/encode_model.hpp>
#include <fat/model/forward.hpp>
#include <fat/model/simplify.hpp>

#include "support/golden.hpp"
#include "support/run_model.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace {

const std::filesystem::path folder = std::filesystem::path{FAT_PROJECT_DIR} / "tests/support/onnx";

std::vector<std::string> files(const std::filesystem::path& where) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{where})
    if (entry.path().extension() == ".onnx") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// What an error message must contain, for each file of the folder bad.
const std::map<std::string, std::string> reasons{
    {"channels", "the input has 3"},
    {"clip_disorder", "disorder"},
    {"constant_axis", "axis 7 for 1 dimensions"},
    {"cycle", "no earlier node makes"},
    {"divide_by_0", "Div 'Div_y': divides by"},
    {"divide_constants", "Div 'Div_h': a constant becomes NaN or infinite"},
    {"dropout_training", "Dropout 'Dropout_y': is in training mode"},
    {"doubled_list", "Concat 'Concat_h24': makes a constant of 33554432 elements"},
    {"dynamic_weights", "is no constant"},
    {"empty_weights", "empty"},
    {"external", "keeps its data in"},
    {"huge_extent", "needs"},
    {"huge_fill", "elements"},
    {"huge_pad", "pads"},
    {"huge_stride", "strides"},
    {"huge_weights", "extent"},
    {"many_fills", "makes a constant of 4194304 elements, 0 more are supported"},
    {"missing_data", "needs 432 bytes"},
    {"nan", "nan"},
    {"negative_size", "dimension 2"},
    {"negative_weights", "extent -1"},
    {"new", "operator set 99"},
    {"no_output", "no node makes the output 'y'"},
    {"old", "operator set 6"},
    {"open_size", "leaves dimension 2 open"},
    {"positions_add_pixel", "do not fit along axis 2"},
    {"reshape", "shape"},
    {"resize_10_both_ways", "one axis grows and the other shrinks"},
    {"resize_other_scale", "scale 1.0001 takes other pixels than the ratio of the sizes"},
    {"slice_real_bounds", "must be integers"},
    {"slice_step_0", "a step of 0"},
    {"twice", "two tensors are called 'y'"},
    {"unknown_domain", "com.microsoft"},
    {"unknown_operator", "LSTM 'LSTM_y': the operator is not supported"},
    {"window_too_large", "window"},
};

/// Loads or fails with fat::error; anything else ends the test program.
void try_to_read(std::string_view bytes) {
  try {
    fat::onnx::read(bytes, "file");
  } catch (const fat::error&) {
  }
}

void compare_with_reference(const std::string& name) {
  static const fat::NpyArrays references = fat::read_npz(folder / "references.npz");
  const auto input = references.at(name + ".input").as<float>();
  const auto expected = references.at(name + ".output").as<float>();
  fat::Model model = fat::onnx::load((folder / (name + ".onnx")).string());
  BOOST_TEST(fat::test::relative_difference(fat::test::run_in_file_order(model, input), expected) <= 2e-6);
  BOOST_TEST(model.values[model.output].name == "y");
  fat::fuse_clamps(model);
  fat::fold_batch_norm(model);
  fat::validate(model);
  BOOST_TEST(fat::test::relative_difference(fat::test::run_in_file_order(model, input), expected) <= 4e-6);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_onnx)

BOOST_DATA_TEST_CASE(an_idiom_gives_the_reference_output, boost::unit_test::data::make(files(folder)), name) {
  compare_with_reference(name);
}

BOOST_AUTO_TEST_CASE(idioms_become_the_layers_they_mean) {
  const auto kinds = [](const char* name) {
    std::string text;
    for (const fat::Node& node : fat::onnx::load((folder / name).string()).nodes)
      text += std::string{fat::kind_name(node.op)} + ",";
    return text;
  };
  BOOST_TEST(kinds("hard_swish_pieces.onnx") == "hard swish,");
  BOOST_TEST(kinds("hard_swish_divided_first.onnx") == "hard swish,");
  BOOST_TEST(kinds("hard_swish_sigmoid.onnx") == "hard swish,");
  BOOST_TEST(kinds("squeeze_excite.onnx") ==
             "global average pool,convolution,clamp,convolution,hard sigmoid,multiply,");
  BOOST_TEST(kinds("conv_depthwise.onnx") == "depthwise convolution,");
  BOOST_TEST(kinds("conv_multiplier.onnx") == "depthwise convolution,");
  BOOST_TEST(kinds("conv_after_pad.onnx") == "convolution,");
  BOOST_TEST(kinds("matmul_add.onnx") == "dense,");
  BOOST_TEST(kinds("conv_add_constant.onnx") == "convolution,");
  BOOST_TEST(kinds("flatten_image.onnx") == "dense,");
  BOOST_TEST(kinds("pad_pytorch_13.onnx") == "convolution,");
  BOOST_TEST(kinds("mean_twice.onnx") == "global average pool,dense,");
  BOOST_TEST(kinds("mean_twice_kept.onnx") == "global average pool,dense,");
  BOOST_TEST(kinds("mean_of_view.onnx") == "global average pool,dense,");
  BOOST_TEST(kinds("squeeze_twice.onnx") == "global average pool,dense,");
  BOOST_TEST(kinds("pixel_by_index.onnx") == "global average pool,dense,");
  BOOST_TEST(kinds("sum_3.onnx") == "convolution,clamp,global average pool,add,add,add,");
}

/// `kind` before every field of the protocol-buffer format that holds text or a message.
std::string field(char number, const std::string& body) {
  std::string head{static_cast<char>(number * 8 + 2)};
  for (std::size_t size = body.size(); head.size() == 1 || size != 0; size /= 128)
    head += static_cast<char>(size % 128 + (size >= 128 ? 128 : 0));
  return head + body;
}

/// Nodes of one kind, each of which reads the one before it.
std::string chain(const std::string& kind, std::size_t length) {
  const auto name = [](std::size_t i) { return "t" + std::to_string(i); };
  const std::string batch = field(1, field(2, "N")), three = field(1, std::string{"\x08\x03", 2});
  const std::string type = field(2, field(1, std::string{"\x08\x01", 2} + field(2, batch + three)));
  std::string graph;
  for (std::size_t i = 0; i != length; ++i)
    graph += field(1, field(1, name(i)) + field(2, name(i + 1)) + field(4, kind));
  graph += field(2, "chain") + field(11, field(1, name(0)) + type) + field(12, field(1, name(length)) + type);
  return std::string{"\x08\x07", 2} + field(7, graph) + field(8, std::string{"\x10\x0D", 2});
}

// The time of each step grows with the length, not with its square, or this test is the longest of all.
BOOST_AUTO_TEST_CASE(long_chains_are_read_and_simplified) {
  constexpr std::size_t length = 40000;
  fat::Model clamps = fat::onnx::read(chain("Relu", length), "chain");
  BOOST_TEST(clamps.nodes.size() == length);
  clamps = fat::prepare_model(std::move(clamps));
  BOOST_TEST(clamps.nodes.size() == 1);
  BOOST_TEST(clamps.values.size() == 2);
  fat::Model sigmoids = fat::onnx::read(chain("Sigmoid", length), "chain");
  sigmoids = fat::prepare_model(std::move(sigmoids));
  BOOST_TEST(sigmoids.nodes.size() == length);
}

BOOST_AUTO_TEST_CASE(joined_flat_images_are_each_made_once) {
  const fat::Model model = fat::onnx::load((folder / "concat_flat.onnx").string());
  BOOST_TEST_REQUIRE(model.nodes.size() == 4);
  BOOST_TEST(model.nodes[1].name == "Concat_y/flat");
  BOOST_TEST(model.nodes[2].name == "Concat_y/flat/2");
}

BOOST_DATA_TEST_CASE(a_bad_file_is_refused_with_the_reason, boost::unit_test::data::make(files(folder / "bad")), name) {
  const std::string file = (folder / "bad" / (name + ".onnx")).string();
  std::string message = "no error";
  try {
    fat::onnx::load(file, {.strict = true});
  } catch (const fat::error& error) {
    message = error.what();
  }
  BOOST_REQUIRE(reasons.contains(name));
  BOOST_TEST(message.starts_with(file + ": "), "the message is: " << message);
  for (const char* prefix : {": onnx: ", ": model: "}) BOOST_TEST(message.find(prefix) == std::string::npos);
  BOOST_TEST(message.find(reasons.at(name)) != std::string::npos, "the message is: " << message);
}

/// Once refused, now read by the general reader; tests/random compares such networks with ONNX Runtime.
BOOST_DATA_TEST_CASE(a_general_file_is_read, boost::unit_test::data::make(files(folder / "general")), name) {
  const fat::Model model = fat::onnx::load((folder / "general" / (name + ".onnx")).string(), {.strict = true});
  BOOST_TEST(!model.nodes.empty());
  BOOST_TEST(model.notes.empty());
}

BOOST_AUTO_TEST_CASE(every_truncation_is_an_error_or_a_model) {
  for (const char* name : {"squeeze_excite.onnx", "nhwc.onnx", "reshape_by_shape.onnx"}) {
    const std::string bytes = fat::read_file(folder / name);
    for (std::size_t size = 0; size != bytes.size(); ++size) try_to_read(std::string_view{bytes}.substr(0, size));
    BOOST_CHECK_THROW(fat::onnx::read({}, "empty"), fat::error);
  }
}

BOOST_AUTO_TEST_CASE(flipped_bits_never_crash) {
  for (const std::string& name : files(folder)) {
    const std::string bytes = fat::read_file(folder / (name + ".onnx"));
    const std::size_t step = 8 * bytes.size() / 400 + 1;
    for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += step) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      try_to_read(damaged);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
