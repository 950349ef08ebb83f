// Operators that only change shapes: they mostly change what the file's tensor means, not the model.
#include "importer.hpp"

#include <algorithm>

namespace fat::inline FAT_ABI::onnx {

void Importer::identity() {
  Tensor x = activation(0);
  if (node_->op_type() == "Cast") {
    const std::int64_t to = Attributes{*node_}.integer("to", 0);
    require(to == ::onnx::TensorProto::FLOAT, "a cast of activations to type ", to,
            " is not supported; export in float");
  }
  require(node_->op_type() != "Dropout" || node_->output_size() == 1 || uses_.count(node_->output(1)) == 0,
          "the mask of a dropout is read; export the model for inference");
  set_output(x);
}

void Importer::constant_node() {
  const Attributes attributes{*node_};
  Constant result;
  if (const auto* const value = attributes.find("value")) {
    result = decode(value->t(), where());
  } else if (attributes.has("value_float") || attributes.has("value_floats")) {
    const bool list = attributes.has("value_floats");
    result.reals = list ? attributes.reals("value_floats") : std::vector<float>{attributes.real("value_float", 0.0F)};
    if (list) result.dims = {static_cast<std::int64_t>(result.reals.size())};
  } else {
    require(attributes.has("value_int") || attributes.has("value_ints"),
            "its form is not supported; export with tensors as constants");
    const bool list = attributes.has("value_ints");
    result.integral = true;
    result.type = ::onnx::TensorProto::INT64;
    result.integers = list ? attributes.integers("value_ints") : Integers{attributes.integer("value_int", 0)};
    if (list) result.dims = {static_cast<std::int64_t>(result.integers.size())};
  }
  set_output({std::make_shared<const Constant>(std::move(result))});
}

void Importer::shape() {
  const Tensor& x = tensor(0);
  Constant result;
  result.integral = true;
  result.type = ::onnx::TensorProto::INT64;
  result.integers = x.constant != nullptr ? x.constant->dims : dims(x);
  const auto rank = static_cast<std::int64_t>(result.integers.size());
  const auto bound = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t value = std::clamp(Attributes{*node_}.integer(name, otherwise), -rank, rank);
    return value < 0 ? value + rank : value;
  };
  const std::int64_t start = bound("start", 0), end = std::max(start, bound("end", rank));
  result.integers = Integers(result.integers.begin() + start, result.integers.begin() + end);
  result.dims = {end - start};
  set_output({std::make_shared<const Constant>(std::move(result))});
}

void Importer::flatten() {
  const Tensor x = activation(0);
  const auto rank = static_cast<std::int64_t>(dims(x).size());
  const std::int64_t axis = Attributes{*node_}.integer("axis", 1);
  require(axis == 1 || axis == 1 - rank, "axis ", axis, " is not supported; only the images can stay apart (axis 1)");
  reshape_to({0, -1});
}

void Importer::reshape() {
  const Constant& target = plain_constant(1, "the shape");
  require(target.integral && !target.steps, "the shape must be integers");
  require(Attributes{*node_}.integer("allowzero", 0) == 0 ||
              std::find(target.integers.begin(), target.integers.end(), 0) == target.integers.end(),
          "an empty tensor is not supported");
  reshape_to(target.integers);
}

/// target as in Reshape: 0 keeps an extent, -1 is computed, the first extent belongs to the images.
void Importer::reshape_to(const Integers& target) {
  const Tensor x = activation(0);
  const Integers from = dims(x);
  const auto size = static_cast<std::int64_t>(extent(x).size());
  require(target.size() >= 2 && target.size() <= 4, "a shape of ", target.size(),
          " dimensions is not supported; use 2 to 4");
  Integers to = target;
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  for (std::size_t i = 1; i != to.size(); ++i) {
    if (to[i] == 0 && i < from.size()) to[i] = from[i];
    if (to[i] == -1) {
      require(open == nullptr, "more than one open extent; export the model again");
      open = &to[i];
    } else {
      require(to[i] > 0 && to[i] <= size && known <= size / to[i], "the shape does not fit ", size, " elements");
      known *= to[i];
    }
  }
  require(open == nullptr || target[0] != -1, "more than one open extent; export the model again");
  if (open != nullptr) *open = size / known;
  // A fixed first extent is the batch the file was exported with; each image is reshaped on its own.
  require(target[0] == 0 || target[0] == -1 || target[0] == batch_mark || target[0] > 0, "a bad first extent");
  require(known * (open != nullptr ? *open : 1) == size, "the shape does not fit ", size, " elements");

  const bool image = x.layout == Layout::channels_first || x.layout == Layout::channels_last;
  const bool trivial = extent(x).height * extent(x).width == 1;
  const bool first = x.layout == Layout::channels_first || x.layout == Layout::positions;
  if (std::equal(from.begin() + 1, from.end(), to.begin() + 1, to.end())) return set_output(x);
  if (to.size() == 2) {
    if (x.layout == Layout::vector) return set_output(x);
    return set_output({nullptr, x.value,
                       first && !trivial ? Layout::flat_first
                       : first || image  ? Layout::flat_last
                                         : x.layout});
  }
  if (to.size() == 3) {
    require((first || (trivial && image)) && to[1] == static_cast<std::int64_t>(extent(x).channels),
            "three dimensions must be channels and positions of an image with channels first; reshape otherwise");
    return set_output({nullptr, x.value, Layout::positions});
  }
  require(trivial || first || x.layout == Layout::flat_first,
          "an image with channels last cannot be reshaped into another; transpose before it");
  const Extent wanted{static_cast<std::size_t>(to[2]), static_cast<std::size_t>(to[3]), static_cast<std::size_t>(to[1]),
                      false};
  if (extent(x) == wanted) return set_output({nullptr, x.value, Layout::channels_first});
  set_output({nullptr, emit(Reshape{true}, {x.value}, wanted), Layout::channels_first});
}

void Importer::squeeze() {
  const Tensor x = activation(0);
  const Integers from = dims(x);
  const Integers given = has(1) ? plain_constant(1, "the axes").integers : Attributes{*node_}.integers("axes");
  Integers axes = normalized_axes(given, from.size(), where());
  if (given.empty())
    for (std::size_t i = 1; i != from.size(); ++i)
      if (from[i] == 1) axes.push_back(static_cast<std::int64_t>(i));
  remove_axes(axes);
}

/// Drops axes of extent 1.
void Importer::remove_axes(const Integers& axes) {
  const Tensor x = activation(0);
  const Integers from = dims(x);
  Integers kept;
  for (std::size_t i = 0; i != from.size(); ++i) {
    const bool dropped = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) != axes.end();
    require(!dropped || i != 0, "the batch cannot be removed; name the axes");
    require(!dropped || from[i] == 1, "axis ", i, " is ", from[i], ", not 1; name other axes");
    if (!dropped) kept.push_back(from[i]);
  }
  if (axes.empty()) return set_output(x);
  reshape_to(kept);
}

/// Only elements that are all of their axis, as in x[:, :, 0, 0] of an image of one pixel.
void Importer::gather() {
  const Integers from = dims(activation(0));
  const Integers axis = normalized_axes({Attributes{*node_}.integer("axis", 0)}, from.size(), where());
  const Constant& index = plain_constant(1, "the index");
  const bool whole = index.integral && index.size() == 1 && index.dims.size() <= 1 &&
                     from[static_cast<std::size_t>(axis[0])] == 1 &&
                     (index.integers[0] == 0 || index.integers[0] == -1);
  require(whole, "only the one element of an axis of extent 1 can be taken; take the others with a Conv");
  remove_axes(index.dims.empty() ? axis : Integers{});
}

/// Only all of every axis.
void Importer::slice() {
  const Tensor x = activation(0);
  const Integers from = dims(x);
  std::vector<const Constant*> inputs{nullptr};
  for (int i = 1; i < node_->input_size(); ++i) inputs.push_back(has(i) ? &plain_constant(i, "a bound") : nullptr);
  const std::vector<AxisSlice> slices = axis_slices(*node_, from, inputs, where());
  for (std::size_t i = 0; i != from.size(); ++i)
    require(slices[i].size == from[i] && (slices[i].step > 0 || from[i] == 1), "takes ", slices[i].size, " of ",
            from[i], " along axis ", i, "; only constants can be sliced");
  set_output(x);
}

void Importer::unsqueeze() {
  const Tensor x = activation(0);
  const Integers given = has(1) ? plain_constant(1, "the axes").integers : Attributes{*node_}.integers("axes");
  const Integers axes = normalized_axes(given, dims(x).size() + given.size(), where());
  const bool last = dims(x).size() == 2 && axes == Integers{1, 2};
  require(last || (!axes.empty() && axes.front() > 1), "only axes behind the channels can be added; reshape otherwise");
  if (!last) {
    Integers target = dims(x);
    for (const std::int64_t axis : axes) target.insert(target.begin() + axis, 1);
    return reshape_to(target);
  }
  const Tensor vector = materialized(x);
  set_output({nullptr, emit(Reshape{}, {vector.value}, {1, 1, extent(vector).channels, false}), Layout::channels_last});
}

void Importer::transpose() {
  Tensor x = activation(0);
  const Integers order = Attributes{*node_}.integers("perm");
  Integers same(dims(x).size());
  for (std::size_t i = 0; i != same.size(); ++i) same[i] = static_cast<std::int64_t>(i);
  const bool to_last = x.layout == Layout::channels_first && order == Integers{0, 2, 3, 1};
  const bool to_first = x.layout == Layout::channels_last && order == Integers{0, 3, 1, 2};
  require(to_last || to_first || order == same,
          "only moving the channels of an image to the front or the end is supported; remove other transposes");
  if (to_last) x.layout = Layout::channels_last;
  if (to_first) x.layout = Layout::channels_first;
  set_output(x);
}

}  // namespace fat::inline FAT_ABI::onnx
