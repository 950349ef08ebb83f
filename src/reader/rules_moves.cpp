// Operators that move elements or only rename axes.
#include "builder.hpp"

#include <algorithm>
#include <numeric>

namespace fat::inline FAT_ABI::reader {

void Builder::identity() {
  if (node_->op == "Dropout") {
    const bool training = has(2) && constant(2, "training_mode").size() == 1 && constant(2, "training_mode").real(0) != 0.0F;
    expects(!training, "is in training mode; export the model for inference");
    if (node_->outputs.size() > 1 && reads_.contains(node_->outputs[1])) unsupported("the mask of a dropout is read");
  }
  set_output(tensor(0));
}

/// Activations are reals: casts among floating-point types, and of truth values, change nothing.
void Builder::cast() {
  constexpr std::int64_t float_ = 1, boolean = 9, half = 10, double_ = 11, brain = 16;
  const std::int64_t to = node_->integer("to", float_);
  if (to == boolean) {
    const Tensor flipped = applied(Function{Function::Name::logical_not, 0.0F, 0.0F}, tensor(0), "/flipped");
    return set_output(applied(Function{Function::Name::logical_not, 0.0F, 0.0F}, flipped));
  }
  if (to != float_ && to != half && to != double_ && to != brain)
    unsupported("a cast of activations to integers is not supported");
  set_output(tensor(0));
}

void Builder::constant_node() {
  Data result;
  if (node_->has("value")) {
    result = *node_->get("value", DataPointer{});
  } else if (node_->has("value_float")) {
    result.reals = {node_->real("value_float", 0.0F)};
  } else if (node_->has("value_floats")) {
    result.reals = node_->reals("value_floats");
    result.dims = {static_cast<std::int64_t>(result.reals.size())};
  } else if (node_->has("value_int")) {
    result.integral = true;
    result.integers = {node_->integer("value_int", 0)};
  } else if (node_->has("value_ints")) {
    result.integral = true;
    result.integers = node_->integers("value_ints");
    result.dims = {static_cast<std::int64_t>(result.integers.size())};
  } else {
    unsupported("its form is not supported; export with tensors as constants");
  }
  set_constant(std::move(result));
}

void Builder::shape() {
  const Dims dims = tensor(0).dims();
  const auto rank = static_cast<std::int64_t>(dims.size());
  const auto bound = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t value = std::clamp(node_->integer(name, otherwise), -rank, rank);
    return value < 0 ? value + rank : value;
  };
  const std::int64_t start = bound("start", 0), end = std::max(start, bound("end", rank));
  set_constant({{end - start}, true, {}, Dims(dims.begin() + start, dims.begin() + end)});
}

void Builder::size_of() { set_constant({{}, true, {}, {count(tensor(0).dims())}}); }

void Builder::reshape() {
  const Tensor x = tensor(0);
  const Dims from = x.dims();
  Dims target = list("shape", 1);
  // A fixed first extent may be the batch the file was exported with; images are read one at a time.
  const bool open = std::find(target.begin(), target.end(), -1) != target.end();
  if (!target.empty() && target[0] > 1 && !from.empty() && from[0] == 1) {
    std::int64_t product = 1;
    for (std::size_t i = 0; i != target.size(); ++i)
      product *= target[i] == 0 && i < from.size() ? from[i] : target[i] == -1 ? 1 : target[i];
    const std::int64_t size = count(from);
    if (open ? size % product != 0 : product == size * target[0]) target[0] = 1;
  }
  set_output(regrouped(x, reshaped(from, target, node_->integer("allowzero", 0) != 0)));
}

void Builder::flatten() {
  const Tensor x = tensor(0);
  const Dims dims = x.dims();
  const auto rank = static_cast<std::int64_t>(dims.size());
  const std::int64_t axis = node_->integer("axis", 1), at = axis < 0 ? axis + rank : axis;
  expects(at >= 0 && at <= rank, "axis ", axis, " for ", rank, " dimensions");
  set_output(regrouped(x, {count(Dims(dims.begin(), dims.begin() + at)), count(Dims(dims.begin() + at, dims.end()))}));
}

void Builder::squeeze() {
  const Tensor x = tensor(0);
  const Dims given = normalized_axes(list("axes", 1), x.rank());
  Tensor result{nullptr, x.value, {}, x.order};
  for (std::size_t axis = 0; axis != x.rank(); ++axis) {
    const bool listed = std::find(given.begin(), given.end(), static_cast<std::int64_t>(axis)) != given.end();
    const bool drop = given.empty() ? x.dim(axis) == 1 && axis != 0 : listed;
    expects(!drop || x.dim(axis) == 1, "axis ", axis, " is ", x.dim(axis), ", not 1");
    if (!drop) result.axes.push_back(x.axes[axis]);
  }
  set_output(std::move(result));
}

void Builder::unsqueeze() {
  Tensor x = tensor(0);
  const Dims given = list("axes", 1);
  Dims axes = normalized_axes(given, x.rank() + given.size());
  std::sort(axes.begin(), axes.end());
  for (const std::int64_t axis : axes)
    x.axes.insert(x.axes.begin() + std::min(axis, static_cast<std::int64_t>(x.axes.size())), std::vector<Atom>{});
  set_output(std::move(x));
}

void Builder::transpose() {
  const Tensor x = tensor(0);
  Dims order(x.rank());
  std::iota(order.rbegin(), order.rend(), 0);
  order = node_->integers("perm", order);
  Dims sorted = order;
  std::sort(sorted.begin(), sorted.end());
  expects(order.size() == x.rank(), "perm is no permutation of the axes");
  for (std::size_t i = 0; i != x.rank(); ++i)
    expects(sorted[i] == static_cast<std::int64_t>(i), "perm is no permutation of the axes");
  set_output(permuted(x, order));
}

void Builder::slice() {
  const Tensor x = tensor(0);
  std::vector<const Data*> bounds{nullptr};
  for (std::size_t i = 1; i < node_->inputs.size(); ++i) bounds.push_back(has(i) ? &constant(i, "a bound") : nullptr);
  const Dims from = x.dims();
  Dims dims, steps, begins;
  for (const AxisSlice& each : axis_slices(*node_, from, bounds)) {
    if (each.size == 0) unsupported("an empty tensor is not supported");
    dims.push_back(each.size);
    steps.push_back(each.size == 1 ? 1 : each.step);
    begins.push_back(each.begin);
  }
  const bool all = dims == from && std::all_of(begins.begin(), begins.end(), [](auto b) { return b == 0; });
  set_output(all ? x : view(plain(x), dims, steps, begins));
}

void Builder::split() {
  const Tensor x = plain(tensor(0));
  const std::size_t axis = normalized_axis(node_->integer("axis", 0), x.rank());
  const auto outputs = static_cast<std::int64_t>(node_->outputs.size());
  Dims sizes = list("split", 1);
  if (sizes.empty()) {
    const std::int64_t each = (x.dim(axis) + outputs - 1) / outputs;
    for (std::int64_t i = 0; i != outputs; ++i) sizes.push_back(std::min(each, x.dim(axis) - i * each));
  }
  expects(static_cast<std::int64_t>(sizes.size()) == outputs, sizes.size(), " parts for ", outputs, " outputs");
  Dims dims = x.dims(), begins(x.rank(), 0);
  const Dims steps(x.rank(), 1);
  const FileNode* const whole = node_;
  FileNode part = *whole;
  for (std::size_t i = 0; i != sizes.size(); ++i) {
    expects(sizes[i] > 0 && begins[axis] + sizes[i] <= x.dim(axis), "parts that do not fit; export the model again");
    dims[axis] = sizes[i];
    part.outputs = {whole->outputs[i]};
    node_ = &part;
    if (!part.outputs[0].empty()) set_output(view(x, dims, steps, begins));
    node_ = whole;
    begins[axis] += sizes[i];
  }
}

void Builder::gather() {
  const Tensor whole = activation(0);
  const Data& index = constant(1, "the indices");
  const std::size_t axis = normalized_axis(node_->integer("axis", 0), whole.rank());
  const std::int64_t extent = whole.dim(axis);
  std::vector<std::int64_t> at;
  for (std::size_t i = 0; i != index.size(); ++i) {
    const std::int64_t each = index.whole(i) < 0 ? index.whole(i) + extent : index.whole(i);
    expects(each >= 0 && each < extent, "index ", each, " of an axis of ", extent);
    at.push_back(each);
  }
  if (at.empty()) unsupported("an empty tensor is not supported");
  const std::int64_t step = at.size() > 1 ? at[1] - at[0] : 1;
  bool regular = true;
  for (std::size_t i = 0; i != at.size(); ++i) regular = regular && at[i] == at[0] + static_cast<std::int64_t>(i) * step;
  Tensor x = plain(whole), result;
  Dims dims = x.dims();
  dims[axis] = static_cast<std::int64_t>(at.size());
  if (regular && step == 1 && dims == x.dims() && at[0] == 0) {
    result = x;
  } else if (regular) {
    Dims steps(dims.size(), 1), begins(dims.size(), 0);
    steps[axis] = step;
    begins[axis] = at[0];
    result = view(x, dims, steps, begins);
  } else {
    const Order order = *axis_order(x);
    Gather op{static_cast<std::size_t>(extent), 1, {at.begin(), at.end()}};
    for (std::size_t i = order.size(); order[--i] != axis;) op.inner *= static_cast<std::size_t>(x.dim(order[i]));
    result = fresh(0, dims, order);
    result.value = emit(std::move(op), {x.value}, natural(result, order));
  }
  if (index.dims.size() == 1) return set_output(std::move(result));
  Dims target(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(axis));
  target.insert(target.end(), index.dims.begin(), index.dims.end());
  target.insert(target.end(), dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, dims.end());
  set_output(regrouped(result, target));
}

Tensor Builder::joined(std::vector<Tensor> parts, std::size_t axis, std::string_view suffix) {
  const auto filled = [](const Tensor& t) {
    return std::count_if(t.axes.begin(), t.axes.end(), [](const auto& a) { return !a.empty(); });
  };
  std::size_t leader = 0;
  for (std::size_t i = 0; i != parts.size(); ++i) {
    parts[i] = plain(parts[i]);
    if (filled(parts[i]) > filled(parts[leader])) leader = i;
  }
  const Order order = *axis_order(parts[leader]);
  Dims dims = parts[leader].dims();
  dims[axis] = 0;
  std::size_t behind = 0;
  while (order[order.size() - 1 - behind] != axis) ++behind;
  std::size_t outer = 1, inner = 1;
  for (std::size_t i = 0; i != order.size(); ++i) {
    const auto size = static_cast<std::size_t>(parts[leader].dim(order[i]));
    if (i + behind + 1 < order.size()) outer *= size;
    if (i + behind + 1 > order.size()) inner *= size;
  }
  const bool generic = behind > 2 || (behind == 2 && outer != 1);
  std::vector<ValueId> values;
  for (Tensor& part : parts) {
    part = stored(part, order);
    const Dims own = part.dims();
    for (std::size_t i = 0; i != dims.size(); ++i)
      expects(i == axis || own[i] == dims[i], "the inputs differ along another axis than ", axis);
    dims[axis] += own[axis];
    values.push_back(with_extent(part.value, generic ? Extent{outer, static_cast<std::size_t>(own[axis]), inner, false}
                                                     : natural(part, order)));
  }
  return fresh(emit(Concat{generic ? 1 : 2 - behind}, std::move(values), {}, suffix), dims, order);
}

void Builder::concat() {
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i != node_->inputs.size(); ++i) parts.push_back(activation(i));
  const std::size_t axis = normalized_axis(node_->integer("axis", 1), parts.at(0).rank());
  for (const Tensor& part : parts) expects(part.rank() == parts[0].rank(), "the inputs differ in rank");
  if (parts.size() == 1) return set_output(parts[0]);
  set_output(joined(std::move(parts), axis));
}

void Builder::pad() {
  Tensor x = plain(activation(0));
  const std::string mode = node_->text("mode", "constant");
  const std::size_t rank = x.rank();
  Dims pads = has(1) ? constant(1, "the padding").integers : node_->integers("pads", node_->integers("paddings"));
  if (has(3)) {
    const Dims axes = normalized_axes(constant(3, "the axes").integers, rank);
    expects(pads.size() == 2 * axes.size(), pads.size(), " paddings for ", axes.size(), " axes");
    Dims all(2 * rank, 0);
    for (std::size_t i = 0; i != axes.size(); ++i) {
      all[static_cast<std::size_t>(axes[i])] = pads[i];
      all[static_cast<std::size_t>(axes[i]) + rank] = pads[i + axes.size()];
    }
    pads = all;
  }
  expects(pads.size() == 2 * rank, pads.size(), " paddings for ", rank, " dimensions");
  for (const std::int64_t p : pads) expects(p > -(1 << 20) && p < (1 << 20), "a padding of ", p);
  const float value = has(2) ? scalar(2, 0.0F) : node_->real("value", 0.0F);
  // cutting first
  Dims dims = x.dims(), begins(rank, 0);
  for (std::size_t i = 0; i != rank; ++i) {
    const std::int64_t before = std::min<std::int64_t>(pads[i], 0), after = std::min<std::int64_t>(pads[rank + i], 0);
    begins[i] = -before;
    dims[i] += before + after;
    if (dims[i] <= 0) unsupported("an empty tensor is not supported");
  }
  if (dims != x.dims()) x = view(x, dims, Dims(rank, 1), begins);
  for (std::int64_t& p : pads) p = std::max<std::int64_t>(p, 0);
  const auto before = [&](std::size_t axis) { return static_cast<std::size_t>(pads[axis]); };
  const auto after = [&](std::size_t axis) { return static_cast<std::size_t>(pads[rank + axis]); };

  const Order last{0, 2, 3, 1};
  if (mode == "constant" && rank == 4 && dims[0] == 1 && before(0) + after(0) + before(1) + after(1) == 0 &&
      before(2) + after(2) + before(3) + after(3) != 0 && stored(x, last).value == x.value) {
    const ValueId from = with_extent(x.value, natural(x, last));
    dims[2] += pads[2] + pads[6], dims[3] += pads[3] + pads[7];
    return set_output(fresh(emit(Pad{{before(2), before(3), after(2), after(3)}, value}, {from}), dims, last));
  }
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    unsupported("mode '", std::string_view{mode}, "' is not supported");
  const Order order = *axis_order(x);
  for (std::size_t axis = 0; axis != rank; ++axis) {
    if (before(axis) + after(axis) == 0) continue;
    const auto size = static_cast<std::size_t>(x.dim(axis));
    std::size_t inner = 1, at = order.size();
    while (order[--at] != axis) inner *= static_cast<std::size_t>(x.dim(order[at]));
    dims[axis] += pads[axis] + pads[rank + axis];
    Tensor next = fresh(0, dims, order);
    if (mode == "constant") {
      const Extent wide{x.size() / size / inner, size, inner, false};
      next.value = emit(Pad{{0, before(axis), 0, after(axis)}, value}, {with_extent(x.value, wide)}, {}, "/padded");
    } else {
      Gather op{size, inner, {}};
      const auto n = static_cast<std::int64_t>(size);
      for (std::int64_t i = -pads[axis]; i != n + pads[rank + axis]; ++i) {
        std::int64_t from = i;
        if (mode == "edge") from = std::clamp<std::int64_t>(i, 0, n - 1);
        if (mode == "wrap") from = (i % n + n) % n;
        if (mode == "reflect") {
          const std::int64_t period = std::max<std::int64_t>(2 * (n - 1), 1);
          from = (i % period + period) % period;
          from = from < n ? from : period - from;
        }
        op.indices.push_back(static_cast<std::size_t>(from));
      }
      next.value = emit(std::move(op), {x.value}, natural(next, order), "/padded");
    }
    x = next;
  }
  set_output(x);
}

void Builder::expand() {
  const Tensor x = activation(0);
  const Dims dims = broadcast(x.dims(), list("shape", 1));
  expects(count(dims) < most_elements, "more than ", most_elements, " elements");
  set_output(expanded(x, dims));
}

void Builder::tile() {
  const Tensor x = activation(0);
  const Dims repeats = list("repeats", 1), dims = x.dims();
  expects(repeats.size() == dims.size(), repeats.size(), " repeats for ", dims.size(), " dimensions");
  Dims apart, wanted, together;
  for (std::size_t i = 0; i != dims.size(); ++i) {
    expects(repeats[i] > 0 && repeats[i] < (1 << 24), "repeats ", repeats[i], " times");
    apart.push_back(1), apart.push_back(dims[i]);
    wanted.push_back(repeats[i]), wanted.push_back(dims[i]);
    together.push_back(repeats[i] * dims[i]);
  }
  expects(count(together) < most_elements, "more than ", most_elements, " elements");
  set_output(regrouped(expanded(regrouped(x, apart), wanted), together));
}

void Builder::depth_to_space() {
  const Tensor x = activation(0);
  const Dims d = x.dims();
  const std::int64_t b = node_->integer("blocksize", 0);
  expects(d.size() == 4 && b > 0 && d[1] % (b * b) == 0, "blocks of ", b, " do not fit its channels");
  const std::int64_t c = d[1] / (b * b);
  const bool column = node_->text("mode", "DCR") == "CRD";
  const Tensor parts = regrouped(x, column ? Dims{d[0], c, b, b, d[2], d[3]} : Dims{d[0], b, b, c, d[2], d[3]});
  set_output(regrouped(permuted(parts, column ? Dims{0, 1, 4, 2, 5, 3} : Dims{0, 3, 4, 1, 5, 2}),
                       {d[0], c, d[2] * b, d[3] * b}));
}

void Builder::space_to_depth() {
  const Tensor x = activation(0);
  const Dims d = x.dims();
  const std::int64_t b = node_->integer("blocksize", 0);
  expects(d.size() == 4 && b > 0 && d[2] % b == 0 && d[3] % b == 0, "blocks of ", b, " do not fit its image");
  const Tensor parts = regrouped(x, {d[0], d[1], d[2] / b, b, d[3] / b, b});
  set_output(regrouped(permuted(parts, {0, 3, 5, 1, 2, 4}), {d[0], d[1] * b * b, d[2] / b, d[3] / b}));
}

}  // namespace fat::inline FAT_ABI::reader
