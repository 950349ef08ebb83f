// Functions that exporters spell out: hard swish, SiLU, GELU, Mish, layer and L2 normalization.
#include "builder.hpp"

#include <algorithm>
#include <cmath>

namespace fat::inline FAT_ABI::reader {

namespace {

bool close(float a, float b) { return std::abs(a - b) <= 1e-5F * std::max(1.0F, std::abs(b)); }

}  // namespace

/// A product of tensors and one number.
struct Builder::Product {
  float number = 1.0F;
  std::vector<std::string> names;
};

std::optional<float> Builder::number(const std::string& name) const {
  const Data* const data = constant_named(name);
  if (data == nullptr || data->size() != 1) return std::nullopt;
  return data->real(0);
}

void Builder::factors(const std::string& name, Product& product, int depth) const {
  if (const auto value = number(name)) {
    product.number *= *value;
    return;
  }
  const FileNode* const made = maker(name);
  const auto read = reads_.find(name);
  const bool alone = read != reads_.end() && read->second == 1;
  if (made != nullptr && alone && depth < 4 && made->inputs.size() == 2) {
    if (made->op == "Mul") {
      factors(made->inputs[0], product, depth + 1);
      return factors(made->inputs[1], product, depth + 1);
    }
    if (const auto divisor = made->op == "Div" ? number(made->inputs[1]) : std::nullopt) {
      product.number /= *divisor;
      return factors(made->inputs[0], product, depth + 1);
    }
  }
  product.names.push_back(name);
}

/// (x, k) where the tensor is k * hard sigmoid of x with slope 1/6.
std::optional<std::pair<std::string, float>> Builder::hard_sigmoid_of(const std::string& name, int depth) const {
  const FileNode* const made = maker(name);
  if (made == nullptr || made->inputs.empty() || depth == 4) return std::nullopt;
  const auto bound = [&](std::size_t input, const char* attribute) -> std::optional<float> {
    if (input < made->inputs.size() && !made->inputs[input].empty()) return number(made->inputs[input]);
    return made->has(attribute) ? std::optional{made->real(attribute, 0.0F)} : std::nullopt;
  };
  if (made->op == "HardSigmoid" && close(made->real("alpha", 0.2F), 1.0F / 6.0F) && close(made->real("beta", 0.5F), 0.5F))
    return std::pair{made->inputs[0], 1.0F};
  if (made->op == "Clip") {
    const auto low = bound(1, "min"), high = bound(2, "max");
    const FileNode* const sum = maker(made->inputs[0]);
    if (!low || !high || *low != 0.0F || *high != 6.0F || sum == nullptr || sum->op != "Add" || sum->inputs.size() != 2)
      return std::nullopt;
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}})
      if (const auto three = number(sum->inputs[i]); three && *three == 3.0F) return std::pair{sum->inputs[1 - i], 6.0F};
    return std::nullopt;
  }
  if ((made->op == "Mul" || made->op == "Div") && made->inputs.size() == 2)
    for (const std::size_t i : {std::size_t{1}, std::size_t{0}}) {
      const auto by = number(made->inputs[i]);
      if (!by || (made->op == "Div" && i == 0) || *by == 0.0F) continue;
      if (auto inner = hard_sigmoid_of(made->inputs[1 - i], depth + 1))
        return std::pair{inner->first, made->op == "Mul" ? inner->second * *by : inner->second / *by};
    }
  return std::nullopt;
}

/// x times a function of x that is a known function: this node then is that function.
bool Builder::product_idiom() {
  Product product;
  for (const std::string& input : node_->inputs) factors(input, product, 0);
  if (product.names.size() != 2) return false;
  using F = Function::Name;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const std::string &x = product.names[i], &f = product.names[1 - i];
    const FileNode* const made = maker(f);
    const auto found = tensors_.find(x);
    if (made == nullptr || made->inputs.empty() || found == tensors_.end() || found->second.constant()) continue;
    const auto finish = [&](Operator op, float factor) {
      const float k = product.number * factor;
      const Tensor made_of = found->second;
      set_output(scaled(applied(std::move(op), made_of, close(k, 1.0F) ? "" : "/function"), close(k, 1.0F) ? 1.0F : k, 0.0F));
      return true;
    };
    if (made->op == "Sigmoid" && made->inputs[0] == x) return finish(Function{F::silu, 0.0F, 0.0F}, 1.0F);
    if (const auto hard = hard_sigmoid_of(f); hard && hard->first == x && hard->second > 0.0F)
      return finish(HardSwish{}, hard->second);
    if (made->op == "Tanh")
      if (const FileNode* const inner = maker(made->inputs[0]);
          inner != nullptr && inner->op == "Softplus" && inner->inputs[0] == x)
        return finish(Function{F::mish, 0.0F, 0.0F}, 1.0F);
    if (made->op == "Add" && made->inputs.size() == 2)
      for (const std::size_t k : {std::size_t{0}, std::size_t{1}}) {
        const auto one = number(made->inputs[k]);
        const FileNode* const erf = one && *one == 1.0F ? maker(made->inputs[1 - k]) : nullptr;
        if (erf == nullptr || erf->op != "Erf") continue;
        const FileNode* const scale = maker(erf->inputs[0]);
        if (scale == nullptr || scale->inputs.size() != 2) continue;
        for (const std::size_t j : {std::size_t{0}, std::size_t{1}}) {
          const auto by = number(scale->inputs[j]);
          const bool root = by && ((scale->op == "Mul" && close(*by, 0.70710678F)) ||
                                   (scale->op == "Div" && j == 1 && close(*by, 1.41421356F)));
          if (root && scale->inputs[1 - j] == x) return finish(Function{F::gelu, 0.0F, 0.0F}, 2.0F);
        }
      }
  }
  return false;
}

/// (x - mean) / sqrt(variance + epsilon), and x / norm of x.
bool Builder::quotient_idiom() {
  const FileNode* below = maker(node_->inputs.at(1));
  if (below == nullptr) return false;
  const auto axes_of = [&](const FileNode& mean) -> std::optional<Order> {
    Dims axes = mean.integers("axes");
    if (mean.inputs.size() > 1 && !mean.inputs[1].empty()) {
      const Data* const data = constant_named(mean.inputs[1]);
      if (data == nullptr) return std::nullopt;
      axes = data->integers;
    }
    const auto found = tensors_.find(mean.inputs[0]);
    if (axes.empty() || mean.integer("keepdims", 1) == 0 || found == tensors_.end() || found->second.constant())
      return std::nullopt;
    const Dims normal = normalized_axes(axes, found->second.rank());
    return Order(normal.begin(), normal.end());
  };
  if (below->op == "Sqrt") {
    const FileNode* const sum = maker(below->inputs[0]);
    const FileNode* const above = maker(node_->inputs[0]);
    if (sum == nullptr || sum->op != "Add" || above == nullptr || above->op != "Sub") return false;
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
      const auto epsilon = number(sum->inputs[i]);
      const FileNode* const variance = epsilon ? maker(sum->inputs[1 - i]) : nullptr;
      if (variance == nullptr || variance->op != "ReduceMean") continue;
      const FileNode* const square = maker(variance->inputs[0]);
      if (square == nullptr || square->inputs.size() != 2) return false;
      const auto two = number(square->inputs[1]);
      const bool squared = (square->op == "Pow" && two && *two == 2.0F) ||
                           (square->op == "Mul" && square->inputs[0] == square->inputs[1]);
      const FileNode* const centred = maker(square->inputs[0]);
      const FileNode* const mean = maker(above->inputs[1]);
      if (!squared || centred == nullptr || centred->op != "Sub" || centred->inputs != above->inputs || mean == nullptr ||
          mean->op != "ReduceMean" || mean->inputs[0] != above->inputs[0])
        return false;
      const auto axes = axes_of(*mean), again = axes_of(*variance);
      if (!axes || axes != again) return false;
      set_output(normalized(tensors_.at(above->inputs[0]), *axes, Normalize::Method::standard, *epsilon));
      return true;
    }
    return false;
  }
  float epsilon = 1e-12F;
  for (int step = 0; step != 3 && below != nullptr && below->op != "ReduceL2"; ++step) {
    if (below->op == "Clip") {
      const auto low = below->inputs.size() > 1 && !below->inputs[1].empty() ? number(below->inputs[1])
                       : below->has("min") ? std::optional{below->real("min", 0.0F)}
                                           : std::nullopt;
      if (!low || *low <= 0.0F) return false;
      epsilon = *low;
    } else if (below->op != "Expand") {
      return false;
    }
    below = maker(below->inputs[0]);
  }
  if (below == nullptr || below->op != "ReduceL2" || below->inputs[0] != node_->inputs[0]) return false;
  const auto axes = axes_of(*below);
  if (!axes) return false;
  set_output(normalized(tensors_.at(node_->inputs[0]), *axes, Normalize::Method::l2, epsilon));
  return true;
}

/// BatchToSpace(Conv(SpaceToBatch(x))) with one block size, images channels last around channels first, is a dilated
/// convolution; what else stands between them is not read.
bool Builder::dilated_idiom() {
  const FileNode* const last = node_;
  const FileNode* conv = maker(last->inputs.at(0));
  const bool turned = conv != nullptr && conv->op == "Transpose";
  if (turned) conv = maker(conv->inputs[0]);
  if (conv == nullptr || conv->op != "Conv") return false;
  const FileNode* first = maker(conv->inputs[0]);
  if (turned && first != nullptr && first->op == "Transpose") first = maker(first->inputs[0]);
  if (first == nullptr || first->op != "SpaceToBatch" || first->inputs.size() != 3 || last->inputs.size() != 3)
    return false;
  const Data* const blocks = constant_named(first->inputs[1]);
  const Data* const pads = constant_named(first->inputs[2]);
  const Data* const again = constant_named(last->inputs[1]);
  const Data* const crops = constant_named(last->inputs[2]);
  const auto found = tensors_.find(first->inputs[0]);
  if (blocks == nullptr || pads == nullptr || again == nullptr || crops == nullptr || found == tensors_.end() ||
      blocks->integers.size() != 2 || blocks->integers != again->integers || pads->integers.size() != 4 ||
      crops->integers.size() != 4 || found->second.constant() || conv->text("auto_pad", "NOTSET") != "VALID" ||
      conv->integers("strides", {1, 1}) != Dims{1, 1} || conv->integers("dilations", {1, 1}) != Dims{1, 1})
    return false;
  FileNode dilated = *conv;
  Tensor x = found->second;
  if (turned) x = permuted(x, {0, 3, 1, 2});
  Dims padding{pads->integers[0] - crops->integers[0], pads->integers[2] - crops->integers[2],
               pads->integers[1] - crops->integers[1], pads->integers[3] - crops->integers[3]};
  for (const std::int64_t each : padding)
    if (each < 0) return false;
  dilated.attributes.insert_or_assign("auto_pad", std::string{"NOTSET"});
  dilated.attributes.insert_or_assign("pads", padding);
  dilated.attributes.insert_or_assign("dilations", blocks->integers);
  dilated.inputs[0] = last->outputs[0] + "/whole";
  dilated.outputs = {last->outputs[0] + (turned ? "/channels_first" : "")};
  tensors_.emplace(dilated.inputs[0], x);
  node_ = &dilated;
  convolution();
  node_ = last;
  if (turned) set(last->outputs[0], permuted(tensors_.at(dilated.outputs[0]), {0, 2, 3, 1}));
  return true;
}

}  // namespace fat::inline FAT_ABI::reader
