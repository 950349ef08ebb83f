// The state of an import: what each tensor of the file is in the Model under construction.
#ifndef FAT_SRC_ONNX_IMPORTER_HPP_INCLUDED
#define FAT_SRC_ONNX_IMPORTER_HPP_INCLUDED

#include "fold.hpp"
#include "metadata.hpp"

#include <fat/model/extents.hpp>
#include <fat/model/model.hpp>
#include <fat/model/quantized_model.hpp>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace fat::inline FAT_ABI::onnx {

/// The order in which the file counts the elements of an activation. All are stored HWC.
enum class Layout {
  channels_first,  ///< [N,C,H,W]
  channels_last,   ///< [N,H,W,C]
  vector,          ///< [N,C]
  positions,       ///< [N,C,H*W], an image still stored as such
  flat_first,      ///< [N,C*H*W], an image still stored as such
  flat_last        ///< [N,H*W*C], likewise
};

/// One tensor of the file: a constant, or an activation.
struct Tensor {
  std::shared_ptr<const Constant> constant;
  ValueId value = 0;
  Layout layout = Layout::vector;
  /// Between QuantizeLinear and DequantizeLinear: the value's codes, not its reals.
  bool codes = false;
};

/// min(max(a * x + b, low), high) of another value x: what hard-swish looks like in pieces.
struct ClampedLine {
  ValueId of = 0;
  float a = 1.0F;
  float b = 0.0F;
  Clamp clamp;
};

class Importer {
 public:
  Importer(::onnx::ModelProto& file, std::string_view name, bool quantized);
  /// Reads the whole graph. In a quantized import, `encodings`, `narrowed` and `weight_codes` then hold what was found.
  Model run();

  /// By value.
  std::map<ValueId, ActivationEncoding> encodings;
  /// Values whose codes the file's metadata restrict: the Clip before their QuantizeLinear states the same.
  std::set<ValueId> narrowed;
  /// By name of the node; a bias as int32 codes where the file has them.
  std::map<std::string, WeightEncoding> weight_codes;

 private:
  using Node = ::onnx::NodeProto;

  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    if (!ok) fail(where(), ": ", parts...);
  }

  /// What begins the errors of the current node.
  std::string where() const { return name_ + ": " + label(*node_); }

  // import.cpp: the graph
  void read_input();
  bool starts_with_transpose(const std::string& input) const;
  void read_node(const Node& node);
  void set(const std::string& name, Tensor tensor);
  void set_output(Tensor tensor);
  void count_computed(const Constant& made);
  void remove_unused();

  // import.cpp: what operators work with
  bool has(int input) const { return input < node_->input_size() && !node_->input(input).empty(); }
  const Tensor& tensor(int input) const;
  const Constant& constant(int input, std::string_view what) const;
  const Constant& plain_constant(int input, std::string_view what) const;
  Tensor activation(int input);
  Tensor image(int input);
  Tensor materialized(const Tensor& tensor, std::string_view suffix = "/flat");
  const Extent& extent(const Tensor& tensor) const { return model_.extent(tensor.value); }
  std::size_t channels(const Tensor& tensor) const;
  Integers dims(const Tensor& tensor) const;
  std::string fresh_name(const std::string& wanted);
  /// Adds a node that makes the current output, or a tensor named after it with `suffix`.
  ValueId emit(Operator op, std::vector<ValueId> inputs, const Extent& declared = {}, std::string_view suffix = {});
  ::fat::Node* producer(ValueId value);
  array<float> channel_values(const Constant& from, const Tensor& of) const;
  float scalar(int input, float otherwise) const;

  // operators.cpp
  using Rule = void (Importer::*)();
  static const std::unordered_map<std::string, Rule>& rules();
  void convolution();
  /// Kernel, strides, dilations and padding of a convolution or pool. `declared`: the padding without what rounding the
  /// size up adds at the end. `cropped`: the rows and columns that have to be taken off the front of the image before,
  /// where the file's padding is negative.
  struct Placed {
    Window window;
    Padding declared;
    Pair cropped{0, 0};
  };
  Placed window(const Extent& in, Pair kernel, bool pooling);
  Padding explicit_padding(std::string_view automatic) const;
  ValueId without_front(ValueId image, const Pair& cropped);
  void batch_normalization();
  void gemm();
  void matmul();
  void dense(const Tensor& x, const Constant& w, bool transposed, float alpha, const Constant* bias = nullptr);
  Constant gemm_bias(const Constant& c, std::size_t outputs, float beta) const;
  void pool();
  void global_average_pool();
  void global_max_pool();
  void reduce_mean();
  ValueId before_partial_mean(const Tensor& x);
  void pad();
  void concat();
  void softmax();
  void unary(Operator op);
  void clamp(const Clamp& range, int input = 0);
  int beside_constant() const;
  void relu_rule() { clamp(relu); }
  void clip();
  void minimum();
  void maximum();
  void hard_swish() { unary(HardSwish{}); }
  void hard_sigmoid();
  void sigmoid() { unary(Sigmoid{}); }
  void resize();
  NearestPixel nearest_pixel(std::string_view mode) const;
  NearestPixel pixel_without_mode(const Extent& in, const Extent& out) const;
  void expect_pixels_of_ratio(const Resize& op, double scale, std::size_t in, std::size_t out) const;

  // arithmetic.cpp
  void add() { arithmetic('+'); }
  void subtract() { arithmetic('-'); }
  void multiply() { arithmetic('*'); }
  void divide() { arithmetic('/'); }
  void sum();
  void negate();
  void arithmetic(char op);
  void with_constant(char op, const Tensor& x, const Constant& c, bool constant_first);
  void scale_and_shift(const Tensor& x, float a, float b);
  bool add_to_bias(const Tensor& x, const array<float>& shift);
  bool join_hard_swish(const Tensor& a, const Tensor& b);
  Tensor join(Operator op, Tensor a, Tensor b, std::string_view suffix = {});

  // shapes.cpp
  void identity();
  void reshape();
  void reshape_to(const Integers& target);
  void flatten();
  void squeeze();
  void remove_axes(const Integers& axes);
  void gather();
  void slice();
  void unsqueeze();
  void transpose();
  void shape();
  void constant_node();

  // qdq.cpp
  void quantize_linear();
  void dequantize_linear();
  void count_uses();
  Constant dequantized(const Constant& codes) const;
  Steps steps(const Integers& dims) const;
  ActivationEncoding encoding() const;
  bool read_by_this_node_only(ValueId value) const;
  void encode(Tensor x);
  void keep_codes(const Constant& w, const Constant* bias, std::size_t output_axis);
  template <WeightedLayer Layer>
  void keep_codes(Layer& layer, const Constant& w, const Constant* bias, std::size_t output_axis, float input_step);

  ::onnx::ModelProto& file_;
  std::string name_;
  bool quantized_;
  std::size_t file_bytes_ = 0;
  std::size_t computed_ = 0;  ///< elements of all constants that nodes have made
  bool bytes_input_ = false;  ///< the input of the file is of type uint8
  std::int64_t operator_set_;
  Model model_;
  const Node* node_ = nullptr;
  std::unordered_map<std::string, Tensor> tensors_;
  std::unordered_map<std::string, std::size_t> uses_;
  /// Of a value: how many tensors are its reals, how often they are read in all, and by how many nodes made so far.
  struct Reads {
    std::size_t tensors = 0;
    std::size_t uses = 0;
    std::size_t nodes = 0;
  };
  std::unordered_map<ValueId, Reads> reads_;
  std::unordered_map<std::string, const Node*> makers_;
  std::unordered_map<std::string, ActivationEncoding> quantized_tensors_;  ///< inputs of QuantizeLinear
  Metadata metadata_;
  std::unordered_map<ValueId, std::size_t> producers_;
  std::unordered_map<ValueId, ClampedLine> lines_;
  std::unordered_set<std::string> value_names_;
  std::unordered_set<std::string> node_names_;
};

}  // namespace fat::inline FAT_ABI::onnx

#endif
