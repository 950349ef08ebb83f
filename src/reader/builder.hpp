// Builder: makes a Model out of a FileGraph, node by node: shapes are inferred, constants computed, axes tracked.
//
// Moves of axes cost nothing until an operator needs elements in another order: a tensor remembers, for each of the
// file's axes, which parts of the stored order it is made of (Atom). Images end up channels last by themselves, because
// convolutions ask for that order and give it.
#ifndef FAT_SRC_READER_BUILDER_HPP_INCLUDED
#define FAT_SRC_READER_BUILDER_HPP_INCLUDED

#include "file_graph.hpp"
#include "read_graph.hpp"

#include <fat/model/extents.hpp>
#include <fat/model/model.hpp>

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace fat::inline FAT_ABI::reader {

/// A factor of an axis, stored as one axis. Axes of extent 1 have none.
struct Atom {
  std::size_t size = 1;
  std::size_t id = 0;
};

/// One tensor of the file: a constant, or a value of the Model with its elements in some order.
struct Tensor {
  DataPointer data;
  ValueId value = 0;
  std::vector<std::vector<Atom>> axes;  ///< the file's, the first factor being the outermost
  std::vector<std::size_t> order;       ///< ids of atoms from the outermost stored one to the innermost

  bool constant() const { return data != nullptr; }
  std::size_t rank() const { return constant() ? data->dims.size() : axes.size(); }
  std::int64_t dim(std::size_t axis) const;
  Dims dims() const;
  std::size_t size() const;
};

class Builder {
 public:
  Builder(const FileGraph& graph, const ReadOptions& options) : graph_(graph), options_(options) {}
  Model run();

 private:
  using Rule = void (Builder::*)();
  using Order = std::vector<std::size_t>;

  // builder.cpp: the walk
  void read_inputs();
  Dims input_dims(const FileInput& input) const;
  bool starts_channels_last(const std::string& input) const;
  void read_node(const FileNode& node);
  void set(const std::string& name, Tensor tensor);
  void set_output(Tensor tensor) { set(node_->outputs.at(0), std::move(tensor)); }
  void set_constant(Data data, std::size_t output = 0);
  void write_outputs();
  std::vector<std::string> ends() const;
  void remove_unused();
  static const std::unordered_map<std::string, Rule>& rules();

  // builder.cpp: what operators work with
  bool has(std::size_t input) const { return input < node_->inputs.size() && !node_->inputs[input].empty(); }
  const Tensor& tensor(std::size_t input) const;
  const Data& constant(std::size_t input, std::string_view what) const;
  /// An activation; a constant becomes a Constant of the Model.
  Tensor activation(std::size_t input);
  std::vector<const Data*> constants() const;
  Dims list(std::string_view attribute, std::size_t input, Dims otherwise = {}) const;
  float scalar(std::size_t input, float otherwise) const;

  std::string fresh_name(const std::string& wanted);
  ValueId emit(Operator op, std::vector<ValueId> inputs, const Extent& declared = {}, std::string_view suffix = {});
  const FileNode* maker(const std::string& name) const;
  const Data* constant_named(const std::string& name) const;

  // axes.cpp
  Tensor fresh(ValueId value, const Dims& dims, const Order& order);
  Tensor fresh(ValueId value, const Dims& dims);
  static void merge(Tensor& tensor);
  std::optional<Order> axis_order(const Tensor& tensor) const;
  Tensor stored(const Tensor& tensor, const Order& order, std::string_view suffix = "/order");
  Tensor in_file_order(const Tensor& tensor);
  Tensor plain(const Tensor& tensor);
  Tensor like(const Tensor& tensor, const Tensor& other);
  ValueId with_extent(ValueId value, const Extent& extent);
  Extent natural(const Tensor& tensor, const Order& order) const;
  ValueId natural_value(const Tensor& tensor);
  Tensor view(const Tensor& tensor, const Dims& dims, const std::vector<std::int64_t>& steps,
              const std::vector<std::int64_t>& begins);
  Tensor regrouped(const Tensor& tensor, const Dims& target);
  Tensor permuted(const Tensor& tensor, const Dims& order) const;
  Tensor expanded(const Tensor& tensor, const Dims& dims);
  Tensor embedded(const Data& data);
  Tensor materialized_data(const Data& data, const Tensor& like, const Dims& dims);

  // rules_layers.cpp
  Tensor image(const Tensor& tensor);
  Tensor image_result(ValueId value, const Tensor& image, std::size_t channels);
  /// A window where the file's attributes put it.
  struct Placed {
    Window window;
    Padding declared;  ///< before ceil_mode added to it
    Pair cropped;      ///< rows and columns that are left out in front
  };
  Placed window(const Extent& in, const Dims& kernel, bool pooling);
  ValueId without_front(const Tensor& image, const Pair& cropped);
  void convolution();
  void transposed_convolution();
  void batch_normalization();
  void gemm();
  void matmul();
  Tensor dense(const Tensor& x, const Data& weights, bool transposed, float alpha, const std::vector<float>& bias);
  void pool();
  void global_pool();
  void reduce();
  Tensor reduced(const Tensor& x, const Order& axes, bool keep, Pool::Kind kind);
  void softmax();
  void resize();
  static void expect_pixels_of_ratio(const Resize& op, double scale, std::size_t in, std::size_t out);
  void instance_normalization();
  void layer_normalization();
  void group_normalization();
  void lp_normalization();
  void local_response_normalization();
  Tensor normalized(const Tensor& x, const Order& axes, Normalize::Method method, float epsilon);
  Tensor channel_affine(const Tensor& x, std::size_t axis, const std::vector<float>& scale,
                        const std::vector<float>& shift, std::string_view suffix = {});

  // rules_pointwise.cpp
  void function();
  void gelu();
  void relu() { clamp({0.0F, Clamp{}.high}); }
  void clip();
  void clamp(const Clamp& range);
  void hard_swish() { unary(HardSwish{}); }
  void hard_sigmoid();
  void sigmoid() { unary(Sigmoid{}); }
  void unary(Operator op);
  Tensor applied(Operator op, const Tensor& x, std::string_view suffix = {});
  void prelu();
  void arithmetic();
  void many();
  void where();
  void power();
  Tensor combined(const std::string& op, Tensor a, Tensor b, std::string_view suffix = {});
  std::optional<Tensor> with_constant(const std::string& op, const Tensor& x, const Data& c, bool constant_first,
                                      std::string_view suffix);
  Tensor scaled(const Tensor& x, float scale, float shift, std::string_view suffix = {});

  // idioms.cpp
  struct Product;
  bool product_idiom();
  bool quotient_idiom();
  bool dilated_idiom();
  void factors(const std::string& name, Product& product, int depth) const;
  std::optional<std::pair<std::string, float>> hard_sigmoid_of(const std::string& name, int depth = 0) const;
  std::optional<float> number(const std::string& name) const;

  // rules_moves.cpp
  void identity();
  void cast();
  void constant_node();
  void shape();
  void size_of();
  void reshape();
  void flatten();
  void squeeze();
  void unsqueeze();
  void transpose();
  void slice();
  void split();
  void gather();
  void concat();
  Tensor joined(std::vector<Tensor> parts, std::size_t axis, std::string_view suffix = {});
  void pad();
  void expand();
  void tile();
  void depth_to_space();
  void space_to_depth();

  const FileGraph& graph_;
  const ReadOptions& options_;
  Model model_;
  const FileNode* node_ = nullptr;
  std::unordered_map<std::string, Tensor> tensors_;
  std::map<const Data*, Tensor> embedded_;                ///< constants that became values
  std::unordered_map<std::string, std::string> missing_;  ///< tensors that cannot be had, and why
  std::unordered_map<std::string, const FileNode*> makers_;
  std::unordered_map<std::string, std::size_t> reads_;
  std::map<std::pair<ValueId, std::vector<std::size_t>>, ValueId> aliases_;
  std::unordered_set<std::string> value_names_, node_names_;
  /// scale * of + shift, for values that are so of another one.
  struct Line {
    ValueId of = 0;
    float scale = 1.0F, shift = 0.0F;
  };
  std::unordered_map<ValueId, Line> lines_;
  std::size_t atoms_ = 0;
  std::size_t room_ = std::size_t{1} << 25;  ///< elements that computed constants may have in all
};

}  // namespace fat::inline FAT_ABI::reader

#endif
