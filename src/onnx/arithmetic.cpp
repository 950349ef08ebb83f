// Sums and products: with constants, of tensors, and the pieces of hard-swish.
#include "importer.hpp"

#include <cmath>

namespace fat::inline FAT_ABI::onnx {

namespace {

bool close(float a, float b) { return std::abs(a - b) <= 1e-6F * std::max(1.0F, std::abs(b)); }

/// The factor k for which the line is k * hard sigmoid of slope 1/6, 0 where there is none.
float hard_sigmoid_factor(const ClampedLine& line) {
  const float k = line.clamp.high;
  const bool fits = std::isfinite(k) && k > 0.0F && line.clamp.low == 0.0F && close(line.a / k, 1.0F / 6.0F) &&
                    close(line.b / k, 0.5F);
  return fits ? k : 0.0F;
}

}  // namespace

void Importer::sum() {
  const int inputs = node_->input_size();
  if (inputs == 2) return arithmetic('+');
  Tensor result = activation(0);
  for (int i = 1; i < inputs; ++i)
    result = join(Add{}, result, activation(i), i + 1 == inputs ? "" : "/" + std::to_string(i));
  set_output(result);
}

void Importer::negate() { scale_and_shift(activation(0), -1.0F, 0.0F); }

void Importer::arithmetic(char op) {
  const bool left = tensor(0).constant != nullptr, right = tensor(1).constant != nullptr;
  require(!(left && right), "its constants cannot be computed; export with constant folding");
  if (right) return with_constant(op, activation(0), *tensor(1).constant, false);
  if (left) return with_constant(op, activation(1), *tensor(0).constant, true);
  require(op != '/', "the quotient of two tensors is not supported; multiply by a reciprocal constant");
  const Tensor a = activation(0);
  Tensor b = activation(1);
  if (op == '*' && join_hard_swish(a, b)) return;
  if (op == '-') {
    b = materialized(b);
    const array<float> minus{Shape{extent(b).channels}, -1.0F}, zero{Shape{extent(b).channels}},
        one{Shape{extent(b).channels}, 1.0F};
    b.value = emit(BatchNormalization{minus, zero, zero, one, 0.0}, {b.value}, {}, "/negated");
  }
  set_output(op == '*' ? join(Multiply{}, a, b) : join(Add{}, a, b));
}

void Importer::with_constant(char op, const Tensor& x, const Constant& c, bool constant_first) {
  array<float> values = channel_values(c, x);
  require(op != '/' || !constant_first, "a constant divided by a tensor is not supported; replace it");
  if (op == '/')
    for (float& value : values) value = 1.0F / value;
  for (const float value : values)
    require(std::isfinite(value), op == '/' ? "divides by" : "computes with", " a constant that is ",
            op == '/' ? "0 or NaN" : "NaN or infinite", "; export the model again");
  if (op == '-' && !constant_first)
    for (float& value : values) value = -value;
  const bool scales = op == '*' || op == '/';
  const bool negates = op == '-' && constant_first;
  if (values.size() == 1) {
    return scales ? scale_and_shift(x, values[0], 0.0F) : scale_and_shift(x, negates ? -1.0F : 1.0F, values[0]);
  }
  if (!scales && !negates && add_to_bias(x, values)) return;
  const Tensor from = materialized(x);
  const std::size_t size = extent(from).channels;
  const array<float> zero{Shape{size}}, one{Shape{size}, 1.0F}, minus{Shape{size}, -1.0F};
  BatchNormalization result{scales ? values : negates ? minus : one, scales ? zero : values, zero, one, 0.0};
  set_output({nullptr, emit(std::move(result), {from.value}), from.layout});
}

/// a * x + b with numbers a and b.
void Importer::scale_and_shift(const Tensor& x, float a, float b) {
  if (a == 1.0F && b == 0.0F) return set_output(x);
  const auto before = lines_.find(x.value);
  ClampedLine line = before != lines_.end() ? before->second : ClampedLine{x.value, 1.0F, 0.0F, {}};
  if (a > 0.0F) {
    line = {line.of, a * line.a, a * line.b + b, {a * line.clamp.low + b, a * line.clamp.high + b}};
    if (close(line.a, 1.0F) && line.b == 0.0F && !line.clamp.active()) return set_output({nullptr, line.of, x.layout});
    if (close(hard_sigmoid_factor(line), 1.0F)) {
      const ValueId made = emit(HardSigmoid{}, {line.of});
      lines_[made] = line;
      return set_output({nullptr, made, x.layout});
    }
  }
  const Shape size{extent(x).channels};
  BatchNormalization op{array<float>{size, a}, array<float>{size, b}, array<float>{size}, array<float>{size, 1.0F},
                        0.0};
  const ValueId made = emit(std::move(op), {x.value});
  if (a > 0.0F) lines_[made] = line;
  set_output({nullptr, made, x.layout});
}

/// Adds a shift to the bias of the layer that makes `x`, where nothing else reads it. The layer's value takes the new
/// name.
bool Importer::add_to_bias(const Tensor& x, const array<float>& shift) {
  ::fat::Node* const before = producer(x.value);
  if (before == nullptr || quantized_) return false;
  const auto reads = reads_.find(x.value);
  if (reads == reads_.end() || reads->second.uses != 1 || reads->second.nodes != 0) return false;
  return std::visit(
      [&]<class Layer>(Layer& layer) {
        if constexpr (WeightedLayer<Layer>) {
          if (layer.offset.size() != shift.size()) return false;
          for (std::size_t i = 0; i != shift.size(); ++i) layer.offset[i] += shift[i];
          model_.values[x.value].name = fresh_name(node_->output(0));
          set_output(x);
          return true;
        } else {
          return false;
        }
      },
      before->op);
}

/// x * k * hard_sigmoid(x) is k * hard_swish(x).
bool Importer::join_hard_swish(const Tensor& a, const Tensor& b) {
  for (const auto& [x, factor] : {std::pair{a, b}, std::pair{b, a}}) {
    const auto found = lines_.find(factor.value);
    if (found == lines_.end() || found->second.of != x.value || x.layout != factor.layout) continue;
    const float k = hard_sigmoid_factor(found->second);
    if (k == 0.0F) continue;
    const bool whole = close(k, 1.0F);
    const Tensor swish{nullptr, emit(HardSwish{}, {x.value}, {}, whole ? "" : "/hard_swish"), x.layout};
    if (whole)
      set_output(swish);
    else
      scale_and_shift(swish, k, 0.0F);
    return true;
  }
  return false;
}

/// Sum or product of two activations; the larger one comes first.
Tensor Importer::join(Operator op, Tensor a, Tensor b, std::string_view suffix) {
  a = materialized(a);
  b = materialized(b);
  const auto pixel = [this](const Tensor& t) {
    return extent(t).height * extent(t).width == 1 && t.layout != Layout::vector;
  };
  if (pixel(a) && !pixel(b)) std::swap(a, b);
  require(a.layout == b.layout || (dims(a).size() == 4 && dims(b).size() == 4 && pixel(b)),
          "the inputs differ in the order of their axes; transpose one");
  return {nullptr, emit(std::move(op), {a.value, b.value}, {}, suffix), a.layout};
}

}  // namespace fat::inline FAT_ABI::onnx
