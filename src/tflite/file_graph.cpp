// Reads names and attributes of a TensorFlow Lite file.
#include "file_graph.hpp"

#include "schema_generated.h"

#include <fat/io/half.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

namespace fat::inline FAT_ABI::tflite {
namespace {

namespace schema = ::fat::tflite_schema;
using reader::Data;
using reader::DataPointer;
using reader::Dims;
using reader::FileNode;
using schema::TensorType;

class Translator {
 public:
  Translator(std::span<const char> file, std::string_view name) {
    graph_.file = name;
    graph_.channels_last = true;
    flatbuffers::Verifier verifier{reinterpret_cast<const std::uint8_t*>(file.data()), file.size(), 64, 10'000'000};
    require(file.size() >= 8 && schema::ModelBufferHasIdentifier(file.data()),
            "not a TensorFlow Lite file; check the path");
    require(schema::VerifyModelBuffer(verifier), "truncated or damaged; copy the file again");
    const schema::Model* model = schema::GetModel(file.data());
    require(model->version() == 3, "has schema version ", model->version(), ", 3 is supported");
    require(model->subgraphs() != nullptr && model->subgraphs()->size() != 0 && model->operator_codes() != nullptr &&
                model->buffers() != nullptr,
            "does not hold a graph with operators and buffers");
    codes_ = model->operator_codes();
    buffers_ = model->buffers();
    file_ = model->subgraphs()->Get(0);
    require(file_->tensors() != nullptr && file_->operators() != nullptr && file_->inputs() != nullptr &&
                file_->outputs() != nullptr,
            "the graph has no tensors, operators, inputs or outputs");
  }

  reader::FileGraph run() {
    graph_.name = file_->name() != nullptr ? file_->name()->str() : "";
    name_tensors();
    for (std::size_t i = 0; i != names_.size(); ++i) read_constant(i);
    for (const std::int32_t input : *file_->inputs()) graph_.inputs.push_back({tensor(input), shape(input), true, false});
    for (const std::int32_t output : *file_->outputs()) graph_.outputs.push_back(tensor(output));
    std::size_t place = 0;
    for (const schema::Operator* op : *file_->operators()) {
      op_ = op;
      place_ = place++;
      for (unsigned i = 0; op->outputs() != nullptr && i != op->outputs()->size(); ++i) {
        const schema::Tensor& t = at(op->outputs()->Get(i));
        const bool codes = (t.type() == TensorType::INT8 || t.type() == TensorType::UINT8) && t.quantization() != nullptr &&
                           t.quantization()->scale() != nullptr && t.quantization()->scale()->size() != 0;
        require(!codes || (has(0) && graph_.constants.contains(in(0))), "tensor '",
                std::string_view{tensor(op->outputs()->Get(i))},
                "' holds integers; quantized files with several inputs or outputs are not supported");
      }
      translate();
    }
    return std::move(graph_);
  }

 private:
  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    if (!ok) fail(std::string_view{graph_.file}, ": ", parts...);
  }

  // ---- tensors ----

  /// Names are no identifiers in this format: those that are empty or stand twice get their number.
  void name_tensors() {
    std::map<std::string, std::size_t> counts;
    for (const schema::Tensor* t : *file_->tensors()) ++counts[t->name() != nullptr ? t->name()->str() : ""];
    for (const schema::Tensor* t : *file_->tensors()) {
      std::string name = t->name() != nullptr ? t->name()->str() : "";
      if (name.empty()) name = "tensor";
      if (name == "tensor" || counts[name] > 1) name += "/" + std::to_string(names_.size());
      names_.push_back(std::move(name));
    }
  }
  const schema::Tensor& at(std::int32_t index) const {
    require(index >= 0 && static_cast<std::size_t>(index) < names_.size(), "an operator reads tensor ", index,
            ", which does not exist");
    return *file_->tensors()->Get(static_cast<unsigned>(index));
  }
  const std::string& tensor(std::int32_t index) const {
    at(index);
    return names_[static_cast<std::size_t>(index)];
  }
  Dims shape(std::int32_t index) const {
    Dims dims;
    const schema::Tensor& t = at(index);
    const auto* const open = t.shape_signature();
    const bool has_open = open != nullptr && t.shape() != nullptr && open->size() == t.shape()->size();
    if (t.shape() != nullptr)
      for (unsigned i = 0; i != t.shape()->size(); ++i) {
        const std::int32_t extent = t.shape()->Get(i);
        require(extent >= 0, "tensor '", std::string_view{tensor(index)}, "' has an extent of ", extent);
        dims.push_back(has_open && open->Get(i) < 0 && i != 0 && extent <= 1 ? -1 : extent);
      }
    return dims;
  }
  void read_constant(std::size_t index) {
    const schema::Tensor& t = *file_->tensors()->Get(static_cast<unsigned>(index));
    const std::string& name = names_[index];
    require(t.buffer() < buffers_->size(), "tensor '", std::string_view{name}, "' names a missing buffer");
    const auto* const bytes = buffers_->Get(t.buffer())->data();
    if (bytes == nullptr || bytes->size() == 0) return;
    Data data;
    data.dims = shape(static_cast<std::int32_t>(index));
    for (std::int64_t& dim : data.dims) dim = std::max<std::int64_t>(dim, 0);
    const auto size = static_cast<std::size_t>(reader::count(data.dims));
    const auto take = [&]<class T>(T, auto&& put) {
      require(bytes->size() == size * sizeof(T), "tensor '", std::string_view{name}, "' has ", bytes->size(),
              " bytes for ", size, " elements; the file is damaged");
      for (std::size_t i = 0; i != size; ++i) {
        T value;
        std::memcpy(&value, bytes->data() + i * sizeof(T), sizeof(T));
        put(value);
      }
    };
    const auto real = [&](auto value) { data.reals.push_back(static_cast<float>(value)); };
    const auto whole = [&](auto value) {
      data.integral = true;
      data.integers.push_back(static_cast<std::int64_t>(value));
    };
    switch (t.type()) {
      case TensorType::FLOAT32:
        take(float{}, real);
        break;
      case TensorType::FLOAT16:
        take(std::uint16_t{}, [&](std::uint16_t bits) { real(half_to_float(bits)); });
        break;
      case TensorType::INT32:
        take(std::int32_t{}, whole);
        break;
      case TensorType::INT64:
        take(std::int64_t{}, whole);
        break;
      case TensorType::INT8:
        take(std::int8_t{}, whole);
        break;
      case TensorType::UINT8:
      case TensorType::BOOL:
        take(std::uint8_t{}, whole);
        break;
      case TensorType::INT16:
        take(std::int16_t{}, whole);
        break;
      default:
        return;  // read by nothing that is known
    }
    if (data.integral) dequantize(t, data);
    if (data.integral && size == 0) data.integers = {};
    graph_.constants.emplace(name, std::make_shared<const Data>(std::move(data)));
  }
  /// Integers with scales are weights that mean reals.
  static void dequantize(const schema::Tensor& t, Data& data) {
    const auto* const q = t.quantization();
    if (q == nullptr || q->scale() == nullptr || q->scale()->size() == 0) return;
    const std::size_t count = q->scale()->size();
    const auto axis = static_cast<std::size_t>(std::max(q->quantized_dimension(), 0));
    if (count > 1 && (axis >= data.dims.size() || static_cast<std::size_t>(data.dims[axis]) != count)) return;
    std::size_t inner = 1;
    for (std::size_t i = axis + 1; i < data.dims.size(); ++i) inner *= static_cast<std::size_t>(data.dims[i]);
    for (std::size_t i = 0; i != data.integers.size(); ++i) {
      const std::size_t k = count == 1 ? 0 : i / inner % count;
      std::int64_t zero = 0;
      if (q->zero_point() != nullptr && q->zero_point()->size() != 0)
        std::memcpy(&zero, q->zero_point()->Data() + (q->zero_point()->size() == 1 ? 0 : k) * sizeof zero, sizeof zero);
      data.reals.push_back(static_cast<float>(data.integers[i] - zero) * q->scale()->Get(static_cast<unsigned>(k)));
    }
    data.integral = false;
    data.integers.clear();
  }

  // ---- building nodes ----

  std::string fresh(const std::string& what) { return what + "/" + std::to_string(place_) + "." + std::to_string(++fresh_); }
  FileNode& add(const std::string& op, std::vector<std::string> inputs, std::string output) {
    graph_.nodes.push_back({op, {}, {}, std::move(inputs), {std::move(output)}, {}});
    return graph_.nodes.back();
  }
  std::string made(const std::string& op, std::vector<std::string> inputs) {
    std::string name = fresh(op);
    add(op, std::move(inputs), name);
    return name;
  }
  std::string list(const Dims& values) {
    std::string name = fresh("list");
    graph_.constants.emplace(name, std::make_shared<const Data>(
                                       Data{{static_cast<std::int64_t>(values.size())}, true, {}, values}));
    return name;
  }
  std::string number(float value) {
    std::string name = fresh("number");
    graph_.constants.emplace(name, std::make_shared<const Data>(Data{{}, false, {value}, {}}));
    return name;
  }
  std::string turned(const std::string& x, const Dims& perm) {
    std::string name = fresh("turned");
    add("Transpose", {x}, name).attributes.emplace("perm", perm);
    return name;
  }
  std::string channels_first(const std::string& x) { return turned(x, {0, 3, 1, 2}); }
  void channels_last(const std::string& x, const std::string& output) {
    add("Transpose", {x}, output).attributes.emplace("perm", Dims{0, 2, 3, 1});
  }

  bool has(unsigned i) const { return op_->inputs() != nullptr && i < op_->inputs()->size() && op_->inputs()->Get(i) >= 0; }
  std::int32_t index(unsigned i) const {
    require(has(i), "operator ", place_, " has no input ", i);
    return op_->inputs()->Get(i);
  }
  std::string in(unsigned i) const { return tensor(index(i)); }
  std::vector<std::string> inputs() const {
    std::vector<std::string> all;
    for (unsigned i = 0; op_->inputs() != nullptr && i != op_->inputs()->size(); ++i) all.push_back(has(i) ? in(i) : "");
    return all;
  }
  std::string out(unsigned i = 0) const {
    require(op_->outputs() != nullptr && i < op_->outputs()->size(), "operator ", place_, " has no output ", i);
    return tensor(op_->outputs()->Get(i));
  }
  Dims out_shape() const {
    out();
    return shape(op_->outputs()->Get(0));
  }
  /// A constant list of integers; empty where the input is none.
  Dims constant(unsigned i) const {
    const auto found = graph_.constants.find(in(i));
    return found == graph_.constants.end() ? Dims{} : found->second->integers;
  }
  template <class Options>
  const Options& options() const {
    const Options* const found = op_->builtin_options_as<Options>();
    require(found != nullptr, "operator ", place_, " has no options; the file is damaged");
    return *found;
  }

  /// The output behind a fused activation: what the layer itself makes is returned.
  std::string before(schema::ActivationFunctionType kind, const std::string& output) {
    using A = schema::ActivationFunctionType;
    if (kind == A::NONE) return output;
    const std::string name = fresh("before");
    after_.push_back([this, kind, name, output] {
      if (kind == A::RELU) return static_cast<void>(add("Relu", {name}, output));
      if (kind == A::TANH) return static_cast<void>(add("Tanh", {name}, output));
      FileNode& node = add(kind == A::SIGN_BIT ? "fused SIGN_BIT" : "Clip", {name}, output);
      node.attributes.emplace("min", kind == A::RELU_N1_TO_1 ? -1.0F : 0.0F);
      node.attributes.emplace("max", kind == A::RELU_N1_TO_1 ? 1.0F : 6.0F);
    });
    return name;
  }
  template <class Options>
  void window(FileNode& node, const Options& from) const {
    node.attributes.emplace("strides", Dims{from.stride_h(), from.stride_w()});
    node.attributes.emplace("auto_pad", std::string{from.padding() == schema::Padding::SAME ? "SAME_UPPER" : "VALID"});
  }

  // ---- operators ----

  void translate() {
    require(op_->opcode_index() < codes_->size(), "an operator has no operator code");
    const schema::OperatorCode* const code = codes_->Get(op_->opcode_index());
    const std::int32_t number = std::max(code->builtin_code(), std::int32_t{code->deprecated_builtin_code()});
    const std::size_t first = graph_.nodes.size();
    after_.clear();
    const auto rule = rules().find(number);
    if (rule != rules().end()) {
      (this->*rule->second.rule)(rule->second.op);
    } else {
      const std::string custom = code->custom_code() != nullptr ? code->custom_code()->str() : "";
      if (number == 32 && custom == "Convolution2DTransposeBias") {
        transposed_convolution_with_bias();
      } else {
        FileNode& node = add("TensorFlow Lite operator " + std::to_string(number) + (custom.empty() ? "" : " " + custom),
                             inputs(), out());
        for (unsigned i = 1; i < op_->outputs()->size(); ++i) node.outputs.push_back(out(i));
      }
    }
    for (const auto& each : after_) each();
    for (std::size_t i = first; i != graph_.nodes.size(); ++i)
      if (graph_.nodes[i].name.empty()) graph_.nodes[i].name = graph_.nodes[i].outputs[0];
  }

  struct Entry {
    void (Translator::*rule)(const char*);
    const char* op;
  };
  static const std::map<std::int32_t, Entry>& rules() {
    using T = Translator;
    static const std::map<std::int32_t, Entry> table{
        {0, {&T::sum, "Add"}},          {1, {&T::pool, "AveragePool"}},
        {2, {&T::concat, ""}},          {3, {&T::convolution, ""}},
        {4, {&T::depthwise, ""}},       {5, {&T::depth_to_space, ""}},
        {6, {&T::same, "Identity"}},    {8, {&T::same, "Floor"}},
        {9, {&T::dense, ""}},           {11, {&T::l2_normalization, ""}},
        {14, {&T::same, "Sigmoid"}},    {17, {&T::pool, "MaxPool"}},
        {18, {&T::product, "Mul"}},     {19, {&T::same, "Relu"}},
        {20, {&T::clip, "-1"}},         {21, {&T::clip, "6"}},
        {22, {&T::reshape, ""}},        {23, {&T::resize, "linear"}},
        {25, {&T::softmax, "Softmax"}}, {26, {&T::space_to_depth, ""}},
        {28, {&T::same, "Tanh"}},       {34, {&T::pad, "constant"}},
        {36, {&T::gather, ""}},         {37, {&T::same, "BatchToSpace"}},
        {38, {&T::same, "SpaceToBatch"}}, {39, {&T::transpose, ""}},
        {40, {&T::reduce, "ReduceMean"}}, {41, {&T::difference, "Sub"}},
        {42, {&T::quotient, "Div"}},    {43, {&T::squeeze, ""}},
        {45, {&T::strided_slice, ""}},  {47, {&T::same, "Exp"}},
        {49, {&T::split, ""}},          {50, {&T::softmax, "LogSoftmax"}},
        {53, {&T::cast, ""}},           {54, {&T::same, "PRelu"}},
        {55, {&T::same, "Max"}},        {57, {&T::same, "Min"}},
        {58, {&T::same, "Less"}},       {59, {&T::same, "Neg"}},
        {60, {&T::pad, "constant"}},    {61, {&T::same, "Greater"}},
        {62, {&T::same, "GreaterOrEqual"}}, {63, {&T::same, "LessOrEqual"}},
        {64, {&T::same, "Where"}},      {65, {&T::slice, ""}},
        {66, {&T::same, "Sin"}},        {67, {&T::transposed_convolution, ""}},
        {69, {&T::same, "Tile"}},       {70, {&T::same, "Unsqueeze"}},
        {71, {&T::same, "Equal"}},      {73, {&T::same, "Log"}},
        {74, {&T::reduce, "ReduceSum"}}, {75, {&T::same, "Sqrt"}},
        {76, {&T::inverse_root, ""}},   {77, {&T::same, "Shape"}},
        {78, {&T::same, "Pow"}},        {82, {&T::reduce, "ReduceMax"}},
        {83, {&T::pack, ""}},           {84, {&T::same, "Or"}},
        {86, {&T::same, "And"}},        {87, {&T::same, "Not"}},
        {88, {&T::unpack, ""}},         {89, {&T::reduce, "ReduceMin"}},
        {92, {&T::same, "Square"}},     {94, {&T::fill, ""}},
        {90, {&T::floor_division, ""}}, {95, {&T::same, "Mod"}},
        {96, {&T::same, "Range"}},      {97, {&T::resize, "nearest"}},
        {98, {&T::leaky_relu, ""}},     {99, {&T::squared_difference, ""}},
        {100, {&T::pad, "mirror"}},     {101, {&T::same, "Abs"}},
        {102, {&T::split_at, ""}},      {104, {&T::same, "Ceil"}},
        {106, {&T::same, "Sum"}},       {108, {&T::same, "Cos"}},
        {111, {&T::same, "Elu"}},       {116, {&T::same, "Round"}},
        {117, {&T::same, "HardSwish"}}, {123, {&T::same, "Where"}},
        {126, {&T::batch_matmul, ""}},  {130, {&T::same, "Expand"}},
        {150, {&T::same, "Gelu"}},      {152, {&T::clip, "1"}},
        {158, {&T::same, "Sign"}},
    };
    return table;
  }

  void same(const char* op) { add(op, inputs(), out()); }
  void clip(const char* bound) {
    const float high = std::strcmp(bound, "6") == 0 ? 6.0F : 1.0F;
    FileNode& node = add("Clip", {in(0)}, out());
    node.attributes.emplace("min", std::strcmp(bound, "-1") == 0 ? -1.0F : 0.0F);
    node.attributes.emplace("max", high);
  }
  template <class Options>
  void binary(const char* op) {
    const auto* const found = op_->builtin_options_as<Options>();
    const auto kind = found != nullptr ? found->fused_activation_function() : schema::ActivationFunctionType::NONE;
    add(op, {in(0), in(1)}, before(kind, out()));
  }
  void sum(const char* op) { binary<schema::AddOptions>(op); }
  void product(const char* op) { binary<schema::MulOptions>(op); }
  void difference(const char* op) { binary<schema::SubOptions>(op); }
  void quotient(const char* op) { binary<schema::DivOptions>(op); }
  void squared_difference(const char*) { add("Square", {made("Sub", {in(0), in(1)})}, out()); }
  void floor_division(const char*) {
    // of integers, whose quotient is whole already where nothing is negative
    add("Div", {in(0), in(1)}, out());
  }
  void inverse_root(const char*) { add("Reciprocal", {made("Sqrt", {in(0)})}, out()); }
  void leaky_relu(const char*) { add("LeakyRelu", {in(0)}, out()).attributes.emplace("alpha", options<schema::LeakyReluOptions>().alpha()); }
  void cast(const char*) {
    const TensorType to = at(op_->outputs()->Get(0)).type();
    const std::int64_t type = to == TensorType::FLOAT32 || to == TensorType::FLOAT16 ? 1 : to == TensorType::BOOL ? 9 : 7;
    add("Cast", {in(0)}, out()).attributes.emplace("to", type);
  }
  void softmax(const char* op) {
    std::string x = in(0);
    if (const auto* const o = op_->builtin_options_as<schema::SoftmaxOptions>(); o != nullptr && o->beta() != 1.0F)
      x = made("Mul", {x, number(o->beta())});
    add(op, {x}, out()).attributes.emplace("axis", std::int64_t{-1});
  }
  void l2_normalization(const char*) {
    const auto* const o = op_->builtin_options_as<schema::L2NormOptions>();
    FileNode& node = add("LpNormalization", {in(0)},
                         before(o != nullptr ? o->fused_activation_function() : schema::ActivationFunctionType::NONE, out()));
    node.attributes.emplace("epsilon", 1e-6F);
  }

  void convolution(const char*) {
    const auto& o = options<schema::Conv2DOptions>();
    const Dims w = shape(index(1)), x = shape(index(0));
    std::vector<std::string> all{channels_first(in(0)), turned(in(1), {0, 3, 1, 2})};
    if (has(2)) all.push_back(in(2));
    const std::string made_first = fresh("convolution");
    FileNode& node = add("Conv", std::move(all), made_first);
    window(node, o);
    node.name = out();
    node.attributes.emplace("dilations", Dims{o.dilation_h_factor(), o.dilation_w_factor()});
    if (w.size() == 4 && x.size() == 4 && w[3] > 0 && x[3] > 0) node.attributes.emplace("group", x[3] / w[3]);
    channels_last(made_first, before(o.fused_activation_function(), out()));
  }
  void depthwise(const char*) {
    const auto& o = options<schema::DepthwiseConv2DOptions>();
    std::vector<std::string> all{channels_first(in(0)), turned(in(1), {3, 0, 1, 2})};
    if (has(2)) all.push_back(in(2));
    const std::string made_first = fresh("convolution");
    FileNode& node = add("Conv", std::move(all), made_first);
    window(node, o);
    node.name = out();
    node.attributes.emplace("dilations", Dims{o.dilation_h_factor(), o.dilation_w_factor()});
    const Dims x = shape(index(0));
    if (x.size() == 4) node.attributes.emplace("group", x[3]);
    channels_last(made_first, before(o.fused_activation_function(), out()));
  }
  void transpose_into(const std::string& x, const std::string& weights, const std::string& bias, const Dims& size,
                      schema::Padding padding, Dims strides, schema::ActivationFunctionType kind) {
    std::vector<std::string> all{channels_first(x), turned(weights, {3, 0, 1, 2})};
    if (!bias.empty()) all.push_back(bias);
    const std::string made_first = fresh("convolution");
    FileNode& node = add("ConvTranspose", std::move(all), made_first);
    node.name = out();
    node.attributes.emplace("strides", std::move(strides));
    if (size.size() == 4) node.attributes.emplace("output_shape", Dims{size[1], size[2]});
    node.attributes.emplace("auto_pad", std::string{padding == schema::Padding::SAME ? "SAME_UPPER" : "VALID"});
    channels_last(made_first, before(kind, out()));
  }
  void transposed_convolution(const char*) {
    const auto& o = options<schema::TransposeConvOptions>();
    Dims size = constant(0);
    if (size.size() != 4) size = out_shape();
    transpose_into(in(2), in(1), has(3) ? in(3) : "", size, o.padding(), {o.stride_h(), o.stride_w()},
                   o.fused_activation_function());
  }
  /// MediaPipe's own operator: three 32-bit numbers, padding (1 SAME, 2 VALID) and strides along width and height.
  void transposed_convolution_with_bias() {
    std::int32_t words[3] = {1, 1, 1};
    const auto* const raw = op_->custom_options();
    require(raw != nullptr && raw->size() >= sizeof words, "operator ", place_, " has no options; the file is damaged");
    std::memcpy(words, raw->data(), sizeof words);
    transpose_into(in(0), in(1), has(2) ? in(2) : "", out_shape(),
                   words[0] == 1 ? schema::Padding::SAME : schema::Padding::VALID, {words[2], words[1]},
                   schema::ActivationFunctionType::NONE);
  }
  void dense(const char*) {
    const auto& o = options<schema::FullyConnectedOptions>();
    const Dims w = shape(index(1));
    require(w.size() == 2, "operator ", place_, " has weights of ", w.size(), " dimensions");
    const Dims x = shape(index(0)), result = out_shape();
    const bool keeps = o.keep_num_dims() && x.size() > 2;
    const std::string from = keeps ? in(0) : made("Reshape", {in(0), list({-1, w[1]})});
    const std::string output = before(o.fused_activation_function(), out());
    if (!keeps) {
      std::vector<std::string> all{from, in(1)};
      if (has(2)) all.push_back(in(2));
      const bool flat = result.size() == 2;
      const std::string to = flat ? output : fresh("dense");
      FileNode& node = add("Gemm", std::move(all), to);
      node.attributes.emplace("transB", std::int64_t{1});
      node.name = out();
      if (!flat) add("Reshape", {to, list(result)}, output);
      return;
    }
    const std::string product = has(2) ? fresh("product") : output;
    add("MatMul", {from, turned(in(1), {1, 0})}, product);
    if (has(2)) add("Add", {product, in(2)}, output);
  }
  void pool(const char* op) {
    const auto& o = options<schema::Pool2DOptions>();
    const std::string made_first = fresh("pool");
    FileNode& node = add(op, {channels_first(in(0))}, made_first);
    window(node, o);
    node.attributes.emplace("kernel_shape", Dims{o.filter_height(), o.filter_width()});
    node.name = out();
    channels_last(made_first, before(o.fused_activation_function(), out()));
  }
  void concat(const char*) {
    const auto& o = options<schema::ConcatenationOptions>();
    add("Concat", inputs(), before(o.fused_activation_function(), out())).attributes.emplace("axis", std::int64_t{o.axis()});
  }
  void reshape(const char*) {
    Dims target = has(1) ? constant(1) : Dims{};
    if (has(1) && target.empty() && !graph_.constants.contains(in(1)))
      return static_cast<void>(add("Reshape", {in(0), in(1)}, out()));
    if (target.empty())
      if (const auto* const o = op_->builtin_options_as<schema::ReshapeOptions>(); o != nullptr && o->new_shape() != nullptr)
        target.assign(o->new_shape()->begin(), o->new_shape()->end());
    if (target.empty()) target = out_shape();
    add("Reshape", {in(0), list(target)}, out());
  }
  void squeeze(const char*) {
    const auto* const o = op_->builtin_options_as<schema::SqueezeOptions>();
    Dims axes;
    if (o != nullptr && o->squeeze_dims() != nullptr) axes.assign(o->squeeze_dims()->begin(), o->squeeze_dims()->end());
    FileNode& node = add("Squeeze", {in(0)}, out());
    if (!axes.empty()) node.attributes.emplace("axes", axes);
  }
  void transpose(const char*) { add("Transpose", {in(0)}, out()).attributes.emplace("perm", constant(1)); }
  void reduce(const char* op) {
    const auto* const o = op_->builtin_options_as<schema::ReducerOptions>();
    FileNode& node = add(op, {in(0), in(1)}, out());
    node.attributes.emplace("keepdims", std::int64_t{o != nullptr && o->keep_dims() ? 1 : 0});
  }
  void pad(const char* kind) {
    const Dims amounts = constant(1);
    Dims pads(amounts.size(), 0);
    for (std::size_t i = 0; i != amounts.size() / 2; ++i) {
      pads[i] = amounts[2 * i];
      pads[amounts.size() / 2 + i] = amounts[2 * i + 1];
    }
    const bool mirror = std::strcmp(kind, "mirror") == 0;
    if (mirror && options<schema::MirrorPadOptions>().mode() == schema::MirrorPadMode::SYMMETRIC)
      return static_cast<void>(add("symmetric Pad", {in(0)}, out()));
    std::vector<std::string> all{in(0), list(pads)};
    if (!mirror && has(2)) all.push_back(in(2));
    add("Pad", std::move(all), out()).attributes.emplace("mode", std::string{mirror ? "reflect" : "constant"});
  }
  void resize(const char* mode) {
    bool corners = false, half = false;
    if (const auto* const o = op_->builtin_options_as<schema::ResizeBilinearOptions>())
      corners = o->align_corners(), half = o->half_pixel_centers();
    if (const auto* const o = op_->builtin_options_as<schema::ResizeNearestNeighborOptions>())
      corners = o->align_corners(), half = o->half_pixel_centers();
    Dims size = constant(1);
    const Dims x = shape(index(0));
    if (size.size() != 2 || x.size() != 4) {
      add("Resize to a computed size", {in(0), in(1)}, out());
      return;
    }
    const std::string made_first = fresh("resize");
    FileNode& node = add("Resize", {channels_first(in(0)), "", "", list({1, x[3], size[0], size[1]})}, made_first);
    node.attributes.emplace("mode", std::string{mode});
    node.attributes.emplace("coordinate_transformation_mode",
                            std::string{corners ? "align_corners" : half ? "half_pixel" : "asymmetric"});
    if (std::strcmp(mode, "nearest") == 0)
      node.attributes.emplace("nearest_mode", std::string{corners || half ? "round_prefer_ceil" : "floor"});
    node.name = out();
    channels_last(made_first, out());
  }
  void depth_to_space(const char*) {
    const std::string made_first = fresh("blocks");
    add("DepthToSpace", {channels_first(in(0))}, made_first)
        .attributes.emplace("blocksize", std::int64_t{options<schema::DepthToSpaceOptions>().block_size()});
    channels_last(made_first, out());
  }
  void space_to_depth(const char*) {
    const std::string made_first = fresh("blocks");
    add("SpaceToDepth", {channels_first(in(0))}, made_first)
        .attributes.emplace("blocksize", std::int64_t{options<schema::SpaceToDepthOptions>().block_size()});
    channels_last(made_first, out());
  }
  void gather(const char*) {
    const auto& o = options<schema::GatherOptions>();
    FileNode& node = add(o.batch_dims() == 0 ? "Gather" : "batched Gather", {in(0), in(1)}, out());
    node.attributes.emplace("axis", std::int64_t{o.axis()});
  }
  void slice(const char*) {
    const Dims begin = constant(1);
    Dims size = constant(2), end = begin;
    if (begin.size() != size.size() || begin.empty()) return static_cast<void>(add("Slice at computed places", inputs(), out()));
    for (std::size_t i = 0; i != begin.size(); ++i)
      end[i] = size[i] < 0 ? std::numeric_limits<std::int64_t>::max() : begin[i] + size[i];
    add("Slice", {in(0), list(begin), list(end)}, out());
  }
  /// Only the masks for open ends and dropped axes are read.
  void strided_slice(const char*) {
    const auto& o = options<schema::StridedSliceOptions>();
    Dims begin = constant(1), end = constant(2), steps = constant(3);
    if (begin.empty() || begin.size() != end.size() || begin.size() != steps.size() || o.ellipsis_mask() != 0 ||
        o.new_axis_mask() != 0)
      return static_cast<void>(add("StridedSlice of a form that is not supported", inputs(), out()));
    Dims dropped;
    for (std::size_t i = 0; i != begin.size(); ++i) {
      const auto bit = [i](std::int32_t mask) { return (mask >> i & 1) != 0; };
      if (bit(o.shrink_axis_mask())) {
        end[i] = begin[i] == -1 ? std::numeric_limits<std::int64_t>::max() : begin[i] + 1;
        steps[i] = 1;
        dropped.push_back(static_cast<std::int64_t>(i));
        continue;
      }
      const bool back = steps[i] < 0;
      if (bit(o.begin_mask())) begin[i] = back ? std::numeric_limits<std::int64_t>::max() : 0;
      if (bit(o.end_mask())) end[i] = back ? std::numeric_limits<std::int64_t>::min() + 1 : std::numeric_limits<std::int64_t>::max();
    }
    Dims axes(begin.size());
    std::iota(axes.begin(), axes.end(), 0);
    const std::string part = dropped.empty() ? out() : fresh("slice");
    add("Slice", {in(0), list(begin), list(end), list(axes), list(steps)}, part);
    if (!dropped.empty()) add("Squeeze", {part, list(dropped)}, out());
  }
  void split(const char*) { split_into(1, {}, constant(0)); }
  void split_at(const char*) { split_into(0, constant(1), constant(2)); }
  void split_into(unsigned input, const Dims& sizes, const Dims& axis) {
    std::vector<std::string> all{in(input)};
    if (!sizes.empty()) all.push_back(list(sizes));
    FileNode& node = add(axis.size() == 1 ? "Split" : "Split along a computed axis", std::move(all), out());
    for (unsigned i = 1; i < op_->outputs()->size(); ++i) node.outputs.push_back(out(i));
    node.attributes.emplace("axis", axis.size() == 1 ? axis[0] : std::int64_t{0});
  }
  void pack(const char*) {
    const auto& o = options<schema::PackOptions>();
    std::vector<std::string> all;
    for (const std::string& each : inputs()) all.push_back(made("Unsqueeze", {each, list({o.axis()})}));
    add("Concat", std::move(all), out()).attributes.emplace("axis", std::int64_t{o.axis()});
  }
  void unpack(const char*) {
    const auto& o = options<schema::UnpackOptions>();
    const unsigned count = op_->outputs() != nullptr ? op_->outputs()->size() : 0;
    std::vector<std::string> parts;
    for (unsigned i = 0; i != count; ++i) parts.push_back(fresh("part"));
    graph_.nodes.push_back({"Split", {}, out(), {in(0)}, parts, {}});
    graph_.nodes.back().attributes.emplace("axis", std::int64_t{o.axis()});
    for (unsigned i = 0; i != count; ++i) add("Squeeze", {parts[i], list({o.axis()})}, out(i));
  }
  void fill(const char*) { add("Expand", {in(1), in(0)}, out()); }
  void batch_matmul(const char*) {
    const auto* const o = op_->builtin_options_as<schema::BatchMatMulOptions>();
    const auto side = [&](unsigned i, bool adjoint) {
      if (!adjoint) return in(i);
      const auto rank = static_cast<std::int64_t>(shape(index(i)).size());
      Dims perm(static_cast<std::size_t>(rank));
      std::iota(perm.begin(), perm.end(), 0);
      if (rank >= 2) std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
      return turned(in(i), perm);
    };
    add("MatMul", {side(0, o != nullptr && o->adj_x()), side(1, o != nullptr && o->adj_y())}, out());
  }

  reader::FileGraph graph_;
  const flatbuffers::Vector<flatbuffers::Offset<schema::OperatorCode>>* codes_ = nullptr;
  const flatbuffers::Vector<flatbuffers::Offset<schema::Buffer>>* buffers_ = nullptr;
  const schema::SubGraph* file_ = nullptr;
  const schema::Operator* op_ = nullptr;
  std::size_t place_ = 0, fresh_ = 0;
  std::vector<std::string> names_;
  std::vector<std::function<void()>> after_;
};

}  // namespace

reader::FileGraph file_graph(std::span<const char> file, std::string_view name) { return Translator{file, name}.run(); }

}  // namespace fat::inline FAT_ABI::tflite
