// C headers of networks, compiled and run as C99 and C++ on this machine and as bare-metal programs on emulated boards:
// the codes are those of IntegerModel.
#include <fat/io/c_source.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>

#include "support/code_network.hpp"
#include "support/program.hpp"
#include "support/temporary.hpp"

#include <demo/demo.hpp>

#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

using fat::test::has_program;
using fat::test::needs_program;
using fat::test::run_program;

template <class Code>
std::string array_text(const std::string& name, const std::vector<Code>& codes) {
  std::string text = "static const " + std::string{std::is_signed_v<Code> ? "int8_t " : "uint8_t "} + name + "[" +
                     std::to_string(codes.size()) + "] = {";
  for (std::size_t i = 0; i != codes.size(); ++i)
    text += (i == 0 ? "" : i % 24 == 0 ? ",\n" : ",") + std::to_string(static_cast<int>(codes[i]));
  return text + "};\n";
}

/// A folder with net.h, vectors.h (input codes and what IntegerModel makes of them) and main.c, which returns 0 when
/// the header's driver makes the same.
class Firmware {
 public:
  template <class In, class Out>
  Firmware(const fat::QuantizedModel& model, std::vector<In> inputs, Out) : folder_() {
    const std::size_t count = inputs.size() / model.graph.input_extent().size();
    std::vector<Out> outputs(count * model.graph.output_extent().size());
    fat::IntegerModel engine{model};
    engine.run(std::span<const In>{inputs}, count, std::span{outputs});
    fat::write_c_source(path() / "net.h", model);
    write("vectors.h", array_text("inputs", inputs) + array_text("expected", outputs));
    ++outputs[outputs.size() / 2];
    write("wrong/vectors.h", array_text("inputs", inputs) + array_text("expected", outputs));
    const std::string type = std::is_signed_v<Out> ? "int8_t" : "uint8_t";
    for (const char* const main : {"main.c", "wrong/main.c"})
      write(main,
            "#include \"net.h\"\n#include \"vectors.h\"\nint main(void) {\n  static " + type +
                " output[NET_OUTPUT_SIZE];\n"
                "  for (int n = 0; n < " +
                std::to_string(count) +
                "; ++n) {\n    net_run(inputs + n * NET_INPUT_SIZE, output);\n"
                "    if (memcmp(output, expected + n * NET_OUTPUT_SIZE, NET_OUTPUT_SIZE) != 0) return 1 + n;\n"
                "    memcpy(net_input(), inputs + n * NET_INPUT_SIZE, NET_INPUT_SIZE);\n    net_invoke();\n"
                "    if (memcmp(net_output(), expected + n * NET_OUTPUT_SIZE, NET_OUTPUT_SIZE) != 0) return 1 + n;\n  "
                "}\n  return 0;\n}\n");
  }

  std::filesystem::path path() const { return folder_.path(); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path() / name).parent_path());
    fat::write_file_atomically(path() / name, text);
  }
  /// Compiles main.c by `compiler` with every warning an error, runs it and expects 0.
  void check(const std::string& compiler, const std::string& rest = "", const std::string& run = "./program") const {
    const auto compiled = compile(compiler, "main.c", rest);
    BOOST_TEST_REQUIRE(compiled.status == 0, compiler << " refuses the header:\n" << compiled.output);
    const auto same = run_program(path(), run);
    BOOST_TEST(same.status == 0, compiler << ": codes of image " << same.status - 1 << " differ from IntegerModel's\n"
                                          << same.output);
  }
  /// The same with one wrong code among those expected: the program has to notice it.
  void check_notices(const std::string& compiler, const std::string& rest = "",
                     const std::string& run = "./program") const {
    BOOST_TEST_REQUIRE(compile(compiler, "wrong/main.c", rest).status == 0);
    const auto found = run_program(path(), run);
    BOOST_TEST((found.status > 0 && found.status < 254), "exit code " << found.status << '\n' << found.output);
  }

 private:
  fat::test::ProgramRun compile(const std::string& compiler, const std::string& source, const std::string& rest) const {
    return run_program(path(), compiler + (compiler.find(" -O") == std::string::npos ? " -O2" : "") +
                                   " -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Werror -I. " + source +
                                   " -o program " + rest);
  }

  fat::test::TemporaryFolder folder_;
};

template <class Code>
std::vector<Code> random_codes(std::size_t size) {
  std::mt19937 random{5};
  std::vector<Code> codes(size);
  for (Code& code : codes) code = static_cast<Code>(random());
  return codes;
}

template <class Code>
Firmware every_operator(const fat::test::CodeStyle& style) {
  const fat::QuantizedModel model = fat::test::every_operator(style);
  return {model, random_codes<Code>(8 * model.graph.input_extent().size()), Code{}};
}

const fat::QuantizedModel& demo_network() {
  static const fat::QuantizedModel model =
      fat::quantize_model(demo::demo_model(), demo::PictureSource{demo::calibration_stream, 50}, {});
  return model;
}

/// The demo network on drawn pictures.
Firmware demo_firmware(std::size_t pictures) {
  std::vector<std::int8_t> codes(pictures * demo::picture_bytes);
  for (std::size_t n = 0; n != pictures; ++n) {
    demo::Picture picture{};
    demo::draw_picture(demo::evaluation_stream, n, picture);
    for (std::size_t i = 0; i != picture.size(); ++i)
      codes[n * picture.size() + i] = static_cast<std::int8_t>(picture[i] - 128);
  }
  return {demo_network(), codes, std::int8_t{}};
}

void check_on_this_machine(const Firmware& firmware) {
  for (const char* const compiler :
       {"gcc -std=c99", "clang -std=c99", "g++ -std=c++11 -x c++", "clang++ -std=c++20 -x c++",
        "gcc -std=c99 -fsanitize=address,undefined -fno-sanitize-recover=all",
        "clang -std=c99 -fsanitize=address,undefined -fno-sanitize-recover=all"}) {
    const std::string text = compiler;
    if (has_program(text.substr(0, text.find(' '))))
      firmware.check(compiler);
    else
      BOOST_TEST_MESSAGE("SKIPPED " << text << ": not here");
  }
}

/// Compiles for a Cortex-M processor without operating system, runs on the board that qemu emulates.
void check_on_board(const Firmware& firmware, const std::string& processor, const std::string& board,
                    const std::string& optimization = "") {
  const std::string folder = std::string{FAT_PROJECT_DIR} + "/tests/support/";
  const std::string rest = "-x none " + folder + "cortex_m.c -T " + folder + "cortex_m.ld";
  const std::string run =
      "qemu-system-arm -M " + board +
      " -nographic -monitor none -serial none -semihosting-config enable=on,target=native -kernel program";
  // a Cortex-M55 has Helium with floating-point registers, the others are taken without
  const std::string floats = processor == "cortex-m55" ? " -mfloat-abi=hard" : " -mfloat-abi=soft";
  const std::string flags = " -mthumb -mcpu=" + processor + floats + " -nostartfiles " + optimization;
  firmware.check("arm-none-eabi-gcc -std=c99" + flags, rest, run);
  firmware.check_notices("arm-none-eabi-gcc -std=c99" + flags, rest, run);
  firmware.check("arm-none-eabi-g++ -fno-exceptions -x c++" + flags, rest, run);
}

/// The boards of this project's tests; each stands for one set of instructions that kernels use.
struct Board {
  std::string processor, name, target;
};
const std::vector<Board> boards = {{"cortex-m0plus", "mps2-an385", "0"},
                                   {"cortex-m3", "mps2-an385", "0"},
                                   {"cortex-m4", "mps2-an386", "1"},
                                   {"cortex-m7", "mps2-an500", "1"},
                                   {"cortex-m55", "mps3-an547", "2"}};

/// Whether qemu and the compiler here know the board.
bool has_board(const Board& board) {
  const fat::test::TemporaryFolder folder;
  const auto known = [&](const std::string& command) { return run_program(folder.path(), command).status == 0; };
  const bool here = known("qemu-system-arm -M help | grep -qw " + board.name) &&
                    known("echo | arm-none-eabi-gcc -mthumb -mcpu=" + board.processor + " -E - > /dev/null");
  if (!here) BOOST_TEST_MESSAGE("SKIPPED " << board.processor << " on " << board.name << ": not here");
  return here;
}

/// Every tensor of the network takes many codes, so that a comparison says something.
void check_variety(const fat::QuantizedModel& model) {
  fat::IntegerModel engine{model};
  std::vector<std::set<int>> seen(model.graph.values.size());
  const std::size_t images = 8;
  const auto run = [&]<class Code>(Code) {
    const std::vector<Code> inputs = random_codes<Code>(images * model.graph.input_extent().size());
    std::vector<Code> outputs(images * model.graph.output_extent().size());
    engine.run(std::span<const Code>{inputs}, images, std::span{outputs},
               [&](fat::ValueId v, std::size_t, std::size_t, const std::uint8_t* bytes) {
                 seen[v].insert(bytes, bytes + model.graph.extent(v).size());
               });
  };
  if (model.activations[model.graph.input]->is_signed())
    run(std::int8_t{});
  else
    run(std::uint8_t{});
  for (fat::ValueId v = 0; v != seen.size(); ++v)
    BOOST_TEST(seen[v].size() >= 8, model.graph.values[v].name << " takes only " << seen[v].size() << " codes");
}

template <class Call>
void rejects(Call call, const std::string& part) {
  try {
    call();
    BOOST_ERROR("no error; expected one with: " << part);
  } catch (const fat::error& e) {
    BOOST_TEST(std::string{e.what()}.find(part) != std::string::npos, e.what());
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(firmware_c_source)

BOOST_AUTO_TEST_CASE(every_operator_on_this_machine, *needs_program("gcc")) {
  check_on_this_machine(every_operator<std::int8_t>({}));
  check_on_this_machine(every_operator<std::uint8_t>({.is_signed = false, .per_channel = false, .seed = 2}));
  check_on_this_machine(every_operator<std::int8_t>({.asymmetric_weights = true, .seed = 3}));
}

BOOST_AUTO_TEST_CASE(every_rounding_on_this_machine, *needs_program("gcc")) {
  for (const auto how : {fat::Requantization::half_even, fat::Requantization::tflite})
    for (const bool power_of_two : {false, true}) {
      check_on_this_machine(every_operator<std::int8_t>({.requantize = how, .power_of_two = power_of_two}));
      check_on_this_machine(every_operator<std::uint8_t>({.is_signed = false,
                                                          .per_channel = false,
                                                          .asymmetric_weights = true,
                                                          .seed = 2,
                                                          .requantize = how,
                                                          .power_of_two = power_of_two}));
    }
}

BOOST_AUTO_TEST_CASE(demo_network_on_this_machine, *needs_program("gcc")) {
  const Firmware firmware = demo_firmware(20);
  check_on_this_machine(firmware);
  firmware.check_notices("gcc -std=c99");
}

/// Layers of the shapes that kernels treat apart: windows that overlap the borders, runs of taps and channels that are no
/// multiples of 4, 8 and 16, an odd number of pixels, single channels, dilation, strides, and results past 1/4 of a sum.
fat::QuantizedModel every_shape(const fat::test::CodeStyle& style) {
  fat::test::CodeNetwork net{{9, 7, 3}, style};
  const auto window = [](fat::Pair kernel, fat::Pair stride, fat::Padding padding, fat::Pair dilation = {1, 1}) {
    return fat::Window{kernel, stride, dilation, padding};
  };
  const fat::ValueId first = net.convolution(net.input(), 16, window({3, 3}, {1, 1}, {1, 1, 1, 1}));  // 9x7x16
  fat::ValueId x = net.depthwise(first, window({3, 3}, {1, 1}, {1, 1, 1, 1}), 1, fat::relu);
  x = net.convolution(x, 21, window({1, 1}, {1, 1}, {}));                                 // 9x7x21
  const fat::ValueId a = net.depthwise(x, window({3, 3}, {1, 1}, {2, 2, 2, 2}, {2, 2}));  // dilated
  const fat::ValueId b = net.depthwise(x, window({5, 2}, {1, 1}, {2, 0, 2, 1}), 1, {-0.6F, 0.6F});
  x = net.add(fat::Add{}, {a, b});
  x = net.convolution(x, 5, window({3, 2}, {2, 1}, {1, 0, 1, 1}, {1, 2}));  // columns apart
  x = net.convolution(x, 1, window({1, 1}, {1, 1}, {}));
  x = net.depthwise(x, window({3, 3}, {1, 2}, {1, 1, 1, 1}), 6);  // of one channel
  x = net.convolution(x, 18, window({2, 3}, {1, 1}, {0, 1, 1, 1}), 1, {-0.7F, 0.4F});
  x = net.dense(x, 37);
  x = net.dense(x, 8, fat::relu);
  return net.finish(net.dense(x, 11));
}
template <class Code>
Firmware shapes(const fat::test::CodeStyle& style) {
  const fat::QuantizedModel model = every_shape(style);
  return {model, random_codes<Code>(8 * model.graph.input_extent().size()), Code{}};
}

BOOST_AUTO_TEST_CASE(every_shape_on_this_machine, *needs_program("gcc")) {
  check_on_this_machine(shapes<std::int8_t>({}));
  check_on_this_machine(shapes<std::uint8_t>({.is_signed = false, .per_channel = false, .seed = 2}));
  check_variety(every_shape({}));
  check_variety(every_shape({.is_signed = false, .per_channel = false, .seed = 2}));
}

BOOST_AUTO_TEST_CASE(on_boards, *needs_program("arm-none-eabi-gcc") * needs_program("qemu-system-arm")) {
  const Firmware demo = demo_firmware(3), operators = every_operator<std::int8_t>({}), own = shapes<std::int8_t>({}),
                 own_unsigned = shapes<std::uint8_t>({.is_signed = false, .per_channel = false, .seed = 2});
  for (const Board& board : boards) {
    if (!has_board(board)) continue;
    for (const Firmware* const firmware : {&demo, &operators, &own, &own_unsigned}) {
      firmware->write("target.c", "#include \"net.h\"\n#if NET_TARGET != " + board.target + "\n#error\n#endif\n");
      const auto target = run_program(firmware->path(), "arm-none-eabi-gcc -mthumb -mcpu=" + board.processor +
                                                            (board.target == "2" ? " -mfloat-abi=hard" : "") +
                                                            " -c target.c -o /dev/null");
      BOOST_TEST(target.status == 0, board.processor << ": another target than " << board.target);
      check_on_board(*firmware, board.processor, board.name);
    }
    check_on_board(own, board.processor, board.name, "-O0");
  }
  for (const auto how : {fat::Requantization::half_even, fat::Requantization::tflite})
    check_on_board(every_operator<std::int8_t>({.requantize = how, .power_of_two = true}), "cortex-m3", "mps2-an385");
}

BOOST_AUTO_TEST_CASE(networks_take_many_codes) {
  check_variety(fat::test::every_operator({}));
  check_variety(fat::test::every_operator({.is_signed = false, .per_channel = false, .seed = 2}));
  check_variety(fat::test::every_operator({.asymmetric_weights = true, .seed = 3}));
  for (const auto how : {fat::Requantization::half_even, fat::Requantization::tflite})
    check_variety(fat::test::every_operator({.requantize = how, .power_of_two = true}));
}

/// Kernels of other roundings are not in a header that does not need them, and the other way round.
BOOST_AUTO_TEST_CASE(a_header_has_the_rounding_of_its_network) {
  const auto text = [](fat::Requantization how) {
    return fat::c_source(fat::test::every_operator({.requantize = how}), "net");
  };
  const std::string up = text(fat::Requantization::half_up), even = text(fat::Requantization::half_even),
                    lite = text(fat::Requantization::tflite);
  const auto has = [](const std::string& header, const char* words) { return header.find(words) != std::string::npos; };
  BOOST_TEST((has(up, "nearest integer, halves up") && !has(up, "halves to") && !has(up, "rounded twice")));
  BOOST_TEST(
      (has(even, "nearest integer, halves to even") && !has(even, "integer, halves up") && !has(even, "code 0")));
  BOOST_TEST((has(lite, "rounded twice") && has(lite, "net_convolve(&") && has(lite, "net_convolution(&") &&
              !has(lite, "halves to")));
}

BOOST_AUTO_TEST_CASE(needs_no_library_and_no_floating_point, *needs_program("arm-none-eabi-gcc")) {
  const Firmware firmware = every_operator<std::int8_t>({});
  firmware.write("one.c",
                 "#include \"net.h\"\nvoid one(const int8_t *, int8_t *);\nvoid one(const int8_t *x, int8_t *y) { "
                 "net_run(x, y); }\n");
  // a Cortex-M3 has no floating-point unit: arithmetic on floats would call __aeabi_fadd and the like
  const auto symbols = run_program(
      firmware.path(), "arm-none-eabi-gcc -std=c99 -O2 -mthumb -mcpu=cortex-m3 -c one.c && arm-none-eabi-nm -u one.o");
  BOOST_TEST_REQUIRE(symbols.status == 0, symbols.output);
  std::istringstream lines{symbols.output};
  for (std::string kind, name; lines >> kind >> name;)
    BOOST_TEST((name == "memcpy" || name == "memset"),
               name << " is called; only memcpy (and memset, which the compiler makes of a loop) may be");
}

BOOST_AUTO_TEST_CASE(names_become_identifiers) {
  fat::QuantizedModel model = fat::test::every_operator({});
  model.graph.name = "a */ \\ name ?\?/ @";
  model.graph.nodes[0].name = "/* layer */";
  const std::string text = fat::c_source(model, "2 nets-v1");
  BOOST_TEST(text.find("static inline void net_2_nets_v1_run(const int8_t *input, int8_t *output)") !=
             std::string::npos);
  BOOST_TEST(text.find("NET_2_NETS_V1_INPUT_SIZE 297") != std::string::npos);
  BOOST_TEST(text.find("a _/ _ name __/ _") != std::string::npos);
  BOOST_TEST(text.find("value * multiplier / 2^right") != std::string::npos);
  BOOST_TEST(text.find_first_of("$@") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_has_no_integer_form_is_refused_by_name) {
  fat::test::CodeNetwork clamped{{4, 4, 2}};
  fat::QuantizedModel model = clamped.finish(clamped.add(fat::ClampLayer{}, {clamped.input()}));
  model.activations[1].reset();
  rejects([&] { fat::c_source(model, "net"); }, "tensor 'clamp 0' is float");
  fat::test::CodeNetwork large{{1, 1, 4}};
  model = large.finish(large.dense(large.input(), 2));
  model.weights[0]->bias[1] = std::numeric_limits<std::int32_t>::max();
  rejects([&] { fat::c_source(model, "net"); }, "the sums of layer 'dense 0', channel 1, can pass 32 bits");
}

BOOST_AUTO_TEST_SUITE_END()
