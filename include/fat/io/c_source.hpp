// C source: a quantized network as one self-contained C99 header, constant arrays and the few integer kernels it needs.
#ifndef FAT_IO_C_SOURCE_HPP_INCLUDED
#define FAT_IO_C_SOURCE_HPP_INCLUDED

#include <fat/io/c_convolution_kernels.hpp>
#include <fat/io/file.hpp>
#include <fat/kernel/reference/pool.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/integer_stage.hpp>
#include <fat/model/plan.hpp>
#include <fat/model/simulation_model.hpp>
#include <fat/model/sums.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

/// A name as an identifier of C: other characters become '_'; in front of a digit stands "net_".
inline std::string c_identifier(std::string_view name) {
  std::string identifier;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
    if (identifier.empty() && !letter) identifier = "net_";
    identifier += letter || digit ? c : '_';
  }
  return identifier.empty() ? "net" : identifier;
}

/// A name as part of a comment of C.
inline std::string c_comment(std::string_view name) {
  std::string text{name};
  for (char& c : text)
    if (c < ' ' || c > '~' || c == '*' || c == '?' || c == '\\' || c == '@' || c == '$') c = '_';
  return text;
}

/// Writes the header of one network; every overload of `layer` adds a layer's constants and its call.
class CWriter {
 public:
  CWriter(const QuantizedModel& model, std::string_view name) : model_(model), prefix_(c_identifier(name)) {
    validate(model);
    const Model& graph = model.graph;
    expect_sums_fit(model, "C source");
    std::size_t largest = 0;
    for (ValueId v = 0; v != graph.values.size(); ++v) {
      const bool used = v == graph.input || std::any_of(graph.nodes.begin(), graph.nodes.end(),
                                                        [&](const Node& n) { return n.output == v; });
      expects(!used || model.activations[v], "C source: tensor '", std::string_view{graph.values[v].name},
              "' is float, and the C driver computes in integers only; quantize it");
      largest = std::max(largest, graph.extent(v).size());
    }
    expects(largest < std::size_t{1} << 31U, "C source: a tensor has ", largest,
            " elements; indices of 32 bits reach 2^31 - 1");
    place_values();
    for (const Node& node : graph.nodes) {
      const std::size_t n = static_cast<std::size_t>(&node - graph.nodes.data());
      weights_ = model.weights[n] ? &*model.weights[n] : nullptr;
      symbol_ = prefix_ + "_" + std::to_string(n);
      start(node);
      constants_ += "\n/* " + c_comment(node.name) + ": " + std::string{kind_name(node.op)};
      for (const ValueId input : node.inputs) constants_ += " " + extent_text(graph.extent(input));
      constants_ += " -> " + extent_text(out()) + "; " + grid_text(*model.activations[node.output]) + " */\n";
      std::visit([&](const auto& op) { layer(op); }, node.op);
    }
  }

  std::string text() const {
    const Model& graph = model_.graph;
    const ActivationEncoding &in = *model_.activations[graph.input], &out = *model_.activations[graph.output];
    const Extent &from = graph.input_extent(), &to = graph.output_extent();
    const std::string in_type = in.is_signed() ? "int8_t" : "uint8_t",
                      out_type = out.is_signed() ? "int8_t" : "uint8_t";
    std::string capitals = prefix_;
    for (char& c : capitals) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    std::string text = "/* The quantized network \"" + c_comment(graph.name.empty() ? prefix_ : graph.name) +
                       "\" in integers, written by fat. C99 or C++; include it in one file of a program.\n"
                       "   @_run(input, output) takes " +
                       extent_text(from) +
                       " codes (height x width x channels, channels together)\n"
                       "   and gives " +
                       extent_text(to) + ". real = STEP * (code - ZERO_POINT); input: " + grid_text(in) +
                       "; output: " + grid_text(out) + ".\n   Constants: " + std::to_string(bytes_) +
                       " bytes; working memory: $_ARENA_SIZE bytes.\n"
                       "   No heap, no floating point, no library function but memcpy. */\n"
                       "#ifndef $_H_INCLUDED\n#define $_H_INCLUDED\n\n#include <stddef.h>\n#include "
                       "<stdint.h>\n#include <string.h>\n\n"
                       "#define $_INPUT_HEIGHT " +
                       std::to_string(from.height) + "\n#define $_INPUT_WIDTH " + std::to_string(from.width) +
                       "\n#define $_INPUT_CHANNELS " + std::to_string(from.channels) + "\n#define $_INPUT_SIZE " +
                       std::to_string(from.size()) + "\n#define $_INPUT_STEP " + float_text(in.step) +
                       "\n#define $_INPUT_ZERO_POINT (" + std::to_string(in.zero_point) + ")\n#define $_OUTPUT_SIZE " +
                       std::to_string(to.size()) + "\n#define $_OUTPUT_STEP " + float_text(out.step) +
                       "\n#define $_OUTPUT_ZERO_POINT (" + std::to_string(out.zero_point) + ")\n#define $_ARENA_SIZE " +
                       std::to_string(std::max<std::size_t>(plan_.size + scratch_, 4)) + "\n";
    for (const CKernel* const kernel : all_kernels())
      if (kernels_.contains(kernel->name)) text += "\n" + std::string{text_of(*kernel, model_.requantize)};
    const std::string first = at(graph.input), last = at(graph.output);
    const std::string unused = "#if defined(__GNUC__)\n__attribute__((unused))\n#endif\n";
    text +=
        constants_ +
        "\nstatic uint32_t @_arena[$_ARENA_SIZE / 4];\n\n"
        "/* Not reentrant: every call works in @_arena. Bytes in it are codes, raised by 128 where they are signed. "
        "*/\n" +
        unused + "static void @_layers(void) {\n  uint8_t *const arena = (uint8_t *)@_arena;\n";
    if (scratch_ != 0) text += "  uint32_t *const scratch = @_arena + " + std::to_string(plan_.size / 4) + ";\n";
    if (calls_.find("arena") == std::string::npos) text += "  (void)arena;\n";
    text += calls_ + "}\n\n/* `size` bytes of codes raised or lowered by 128. */\n" + unused +
            "static inline void @_flip(int32_t size, const uint8_t *from, uint8_t *to) {\n"
            "  int32_t i = 0;\n"
            "#if defined(__ARM_FEATURE_UNALIGNED) || !defined(__arm__)\n"
            "  for (; i + 4 <= size; i += 4) {\n    uint32_t word;\n    memcpy(&word, from + i, 4);\n"
            "    word ^= 0x80808080U;\n    memcpy(to + i, &word, 4);\n  }\n#endif\n"
            "  for (; i < size; ++i) to[i] = (uint8_t)(from[i] ^ 128);\n}\n\n"
            "/* One image: from `input` to `output`. */\n" +
            unused + "static inline void @_run(const " + in_type + " *input, " + out_type + " *output) {\n";
    const auto arena = [](const std::string& place) { return "(uint8_t *)@_" + place; };
    text += in.is_signed() ? "  @_flip($_INPUT_SIZE, (const uint8_t *)input, " + arena(first) + ");\n"
                           : "  memcpy(" + arena(first) + ", input, $_INPUT_SIZE);\n";
    text += "  @_layers();\n";
    text += out.is_signed() ? "  @_flip($_OUTPUT_SIZE, " + arena(last) + ", (uint8_t *)output);\n"
                            : "  memcpy(output, " + arena(last) + ", $_OUTPUT_SIZE);\n";
    text +=
        "}\n\n/* The same without copies: fill @_input(), call @_invoke(), read @_output(). Each call of @_invoke "
        "needs the "
        "input anew. */\n" +
        unused + "static inline " + in_type + " *@_input(void) { return (" + in_type + " *)(void *)(" + arena(first) +
        "); }\n" + unused + "static inline const " + out_type + " *@_output(void) { return (const " + out_type +
        " *)(const void *)(" + arena(last) + "); }\n" + unused + "static inline void @_invoke(void) {\n";
    if (in.is_signed()) text += "  @_flip($_INPUT_SIZE, " + arena(first) + ", " + arena(first) + ");\n";
    text += "  @_layers();\n";
    if (out.is_signed()) text += "  @_flip($_OUTPUT_SIZE, " + arena(last) + ", " + arena(last) + ");\n";
    text += "}\n\n#endif\n";
    return replaced(text, capitals);
  }

 private:
  // ---- text ---------------------------------------------------------------------------------------------------------

  static std::string extent_text(const Extent& e) {
    return std::to_string(e.height) + "x" + std::to_string(e.width) + "x" + std::to_string(e.channels);
  }
  static std::string float_text(float value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific).ptr;
    return std::string(text, end) + "F";
  }
  static std::string grid_text(const ActivationEncoding& e) {
    return "step " + float_text(e.step) + ", zero point " + std::to_string(e.zero_point) + ", codes " +
           std::to_string(e.code_min) + ".." + std::to_string(e.code_max);
  }
  std::string replaced(std::string_view text, std::string_view capitals) const {
    std::string result;
    result.reserve(text.size() + text.size() / 8);
    for (const char c : text) {
      if (c == '@')
        result += prefix_;
      else if (c == '$')
        result += capitals;
      else
        result += c;
    }
    return result;
  }

  void start(const Node& node) {
    node_ = &node;
    x_.clear();
    for (const ValueId input : node.inputs) x_.emplace_back(*model_.activations[input]);
    y_ = ByteGrid{*model_.activations[node.output]};
  }
  /// Plans the arena; a reshape's output that has the bytes of its input lies where that does.
  void place_values() {
    std::vector<Lifetime> lifetimes = value_lifetimes(model_.graph);
    std::vector<ValueId> home(lifetimes.size());
    for (std::size_t v = 0; v != home.size(); ++v) home[v] = v;
    for (const Node& node : model_.graph.nodes) {
      start(node);
      const auto* const reshape = std::get_if<Reshape>(&node.op);
      if (reshape == nullptr || moves(*reshape) || changed_codes(0)) continue;
      Lifetime& whole = lifetimes[home[node.inputs[0]]];
      home[node.output] = home[node.inputs[0]];
      whole.last = std::max(whole.last, lifetimes[node.output].last);
      lifetimes[node.output] = {};
    }
    plan_ = plan_small_arena(lifetimes);
    for (std::size_t v = 0; v != home.size(); ++v) plan_.offset[v] = plan_.offset[home[v]];
  }

  /// static const <type> <symbol>_<what>[] = {...}; returns its name.
  template <class Values>
  std::string constant(const char* type, std::size_t element, const std::string& what, const Values& values) {
    std::string name = symbol_ + "_" + what;
    const std::string size = "[" + std::to_string(values.size()) + "]";
    const bool words = std::string_view{type} == "@";
    constants_ += words ? "static const union {\n  int8_t bytes" + size + ";\n  uint32_t words[" +
                              std::to_string(values.size() / 4) + "];\n} " + name + " = {{"
                        : "static const " + std::string{type} + " " + name + size + " = {";
    std::size_t column = 0;
    char digits[16];
    for (std::size_t i = 0; i != values.size(); ++i) {
      if (column == 0 || column > 112) constants_ += "\n   ", column = 3;
      const auto value = static_cast<std::int64_t>(values[i]);
      // -2147483648 is an expression of a wider type in C
      const bool least = value == std::numeric_limits<std::int32_t>::min();
      const char* const end = least ? digits : std::to_chars(digits, digits + sizeof(digits), value).ptr;
      constants_ += ' ';
      constants_ +=
          least ? std::string_view{"INT32_MIN"} : std::string_view{digits, static_cast<std::size_t>(end - digits)};
      constants_ += i + 1 == values.size() ? "" : ",";
      column += 2 + static_cast<std::size_t>(end - digits);
    }
    constants_ += words ? "}};\n" : "};\n";
    bytes_ += values.size() * element;
    return name;
  }
  std::string table(const ByteTable& table) {
    return constant("uint8_t", 1, "table" + std::to_string(tables_++), table);
  }
  /// Codes on the output's grid for those of an input, unless the table changes no code that the value can hold: all of
  /// the network's input, else those of its grid.
  std::optional<ByteTable> changed_codes(std::size_t input) const {
    const ByteTable all = regrid_table(x_[input], y_, product_rounding(model_.requantize, node_->op));
    const bool given = node_->inputs[input] == model_.graph.input;
    const std::int32_t low = given ? 0 : x_[input].low, high = given ? 255 : x_[input].high;
    for (std::int32_t code = low; code <= high; ++code)
      if (all[static_cast<std::size_t>(code)] != code) return all;
    return {};
  }
  std::string regrid(std::size_t input) {
    const std::optional<ByteTable> changed = changed_codes(input);
    return changed ? table(*changed) : "NULL";
  }
  void structure(const char* type, std::initializer_list<std::string> fields) {
    constants_ += "static const @_" + std::string{type} + " " + symbol_ + " = {" + list(fields) + "};\n";
    bytes_ += fields.size() * 4;  // with pointers of 32 bits
  }
  static std::string list(const std::vector<std::string>& fields) {
    std::string text;
    for (const std::string& field : fields) text += (text.empty() ? "" : ", ") + field;
    return text;
  }
  std::string window_text(const Geometry& g) {
    std::vector<std::string> fields;
    for (const std::size_t each :
         {g.in_height, g.in_width, g.in_channels, g.out_height, g.out_width, g.out_channels, g.kernel_height,
          g.kernel_width, g.stride_height, g.stride_width, g.dilation_height, g.dilation_width, g.pad_top, g.pad_left})
      fields.push_back(std::to_string(each));
    return "{" + list(fields) + "}";
  }
  static std::string number(std::int64_t value) { return std::to_string(value); }
  static std::string mantissa(FixedPointMultiplier m) { return number(m.mantissa); }
  static std::string shift(FixedPointMultiplier m) { return number(31 - m.shift); }

  std::string at(ValueId value) const { return "arena + " + std::to_string(plan_.offset[value]); }
  const Extent& in(std::size_t i) const { return model_.graph.extent(node_->inputs[i]); }
  const Extent& out() const { return model_.graph.extent(node_->output); }

  /// In the order in which a header has them.
  static std::vector<const CKernel*> all_kernels() {
    std::vector<const CKernel*> all;
    for (const CKernel& kernel : c_kernels) all.push_back(&kernel);
    for (const CKernel& kernel : c_product_kernels) all.push_back(&kernel);
    for (const CKernel& kernel : c_convolution_kernels) all.push_back(&kernel);
    return all;
  }
  void use(std::string_view name) {
    const std::vector<const CKernel*> all = all_kernels();
    const CKernel& kernel = **std::find_if(all.begin(), all.end(), [&](const CKernel* k) { return k->name == name; });
    if (!kernels_.insert(kernel.name).second) return;
    std::istringstream needs{std::string{kernel.needs}};
    for (std::string each; needs >> each;) use(each);
  }
  void call(std::string_view kernel, const std::vector<std::string>& arguments) {
    use(kernel);
    calls_ += "  @_" + std::string{kernel} + "(" + list(arguments) + ");\n";
  }

  // ---- layers -------------------------------------------------------------------------------------------------------

  void layer(const Convolution& op) {
    Geometry g = geometry(op.window, in(0), out());
    g.groups = op.groups;
    product("convolution", g, op.clamp);
  }
  void layer(const Dense& op) {
    Geometry g;
    g.in_channels = in(0).size(), g.out_channels = out().channels;
    // the piece "scale" rounds as the other layers do
    const bool apart = product_rounding(model_.requantize, op) != product_rounding(model_.requantize, Convolution{});
    product(apart ? "dense" : "convolution", g, op.clamp);
  }
  void layer(const DepthwiseConvolution& op) {
    const Geometry g = geometry(op.window, in(0), out());
    product("depthwise", g, op.clamp);
  }

  /// How far to shift sums to the left, and `shifts` up, so that all of them are 33 at least; nothing where sums do not
  /// fit then or results round otherwise than halves up.
  std::optional<std::int32_t> lift(const std::vector<std::int32_t>& shifts) const {
    if (product_rounding(model_.requantize, node_->op) != ProductRounding::once_up) return {};
    const auto [least, most] = std::minmax_element(shifts.begin(), shifts.end());
    const std::int32_t left = std::max(0, 33 - *least);
    if (left > 30 || *most + left > 64) return {};
    std::vector<std::int64_t> sums;
    with_weighted(node_->op, [&]<class Layer>(const Layer&) {
      sums = largest_sums(*weights_, partition(weights_->codes.shape(), Layer::channel_axis), x_[0].zero);
    });
    const std::int64_t largest = *std::max_element(sums.begin(), sums.end());
    return largest <= largest_int32 >> left ? std::optional{left} : std::nullopt;
  }

  /// Values of channels, as many as the kernels read: a multiple of four, for depthwise layers of eight; one for all
  /// channels remains one.
  template <class Value>
  std::vector<Value> filled(std::vector<Value> values) const {
    const std::size_t together = columns_ ? 4 : 8;
    if (values.size() != 1 || out().channels == 1) values.resize((values.size() + together - 1) / together * together);
    return values;
  }
  /// A union of bytes, filled up to words, with words; the name of the words.
  std::string words(std::vector<std::int8_t> codes) {
    codes.resize((codes.size() + 3) / 4 * 4);
    const std::string name = constant("@", 1, "weights", codes);
    return name + ".words";
  }
  /// Biases with the input's zero point folded in; where Helium's codes are signed, another one.
  std::string folded_bias(const std::vector<std::int64_t>& weight_sums, bool is_signed) {
    const auto fold = [&](std::int64_t zero) {
      std::vector<std::int64_t> bias(weights_->bias.begin(), weights_->bias.end());
      for (std::size_t c = 0; c != bias.size(); ++c) bias[c] -= zero * weight_sums[c];
      return constant("int32_t", 4, "bias", filled(std::move(bias)));
    };
    if (!is_signed) return fold(x_[0].zero);
    constants_ += "#if $_TARGET == 2\n";
    fold(x_[0].zero - 128);
    bytes_ -= 4 * weight_sums.size();
    constants_ += "#else\n";
    const std::string name = fold(x_[0].zero);
    constants_ += "#endif\n";
    return name;
  }
  void sums(const char* kernel, const Geometry& g, const std::array<std::size_t, 3>& runs, std::size_t scratch,
            const std::vector<std::int32_t>& multipliers, const std::vector<std::int32_t>& shifts, std::int32_t left,
            const std::string& weights, const std::string& bias) {
    const std::string mantissas = constant("int32_t", 4, "multipliers", filled(multipliers)),
                      rights = constant("uint8_t", 1, "shifts", filled(shifts));
    structure("sums", {window_text(g), std::to_string(runs[0]), std::to_string(runs[1]), std::to_string(runs[2]),
                       weights_->step.size() == 1 ? "0" : "1", number(left), number(x_[0].zero), number(y_.zero),
                       y_.low > 0 || y_.high < 255 ? "1" : "0", number(y_.low), number(y_.high), weights, bias,
                       mantissas, rights});
    bytes_ += 13 * 4;  // the window is a structure of its own
    scratch_ = std::max(scratch_, (scratch + 15) / 16 * 16);
    call(kernel, {"&" + symbol_, at(node_->inputs[0]), at(node_->output), "scratch"});
  }
  /// Weights in fours of channels, four of each, as c_product_kernels says.
  void convolve(const Geometry& g, const std::vector<std::int32_t>& multipliers,
                const std::vector<std::int32_t>& shifts, std::int32_t left) {
    const std::size_t channels = g.out_channels, all = weights_->codes.size() / channels,
                      taps = g.dilation_width == 1 ? g.kernel_width : 1, runs = g.kernel_width / taps,
                      run = taps * g.in_channels, filled = (run + 3) / 4 * 4, depth = g.kernel_height * runs * filled,
                      whole = (depth + 15) / 16 * 16;
    const bool last = std::holds_alternative<DepthwiseConvolution>(node_->op);  // channels are
    // Helium reads windows of `whole` weights
    std::vector<std::int8_t> packed((channels + 3) / 4 * 4 * depth + 4 * (whole - depth));
    std::vector<std::int64_t> weight_sums(channels);
    for (std::size_t c = 0; c != channels; ++c)
      for (std::size_t k = 0; k != all; ++k) {
        const std::int8_t code = weights_->codes.data()[last ? k * channels + c : c * all + k];
        const std::size_t at = k / run * filled + k % run;
        packed[c / 4 * 4 * depth + at / 4 * 16 + c % 4 * 4 + at % 4] = code;
        weight_sums[c] += code;
      }
    const std::string weights = words(std::move(packed)), bias = folded_bias(weight_sums, true);
    sums("convolve", g, {depth, taps, runs}, std::max(4 * depth, 2 * whole + 16), multipliers, shifts, left, weights,
         bias);
  }
  void convolve_channels(const Geometry& g, const std::vector<std::int32_t>& multipliers,
                         const std::vector<std::int32_t>& shifts, std::int32_t left) {
    const std::size_t channels = g.out_channels;
    std::vector<std::int8_t> codes(weights_->codes.begin(), weights_->codes.end());
    std::vector<std::int64_t> weight_sums(channels);
    for (std::size_t i = 0; i != codes.size(); ++i) weight_sums[i % channels] += codes[i];
    const std::size_t taps = codes.size() / channels;
    codes.resize(codes.size() + 7);  // kernels read eight channels
    const std::string weights = words(std::move(codes)), bias = folded_bias(weight_sums, false);
    sums("convolve_channels", g, {taps, 1, 1}, 4 * taps + channels + 16, multipliers, shifts, left, weights, bias);
  }

  void product(const char* kernel, const Geometry& g, const Clamp& clamp) {
    const bool depthwise = std::holds_alternative<DepthwiseConvolution>(node_->op);
    expects(weights_ != nullptr, "C source: layer '", std::string_view{node_->name},
            "' has float weights; quantize it");
    y_.clamp_to(clamp);
    const bool one = weights_->step.size() == 1;
    std::vector<std::int32_t> multipliers, shifts, zeros;
    for (std::size_t c = 0; c != g.out_channels; ++c) {
      zeros.push_back(weights_->channel_zero_point(c));
      if (one && c != 0) continue;
      const FixedPointMultiplier m = product_multiplier(x_[0], *weights_, c, y_);
      multipliers.push_back(m.mantissa), shifts.push_back(m.mantissa == 0 ? 33 : 31 - m.shift);  // of 0 any shift
    }
    const bool asymmetric = std::any_of(zeros.begin(), zeros.end(), [](std::int32_t zero) { return zero != 0; });
    const std::optional<std::int32_t> left = lift(shifts);
    columns_ = g.groups == 1 && (!depthwise || g.in_channels == 1);
    if (left && !asymmetric && (columns_ || (depthwise && g.in_channels == g.out_channels))) {
      for (std::int32_t& shift : shifts) shift += *left - 33;
      if (columns_)
        convolve(g, multipliers, shifts, *left);
      else
        convolve_channels(g, multipliers, shifts, *left);
      return;
    }
    const std::string weights = constant("int8_t", 1, "weights", weights_->codes);
    const std::string weight_zeros = asymmetric ? constant("int8_t", 1, "weight_zeros", zeros) : "NULL";
    const std::string bias = constant("int32_t", 4, "bias", weights_->bias);
    const std::string mantissas = constant("int32_t", 4, "multipliers", multipliers),
                      rights = constant("uint8_t", 1, "shifts", shifts);
    structure("product",
              {window_text(g), number(static_cast<std::int64_t>(g.groups)), weights, weight_zeros, bias, mantissas,
               rights, one ? "0" : "1", number(x_[0].zero), number(y_.zero), number(y_.low), number(y_.high)});
    bytes_ += 13 * 4;  // the window is a structure of its own
    call(kernel, {"&" + symbol_, at(node_->inputs[0]), at(node_->output)});
  }

  void layer(const Add& op) {
    y_.clamp_to(op.clamp);
    const AddStage s = add_stage(x_[0], x_[1], y_);
    // differences of bytes are below 2^8, sums of two at half their size below 2^28
    const auto up = [](FixedPointMultiplier m) { return std::max(0, 2 + m.shift); };
    if (model_.requantize == Requantization::half_up && in(0).size() == in(1).size() && up(s.a_multiplier) <= 2 &&
        up(s.b_multiplier) <= 2 && up(s.multiplier) <= 2) {
      const auto apart = [&](FixedPointMultiplier m) { return number(m.mantissa == 0 ? 0 : up(m) - 2 - m.shift); };
      structure("addends",
                {std::to_string(in(0).size()), number(s.a_zero), number(s.b_zero), number(20 + up(s.a_multiplier)),
                 number(20 + up(s.b_multiplier)), number(up(s.multiplier)), mantissa(s.a_multiplier),
                 mantissa(s.b_multiplier), mantissa(s.multiplier), apart(s.a_multiplier), apart(s.b_multiplier),
                 apart(s.multiplier), number(s.zero_out), number(s.low), number(s.high)});
      call("sum", {"&" + symbol_, at(node_->inputs[0]), at(node_->inputs[1]), at(node_->output)});
      return;
    }
    structure("addition",
              {std::to_string(in(0).size()), std::to_string(in(1).size()), number(s.a_zero), number(s.b_zero),
               mantissa(s.a_multiplier), mantissa(s.b_multiplier), mantissa(s.multiplier), shift(s.a_multiplier),
               shift(s.b_multiplier), shift(s.multiplier), number(s.zero_out), number(s.low), number(s.high)});
    call("add", {"&" + symbol_, at(node_->inputs[0]), at(node_->inputs[1]), at(node_->output)});
  }
  void layer(const Multiply& op) {
    y_.clamp_to(op.clamp);
    const MultiplyStage s = multiply_stage(x_[0], x_[1], y_);
    structure("multiplication",
              {std::to_string(in(0).size()), std::to_string(in(1).size()), number(s.a_zero), number(s.b_zero),
               mantissa(s.multiplier), shift(s.multiplier), number(s.zero_out), number(s.low), number(s.high)});
    call("multiply", {"&" + symbol_, at(node_->inputs[0]), at(node_->inputs[1]), at(node_->output)});
  }

  void copy(std::size_t rows, std::size_t width, std::size_t stride, const std::string& codes, const std::string& from,
            const std::string& to) {
    call("copy", {std::to_string(rows), std::to_string(width), std::to_string(stride), codes, from, to});
  }
  void tabulated(const std::string& codes) {
    copy(1, out().size(), out().size(), codes, at(node_->inputs[0]), at(node_->output));
  }
  void layer(const ClampLayer& op) {
    y_.clamp_to(op.clamp);
    tabulated(regrid(0));
  }
  void layer(const HardSwish& op) { tabulated(table(function_table(op, x_[0], y_, model_.requantize))); }
  void layer(const HardSigmoid& op) { tabulated(table(function_table(op, x_[0], y_, model_.requantize))); }
  void layer(const Sigmoid& op) { tabulated(table(function_table(op, x_[0], y_, model_.requantize))); }
  void layer(const Function& op) { tabulated(table(function_table(op, x_[0], y_, model_.requantize))); }
  template <OwnOperator Op>
  void layer(const Op&) {
    fail("C source: layer '", std::string_view{node_->name}, "' is a ", Op::kind,
         ", which generated C does not have; write .npz or .onnx");
  }
  void layer(const Softmax&) {
    const SoftmaxStage s = softmax_stage(x_[0], y_, node_->name);
    call("softmax", {std::to_string(out().height * out().width), std::to_string(out().channels), mantissa(s.multiplier),
                     number(s.multiplier.shift), number(s.least_difference), at(node_->inputs[0]), at(node_->output)});
  }

  void layer(const Concat& op) {
    const auto inner = [&](const Extent& e) {
      return op.axis == 0 ? e.size() : op.axis == 1 ? e.width * e.channels : e.channels;
    };
    const std::size_t whole = inner(out()), rows = out().size() / whole;
    std::size_t before = 0;
    for (std::size_t i = 0; i != node_->inputs.size(); ++i) {
      copy(rows, inner(in(i)), whole, regrid(i), at(node_->inputs[i]),
           at(node_->output) + " + " + std::to_string(before));
      before += inner(in(i));
    }
  }
  bool moves(const Reshape& op) const {
    const std::size_t from = in(0).height * in(0).width, to = out().height * out().width;
    const bool plain = (from == 1 || in(0).channels == 1) && (to == 1 || out().channels == 1);
    return op.channels_first && !plain && from != to;
  }
  void layer(const Reshape& op) {
    const std::size_t from = in(0).height * in(0).width, to = out().height * out().width;
    if (plan_.offset[node_->inputs[0]] == plan_.offset[node_->output]) return;  // the same bytes: place_values
    if (!moves(op))
      tabulated(regrid(0));
    else
      call("permute", {std::to_string(from), std::to_string(in(0).channels), std::to_string(to),
                       std::to_string(out().channels), regrid(0), at(node_->inputs[0]), at(node_->output)});
  }
  void layer(const Pad& op) {
    const Padding& p = op.padding;
    const std::size_t row = out().width * out().channels, first = p.top * row + p.left * out().channels;
    call("fill", {std::to_string(out().size()), number(y_.nearest(static_cast<double>(op.value))), at(node_->output)});
    copy(in(0).height, in(0).width * in(0).channels, row, regrid(0), at(node_->inputs[0]),
         at(node_->output) + " + " + std::to_string(first));
  }
  void expect_one_grid(std::string_view what) const {
    expects(x_[0].same_reals(y_), "C source: input and output of ", what, " '", std::string_view{node_->name},
            "' must share one grid");
  }
  void layer(const Resize& op) {
    expects(in(0).height <= 65536 && in(0).width <= 65536, "C source: the input of resize '",
            std::string_view{node_->name}, "' is more than 65536 wide or high");
    const bool nearest = op.kind == Resize::Kind::nearest;
    if (!nearest) expect_one_grid("resize");
    // Nearest: the pixel; bilinear: two pixels and the weight of the second in 1/1024.
    const auto samples = [&](const char* name, std::size_t from, std::size_t to) {
      std::vector<std::size_t> all;
      for (const ResizeSample& sample : resize_samples(op, from, to)) {
        all.push_back(sample.low);
        if (nearest) continue;
        all.push_back(sample.high);
        all.push_back(static_cast<std::size_t>(sample.weight));
      }
      return constant("uint16_t", 2, name, all);
    };
    const std::string rows = samples("rows", in(0).height, out().height);
    const std::string columns = samples("columns", in(0).width, out().width);
    call(nearest ? "resize" : "interpolate",
         {std::to_string(in(0).width), std::to_string(in(0).channels), std::to_string(out().height),
          std::to_string(out().width), rows, columns, nearest ? regrid(0) : number(means().origin),
          at(node_->inputs[0]), at(node_->output)});
  }

  MeanRounding means() const { return mean_rounding(model_.requantize, y_.zero); }
  void layer(const Pool& op) {
    expect_one_grid("pool");
    constants_ += "static const @_window " + symbol_ + " = " + window_text(geometry(op.window, in(0), out())) + ";\n";
    bytes_ += 14 * 4;
    const std::vector<std::string> ends{number(y_.low), number(y_.high), at(node_->inputs[0]), at(node_->output)};
    if (op.kind == Pool::Kind::max) {
      call("max_pool", {"&" + symbol_, ends[0], ends[1], ends[2], ends[3]});
      return;
    }
    const Pair& k = op.window.kernel;
    const std::size_t rows = op.count_padding ? k.height : std::min(k.height, in(0).height),
                      columns = op.count_padding ? k.width : std::min(k.width, in(0).width);
    expects(rows * columns <= std::size_t{1} << 22U, "C source: pool '", std::string_view{node_->name}, "' averages ",
            rows * columns, " values; sums of 32 bits hold 2^22");
    call("average_pool", {"&" + symbol_, number(means().origin), op.count_padding ? number(x_[0].zero) : "-1", ends[0],
                          ends[1], ends[2], ends[3]});
  }
  void layer(const GlobalAveragePool&) {
    const RequantizeStage s = regrid_stage(x_[0], y_);
    const std::size_t pixels = in(0).height * in(0).width;
    const FixedPointMultiplier m = divide(s.multiplier, static_cast<std::uint32_t>(pixels));
    structure("average", {std::to_string(pixels), std::to_string(in(0).channels), mantissa(m), shift(m),
                          number(s.zero_in), number(s.zero_out), number(s.low), number(s.high)});
    call("mean", {"&" + symbol_, at(node_->inputs[0]), at(node_->output)});
  }
  void layer(const BatchNormalization&) {
    fail("C source: '", std::string_view{node_->name}, "' is a batch normalization; it has to be folded");
  }

  const QuantizedModel& model_;
  std::string prefix_, symbol_, constants_, calls_;
  ArenaPlan plan_;
  const Node* node_ = nullptr;
  const WeightEncoding* weights_ = nullptr;
  std::vector<ByteGrid> x_;
  ByteGrid y_;
  std::set<std::string_view> kernels_;
  std::size_t bytes_ = 0, tables_ = 0, scratch_ = 0;
  bool columns_ = false;
};

}  // namespace detail

/// The header's text. Everything in it begins with `name` (made an identifier of C): <name>_run(input, output) takes
/// and gives codes, bit for bit those of IntegerModel; <NAME>_INPUT_STEP and so on say what they stand for. The text
/// compiles as C99 and C++ and uses nothing but memcpy. Errors: a tensor or layer kept in float, sums that can pass 32
/// bits, and what validate and IntegerModel refuse; all by name.
inline std::string c_source(const QuantizedModel& model, std::string_view name) {
  return detail::CWriter{model, name}.text();
}

/// Writes the header, named after the file. Errors: those of c_source and write_file_atomically.
inline void write_c_source(const std::filesystem::path& path, const QuantizedModel& model) {
  write_file_atomically(path, c_source(model, path.stem().string()));
}

}  // namespace fat::inline FAT_ABI

#endif
