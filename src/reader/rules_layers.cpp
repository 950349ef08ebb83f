// Convolutions, products, pools, normalizations, softmax, resizing.
#include "builder.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace fat::inline FAT_ABI::reader {

namespace {

constexpr std::int64_t largest_step = 1 << 20;

std::vector<float> reals_of(const Data& data) {
  std::vector<float> list;
  for (std::size_t i = 0; i != data.size(); ++i) list.push_back(data.real(i));
  return list;
}

}  // namespace

/// [N, C, H, W] or [N, C, L] as an image of the Model, channels last; one row where there is one spatial axis.
Tensor Builder::image(const Tensor& tensor) {
  Tensor x = tensor;
  if (x.rank() == 3) x.axes.insert(x.axes.begin() + 2, std::vector<Atom>{});
  if (x.rank() != 4) unsupported("a tensor of ", x.rank(), " dimensions is no image; 3 or 4 are supported");
  if (x.dim(0) != 1) unsupported("several images in one (", x.dim(0), ") are not supported");
  const Order last{0, 2, 3, 1};
  x = stored(x, last, "/image");
  x.value = with_extent(x.value, natural(x, last));
  return x;
}

/// What a layer made of an image, with as many spatial axes as `like` has.
Tensor Builder::image_result(ValueId value, const Tensor& like, std::size_t channels) {
  const Extent& extent = model_.extent(value);
  Tensor result = fresh(value,
                        {1, static_cast<std::int64_t>(channels), static_cast<std::int64_t>(extent.height),
                         static_cast<std::int64_t>(extent.width)},
                        {0, 2, 3, 1});
  if (like.rank() == 3) result.axes.erase(result.axes.begin() + 2);
  return result;
}

/// Kernel, strides, dilations and padding of a convolution or pool over images of extent `in`. `kernel` has one number
/// for each spatial axis; one alone is that of the columns.
Builder::Placed Builder::window(const Extent& in, const Dims& kernel, bool pooling) {
  const std::size_t axes = kernel.size();
  const auto list_named = [&](const char* name, std::int64_t otherwise, std::size_t size, std::int64_t least) {
    const Dims values = node_->integers(name, Dims(size, otherwise));
    expects(values.size() == size, name, " must be ", size, " numbers; export the model again");
    for (const std::int64_t v : values) expects(v >= least && v <= largest_step, name, " has the number ", v);
    return values;
  };
  const auto pair = [&](const Dims& values) {
    return axes == 1 ? Pair{1, static_cast<std::size_t>(values[0])}
                     : Pair{static_cast<std::size_t>(values[0]), static_cast<std::size_t>(values[1])};
  };
  for (const std::int64_t k : kernel) expects(k > 0 && k <= largest_step, "a kernel of ", k);
  Placed placed{{pair(kernel), pair(list_named("strides", 1, axes, 1)), pair(list_named("dilations", 1, axes, 1)), {}},
                {},
                {0, 0}};
  Window& result = placed.window;
  const Pair reach{(result.kernel.height - 1) * result.dilation.height + 1,
                   (result.kernel.width - 1) * result.dilation.width + 1};
  const std::string automatic = node_->text("auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    const bool upper = automatic == "SAME_UPPER";
    // With a stride far above the window the formula's padding is negative: TensorFlow takes none, ONNX Runtime crops
    // the image by it. Pools are padded for their kernel without its gaps there.
    const auto same = [&](std::size_t size, std::size_t stride, std::size_t needed, std::size_t& before,
                          std::size_t& after, std::size_t& cropped) {
      const std::size_t covered = ((size + stride - 1) / stride - 1) * stride + needed;
      const std::size_t total = covered > size ? covered - size : 0, over = size > covered ? size - covered : 0;
      before = upper ? total / 2 : total - total / 2;
      after = total - before;
      const std::size_t kept = (pooling ? 0 : 1) + (upper ? 0 : 1);
      cropped = over > kept && !graph_.channels_last ? (over - kept) / 2 : 0;
    };
    Padding& p = result.padding;
    const Pair needed = pooling && !graph_.channels_last ? result.kernel : reach;
    same(in.height, result.stride.height, needed.height, p.top, p.bottom, placed.cropped.height);
    same(in.width, result.stride.width, needed.width, p.left, p.right, placed.cropped.width);
  } else {
    expects(automatic == "NOTSET" || automatic == "VALID", "auto_pad '", std::string_view{automatic}, "' is not known");
    const Dims pads = automatic == "VALID" ? Dims(2 * axes, 0) : list_named("pads", 0, 2 * axes, 0);
    const auto at = [&](std::size_t i) { return static_cast<std::size_t>(pads[i]); };
    result.padding = axes == 1 ? Padding{0, at(0), 0, at(1)} : Padding{at(0), at(1), at(2), at(3)};
  }
  placed.declared = result.padding;
  if (!pooling || node_->integer("ceil_mode", 0) == 0 || placed.cropped != Pair{0, 0}) return placed;
  // Rounding the output extent up is more padding at the end; no window may start beyond the image.
  const auto extend = [](std::size_t size, std::size_t before, std::size_t stride, std::size_t needed,
                         std::size_t& after) {
    expects(needed <= size + before + after, "the window is larger than the padded image");
    std::size_t windows = (size + before + after - needed + stride - 1) / stride + 1;
    if ((windows - 1) * stride >= size + before) --windows;
    const std::size_t covered = (windows - 1) * stride + needed;
    after = covered > size + before ? std::max(after, covered - size - before) : after;
  };
  extend(in.height, result.padding.top, result.stride.height, reach.height, result.padding.bottom);
  extend(in.width, result.padding.left, result.stride.width, reach.width, result.padding.right);
  return placed;
}

/// The image without its first rows and columns.
ValueId Builder::without_front(const Tensor& image, const Pair& cropped) {
  if (cropped == Pair{0, 0}) return image.value;
  const auto wide = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  Dims dims = image.dims();
  dims[2] -= wide(cropped.height), dims[3] -= wide(cropped.width);
  const Tensor cut = view(plain(image), dims, {1, 1, 1, 1}, {0, 0, wide(cropped.height), wide(cropped.width)});
  return with_extent(cut.value, natural(cut, {0, 2, 3, 1}));
}

namespace {

/// An attribute that says what the weights say already may not say something else.
void require_kernel(const FileNode& node, const Dims& kernel) {
  const Dims declared = node.integers("kernel_shape", kernel);
  if (declared == kernel) return;
  const auto joined = [](const Dims& sizes, const char* between) {
    std::string all;
    for (const std::int64_t size : sizes) all += (all.empty() ? "" : between) + std::to_string(size);
    return all;
  };
  expects(false, "kernel_shape is [", std::string_view{joined(declared, ",")}, "], the weights are ",
          std::string_view{joined(kernel, " x ")}, "; export the model again");
}

}  // namespace

void Builder::convolution() {
  const Tensor given = activation(0), x = image(given);
  const Data& w = constant(1, "the weights");
  expects(w.dims.size() == given.rank(), "the weights have ", w.dims.size(), " dimensions, the input has ", given.rank());
  const Dims kernel(w.dims.begin() + 2, w.dims.end());
  require_kernel(*node_, kernel);
  const auto out = static_cast<std::size_t>(w.dims[0]), depth = static_cast<std::size_t>(w.dims[1]);
  const std::int64_t group = node_->integer("group", 1);
  expects(group > 0 && group <= most_elements && w.size() != 0, "group must be positive; export the model again");
  const auto groups = static_cast<std::size_t>(group);
  const Extent in = model_.extent(x.value);
  expects(in.channels == depth * groups && out % groups == 0, "weights for ", depth * groups, " channels in ", groups,
          " groups, the input has ", in.channels);
  const Placed placed = window(in, kernel, false);
  Window shape = placed.window;
  ValueId from = without_front(x, placed.cropped);
  // Zeros added by a Pad of their own belong to the convolution.
  if (!model_.nodes.empty())
    for (const Node& before : model_.nodes)
      if (before.output == from)
        if (const Pad* const added = std::get_if<Pad>(&before.op); added != nullptr && added->value == 0.0F) {
          const Padding& p = added->padding;
          shape.padding = {shape.padding.top + p.top, shape.padding.left + p.left, shape.padding.bottom + p.bottom,
                           shape.padding.right + p.right};
          from = before.inputs[0];
          break;
        }
  const std::size_t taps = shape.kernel.height * shape.kernel.width;
  const bool depthwise = depth == 1 && groups == in.channels && groups > 1;
  array<float> weights{depthwise ? Shape{1, shape.kernel.height, shape.kernel.width, out}
                                 : Shape{out, shape.kernel.height, shape.kernel.width, depth}};
  std::size_t at = 0;
  for (std::size_t o = 0; o != out; ++o)
    for (std::size_t i = 0; i != depth; ++i)
      for (std::size_t p = 0; p != taps; ++p)
        weights[depthwise ? p * out + o : (o * taps + p) * depth + i] = w.real(at++);
  array<float> bias{Shape{out}};
  if (has(2)) {
    const Data& values = constant(2, "the bias");
    expects(values.size() == out, "the bias has ", values.size(), " values for ", out, " channels");
    for (std::size_t o = 0; o != out; ++o) bias[o] = values.real(o);
  }
  const ValueId made =
      depthwise ? emit(DepthwiseConvolution{shape, out / groups, {}, std::move(weights), std::move(bias)}, {from})
                : emit(Convolution{shape, groups, {}, std::move(weights), std::move(bias)}, {from});
  set_output(image_result(made, given, out));
}

/// A transposed convolution of stride s is a convolution that makes all s x s phases of the output at once, with windows
/// of ceil(kernel / s) taps: output u of the full result is phase u mod s of place u div s, and reads input place i with
/// tap u - i s.
void Builder::transposed_convolution() {
  const Tensor given = activation(0), x = image(given);
  const Data& w = constant(1, "the weights");
  const std::size_t rank = given.rank(), axes = rank - 2;
  expects(w.dims.size() == rank, "the weights have ", w.dims.size(), " dimensions, the input has ", rank);
  const std::int64_t group = node_->integer("group", 1);
  expects(group > 0 && group <= most_elements && w.size() != 0, "group must be positive; export the model again");
  const auto groups = static_cast<std::size_t>(group), in_channels = static_cast<std::size_t>(w.dims[0]),
             each = static_cast<std::size_t>(w.dims[1]), depth = in_channels / groups;
  const Extent in = model_.extent(x.value);
  expects(in.channels == in_channels && in_channels % groups == 0, "weights for ", in_channels,
          " channels, the input has ", in.channels);
  const auto numbers = [&](const char* name, std::int64_t otherwise, std::int64_t least) {
    Dims values = node_->integers(name, Dims(axes, otherwise));
    expects(values.size() == axes, name, " must be ", axes, " numbers");
    for (const std::int64_t v : values) expects(v >= least && v <= largest_step, name, " has the number ", v);
    if (axes == 1) values.insert(values.begin(), otherwise);
    return values;
  };
  const Dims strides = numbers("strides", 1, 1), dilations = numbers("dilations", 1, 1),
             more = numbers("output_padding", 0, 0);
  Dims kernel(w.dims.begin() + 2, w.dims.end());
  require_kernel(*node_, kernel);
  if (axes == 1) kernel.insert(kernel.begin(), 1);
  const Dims size{static_cast<std::int64_t>(in.height), static_cast<std::int64_t>(in.width)};
  // Padding takes away from the full result.
  Dims before(2, 0), wanted(2);
  const std::string automatic = node_->text("auto_pad", "NOTSET");
  Dims asked = node_->integers("output_shape");
  if (asked.size() > axes) asked.erase(asked.begin(), asked.end() - static_cast<std::ptrdiff_t>(axes));
  if (axes == 1 && !asked.empty()) asked.insert(asked.begin(), 1);
  Dims pads = node_->integers("pads", Dims(2 * axes, 0));
  expects(pads.size() == 2 * axes, "pads must be ", 2 * axes, " numbers");
  for (std::size_t i = 0; i != 2; ++i) {
    const std::int64_t reach = (kernel[i] - 1) * dilations[i] + 1,
                       full = (size[i] - 1) * strides[i] + reach + more[i];
    const bool absent = axes == 1 && i == 0;
    std::int64_t total = 0;
    if (!asked.empty() || automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const std::int64_t target = !asked.empty() ? asked[i] : std::min(size[i] * strides[i], full);
      // What is asked for beyond the full result is the bias alone, behind it.
      total = std::max<std::int64_t>(full - target, 0);
      before[i] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      wanted[i] = target;
    } else if (!absent && automatic != "VALID") {
      const std::size_t at = axes == 1 ? 0 : i;
      before[i] = pads[at];
      total = pads[at] + pads[at + axes];
    }
    if (wanted[i] == 0) wanted[i] = full - total;
    if (before[i] < 0 || total < 0) unsupported("negative padding is not supported");
    expects(wanted[i] > 0 && wanted[i] <= largest_step, "an output of ", wanted[i], "; the padding leaves nothing of it");
  }
  std::size_t windows[2], places[2];
  for (std::size_t i = 0; i != 2; ++i) {
    const std::int64_t reach = (kernel[i] - 1) * dilations[i] + 1;
    windows[i] = static_cast<std::size_t>((reach + strides[i] - 1) / strides[i]);
    places[i] = static_cast<std::size_t>((before[i] + wanted[i] - 1) / strides[i] + 1);
  }
  const auto sh = static_cast<std::size_t>(strides[0]), sw = static_cast<std::size_t>(strides[1]);
  const std::size_t phases = sh * sw, out = groups * phases * each;
  if (out * windows[0] * windows[1] * depth > 16 * w.size() + (std::size_t{1} << 20))
    unsupported("strides of ", sh, " x ", sw, " make too many weights");
  array<float> weights{Shape{out, windows[0], windows[1], depth}};
  array<float> bias{Shape{out}};
  const Data* const shift = has(2) ? &constant(2, "the bias") : nullptr;
  expects(shift == nullptr || shift->size() == groups * each, "the bias has another size");
  const auto kh = static_cast<std::size_t>(kernel[0]), kw = static_cast<std::size_t>(kernel[1]);
  const auto dh = static_cast<std::size_t>(dilations[0]), dw = static_cast<std::size_t>(dilations[1]);
  for (std::size_t g = 0; g != groups; ++g)
    for (std::size_t o = 0; o != each; ++o) {
      for (std::size_t i = 0; i != depth; ++i)
        for (std::size_t y = 0; y != kh; ++y)
          for (std::size_t z = 0; z != kw; ++z) {
            const std::size_t u = y * dh, v = z * dw;
            const std::size_t channel = ((g * sh + u % sh) * sw + v % sw) * each + o;
            const std::size_t row = windows[0] - 1 - u / sh, column = windows[1] - 1 - v / sw;
            weights[((channel * windows[0] + row) * windows[1] + column) * depth + i] =
                w.real((((g * depth + i) * each + o) * kh + y) * kw + z);
          }
      if (shift != nullptr)
        for (std::size_t phase = 0; phase != phases; ++phase)
          bias[(g * phases + phase) * each + o] = shift->real(g * each + o);
    }
  Window shape;
  shape.kernel = {windows[0], windows[1]};
  const auto behind = [](std::size_t needed, std::size_t had) { return needed > had ? needed - had : 0; };
  shape.padding = {windows[0] - 1, windows[1] - 1, behind(places[0], in.height), behind(places[1], in.width)};
  const bool direct = phases == 1 && before == Dims{0, 0} && wanted == Dims{static_cast<std::int64_t>(places[0]),
                                                                           static_cast<std::int64_t>(places[1])};
  const ValueId made = emit(Convolution{shape, groups, {}, std::move(weights), std::move(bias)}, {x.value}, {},
                            direct ? "" : "/phases");
  const Extent full = model_.extent(made);
  const auto wide = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  Tensor parts = fresh(made,
                       {1, wide(groups), wide(sh), wide(sw), wide(each), wide(full.height), wide(full.width)},
                       {0, 5, 6, 1, 2, 3, 4});
  Tensor result = regrouped(permuted(parts, {0, 1, 4, 5, 2, 6, 3}),
                            {1, wide(groups * each), wide(full.height * sh), wide(full.width * sw)});
  const Dims dims{1, wide(groups * each), wanted[0], wanted[1]};
  if (result.dims() != dims || before != Dims{0, 0}) {
    result = stored(result, {0, 2, 3, 1}, "/interleaved");
    result = view(result, dims, {1, 1, 1, 1}, {0, 0, before[0], before[1]});
  } else {
    result = stored(result, {0, 2, 3, 1}, "");
  }
  if (rank == 3) result.axes.erase(result.axes.begin() + 2);
  set_output(std::move(result));
}

void Builder::batch_normalization() {
  Tensor x = plain(activation(0));
  expects(x.rank() >= 2, "a tensor of ", x.rank(), " dimensions has no channels");
  expects(node_->integer("training_mode", 0) == 0, "is in training mode; export the model for inference");
  if (node_->integer("spatial", 1) != 1) unsupported("spatial = 0 is not supported");
  BatchNormalization op;
  array<float>* const parts[] = {&op.scale, &op.shift, &op.center, &op.spread};
  const auto channels = static_cast<std::size_t>(x.dim(1));
  for (std::size_t i = 0; i != 4; ++i) {
    const Data& values = constant(i + 1, "a statistic");
    expects(values.size() == channels, values.size(), " values for ", channels, " channels");
    *parts[i] = array<float>{Shape{channels}};
    for (std::size_t c = 0; c != channels; ++c) (*parts[i])[c] = values.real(c);
  }
  op.epsilon_value = static_cast<double>(node_->real("epsilon", 1e-5F));
  Order order = *axis_order(x);
  order.erase(std::find(order.begin(), order.end(), std::size_t{1}));
  order.push_back(1);
  x = stored(x, order);
  x.value = with_extent(x.value, natural(x, order));
  set_output(applied(std::move(op), x));
}

/// The product with weights [in, out] (or [out, in]) over the last axis. One row of any stored order is read where it
/// stands; of several rows it is a convolution of one pixel.
Tensor Builder::dense(const Tensor& given, const Data& w, bool transposed, float alpha, const std::vector<float>& bias) {
  const Dims dims = given.dims();
  const auto rows = static_cast<std::size_t>(w.dims[0]), columns = static_cast<std::size_t>(w.dims[1]);
  const std::size_t out = transposed ? rows : columns, in = transposed ? columns : rows;
  expects(!dims.empty() && static_cast<std::size_t>(dims.back()) == in && out != 0, "weights for ", in,
          " inputs, the input has ", dims.empty() ? 0 : dims.back());
  array<float> shift{Shape{out}};
  for (std::size_t o = 0; o != bias.size(); ++o) shift[o] = bias[o];
  Dims result = dims;
  result.back() = static_cast<std::int64_t>(out);
  if (given.size() == in) {
    std::vector<std::size_t> place(in, 0);  // of every element in the file's order, where it is stored
    std::size_t repeat = 1;
    std::map<std::size_t, std::size_t> stride, size;
    for (const auto& axis : given.axes)
      for (const Atom& atom : axis) size[atom.id] = atom.size;
    std::size_t step = 1;
    for (std::size_t i = given.order.size(); i-- != 0;) stride[given.order[i]] = step, step *= size[given.order[i]];
    for (std::size_t axis = given.axes.size(); axis-- != 0;)
      for (std::size_t i = given.axes[axis].size(); i-- != 0;) {
        const Atom& atom = given.axes[axis][i];
        for (std::size_t at = 0; at != in; ++at) place[at] += at / repeat % atom.size * stride[atom.id];
        repeat *= atom.size;
      }
    array<float> kernel{Shape{out, in}};
    for (std::size_t o = 0; o != out; ++o)
      for (std::size_t i = 0; i != in; ++i)
        kernel[o * in + place[i]] = alpha * w.real(transposed ? o * in + i : i * out + o);
    return fresh(emit(Dense{{}, std::move(kernel), std::move(shift)}, {given.value}), result);
  }
  Tensor x = plain(given);
  Order order = *axis_order(x);
  order.erase(std::find(order.begin(), order.end(), dims.size() - 1));
  order.push_back(dims.size() - 1);
  x = stored(x, order);
  Extent extent = natural(x, order);
  extent.vector = false;
  array<float> kernel{Shape{out, 1, 1, in}};
  for (std::size_t o = 0; o != out; ++o)
    for (std::size_t i = 0; i != in; ++i) kernel[o * in + i] = alpha * w.real(transposed ? o * in + i : i * out + o);
  const ValueId made = emit(Convolution{{}, 1, {}, std::move(kernel), std::move(shift)}, {with_extent(x.value, extent)});
  return fresh(made, result, order);
}

void Builder::gemm() {
  const float alpha = node_->real("alpha", 1.0F), beta = node_->real("beta", 1.0F);
  Tensor a = activation(0);
  expects(a.rank() == 2, "its input has ", a.rank(), " dimensions, 2 are needed");
  if (node_->integer("transA", 0) != 0) a = permuted(a, {1, 0});
  const Data& w = constant(1, "the weights");
  expects(w.dims.size() == 2, "the weights must have 2 dimensions");
  const bool transposed = node_->integer("transB", 0) != 0;
  const auto out = static_cast<std::size_t>(transposed ? w.dims[0] : w.dims[1]);
  const Data* const c = has(2) && tensor(2).constant() ? tensor(2).data.get() : nullptr;
  std::vector<float> bias;
  const bool row = c != nullptr && (c->size() == 1 || (c->size() == out && !c->dims.empty() &&
                                                       c->dims.back() == static_cast<std::int64_t>(out)));
  if (row)
    for (std::size_t o = 0; o != out; ++o) bias.push_back(beta * c->real(c->size() == 1 ? 0 : o));
  Tensor result = dense(a, w, transposed, alpha, bias);
  if (has(2) && !row) result = combined("Add", result, scaled(activation(2), beta, 0.0F, "/beta"), "/sum");
  set_output(std::move(result));
}

void Builder::matmul() {
  const Tensor &first = tensor(0), &second = tensor(1);
  if (second.constant() && second.data->dims.size() == 2) return set_output(dense(activation(0), *second.data, false, 1.0F, {}));
  if (first.constant() && first.data->dims.size() == 2 && second.rank() >= 2) {
    // (A B) transposed is (B transposed) (A transposed)
    Dims swap(second.rank());
    std::iota(swap.begin(), swap.end(), 0);
    std::swap(swap[swap.size() - 1], swap[swap.size() - 2]);
    return set_output(permuted(dense(permuted(second, swap), *first.data, true, 1.0F, {}), swap));
  }
  Tensor a = activation(0), b = activation(1);
  if (a.rank() < 2 || b.rank() < 2) unsupported("a product with a vector is not supported");
  const Dims da = a.dims(), db = b.dims();
  Dims stack = broadcast(Dims(da.begin(), da.end() - 2), Dims(db.begin(), db.end() - 2));
  const std::int64_t m = da.end()[-2], k = da.end()[-1], n = db.end()[-1];
  expects(db.end()[-2] == k, "products of ", m, " x ", k, " by ", db.end()[-2], " x ", n, " do not exist");
  Dims full_a = stack, full_b = stack, result = stack;
  full_a.push_back(m), full_a.push_back(k);
  full_b.push_back(k), full_b.push_back(n);
  result.push_back(m), result.push_back(n);
  const auto stacked = [&](const Tensor& t, const Dims& full, std::int64_t rows, std::int64_t columns) {
    const Tensor x = in_file_order(expanded(t, full));
    return with_extent(x.value, {static_cast<std::size_t>(count(stack)), static_cast<std::size_t>(rows),
                                 static_cast<std::size_t>(columns), false});
  };
  const ValueId left = stacked(a, full_a, m, k), right = stacked(b, full_b, k, n);
  set_output(fresh(emit(MatMul{}, {left, right}), result));
}

void Builder::pool() {
  const Tensor given = activation(0), x = image(given);
  const bool max = node_->op == "MaxPool";
  if (max && node_->outputs.size() > 1 && reads_.contains(node_->outputs[1])) unsupported("its indices are read");
  const Dims size = node_->integers("kernel_shape");
  expects(size.size() == given.rank() - 2, "kernel_shape must be ", given.rank() - 2, " numbers");
  const Extent in = model_.extent(x.value);
  const Placed placed = window(in, size, true);
  Pool op{max ? Pool::Kind::max : Pool::Kind::average, placed.window, false};
  const bool counted = !max && node_->integer("count_include_pad", 0) != 0;
  ValueId from = without_front(x, placed.cropped);
  if (counted && op.window.padding != placed.declared) {
    // Declared padding counts in the mean, what rounding up adds does not: the first becomes part of the image.
    const Padding& inner = placed.declared;
    op.window.padding = {0, 0, op.window.padding.bottom - inner.bottom, op.window.padding.right - inner.right};
    if (inner != Padding{}) from = emit(Pad{inner, 0.0F}, {from}, {}, "/padded");
  } else {
    const Padding& p = op.window.padding;
    op.count_padding = counted && p.top + p.left + p.bottom + p.right != 0;
  }
  set_output(image_result(emit(op, {from}), given, in.channels));
}

void Builder::global_pool() {
  const Tensor given = activation(0), x = image(given);
  const Extent in = model_.extent(x.value);
  const ValueId made = node_->op == "GlobalAveragePool"
                           ? emit(GlobalAveragePool{}, {x.value})
                           : emit(Pool{Pool::Kind::max, {{in.height, in.width}, {}, {}, {}}, false}, {x.value});
  set_output(image_result(made, given, in.channels));
}

/// The mean or the largest along some axes.
Tensor Builder::reduced(const Tensor& given, const Order& axes, bool keep, Pool::Kind kind) {
  Tensor x = plain(given);
  const Dims dims = x.dims();
  const auto among = [&](std::size_t axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); };
  Order order = *axis_order(x);
  // The axes have to be neighbours in the stored order.
  std::size_t first = order.size(), last = 0, filled = 0;
  for (std::size_t i = 0; i != order.size(); ++i)
    if (among(order[i]) && dims[order[i]] != 1) first = std::min(first, i), last = i, ++filled;
  if (filled != 0 && last - first + 1 != filled) {
    std::stable_partition(order.begin(), order.end(), [&](std::size_t axis) { return !among(axis); });
    x = stored(x, order);
    first = order.size() - axes.size(), last = order.size() - 1;
  }
  std::size_t outer = 1, size = 1, inner = 1;
  Dims kept = dims;
  for (std::size_t i = 0; i != order.size(); ++i) {
    const auto extent = static_cast<std::size_t>(dims[order[i]]);
    (among(order[i]) ? size : i < first ? outer : inner) *= extent;
    if (among(order[i])) kept[order[i]] = 1;
  }
  if (size == 1) {
    // nothing to do
  } else if (kind == Pool::Kind::average && outer == 1 && dims.size() == 4 && axes.size() == 2) {
    Extent whole = natural(x, order);
    whole.vector = false;
    const ValueId image = inner == whole.channels ? with_extent(x.value, whole) : with_extent(x.value, {1, size, inner, false});
    x.value = emit(GlobalAveragePool{}, {image}, {1, 1, inner, !keep});
  } else {
    const ValueId from = with_extent(x.value, {outer, size, inner, false});
    x.value = emit(Pool{kind, {{1, size}, {}, {}, {}}, false}, {from});
  }
  Tensor result = fresh(x.value, kept, order);
  if (keep) return result;
  Tensor dropped{nullptr, result.value, {}, result.order};
  for (std::size_t axis = 0; axis != dims.size(); ++axis)
    if (!among(axis)) dropped.axes.push_back(result.axes[axis]);
  return dropped;
}

void Builder::reduce() {
  Tensor x = activation(0);
  const Dims given = normalized_axes(list("axes", 1), x.rank());
  Order axes(given.begin(), given.end());
  if (axes.empty()) {
    if (node_->integer("noop_with_empty_axes", 0) != 0) return set_output(x);
    axes.resize(x.rank());
    std::iota(axes.begin(), axes.end(), std::size_t{0});
  }
  const bool keep = node_->integer("keepdims", 1) != 0;
  float count = 1.0F;
  for (const std::size_t axis : axes) count *= static_cast<float>(x.dim(axis));
  const std::string& op = node_->op;
  using F = Function::Name;
  if (op == "ReduceMean") return set_output(reduced(x, axes, keep, Pool::Kind::average));
  if (op == "ReduceMax") return set_output(reduced(x, axes, keep, Pool::Kind::max));
  if (op == "ReduceMin")
    return set_output(scaled(reduced(scaled(x, -1.0F, 0.0F, "/negated"), axes, keep, Pool::Kind::max), -1.0F, 0.0F));
  if (op != "ReduceSum") x = applied(Function{F::square, 0.0F, 0.0F}, x, "/square");
  Tensor result = scaled(reduced(x, axes, keep, Pool::Kind::average), count, 0.0F);
  if (op == "ReduceL2") result = applied(Function{F::sqrt, 0.0F, 0.0F}, result);
  set_output(std::move(result));
}

void Builder::softmax() {
  Tensor x = activation(0);
  const Dims dims = x.dims();
  const bool flat = graph_.operator_set < 13;
  std::size_t axis = normalized_axis(node_->integer("axis", flat ? 1 : -1), x.rank());
  if (flat) {
    // Older operator sets take all axes from this one on as one.
    std::int64_t behind = 1, outer = 1;
    for (std::size_t i = 0; i != dims.size(); ++i) (i < axis ? outer : behind) *= dims[i];
    if (behind != dims[axis]) x = regrouped(x, {outer, behind}), axis = 1;
  }
  x = plain(x);
  Order order = *axis_order(x);
  order.erase(std::find(order.begin(), order.end(), axis));
  order.push_back(axis);
  x = stored(x, order);
  x.value = with_extent(x.value, natural(x, order));
  const bool logarithm = node_->op == "LogSoftmax";
  Tensor result = applied(Softmax{}, x, logarithm ? "/softmax" : "");
  if (logarithm) result = applied(Function{Function::Name::log, 0.0F, 0.0F}, result);
  set_output(result.dims() == dims ? result : regrouped(result, dims));
}

/// The layer takes the ratio of the sizes for the scale. One that is another number (0.4286 for 3 / 7) must take the
/// same pixels. scale: 0 where the file has sizes.
void Builder::expect_pixels_of_ratio(const Resize& op, double scale, std::size_t in, std::size_t out) {
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
    if (std::clamp(pixel, 0.0, static_cast<double>(in - 1)) !=
        static_cast<double>(nearest_sample(i, in, out, op.coordinates, op.pixel)))
      unsupported("scale ", scale, " takes other pixels than the ratio of the sizes, ", out, " / ", in,
                  "; export with sizes, or with the exact scale");
  }
}

void Builder::resize() {
  const Tensor given = activation(0), x = image(given);
  const bool plain_form = node_->op == "Upsample" || graph_.operator_set < 11;
  for (const char* name : {"antialias", "exclude_outside"})
    if (node_->integer(name, 0) != 0) unsupported(name, " is not supported");
  if (node_->text("keep_aspect_ratio_policy", "stretch") != "stretch")
    unsupported("keep_aspect_ratio_policy is not supported");
  const std::size_t rank = given.rank();
  const Dims dims = given.dims();
  const Extent in = model_.extent(x.value);
  Dims axes = normalized_axes(node_->integers("axes"), rank);
  if (axes.empty()) {
    axes.resize(rank);
    std::iota(axes.begin(), axes.end(), 0);
  }
  Dims out = dims;
  std::vector<double> factors(rank, 0.0);  // where the file states them
  const std::size_t scales_input = plain_form ? 1 : 2;
  if (!plain_form && has(3) && constant(3, "the sizes").size() != 0) {
    const Data& sizes = constant(3, "the sizes");
    expects(sizes.integral && sizes.size() == axes.size(), axes.size(), " sizes are needed");
    for (std::size_t i = 0; i != axes.size(); ++i) out[static_cast<std::size_t>(axes[i])] = sizes.integers[i];
  } else {
    const std::vector<float> scales =
        has(scales_input) ? reals_of(constant(scales_input, "the scales")) : node_->reals("scales");
    expects(scales.size() == axes.size(), axes.size(), " scales are needed");
    for (std::size_t i = 0; i != axes.size(); ++i) {
      const auto axis = static_cast<std::size_t>(axes[i]);
      factors[axis] = static_cast<double>(scales[i]);
      const double wanted = static_cast<double>(dims[axis]) * static_cast<double>(scales[i]);
      expects(wanted >= 1.0 && wanted <= 1e6, "a bad scale");
      const double whole = std::floor(wanted + 1e-4);
      if (std::abs(wanted - whole) >= 1e-3) unsupported("a scale that does not give a whole size is not supported");
      out[axis] = static_cast<std::int64_t>(whole);
    }
  }
  if (out[0] != dims[0] || out[1] != dims[1]) unsupported("images and channels cannot be resized");
  for (const std::int64_t size : out) expects(size > 0 && size <= largest_step, "a size of ", size);
  const Extent wanted{rank == 3 ? 1 : static_cast<std::size_t>(out[2]), static_cast<std::size_t>(out.back()), in.channels,
                      false};
  const std::string mode = node_->text("mode", "nearest");
  if (mode != "nearest" && mode != "linear" && mode != "bilinear") unsupported("mode '", std::string_view{mode}, "' is not supported");
  Resize op;
  op.kind = mode == "nearest" ? Resize::Kind::nearest : Resize::Kind::bilinear;
  std::string where = plain_form ? "asymmetric" : node_->text("coordinate_transformation_mode", "half_pixel");
  std::string pixel = node_->text("nearest_mode", "round_prefer_floor");
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
    unsupported("coordinates '", std::string_view{where}, "' are not supported");
  if (op.kind == Resize::Kind::nearest) {
    const bool shrinks = wanted.height < in.height || wanted.width < in.width;
    const bool grows = wanted.height > in.height || wanted.width > in.width;
    if (plain_form && shrinks && grows) unsupported("one axis grows and the other shrinks");
    if (plain_form) pixel = shrinks ? "ceil" : "floor";
    if (pixel == "floor")
      op.pixel = NearestPixel::floor;
    else if (pixel == "ceil")
      op.pixel = NearestPixel::ceil;
    else if (pixel == "round_prefer_ceil")
      op.pixel = NearestPixel::round_prefer_ceil;
    else if (pixel == "round_prefer_floor")
      op.pixel = NearestPixel::round_prefer_floor;
    else
      unsupported("nearest_mode '", std::string_view{pixel}, "' is not known");
    for (std::size_t axis = 2; axis != rank; ++axis)
      expect_pixels_of_ratio(op, factors[axis], static_cast<std::size_t>(dims[axis]), static_cast<std::size_t>(out[axis]));
  }
  set_output(image_result(emit(op, {x.value}, wanted), given, in.channels));
}

/// Normalized over some axes, for each index of the others.
Tensor Builder::normalized(const Tensor& given, const Order& axes, Normalize::Method method, float epsilon) {
  Tensor x = plain(given);
  const Dims dims = x.dims();
  const auto among = [&](std::size_t axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); };
  Order order = *axis_order(x);
  std::size_t first = order.size(), last = 0, filled = 0;
  for (std::size_t i = 0; i != order.size(); ++i)
    if (among(order[i]) && dims[order[i]] != 1) first = std::min(first, i), last = i, ++filled;
  if (filled != 0 && last - first + 1 != filled) {
    std::stable_partition(order.begin(), order.end(), [&](std::size_t axis) { return !among(axis); });
    x = stored(x, order);
    first = order.size() - axes.size();
  }
  Normalize op{method, 1, 1, epsilon};
  for (std::size_t i = 0; i != order.size(); ++i) {
    const auto extent = static_cast<std::size_t>(dims[order[i]]);
    if (among(order[i]))
      op.axis *= extent;
    else if (i > first)
      op.inner *= extent;
  }
  return applied(std::move(op), x, "/normalized");
}

void Builder::instance_normalization() {
  const Tensor x = activation(0);
  if (x.rank() < 3) unsupported("a tensor of ", x.rank(), " dimensions is not supported");
  Order axes(x.rank() - 2);
  std::iota(axes.begin(), axes.end(), std::size_t{2});
  const Tensor n = normalized(x, axes, Normalize::Method::standard, node_->real("epsilon", 1e-5F));
  set_output(channel_affine(n, 1, reals_of(constant(1, "the scale")), reals_of(constant(2, "the shift"))));
}

void Builder::layer_normalization() {
  const Tensor x = activation(0);
  const std::size_t from = normalized_axis(node_->integer("axis", -1), x.rank());
  Order axes(x.rank() - from);
  std::iota(axes.begin(), axes.end(), from);
  Tensor result = normalized(x, axes, Normalize::Method::standard, node_->real("epsilon", 1e-5F));
  const auto affine = [&](const char* op, std::size_t input) {
    if (!has(input)) return;
    const Data& data = constant(input, "the affine map");
    if (auto made = with_constant(op, result, data, false, {}))
      result = *std::move(made);
    else
      result = combined(op, result, embedded(data));
  };
  if (has(1) && has(2) && axes.size() == 1 && constant(1, "the scale").size() == constant(2, "the shift").size() &&
      constant(1, "the scale").size() == static_cast<std::size_t>(x.dim(from)))
    return set_output(channel_affine(result, from, reals_of(constant(1, "")), reals_of(constant(2, ""))));
  affine("Mul", 1);
  affine("Add", 2);
  set_output(std::move(result));
}

void Builder::group_normalization() {
  const Tensor x = activation(0);
  const std::int64_t groups = node_->integer("num_groups", 0);
  const Dims dims = x.dims();
  expects(dims.size() >= 3 && groups > 0 && dims[1] % groups == 0, groups, " groups do not divide its channels");
  const Tensor grouped = regrouped(x, {dims[0], groups, count(dims) / dims[0] / groups});
  const Tensor n = regrouped(
      normalized(grouped, {2}, Normalize::Method::standard, node_->real("epsilon", 1e-5F)), dims);
  const auto channels = static_cast<std::size_t>(dims[1]);
  const auto spread = [&](std::size_t input) {
    const std::vector<float> given = reals_of(constant(input, "the affine map"));
    expects(!given.empty() && channels % given.size() == 0, given.size(), " values for ", channels, " channels");
    std::vector<float> all;
    for (std::size_t c = 0; c != channels; ++c) all.push_back(given[c / (channels / given.size())]);
    return all;
  };
  set_output(channel_affine(n, 1, spread(1), spread(2)));
}

void Builder::lp_normalization() {
  const Tensor x = activation(0);
  if (node_->integer("p", 2) != 2) unsupported("p = ", node_->integer("p", 2), " is not supported");
  const std::size_t axis = normalized_axis(node_->integer("axis", -1), x.rank());
  set_output(normalized(x, {axis}, Normalize::Method::l2, node_->real("epsilon", 1e-12F)));
}

/// x / (bias + alpha / size * sum of squares over the neighbouring channels) ^ beta
void Builder::local_response_normalization() {
  const Tensor x = image(activation(0));
  const std::int64_t size = node_->integer("size", 1);
  expects(size > 0 && size <= largest_step, "a size of ", size);
  const float alpha = node_->real("alpha", 1e-4F), beta = node_->real("beta", 0.75F), bias = node_->real("bias", 1.0F);
  const Extent in = model_.extent(x.value);
  using F = Function::Name;
  const ValueId squares = emit(Function{F::square, 0.0F, 0.0F}, {x.value}, {}, "/square");
  const auto before = static_cast<std::size_t>((size - 1) / 2), after = static_cast<std::size_t>(size - 1) - before;
  const ValueId rows = with_extent(squares, {in.height * in.width, in.channels, 1, false});
  const ValueId means = emit(Pool{Pool::Kind::average, {{1, static_cast<std::size_t>(size)}, {}, {}, {0, before, 0, after}}, true},
                             {rows}, {}, "/mean");
  Tensor divisor = x;
  divisor.value = with_extent(means, in);
  divisor = applied(Function{F::pow, -beta, 0.0F}, scaled(divisor, alpha, bias, "/sum"), "/factor");
  Tensor result = x;
  result.value = emit(Multiply{}, {x.value, divisor.value});
  if (tensor(0).rank() == 3) result.axes.erase(result.axes.begin() + 2);
  set_output(std::move(result));
}

}  // namespace fat::inline FAT_ABI::reader
