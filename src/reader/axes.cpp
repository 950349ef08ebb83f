// Axes of tensors: what order elements are stored in, and the moves that another order takes.
#include "builder.hpp"

#include <algorithm>
#include <numeric>

namespace fat::inline FAT_ABI::reader {

std::int64_t Tensor::dim(std::size_t axis) const {
  if (constant()) return data->dims.at(axis);
  std::size_t size = 1;
  for (const Atom& atom : axes.at(axis)) size *= atom.size;
  return static_cast<std::int64_t>(size);
}

Dims Tensor::dims() const {
  Dims all;
  for (std::size_t axis = 0; axis != rank(); ++axis) all.push_back(dim(axis));
  return all;
}

std::size_t Tensor::size() const { return static_cast<std::size_t>(count(dims())); }

/// A value whose stored axes are the file's in the given order.
Tensor Builder::fresh(ValueId value, const Dims& dims, const Order& order) {
  Tensor tensor{nullptr, value, std::vector<std::vector<Atom>>(dims.size()), {}};
  for (const std::size_t axis : order)
    if (dims[axis] != 1) {
      tensor.axes[axis] = {{static_cast<std::size_t>(dims[axis]), atoms_}};
      tensor.order.push_back(atoms_++);
    }
  return tensor;
}
Tensor Builder::fresh(ValueId value, const Dims& dims) {
  Order order(dims.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return fresh(value, dims, order);
}

/// Joins factors of an axis that follow one another in the stored order too.
void Builder::merge(Tensor& tensor) {
  for (std::vector<Atom>& axis : tensor.axes)
    for (std::size_t i = 0; i + 1 < axis.size();) {
      const auto at = std::find(tensor.order.begin(), tensor.order.end(), axis[i].id);
      if (at + 1 != tensor.order.end() && at[1] == axis[i + 1].id) {
        axis[i].size *= axis[i + 1].size;
        tensor.order.erase(at + 1);
        axis.erase(axis.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      } else {
        ++i;
      }
    }
}

/// The stored order as one of whole axes, those of extent 1 first; empty where axes are interleaved.
std::optional<Builder::Order> Builder::axis_order(const Tensor& tensor) const {
  Order order;
  for (std::size_t axis = 0; axis != tensor.rank(); ++axis) {
    if (tensor.axes[axis].empty()) order.push_back(axis);
    if (tensor.axes[axis].size() > 1) return std::nullopt;
  }
  for (const std::size_t id : tensor.order)
    for (std::size_t axis = 0; axis != tensor.rank(); ++axis)
      if (!tensor.axes[axis].empty() && tensor.axes[axis][0].id == id) order.push_back(axis);
  return order;
}

/// The same tensor with its axes stored in the given order.
Tensor Builder::stored(const Tensor& tensor, const Order& order, std::string_view suffix) {
  std::vector<Atom> wanted;
  for (const std::size_t axis : order)
    wanted.insert(wanted.end(), tensor.axes[axis].begin(), tensor.axes[axis].end());
  const bool same = std::equal(wanted.begin(), wanted.end(), tensor.order.begin(), tensor.order.end(),
                               [](const Atom& atom, std::size_t id) { return atom.id == id; });
  Tensor result = tensor;
  if (!same) {
    std::map<std::size_t, std::int64_t> stride;
    std::map<std::size_t, std::size_t> size;
    for (const Atom& atom : wanted) size[atom.id] = atom.size;
    std::int64_t step = 1;
    for (std::size_t i = tensor.order.size(); i-- != 0;) {
      stride[tensor.order[i]] = step;
      step *= static_cast<std::int64_t>(size[tensor.order[i]]);
    }
    View op;
    for (const Atom& atom : wanted) {
      const std::int64_t by = stride[atom.id];
      if (!op.sizes.empty() && op.strides.back() == by * static_cast<std::int64_t>(atom.size)) {
        op.sizes.back() *= atom.size;
        op.strides.back() = by;
      } else {
        op.sizes.push_back(atom.size);
        op.strides.push_back(by);
      }
    }
    result.value = emit(std::move(op), {tensor.value}, natural(tensor, order), suffix);
    result.order.clear();
    for (const Atom& atom : wanted) result.order.push_back(atom.id);
  }
  merge(result);
  return result;
}

Tensor Builder::in_file_order(const Tensor& tensor) {
  Order order(tensor.rank());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return stored(tensor, order);
}

/// The same with whole axes in some order: as it is where possible.
Tensor Builder::plain(const Tensor& tensor) {
  Tensor merged = tensor;
  merge(merged);
  return axis_order(merged) ? merged : in_file_order(merged);
}

/// `tensor` stored in the order of `other`, a plain tensor of the same rank (axes of extent 1 may differ).
Tensor Builder::like(const Tensor& tensor, const Tensor& other) {
  return stored(tensor, *axis_order(other), "/order");
}

/// The three last axes of an order, those before them joined to the first: how a tensor stands in the Model.
Extent Builder::natural(const Tensor& tensor, const Order& order) const {
  Extent extent;
  const std::size_t rank = order.size();
  const auto size = [&](std::size_t from_end) {
    return from_end < rank ? static_cast<std::size_t>(tensor.dim(order[rank - 1 - from_end])) : std::size_t{1};
  };
  extent.channels = size(0);
  extent.width = size(1);
  for (std::size_t i = 2; i < rank; ++i) extent.height *= size(i);
  extent.vector = rank <= 2 && extent.width == 1;
  return extent;
}

/// The value under another extent of the same elements: a reshape, made once.
ValueId Builder::with_extent(ValueId value, const Extent& extent) {
  if (model_.extent(value) == extent) return value;
  const std::vector<std::size_t> key{extent.height, extent.width, extent.channels, extent.vector ? 1U : 0U};
  const auto found = aliases_.find({value, key});
  if (found != aliases_.end()) return found->second;
  const ValueId made = emit(Reshape{}, {value}, extent, "/reshaped");
  aliases_.emplace(std::pair{value, key}, made);
  aliases_.emplace(
      std::pair{made, std::vector<std::size_t>{model_.extent(value).height, model_.extent(value).width,
                                               model_.extent(value).channels, model_.extent(value).vector ? 1U : 0U}},
      value);
  return made;
}

ValueId Builder::natural_value(const Tensor& tensor) {
  return with_extent(tensor.value, natural(tensor, *axis_order(tensor)));
}

/// Elements begins[i] + k * steps[i] of each axis of a plain tensor, dims[i] of them, stored in its order; a step of 0
/// repeats one.
Tensor Builder::view(const Tensor& tensor, const Dims& dims, const std::vector<std::int64_t>& steps,
                     const std::vector<std::int64_t>& begins) {
  const Order order = *axis_order(tensor);
  std::vector<std::int64_t> stride(order.size());
  std::int64_t step = 1;
  for (std::size_t i = order.size(); i-- != 0;) {
    stride[order[i]] = step;
    step *= tensor.dim(order[i]);
  }
  View op;
  std::int64_t offset = 0;
  for (const std::size_t axis : order) {
    offset += begins[axis] * stride[axis];
    if (dims[axis] == 1) continue;
    op.sizes.push_back(static_cast<std::size_t>(dims[axis]));
    op.strides.push_back(steps[axis] * stride[axis]);
  }
  for (std::size_t i = 0; i + 1 < op.sizes.size();)
    if (op.strides[i] == op.strides[i + 1] * static_cast<std::int64_t>(op.sizes[i + 1])) {
      op.sizes[i] *= op.sizes[i + 1];
      op.strides[i] = op.strides[i + 1];
      op.sizes.erase(op.sizes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      op.strides.erase(op.strides.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    } else {
      ++i;
    }
  op.offset = static_cast<std::size_t>(offset);
  Tensor result = fresh(0, dims, order);
  result.value = emit(std::move(op), {tensor.value}, natural(result, order));
  return result;
}

/// The tensor under another shape. Factors are regrouped where the new axes are made of them; else elements move.
Tensor Builder::regrouped(const Tensor& tensor, const Dims& target) {
  const auto attempt = [&](const Tensor& from) -> std::optional<Tensor> {
    Tensor result{nullptr, from.value, {}, from.order};
    std::vector<Atom> queue;
    for (const auto& axis : from.axes) queue.insert(queue.end(), axis.begin(), axis.end());
    std::size_t next = 0;
    for (const std::int64_t extent : target) {
      auto rest = static_cast<std::size_t>(extent);
      std::vector<Atom> axis;
      while (rest != 1) {
        if (next == queue.size()) return std::nullopt;
        Atom& atom = queue[next];
        if (rest % atom.size == 0) {
          axis.push_back(atom);
          rest /= atom.size;
          ++next;
        } else if (atom.size % rest == 0) {
          const Atom outer{rest, atoms_++};
          const auto at = std::find(result.order.begin(), result.order.end(), atom.id);
          result.order.insert(at, outer.id);
          axis.push_back(outer);
          atom.size /= rest;
          rest = 1;
        } else {
          return std::nullopt;
        }
      }
      result.axes.push_back(std::move(axis));
    }
    return next == queue.size() ? std::optional<Tensor>{std::move(result)} : std::nullopt;
  };
  if (auto result = attempt(tensor)) return *std::move(result);
  // In the file's order everything is one axis, which divides into any shape.
  Tensor flat = in_file_order(tensor);
  flat = fresh(flat.value, {static_cast<std::int64_t>(flat.size())});
  return attempt(flat).value();
}

Tensor Builder::permuted(const Tensor& tensor, const Dims& order) const {
  Tensor result = tensor;
  for (std::size_t i = 0; i != order.size(); ++i) result.axes[i] = tensor.axes[static_cast<std::size_t>(order[i])];
  return result;
}

/// Axes of extent 1 (and those missing in front) repeated to `dims`.
Tensor Builder::expanded(const Tensor& tensor, const Dims& dims) {
  Dims own = tensor.dims();
  Tensor aligned = tensor;
  aligned.axes.insert(aligned.axes.begin(), dims.size() - own.size(), {});
  own.insert(own.begin(), dims.size() - own.size(), 1);
  if (own == dims) return aligned;
  aligned = plain(aligned);
  std::vector<std::int64_t> steps(dims.size(), 1), begins(dims.size(), 0);
  for (std::size_t i = 0; i != dims.size(); ++i)
    if (own[i] != dims[i]) steps[i] = 0;
  return view(aligned, dims, steps, begins);
}

/// A constant of the file as a value of the Model, in the file's order.
Tensor Builder::embedded(const Data& data) {
  if (const auto made = embedded_.find(&data); made != embedded_.end()) return made->second;
  fat::Constant op;
  for (std::size_t i = 0; i != data.size(); ++i) op.values.push_back(data.real(i));
  Tensor result = fresh(0, data.dims);
  Order order(data.dims.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  result.value = emit(std::move(op), {}, natural(result, order), "/constant");
  embedded_.emplace(&data, result);
  return result;
}

}  // namespace fat::inline FAT_ABI::reader
