// One rule for each operator that becomes a layer.
#include "importer.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace fat::inline FAT_ABI::onnx {

const std::unordered_map<std::string, Importer::Rule>& Importer::rules() {
  static const std::unordered_map<std::string, Rule> table{
      {"Add", &Importer::add},
      {"AveragePool", &Importer::pool},
      {"BatchNormalization", &Importer::batch_normalization},
      {"Cast", &Importer::identity},
      {"Clip", &Importer::clip},
      {"Concat", &Importer::concat},
      {"Constant", &Importer::constant_node},
      {"Conv", &Importer::convolution},
      {"DequantizeLinear", &Importer::dequantize_linear},
      {"Div", &Importer::divide},
      {"Dropout", &Importer::identity},
      {"Flatten", &Importer::flatten},
      {"Gather", &Importer::gather},
      {"Gemm", &Importer::gemm},
      {"GlobalAveragePool", &Importer::global_average_pool},
      {"GlobalMaxPool", &Importer::global_max_pool},
      {"HardSigmoid", &Importer::hard_sigmoid},
      {"HardSwish", &Importer::hard_swish},
      {"Identity", &Importer::identity},
      {"MatMul", &Importer::matmul},
      {"Max", &Importer::maximum},
      {"MaxPool", &Importer::pool},
      {"Min", &Importer::minimum},
      {"Mul", &Importer::multiply},
      {"Neg", &Importer::negate},
      {"Pad", &Importer::pad},
      {"QuantizeLinear", &Importer::quantize_linear},
      {"ReduceMean", &Importer::reduce_mean},
      {"Relu", &Importer::relu_rule},
      {"Reshape", &Importer::reshape},
      {"Resize", &Importer::resize},
      {"Shape", &Importer::shape},
      {"Sigmoid", &Importer::sigmoid},
      {"Slice", &Importer::slice},
      {"Softmax", &Importer::softmax},
      {"Squeeze", &Importer::squeeze},
      {"Sub", &Importer::subtract},
      {"Sum", &Importer::sum},
      {"Transpose", &Importer::transpose},
      {"Unsqueeze", &Importer::unsqueeze},
      {"Upsample", &Importer::resize},
  };
  return table;
}

namespace {

constexpr std::int64_t largest_step = 1 << 20;

}  // namespace

Importer::Placed Importer::window(const Extent& in, Pair kernel, bool pooling) {
  const Attributes attributes{*node_};
  const auto pair = [&](const char* name) {
    const Integers values = attributes.integers(name, {1, 1});
    require(values.size() == 2 &&
                std::all_of(values.begin(), values.end(), [](std::int64_t v) { return v > 0 && v <= largest_step; }),
            name, " must be two positive numbers; only 2-D windows are supported");
    return Pair{static_cast<std::size_t>(values[0]), static_cast<std::size_t>(values[1])};
  };
  Placed placed{{kernel, pair("strides"), pair("dilations"), {}}, {}, {0, 0}};
  Window& result = placed.window;
  const Pair reach{(kernel.height - 1) * result.dilation.height + 1, (kernel.width - 1) * result.dilation.width + 1};
  const std::string automatic = attributes.text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    const bool upper = automatic == "SAME_UPPER";
    // With a stride far above the window the formula's padding is negative, and ONNX Runtime crops the image by it: of
    // `over` rows that no window reads, a pool leaves out over / 2 at the front, a convolution (over - 1) / 2; the
    // other half lies at the end, and is rounded up with SAME_LOWER. Pools are padded for their kernel without its gaps.
    const auto same = [&](std::size_t size, std::size_t stride, std::size_t needed, std::size_t& before,
                          std::size_t& after, std::size_t& cropped) {
      const std::size_t covered = ((size + stride - 1) / stride - 1) * stride + needed;
      const std::size_t total = covered > size ? covered - size : 0, over = size > covered ? size - covered : 0;
      before = upper ? total / 2 : total - total / 2;
      after = total - before;
      const std::size_t kept = (pooling ? 0 : 1) + (upper ? 0 : 1);
      cropped = over > kept ? (over - kept) / 2 : 0;
    };
    Padding& p = result.padding;
    const Pair needed = pooling ? kernel : reach;
    same(in.height, result.stride.height, needed.height, p.top, p.bottom, placed.cropped.height);
    same(in.width, result.stride.width, needed.width, p.left, p.right, placed.cropped.width);
  } else {
    result.padding = explicit_padding(automatic);
  }
  placed.declared = result.padding;
  if (!pooling || attributes.integer("ceil_mode", 0) == 0 || placed.cropped != Pair{0, 0}) return placed;
  // Rounding the output extent up is more padding at the end; no window may start beyond the image.
  const auto extend = [this](std::size_t size, std::size_t before, std::size_t stride, std::size_t needed,
                             std::size_t& after) {
    require(needed <= size + before + after, "the window is larger than the padded image");
    std::size_t count = (size + before + after - needed + stride - 1) / stride + 1;
    if ((count - 1) * stride >= size + before) --count;
    const std::size_t covered = (count - 1) * stride + needed;
    after = covered > size + before ? std::max(after, covered - size - before) : after;
  };
  extend(in.height, result.padding.top, result.stride.height, reach.height, result.padding.bottom);
  extend(in.width, result.padding.left, result.stride.width, reach.width, result.padding.right);
  return placed;
}

Padding Importer::explicit_padding(std::string_view automatic) const {
  require(automatic == "NOTSET" || automatic == "VALID", "auto_pad '", automatic, "' is not known");
  if (automatic == "VALID") return {};
  const Integers pads = Attributes{*node_}.integers("pads", {0, 0, 0, 0});
  require(pads.size() == 4 &&
              std::all_of(pads.begin(), pads.end(), [](std::int64_t p) { return p >= 0 && p <= largest_step; }),
          "pads must be four numbers of at least 0; export the model again");
  return {static_cast<std::size_t>(pads[0]), static_cast<std::size_t>(pads[1]), static_cast<std::size_t>(pads[2]),
          static_cast<std::size_t>(pads[3])};
}

/// The image without its first rows and columns: a depthwise convolution that copies the pixel behind them.
ValueId Importer::without_front(ValueId image, const Pair& cropped) {
  if (cropped == Pair{0, 0}) return image;
  require(!quantized_, "its auto_pad crops the image, which has no integer form here; export with explicit pads");
  const std::size_t channels = model_.extent(image).channels, taps = (cropped.height + 1) * (cropped.width + 1);
  DepthwiseConvolution copy;
  copy.window.kernel = {cropped.height + 1, cropped.width + 1};
  copy.kernel = array<float>{{1, cropped.height + 1, cropped.width + 1, channels}, 0.0F};
  copy.offset = array<float>{Shape{channels}, 0.0F};
  std::fill(copy.kernel.begin() + static_cast<std::ptrdiff_t>((taps - 1) * channels), copy.kernel.end(), 1.0F);
  return emit(std::move(copy), {image}, {}, "/cropped");
}

void Importer::convolution() {
  Tensor x = image(0);
  const Constant& w = constant(1, "the weights");
  require(w.dims.size() == 4, "the weights have ", w.dims.size(), " dimensions, 4 are supported");
  const auto extent_of = [&](std::size_t i) { return static_cast<std::size_t>(w.dims[i]); };
  const std::size_t out = extent_of(0), depth = extent_of(1), height = extent_of(2), width = extent_of(3);
  require(out * depth * height * width != 0, "empty weights");
  const Integers declared = Attributes{*node_}.integers("kernel_shape", {w.dims[2], w.dims[3]});
  require(declared == Integers{w.dims[2], w.dims[3]}, "kernel_shape is ", declared, ", the weights are ", height, " x ",
          width, "; export the model again");
  const std::int64_t group_attribute = Attributes{*node_}.integer("group", 1);
  require(group_attribute > 0 && group_attribute <= most_elements, "group must be positive; export the model again");
  const auto groups = static_cast<std::size_t>(group_attribute);
  require(extent(x).channels == depth * groups && out % groups == 0, "weights for ", depth * groups, " channels in ",
          groups, " groups, the input has ", extent(x).channels);
  const Placed placed = window(extent(x), {height, width}, false);
  Window shape = placed.window;
  // Zeros added by a Pad of their own belong to the convolution.
  if (const ::fat::Node* const before = producer(x.value); before != nullptr && !quantized_) {
    const Pad* const added = std::get_if<Pad>(&before->op);
    if (added != nullptr && added->value == 0.0F) {
      const Padding& p = added->padding;
      shape.padding = {shape.padding.top + p.top, shape.padding.left + p.left, shape.padding.bottom + p.bottom,
                       shape.padding.right + p.right};
      x.value = before->inputs[0];
    }
  }
  x.value = without_front(x.value, placed.cropped);
  const bool depthwise = depth == 1 && groups == extent(x).channels && groups > 1;
  array<float> kernel{depthwise ? Shape{1, height, width, out} : Shape{out, height, width, depth}};
  std::size_t from = 0;
  for (std::size_t o = 0; o != out; ++o)
    for (std::size_t i = 0; i != depth; ++i)
      for (std::size_t p = 0; p != height * width; ++p)
        kernel[depthwise ? p * out + o : (o * height * width + p) * depth + i] = w.real(from++);
  array<float> bias{Shape{out}};
  if (has(2)) {
    const Constant& values = constant(2, "the bias");
    require(values.size() == out, "the bias has ", values.size(), " values for ", out, " channels");
    for (std::size_t o = 0; o != out; ++o) bias[o] = values.real(o);
  }
  const ValueId made =
      depthwise ? emit(DepthwiseConvolution{shape, out / groups, {}, std::move(kernel), std::move(bias)}, {x.value})
                : emit(Convolution{shape, groups, {}, std::move(kernel), std::move(bias)}, {x.value});
  keep_codes(w, has(2) ? &constant(2, "the bias") : nullptr, 0);
  set_output({nullptr, made, Layout::channels_first});
}

void Importer::batch_normalization() {
  const Tensor x = materialized(activation(0));
  require(x.layout != Layout::channels_last, "expects channels first");
  const Attributes attributes{*node_};
  require(attributes.integer("training_mode", 0) == 0, "is in training mode; export the model for inference");
  require(attributes.integer("spatial", 1) == 1, "spatial = 0 is not supported; export the model again");
  BatchNormalization op;
  array<float>* const parts[] = {&op.scale, &op.shift, &op.center, &op.spread};
  for (int i = 0; i != 4; ++i) {
    const Constant& given = constant(i + 1, "a statistic");
    const Constant values = given.steps ? dequantized(given) : given;
    require(values.size() == extent(x).channels, values.size(), " values for ", extent(x).channels, " channels");
    *parts[i] = array<float>{Shape{values.size()}};
    for (std::size_t c = 0; c != values.size(); ++c) (*parts[i])[c] = values.real(c);
  }
  op.epsilon_value = static_cast<double>(attributes.real("epsilon", 1e-5F));
  set_output({nullptr, emit(std::move(op), {x.value}), x.layout});
}

void Importer::gemm() {
  const Attributes attributes{*node_};
  require(attributes.integer("transA", 0) == 0, "transA is not supported; transpose the tensor before it");
  const Constant& w = constant(1, "the weights");
  require(w.dims.size() == 2, "the weights must have 2 dimensions; reshape them");
  const bool transposed = attributes.integer("transB", 0) != 0;
  const float alpha = attributes.real("alpha", 1.0F), beta = attributes.real("beta", 1.0F);
  const auto outputs = static_cast<std::size_t>(w.dims[transposed ? 0 : 1]);
  if (!has(2)) return dense(activation(0), w, transposed, alpha);
  const Constant& c = constant(2, "the bias");
  const bool codes_for_each = c.steps && beta == 1.0F && c.size() == outputs;
  const Constant reals = codes_for_each ? Constant{} : gemm_bias(c, outputs, beta);
  dense(activation(0), w, transposed, alpha, codes_for_each ? &c : &reals);
}

/// C of a Gemm as one real for each output: one number, a row of them, or equal rows (one for each image of a fixed
/// batch); C of one column for a single output is its number.
Constant Importer::gemm_bias(const Constant& c, std::size_t outputs, float beta) const {
  const Constant from = c.steps ? dequantized(c) : c;
  const auto last = from.dims.empty() ? std::size_t{1} : static_cast<std::size_t>(from.dims.back());
  require(from.dims.size() <= 2 && from.size() != 0 && (last == 1 || last == outputs), "C has ", from.size(),
          " values in rows of ", last, " for ", outputs, " outputs");
  for (std::size_t i = last; i < from.size(); ++i)
    require(from.real(i) == from.real(i - last),
            "C has rows that differ, one for each image; one bias for all of them is supported");
  Constant result;
  result.dims = {static_cast<std::int64_t>(outputs)};
  for (std::size_t o = 0; o != outputs; ++o) result.reals.push_back(beta * from.real(last == 1 ? 0 : o));
  return result;
}

void Importer::matmul() {
  const Constant& w = constant(1, "the second factor");
  require(w.dims.size() == 2, "the second factor must have 2 dimensions; reshape it");
  const Tensor x = activation(0);
  if (x.layout != Layout::channels_last) return dense(x, w, false, 1.0F);
  // Applied at every pixel: a 1x1 convolution.
  const auto in = static_cast<std::size_t>(w.dims[0]), out = static_cast<std::size_t>(w.dims[1]);
  require(in == extent(x).channels && out != 0, "weights for ", in, " channels, the input has ", extent(x).channels);
  require(!w.steps, "quantized weights applied to an image are not supported; use a 1x1 Conv");
  array<float> kernel{Shape{out, 1, 1, in}};
  for (std::size_t o = 0; o != out; ++o)
    for (std::size_t i = 0; i != in; ++i) kernel[o * in + i] = w.real(i * out + o);
  set_output({nullptr, emit(Convolution{{}, 1, {}, std::move(kernel), array<float>{Shape{out}}}, {x.value}),
              Layout::channels_last});
}

/// Weights [in, out], or [out, in] where transposed; a flattened image is read where it stands.
void Importer::dense(const Tensor& x, const Constant& w, bool transposed, float alpha, const Constant* bias) {
  require(dims(x).size() == 2, "the input is an image; a Flatten is missing");
  const auto rows = static_cast<std::size_t>(w.dims[0]), columns = static_cast<std::size_t>(w.dims[1]);
  const std::size_t out = transposed ? rows : columns, in = transposed ? columns : rows;
  const Extent from = extent(x);
  require(in == from.size() && out != 0, "weights for ", in, " inputs, the input has ", from.size());
  require(!w.steps || alpha == 1.0F, "alpha other than 1 with quantized weights");
  const std::size_t pixels = x.layout == Layout::flat_first ? from.height * from.width : 1;
  const std::size_t depth = in / pixels;
  array<float> kernel{Shape{out, in}};
  for (std::size_t o = 0; o != out; ++o)
    for (std::size_t i = 0; i != in; ++i) {
      const std::size_t to = i % pixels * depth + i / pixels;  // CHW to HWC
      kernel[o * in + to] = alpha * w.real(transposed ? o * in + i : i * out + o);
    }
  array<float> offset{Shape{out}};
  if (bias != nullptr && !bias->steps) std::copy(bias->reals.begin(), bias->reals.end(), offset.begin());
  const ValueId made = emit(Dense{{}, std::move(kernel), std::move(offset)}, {x.value});
  keep_codes(w, bias, transposed ? 0 : 1);
  set_output({nullptr, made, Layout::vector});
}

void Importer::pool() {
  const Tensor x = image(0);
  const Attributes attributes{*node_};
  const bool max = node_->op_type() == "MaxPool";
  require(!max || node_->output_size() == 1 || uses_.count(node_->output(1)) == 0,
          "its indices are read, which is not supported; remove their reader");
  const Integers size = attributes.integers("kernel_shape");
  require(size.size() == 2 && size[0] > 0 && size[1] > 0 && size[0] <= largest_step && size[1] <= largest_step,
          "kernel_shape must be two positive numbers; only 2-D windows are supported");
  const Placed placed = window(extent(x), {static_cast<std::size_t>(size[0]), static_cast<std::size_t>(size[1])}, true);
  Pool op{max ? Pool::Kind::max : Pool::Kind::average, placed.window, false};
  const bool counted = !max && attributes.integer("count_include_pad", 0) != 0;
  ValueId from = without_front(x.value, placed.cropped);
  if (counted && op.window.padding != placed.declared) {
    // Declared padding counts in the mean, what rounding up adds does not: the first becomes part of the image.
    const Padding& inner = placed.declared;
    op.window.padding = {0, 0, op.window.padding.bottom - inner.bottom, op.window.padding.right - inner.right};
    if (inner != Padding{}) from = emit(Pad{inner, 0.0F}, {from}, {}, "/padded");
  } else {
    const Padding& p = op.window.padding;
    op.count_padding = counted && p.top + p.left + p.bottom + p.right != 0;
  }
  set_output({nullptr, emit(op, {from}), x.layout});
}

void Importer::global_average_pool() {
  const Tensor x = image(0);
  set_output({nullptr, emit(GlobalAveragePool{}, {x.value}), x.layout});
}

void Importer::global_max_pool() {
  const Tensor x = image(0);
  const Pair whole{extent(x).height, extent(x).width};
  set_output({nullptr, emit(Pool{Pool::Kind::max, {whole, {}, {}, {}}, false}, {x.value}), x.layout});
}

void Importer::reduce_mean() {
  const Tensor x = activation(0);
  const Attributes attributes{*node_};
  const Integers given = has(1) ? plain_constant(1, "the axes").integers : attributes.integers("axes");
  const Integers axes = normalized_axes(given, dims(x).size(), where());
  const auto among = [&](std::int64_t axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); };
  const bool first = x.layout == Layout::channels_first, last = x.layout == Layout::channels_last;
  const bool all = x.layout == Layout::positions;
  require((first || last || all) && !axes.empty() && !among(0) && !among(last ? 3 : 1),
          "only the mean over height and width is supported; replace it by one");
  const bool keep = attributes.integer("keepdims", 1) != 0;
  require(keep || !last || axes.size() == 2,
          "the mean over one axis of an image with channels last must keep it; take both axes at once");
  const Layout layout = keep ? x.layout : dims(x).size() == axes.size() + 2 ? Layout::vector : Layout::positions;
  const Extent& in = extent(x);
  const bool down = all || among(last ? 1 : 2) || in.height == 1, across = all || among(last ? 2 : 3) || in.width == 1;
  if (down && across) {
    const bool vector = layout == Layout::vector;
    const ValueId made = emit(GlobalAveragePool{}, {before_partial_mean(x)}, {1, 1, in.channels, vector});
    return set_output({nullptr, made, layout});
  }
  const Pair kernel{down ? in.height : 1, across ? in.width : 1};
  set_output({nullptr, emit(Pool{Pool::Kind::average, {kernel, {}, {}, {}}, false}, {x.value}), layout});
}

/// Of a mean over rows and then over columns (or the other way round), what the first one reads.
ValueId Importer::before_partial_mean(const Tensor& x) {
  const ::fat::Node* const before = producer(x.value);
  const Pool* const pool = before == nullptr || quantized_ ? nullptr : std::get_if<Pool>(&before->op);
  if (pool == nullptr || pool->kind != Pool::Kind::average) return x.value;
  const Extent& in = model_.extent(before->inputs[0]);
  const bool whole =
      pool->window == Window{{in.height, 1}, {}, {}, {}} || pool->window == Window{{1, in.width}, {}, {}, {}};
  return whole ? before->inputs[0] : x.value;
}

void Importer::pad() {
  const Tensor x = activation(0);
  const Attributes attributes{*node_};
  require(attributes.text("mode", "constant") == "constant",
          "only constant padding is supported; replace the padding mode");
  const Integers pads = has(1) ? plain_constant(1, "the padding").integers : attributes.integers("pads");
  const float value = has(2) ? scalar(2, 0.0F) : attributes.real("value", 0.0F);
  const std::size_t rank = dims(x).size();
  Integers all = pads;
  if (has(3)) {
    const Integers& axes = plain_constant(3, "the axes").integers;
    require(pads.size() == 2 * axes.size(), pads.size(), " paddings for ", axes.size(), " axes");
    all.assign(2 * rank, 0);
    for (std::size_t i = 0; i != axes.size(); ++i) {
      const std::int64_t axis = axes[i] < 0 ? axes[i] + static_cast<std::int64_t>(rank) : axes[i];
      require(axis >= 0 && axis < static_cast<std::int64_t>(rank), "axis ", axes[i], " for ", rank, " dimensions");
      all[static_cast<std::size_t>(axis)] = pads[i];
      all[static_cast<std::size_t>(axis) + rank] = pads[i + axes.size()];
    }
  }
  require(all.size() == 2 * rank, all.size(), " paddings for ", rank, " dimensions");
  if (std::all_of(all.begin(), all.end(), [](std::int64_t p) { return p == 0; })) return set_output(x);
  const bool first = x.layout == Layout::channels_first;
  require(first || x.layout == Layout::channels_last, "only images can be padded; pad before flattening");
  const std::size_t h = first ? 2 : 1, w = h + 1, c = first ? 1 : 3;
  require(all[0] == 0 && all[4] == 0 && all[c] == 0 && all[c + 4] == 0,
          "only height and width can be padded; pad channels with a Concat");
  for (const std::int64_t each : all)
    require(each >= 0 && each <= largest_step, "padding by ", each, " is not supported; crop otherwise");
  const auto size = [&](std::size_t i) { return static_cast<std::size_t>(all[i]); };
  set_output({nullptr, emit(Pad{{size(h), size(w), size(h + 4), size(w + 4)}, value}, {x.value}), x.layout});
}

void Importer::concat() {
  std::vector<ValueId> values;
  const Tensor first = materialized(activation(0));
  for (int i = 0; i != node_->input_size(); ++i) {
    const Tensor x = i == 0 ? first : materialized(activation(i));
    const bool pixel = extent(x).height * extent(x).width == 1 && dims(x).size() == 4 && dims(first).size() == 4;
    require(x.layout == first.layout || pixel, "the inputs differ in the order of their axes; transpose one");
    values.push_back(x.value);
  }
  const auto rank = static_cast<std::int64_t>(dims(first).size());
  std::int64_t axis = Attributes{*node_}.integer("axis", 1);
  axis = axis < 0 ? axis + rank : axis;
  require(axis > 0 && axis < rank && (axis == 1 || first.layout != Layout::positions), "axis ", axis,
          " cannot be joined; join along another axis");
  const std::size_t stored = first.layout == Layout::vector          ? 2
                             : first.layout == Layout::channels_last ? static_cast<std::size_t>(axis) - 1
                             : axis == 1                             ? 2
                                                                     : static_cast<std::size_t>(axis) - 2;
  set_output({nullptr, emit(Concat{stored}, std::move(values)), first.layout});
}

void Importer::softmax() {
  const Tensor x = materialized(activation(0));
  const Integers sizes = dims(x);
  const auto rank = static_cast<std::int64_t>(sizes.size());
  std::int64_t axis = Attributes{*node_}.integer("axis", operator_set_ < 13 ? 1 : -1);
  axis = axis < 0 ? axis + rank : axis;
  require(axis > 0 && axis < rank, "axis ", axis, " of ", rank, " dimensions; the images have to stay apart");
  // Over the axis, before operator set 13 over it and all that follow. Axes of extent 1 make no difference.
  const auto channel_axis = static_cast<std::size_t>(x.layout == Layout::channels_last ? 3 : 1);
  bool channels_only = true, all = true;
  for (std::size_t i = 1; i != sizes.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const bool over = operator_set_ < 13 ? at >= axis : at == axis;
    if (i == channel_axis ? !over && sizes[i] != 1 : over && sizes[i] != 1) channels_only = false;
    if (!over && sizes[i] != 1) all = false;
  }
  if (channels_only && sizes[channel_axis] != 1) return set_output({nullptr, emit(Softmax{}, {x.value}), x.layout});
  require(all, "axis ", axis,
          ": only the softmax over the channels or over all values of an image is supported; "
          "transpose before it");
  const Extent image = extent(x), vector{1, 1, image.size(), true};
  const ValueId flat = emit(Reshape{}, {x.value}, vector, "/values"), made = emit(Softmax{}, {flat}, {}, "/softmax");
  set_output({nullptr, emit(Reshape{}, {made}, image), x.layout});
}

void Importer::unary(Operator op) {
  const Tensor x = activation(0);
  set_output({nullptr, emit(std::move(op), {x.value}), x.layout});
}

void Importer::clamp(const Clamp& range, int input) {
  const Tensor x = activation(input);
  require(!std::isnan(range.low) && !std::isnan(range.high) && range.low <= range.high, "the bounds ", range.low,
          " and ", range.high, " are in disorder");
  const ValueId made = emit(ClampLayer{range}, {x.value});
  const auto before = lines_.find(x.value);
  ClampedLine line = before != lines_.end() ? before->second : ClampedLine{x.value, 1.0F, 0.0F, {}};
  line.clamp = {std::clamp(line.clamp.low, range.low, range.high), std::clamp(line.clamp.high, range.low, range.high)};
  lines_[made] = line;
  set_output({nullptr, made, x.layout});
}

void Importer::clip() {
  const Attributes attributes{*node_};
  const Clamp none;
  clamp(operator_set_ < 11 ? Clamp{attributes.real("min", none.low), attributes.real("max", none.high)}
                           : Clamp{scalar(1, none.low), scalar(2, none.high)});
}

/// Of the two inputs of a minimum or maximum, the one that is no constant.
int Importer::beside_constant() const {
  require(node_->input_size() == 2 && (tensor(0).constant == nullptr) != (tensor(1).constant == nullptr),
          "only a tensor and a constant are supported; replace it");
  return tensor(0).constant == nullptr ? 0 : 1;
}

void Importer::minimum() {
  const int input = beside_constant();
  clamp({Clamp{}.low, scalar(1 - input, Clamp{}.high)}, input);
}

void Importer::maximum() {
  const int input = beside_constant();
  clamp({scalar(1 - input, Clamp{}.low), Clamp{}.high}, input);
}

void Importer::hard_sigmoid() {
  const Tensor x = activation(0);
  const Attributes attributes{*node_};
  const HardSigmoid op{attributes.real("alpha", 0.2F), attributes.real("beta", 0.5F)};
  const ValueId made = emit(op, {x.value});
  lines_[made] = {x.value, op.slope, op.intercept, {0.0F, 1.0F}};
  set_output({nullptr, made, x.layout});
}

NearestPixel Importer::nearest_pixel(std::string_view mode) const {
  if (mode == "floor") return NearestPixel::floor;
  if (mode == "ceil") return NearestPixel::ceil;
  if (mode == "round_prefer_ceil") return NearestPixel::round_prefer_ceil;
  require(mode == "round_prefer_floor", "nearest_mode '", mode, "' is not known");
  return NearestPixel::round_prefer_floor;
}

/// Before operator set 11 there is no nearest_mode: the lower pixel along an axis that grows, the upper one along an
/// axis that shrinks. A layer has one rule for both, which takes the same pixels where the ratio is whole.
NearestPixel Importer::pixel_without_mode(const Extent& in, const Extent& out) const {
  const auto fits = [](NearestPixel pixel, std::size_t from, std::size_t to) {
    for (std::size_t i = 0; i != to; ++i) {
      const auto taken = [&](NearestPixel by) {
        return nearest_sample(i, from, to, ResizeCoordinates::asymmetric, by);
      };
      if (taken(pixel) != taken(to < from ? NearestPixel::ceil : NearestPixel::floor)) return false;
    }
    return true;
  };
  for (const NearestPixel pixel : {NearestPixel::floor, NearestPixel::ceil})
    if (fits(pixel, in.height, out.height) && fits(pixel, in.width, out.width)) return pixel;
  require(false, "one axis grows and the other shrinks, which operator set ", operator_set_,
          " rounds differently; resize them one after the other, or export with operator set 11");
  return NearestPixel::floor;
}

/// The layer takes the ratio of the sizes for the scale. One that is another number (0.4286 for 3 / 7) must take the
/// same pixels. scale: 0 where the file has sizes.
void Importer::expect_pixels_of_ratio(const Resize& op, double scale, std::size_t in, std::size_t out) const {
  const double ratio = static_cast<double>(out) / static_cast<double>(in);
  if (scale == 0.0 || std::abs(scale - ratio) <= 1e-6 * ratio || op.coordinates == ResizeCoordinates::align_corners)
    return;
  const double half = op.coordinates == ResizeCoordinates::asymmetric ? 0.0 : 0.5;
  for (std::size_t i = 0; i != out; ++i) {
    const bool first = out == 1 && op.coordinates == ResizeCoordinates::pytorch_half_pixel;
    const double place = first ? 0.0 : (static_cast<double>(i) + half) / scale - half;
    const double pixel = op.pixel == NearestPixel::floor                ? std::floor(place)
                         : op.pixel == NearestPixel::ceil               ? std::ceil(place)
                         : op.pixel == NearestPixel::round_prefer_floor ? std::ceil(place - 0.5)
                                                                        : std::floor(place + 0.5);
    require(std::clamp(pixel, 0.0, static_cast<double>(in - 1)) ==
                static_cast<double>(nearest_sample(i, in, out, op.coordinates, op.pixel)),
            "scale ", scale, " takes other pixels than the ratio of the sizes, ", out, " / ", in,
            "; export with sizes, or with the exact scale");
  }
}

void Importer::resize() {
  const Tensor x = activation(0);
  const bool first = x.layout == Layout::channels_first;
  require(first || x.layout == Layout::channels_last, "only images can be resized; reshape before it");
  const Attributes attributes{*node_};
  const bool plain = node_->op_type() == "Upsample" || operator_set_ < 11;
  for (const char* name : {"antialias", "exclude_outside"})
    require(attributes.integer(name, 0) == 0, name, " is not supported");
  require(!attributes.has("axes") && attributes.text("keep_aspect_ratio_policy", "stretch") == "stretch",
          "axes and keep_aspect_ratio_policy are not supported");
  const Extent in = extent(x);
  const std::size_t h = first ? 2 : 1;
  Extent out = in;
  std::array<double, 2> factors{};  // where the file states them
  const int scales_input = plain ? 1 : 2;
  if (!plain && has(3) && plain_constant(3, "the sizes").size() != 0) {
    const Constant& sizes = plain_constant(3, "the sizes");
    require(sizes.integral && sizes.size() == 4, "four sizes are needed");
    for (const std::size_t i : {h, h + 1})
      require(sizes.integers[i] > 0 && sizes.integers[i] <= largest_step, "a bad size");
    require(sizes.integers[first ? 1 : 3] == static_cast<std::int64_t>(in.channels), "the channels cannot be resized");
    out.height = static_cast<std::size_t>(sizes.integers[h]);
    out.width = static_cast<std::size_t>(sizes.integers[h + 1]);
  } else {
    Constant from_attribute;
    from_attribute.reals = attributes.reals("scales");
    const Constant& scales = has(scales_input) ? plain_constant(scales_input, "the scales") : from_attribute;
    require(scales.size() == 4 && scales.real(0) == 1.0F && scales.real(first ? 1 : 3) == 1.0F,
            "four scales are needed, those of batch and channels 1");
    const auto scaled = [&](std::size_t size, float scale) {
      const double wanted = static_cast<double>(size) * static_cast<double>(scale);
      require(wanted >= 1.0 && wanted <= 1e6, "a bad scale");
      const double whole = std::floor(wanted + 1e-4);
      require(std::abs(wanted - whole) < 1e-3, "a scale that does not give a whole size is not supported");
      return static_cast<std::size_t>(whole);
    };
    out.height = scaled(in.height, scales.real(h));
    out.width = scaled(in.width, scales.real(h + 1));
    factors = {static_cast<double>(scales.real(h)), static_cast<double>(scales.real(h + 1))};
  }
  const std::string mode = attributes.text("mode", "nearest");
  require(mode == "nearest" || mode == "linear" || mode == "bilinear", "mode '", mode, "' is not supported");
  Resize op;
  op.kind = mode == "nearest" ? Resize::Kind::nearest : Resize::Kind::bilinear;
  std::string where = plain ? "asymmetric" : attributes.text("coordinate_transformation_mode", "half_pixel");
  std::string pixel = attributes.text("nearest_mode", "round_prefer_floor");
  if (where == "tf_half_pixel_for_nn" && op.kind == Resize::Kind::nearest && pixel == "floor")
    where = "half_pixel", pixel = "round_prefer_ceil";           // (i + 1/2) in / out, without taking 1/2 off again
  if (where == "half_pixel" || where == "half_pixel_symmetric")  // that of sizes that are whole is the same
    op.coordinates = Resize::Coordinates::half_pixel;
  else if (where == "asymmetric")
    op.coordinates = Resize::Coordinates::asymmetric;
  else if (where == "align_corners")
    op.coordinates = Resize::Coordinates::align_corners;
  else if (where == "pytorch_half_pixel")
    op.coordinates = Resize::Coordinates::pytorch_half_pixel;
  else
    require(false, "coordinates '", where, "' are not supported");
  if (op.kind == Resize::Kind::nearest) {
    op.pixel = plain ? pixel_without_mode(in, out) : nearest_pixel(pixel);
    expect_pixels_of_ratio(op, factors[0], in.height, out.height);
    expect_pixels_of_ratio(op, factors[1], in.width, out.width);
  }
  set_output({nullptr, emit(op, {x.value}, out), x.layout});
}

}  // namespace fat::inline FAT_ABI::onnx
