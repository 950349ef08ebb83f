// Operators that compute element by element.
#include "builder.hpp"

#include <algorithm>
#include <cmath>

namespace fat::inline FAT_ABI::reader {

Tensor Builder::applied(Operator op, const Tensor& x, std::string_view suffix) {
  Tensor result = x;
  result.value = emit(std::move(op), {x.value}, {}, suffix);
  return result;
}

void Builder::unary(Operator op) { set_output(applied(std::move(op), activation(0))); }

void Builder::function() {
  using F = Function::Name;
  const std::string& op = node_->op;
  const auto real = [&](const char* name, float otherwise) { return node_->real(name, otherwise); };
  if (op == "Neg") return set_output(scaled(activation(0), -1.0F, 0.0F));
  static const std::unordered_map<std::string, F> plain_names{
      {"Abs", F::abs},           {"Ceil", F::ceil},   {"Cos", F::cos},           {"Erf", F::erf},
      {"Exp", F::exp},           {"Floor", F::floor}, {"Log", F::log},           {"Mish", F::mish},
      {"Not", F::logical_not},   {"Round", F::round}, {"Reciprocal", F::reciprocal}, {"Sign", F::sign},
      {"Silu", F::silu},         {"Sin", F::sin},     {"Softplus", F::softplus}, {"Softsign", F::softsign},
      {"Sqrt", F::sqrt},         {"Square", F::square}, {"Tanh", F::tanh}};
  if (const auto found = plain_names.find(op); found != plain_names.end())
    return unary(Function{found->second, 0.0F, 0.0F});
  if (op == "LeakyRelu") return unary(Function{F::leaky_relu, real("alpha", 0.01F), 0.0F});
  if (op == "Elu") return unary(Function{F::elu, real("alpha", 1.0F), 0.0F});
  if (op == "Celu") return unary(Function{F::celu, real("alpha", 1.0F), 0.0F});
  if (op == "ThresholdedRelu") return unary(Function{F::thresholded_relu, real("alpha", 1.0F), 0.0F});
  if (op == "Selu") return unary(Function{F::selu, real("alpha", 1.67326319F), real("gamma", 1.05070102F)});
  if (op == "Swish") {
    if (real("alpha", 1.0F) != 1.0F) unsupported("alpha other than 1 is not supported");
    return unary(Function{F::silu, 0.0F, 0.0F});
  }
  unsupported("the operator is not supported");
}

void Builder::gelu() {
  const bool tanh = node_->text("approximate", "none") == "tanh";
  unary(Function{tanh ? Function::Name::gelu_tanh : Function::Name::gelu, 0.0F, 0.0F});
}

void Builder::clamp(const Clamp& range) {
  expects(!std::isnan(range.low) && !std::isnan(range.high) && range.low <= range.high, "the bounds ", range.low,
          " and ", range.high, " are in disorder");
  unary(ClampLayer{range});
}

void Builder::clip() {
  const Clamp none;
  clamp({has(1) ? scalar(1, none.low) : node_->real("min", none.low),
         has(2) ? scalar(2, none.high) : node_->real("max", none.high)});
}

void Builder::hard_sigmoid() { unary(HardSigmoid{node_->real("alpha", 0.2F), node_->real("beta", 0.5F)}); }

/// A constant of the broadcast shape `dims`, in the stored order of the plain tensor `like`.
Tensor Builder::materialized_data(const Data& data, const Tensor& like, const Dims& dims) {
  FileNode repeat;
  repeat.op = "Expand";
  const Data shape{{static_cast<std::int64_t>(dims.size())}, true, {}, dims};
  Data full = evaluate(repeat, {&data, &shape}, room_).at(0);
  FileNode turn;
  turn.op = "Transpose";
  const Order order = *axis_order(like);
  Dims perm;
  for (const std::size_t axis : order) perm.push_back(static_cast<std::int64_t>(axis));
  turn.attributes.emplace("perm", perm);
  Data turned = evaluate(turn, {&full}, room_).at(0);
  return {std::make_shared<const Data>(std::move(turned)), 0, {}, {}};
}

void Builder::prelu() {
  Tensor x = plain(activation(0));
  const Data& slope = constant(1, "the slope");
  if (slope.size() == 1) return set_output(applied(Function{Function::Name::leaky_relu, slope.real(0), 0.0F}, x));
  const Dims dims = x.dims();
  expects(broadcast(dims, slope.dims) == dims, "slopes that do not fit");
  std::vector<std::size_t> filled;
  const std::size_t missing = dims.size() - slope.dims.size();
  for (std::size_t i = 0; i != slope.dims.size(); ++i)
    if (slope.dims[i] != 1) filled.push_back(missing + i);
  PRelu op;
  if (filled.size() == 1) {
    Order order = *axis_order(x);
    order.erase(std::find(order.begin(), order.end(), filled[0]));
    order.push_back(filled[0]);
    x = stored(x, order);
    for (std::size_t i = 0; i != slope.size(); ++i) op.slopes.push_back(slope.real(i));
  } else {
    op.slopes = materialized_data(slope, x, dims).data->reals;
  }
  set_output(applied(std::move(op), x));
}

/// scale * x + shift. One after another they are one.
Tensor Builder::scaled(const Tensor& x, float scale, float shift, std::string_view suffix) {
  if (scale == 1.0F && shift == 0.0F) return x;
  Tensor from = x;
  float a = scale, b = shift;
  if (const auto before = lines_.find(x.value); before != lines_.end()) {
    from.value = before->second.of;
    b = a * before->second.shift + b;
    a *= before->second.scale;
    if (std::abs(a - 1.0F) <= 1e-6F && b == 0.0F) return from;
  }
  const Shape size{model_.extent(from.value).channels};
  Tensor result = applied(BatchNormalization{array<float>{size, a}, array<float>{size, b}, array<float>{size},
                                             array<float>{size, 1.0F}, 0.0},
                          from, suffix);
  lines_[result.value] = {from.value, a, b};
  return result;
}

/// scale[k] * x + shift[k] for index k of an axis, which is stored last then.
Tensor Builder::channel_affine(const Tensor& tensor, std::size_t axis, const std::vector<float>& scale,
                               const std::vector<float>& shift, std::string_view suffix) {
  Tensor x = plain(tensor);
  expects(static_cast<std::size_t>(x.dim(axis)) == scale.size() && scale.size() == shift.size(), scale.size(),
          " values for an axis of ", x.dim(axis));
  Order order = *axis_order(x);
  order.erase(std::find(order.begin(), order.end(), axis));
  order.push_back(axis);
  x = stored(x, order);
  x.value = with_extent(x.value, natural(x, order));
  const Shape size{scale.size()};
  return applied(BatchNormalization{array<float>{size, {scale.begin(), scale.end()}},
                                    array<float>{size, {shift.begin(), shift.end()}}, array<float>{size},
                                    array<float>{size, 1.0F}, 0.0},
                 x, suffix);
}

/// Sums and products with one number or one for each index of an axis; empty for what is more.
std::optional<Tensor> Builder::with_constant(const std::string& op, const Tensor& x, const Data& c, bool first,
                                             std::string_view suffix) {
  const Dims dims = x.dims();
  if (c.dims.size() > dims.size() && c.size() != 1) return std::nullopt;
  for (std::size_t i = 0; i != c.size(); ++i) {
    expects(op != "Div" || first || c.real(i) != 0.0F, "divides by a constant that is 0; export the model again");
    if (!std::isfinite(c.real(i))) return std::nullopt;
  }
  std::vector<float> scale(c.size(), 1.0F), shift(c.size(), 0.0F);
  for (std::size_t i = 0; i != c.size(); ++i) {
    if (op == "Add") shift[i] = c.real(i);
    if (op == "Sub") scale[i] = first ? -1.0F : 1.0F, shift[i] = first ? c.real(i) : -c.real(i);
    if (op == "Mul") scale[i] = c.real(i);
    if (op == "Div") scale[i] = first ? c.real(i) : 1.0F / c.real(i);
  }
  const bool linear = op == "Add" || op == "Sub" || op == "Mul" || op == "Div";
  if (!linear) return std::nullopt;
  Tensor from = x;
  if (op == "Div" && first) from = applied(Function{Function::Name::reciprocal, 0.0F, 0.0F}, x, "/reciprocal");
  if (c.size() == 1) {
    Tensor result = scaled(from, scale[0], shift[0], suffix);
    if (c.dims.size() > dims.size()) result = regrouped(result, broadcast(dims, c.dims));
    return result;
  }
  std::optional<std::size_t> filled;
  const std::size_t missing = dims.size() - c.dims.size();
  for (std::size_t i = 0; i != c.dims.size(); ++i) {
    if (c.dims[i] == 1) continue;
    if (filled || c.dims[i] != dims[missing + i]) return std::nullopt;
    filled = missing + i;
  }
  return channel_affine(from, *filled, scale, shift, suffix);
}

/// Any operator of two tensors, broadcast to each other.
Tensor Builder::combined(const std::string& op, Tensor a, Tensor b, std::string_view suffix) {
  const Dims dims = broadcast(a.dims(), b.dims());
  const bool commutes = op == "Add" || op == "Mul";
  if (op == "Sub") return combined("Add", std::move(a), scaled(b, -1.0F, 0.0F, "/negated"), suffix);
  if (commutes && a.dims() != dims && b.dims() == dims) std::swap(a, b);
  a = plain(a);
  const auto make = [&](ValueId left, ValueId right) {
    using N = Binary::Name;
    if (op == "Add") return emit(Add{}, {left, right}, {}, suffix);
    if (op == "Mul") return emit(Multiply{}, {left, right}, {}, suffix);
    static const std::unordered_map<std::string, N> names{
        {"Div", N::divide}, {"Max", N::maximum},  {"Min", N::minimum},     {"Pow", N::pow},      {"Equal", N::equal},
        {"Less", N::less},  {"Greater", N::greater}, {"And", N::logical_and}, {"Or", N::logical_or}};
    return emit(Binary{names.at(op)}, {left, right}, {}, suffix);
  };
  Tensor result = a;
  if (commutes && a.dims() == dims && b.dims() != dims) {
    // One value for each index of the axis that is stored last: broadcast over all others.
    const std::size_t missing = dims.size() - b.rank();
    std::vector<std::size_t> filled;
    for (std::size_t i = 0; i != b.rank(); ++i)
      if (!b.axes[i].empty()) filled.push_back(missing + i);
    const Order order = *axis_order(a);
    if (filled.size() == 1 && filled[0] == order.back()) {
      b = plain(b);
      result.value = make(natural_value(a), with_extent(b.value, {1, 1, b.size(), false}));
      return result;
    }
  }
  a = plain(expanded(a, dims));
  b = like(plain(expanded(b, dims)), a);
  result = a;
  const ValueId left = natural_value(a);
  result.value = make(left, with_extent(b.value, model_.extent(left)));
  return result;
}

void Builder::arithmetic() {
  if (node_->op == "Mul" && product_idiom()) return;
  if (node_->op == "Div" && quotient_idiom()) return;
  const Tensor &a = tensor(0), &b = tensor(1);
  if (a.constant() != b.constant()) {
    const bool first = a.constant();
    const Data data = first ? *a.data : *b.data;
    if (auto made = with_constant(node_->op, first ? b : a, data, first, {})) return set_output(*std::move(made));
  }
  const Tensor left = activation(0), right = activation(1);
  set_output(combined(node_->op, left, right));
}

/// Max, Min, Sum and Mean of any number of tensors.
void Builder::many() {
  const std::string op = node_->op == "Sum" || node_->op == "Mean" ? "Add" : node_->op;
  const std::size_t inputs = node_->inputs.size();
  if (inputs == 2 && op != "Add")
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}})
      if (tensor(i).constant() && tensor(i).data->size() == 1) {
        const float bound = tensor(i).data->real(0);
        const Clamp range = op == "Max" ? Clamp{bound, Clamp{}.high} : Clamp{Clamp{}.low, bound};
        return set_output(applied(ClampLayer{range}, tensor(1 - i)));
      }
  Tensor result = activation(0);
  for (std::size_t i = 1; i < inputs; ++i) {
    const bool last = i + 1 == inputs && node_->op != "Mean";
    result = combined(op, result, activation(i), last ? "" : "/" + std::to_string(i));
  }
  if (node_->op == "Mean") result = scaled(result, 1.0F / static_cast<float>(inputs), 0.0F);
  set_output(result);
}

void Builder::power() {
  const Tensor x = activation(0);
  if (tensor(1).constant() && tensor(1).data->size() == 1) {
    const float exponent = tensor(1).data->real(0);
    if (exponent == 1.0F) return set_output(x);
    if (exponent == 2.0F) return set_output(applied(Function{Function::Name::square, 0.0F, 0.0F}, x));
    if (exponent == 0.5F) return set_output(applied(Function{Function::Name::sqrt, 0.0F, 0.0F}, x));
    return set_output(applied(Function{Function::Name::pow, exponent, 0.0F}, x));
  }
  set_output(combined("Pow", x, activation(1)));
}

void Builder::where() {
  Tensor c = activation(0), a = activation(1), b = activation(2);
  const Dims dims = broadcast(broadcast(a.dims(), b.dims()), c.dims());
  a = plain(expanded(a, dims));
  b = like(plain(expanded(b, dims)), a);
  c = like(plain(expanded(c, dims)), a);
  Tensor result = a;
  const ValueId first = natural_value(a);
  const Extent extent = model_.extent(first);
  result.value = emit(Where{}, {with_extent(c.value, extent), first, with_extent(b.value, extent)});
  set_output(result);
}

}  // namespace fat::inline FAT_ABI::reader
