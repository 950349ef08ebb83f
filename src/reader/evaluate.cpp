// Computing with constants: what exporters leave in a graph around shapes, anchors and weights.
#include "file_graph.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>

namespace fat::inline FAT_ABI::reader {

Dims reshaped(const Dims& from, const Dims& target, bool allow_zero) {
  Dims dims = target;
  const std::int64_t size = count(from);
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  for (std::size_t i = 0; i != dims.size(); ++i) {
    if (dims[i] == 0 && !allow_zero && i < from.size()) dims[i] = from[i];
    if (dims[i] == -1) {
      expects(open == nullptr, "a reshape has more than one open extent; export the model again");
      open = &dims[i];
      continue;
    }
    expects(dims[i] >= 0 && dims[i] <= most_elements && (dims[i] == 0 || known <= most_elements / dims[i]),
            "a reshape has extent ", dims[i], "; export the model again");
    known *= dims[i];
  }
  if (open != nullptr) *open = known == 0 ? 0 : size / known;
  expects(count(dims) == size, size, " elements cannot become a tensor of ", count(dims),
          "; export the model again");
  return dims;
}

Dims broadcast(const Dims& a, const Dims& b) {
  Dims dims(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i != dims.size(); ++i) {
    const auto extent = [&](const Dims& of) {
      const std::size_t missing = dims.size() - of.size();
      return i < missing ? std::int64_t{1} : of[i - missing];
    };
    expects(extent(a) == extent(b) || extent(a) == 1 || extent(b) == 1, "shapes ", extent(a), " and ", extent(b),
            " do not fit along axis ", i, "; export the model again");
    dims[i] = extent(a) == 1 ? extent(b) : extent(a);
  }
  return dims;
}

Dims list_of(const FileNode& node, std::string_view attribute, std::size_t input,
             const std::vector<const Data*>& inputs, Dims otherwise) {
  if (input < inputs.size() && inputs[input] != nullptr) {
    expects(inputs[input]->integral || inputs[input]->size() == 0, "its ", attribute,
            " must be integers; export the model again");
    return inputs[input]->integers;
  }
  return node.integers(attribute, std::move(otherwise));
}

std::vector<AxisSlice> axis_slices(const FileNode& node, const Dims& dims, const std::vector<const Data*>& inputs) {
  const Dims starts = list_of(node, "starts", 1, inputs), ends = list_of(node, "ends", 2, inputs);
  Dims first_axes(starts.size(), 0);
  std::iota(first_axes.begin(), first_axes.end(), 0);
  const Dims axes = normalized_axes(list_of(node, "axes", 3, inputs, first_axes), dims.size());
  const Dims steps = list_of(node, "steps", 4, inputs, Dims(starts.size(), 1));
  expects(ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(),
          starts.size(), " starts, ", ends.size(), " ends, ", axes.size(), " axes and ", steps.size(),
          " steps; export the model again");
  std::vector<AxisSlice> result;
  for (const std::int64_t size : dims) result.push_back({0, 1, size});
  for (std::size_t i = 0; i != axes.size(); ++i) {
    AxisSlice& slice = result[static_cast<std::size_t>(axes[i])];
    const std::int64_t size = slice.size, step = std::max(steps[i], -std::numeric_limits<std::int64_t>::max());
    expects(step != 0, "a step of 0; export the model again");
    if (size == 0) continue;
    const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto from_front = [size](std::int64_t at) { return at < 0 ? at + size : at; };
    slice.begin = std::clamp(from_front(starts[i]), std::int64_t{0}, high);
    const std::int64_t end = std::clamp(from_front(ends[i]), low, high);
    const std::int64_t span = step > 0 ? end - slice.begin : slice.begin - end;
    slice.step = step;
    slice.size = span <= 0 ? 0 : (span - 1) / std::abs(step) + 1;
  }
  return result;
}

namespace {

using I = std::int64_t;

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<I>(dims[i], 1);
  return strides;
}

struct Evaluator {
  const FileNode& node;
  const std::vector<const Data*>& inputs;
  std::size_t room;

  /// Whether a constant is NaN or infinite already.
  bool infinite() const {
    for (const Data* each : inputs)
      if (each != nullptr && !std::all_of(each->reals.begin(), each->reals.end(), [](float x) { return std::isfinite(x); }))
        return true;
    return false;
  }
  const Data& input(std::size_t i) const {
    expects(i < inputs.size() && inputs[i] != nullptr, "input ", i, " is missing; export the model again");
    return *inputs[i];
  }
  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  std::size_t grown(const Dims& dims) const {
    const auto size = static_cast<std::size_t>(count(dims));
    expects(size <= room, "makes a constant of ", size, " elements, ", room,
            " more are supported; store it in the file");
    return size;
  }
  std::size_t axis_of(const Data& x, I otherwise) const {
    return normalized_axis(node.integer("axis", otherwise), x.dims.size());
  }

  /// A tensor of shape dims whose elements are picked from `from` by place(flat index).
  template <class Place>
  Data pick(const Data& from, Dims dims, Place place) const {
    Data result;
    const std::size_t size = grown(dims), available = from.size();
    result.dims = std::move(dims);
    result.integral = from.integral;
    (from.integral ? result.integers.reserve(size) : result.reals.reserve(size));
    for (std::size_t i = 0; i != size; ++i) {
      const auto at = static_cast<std::size_t>(place(i));
      expects(at < available, "reads outside its input; export the model again");
      if (from.integral)
        result.integers.push_back(from.integers[at]);
      else
        result.reals.push_back(from.reals[at]);
    }
    return result;
  }
  Data walk(const Data& from, const Dims& dims, I origin, const Dims& strides) const {
    return pick(from, dims, [&](std::size_t flat) {
      I at = origin;
      auto rest = static_cast<I>(flat);
      for (std::size_t i = dims.size(); i-- != 0; rest /= dims[i]) at += rest % dims[i] * strides[i];
      return at;
    });
  }
  Data expanded(const Data& from, const Dims& dims) const {
    Dims strides(dims.size(), 0);
    const Dims own = strides_of(from.dims);
    const std::size_t missing = dims.size() - from.dims.size();
    for (std::size_t i = 0; i != from.dims.size(); ++i) strides[missing + i] = from.dims[i] == 1 ? 0 : own[i];
    return walk(from, dims, 0, strides);
  }
  Data shaped(Dims dims) const {
    Data result = input(0);
    expects(static_cast<std::size_t>(count(dims)) == result.size(), "cannot reshape a constant of ", result.size(),
            " elements");
    result.dims = std::move(dims);
    return result;
  }

  Data transpose() const {
    const Data& from = input(0);
    const std::size_t rank = from.dims.size();
    Dims order(rank);
    std::iota(order.rbegin(), order.rend(), 0);
    order = node.integers("perm", order);
    Dims sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i != rank; ++i)
      expects(order.size() == rank && sorted[i] == static_cast<I>(i), "perm is no permutation of the axes");
    const Dims strides = strides_of(from.dims);
    Dims dims(rank), walked(rank);
    for (std::size_t i = 0; i != rank; ++i) {
      dims[i] = from.dims[static_cast<std::size_t>(order[i])];
      walked[i] = strides[static_cast<std::size_t>(order[i])];
    }
    return walk(from, dims, 0, walked);
  }
  Data gather() const {
    const Data &from = input(0), &index = input(1);
    const std::size_t axis = axis_of(from, 0);
    const I extent = from.dims[axis];
    Dims dims(from.dims.begin(), from.dims.begin() + static_cast<I>(axis));
    dims.insert(dims.end(), index.dims.begin(), index.dims.end());
    dims.insert(dims.end(), from.dims.begin() + static_cast<I>(axis) + 1, from.dims.end());
    I inner = 1;
    for (std::size_t i = axis + 1; i < from.dims.size(); ++i) inner *= from.dims[i];
    const I picked = static_cast<I>(index.size());
    return pick(from, dims, [&](std::size_t flat) {
      const I in = static_cast<I>(flat) % inner, k = static_cast<I>(flat) / inner % picked,
              out = static_cast<I>(flat) / inner / picked;
      const I at = index.whole(static_cast<std::size_t>(k));
      const I place = at < 0 ? at + extent : at;
      return place < 0 || place >= extent ? I{-1} : (out * extent + place) * inner + in;
    });
  }
  Data slice() const {
    const Data& from = input(0);
    Dims strides = strides_of(from.dims), dims;
    I origin = 0;
    for (const AxisSlice& slice : axis_slices(node, from.dims, inputs)) {
      I& stride = strides[dims.size()];
      origin += slice.begin * stride;
      stride *= slice.size > 1 ? slice.step : 0;
      dims.push_back(slice.size);
    }
    return walk(from, dims, origin, strides);
  }
  std::vector<Data> split() const {
    const Data& from = input(0);
    const std::size_t axis = axis_of(from, 0);
    Dims sizes = list_of(node, "split", 1, inputs);
    if (sizes.empty()) {
      const I parts = node.integer("num_outputs", static_cast<I>(node.outputs.size()));
      expects(parts > 0 && parts <= static_cast<I>(node.outputs.size()), "a bad number of outputs");
      const I each = (from.dims[axis] + parts - 1) / parts;
      for (I i = 0; i != parts; ++i) sizes.push_back(std::min(each, from.dims[axis] - i * each));
    }
    std::vector<Data> results;
    I begin = 0;
    const Dims strides = strides_of(from.dims);
    for (const I size : sizes) {
      expects(size >= 0 && begin + size <= from.dims[axis], "parts that do not fit; export the model again");
      Dims dims = from.dims;
      dims[axis] = size;
      results.push_back(walk(from, dims, begin * strides[axis], strides));
      begin += size;
    }
    return results;
  }
  Data concat() const {
    const Data& first = input(0);
    const std::size_t axis = axis_of(first, 0);
    Data result;
    result.dims = first.dims;
    result.integral = first.integral;
    result.dims[axis] = 0;
    for (std::size_t i = 0; i != inputs.size(); ++i) {
      const Data& next = input(i);
      expects(next.dims.size() == first.dims.size() && next.integral == first.integral,
              "joins constants of different rank or type");
      for (std::size_t k = 0; k != next.dims.size(); ++k)
        expects(k == axis || next.dims[k] == first.dims[k], "joins constants of different shape");
      result.dims[axis] += next.dims[axis];
    }
    grown(result.dims);
    I outer = 1;
    for (std::size_t i = 0; i != axis; ++i) outer *= first.dims[i];
    for (I at = 0; at != outer; ++at)
      for (std::size_t i = 0; i != inputs.size(); ++i) {
        const auto run = static_cast<I>(input(i).size()) / std::max<I>(outer, 1);
        if (result.integral)
          result.integers.insert(result.integers.end(), input(i).integers.begin() + at * run,
                                 input(i).integers.begin() + (at + 1) * run);
        else
          result.reals.insert(result.reals.end(), input(i).reals.begin() + at * run,
                              input(i).reals.begin() + (at + 1) * run);
      }
    return result;
  }
  Data cast() const {
    Data result = input(0);
    constexpr I float_ = 1, int32 = 6, int64 = 7, boolean = 9, half = 10, double_ = 11, brain = 16;
    const I to = node.integer("to", float_);
    const bool integral = (to >= 2 && to <= int64) || to == boolean || to == 12 || to == 13;
    if (!integral && to != float_ && to != half && to != double_ && to != brain)
      unsupported("a cast to type ", to, " is not supported");
    static_cast<void>(int32);
    if (to == boolean) {
      Data truth{result.dims, true, {}, {}};
      for (std::size_t i = 0; i != result.size(); ++i) truth.integers.push_back(result.real(i) != 0.0F ? 1 : 0);
      return truth;
    }
    if (integral == result.integral) return result;
    result.integral = integral;
    if (integral) {
      for (const float value : result.reals) {
        expects(!std::isnan(value), "a NaN becomes an integer; export the model again");
        result.integers.push_back(value >= 0x1p63F    ? std::numeric_limits<I>::max()
                                  : value <= -0x1p63F ? std::numeric_limits<I>::min()
                                                      : static_cast<I>(value));
      }
      result.reals.clear();
    } else {
      result.reals.assign(result.integers.begin(), result.integers.end());
      result.integers.clear();
    }
    return result;
  }
  Data range() const {
    const Data &start = input(0), &limit = input(1), &step = input(2);
    expects(start.size() == 1 && limit.size() == 1 && step.size() == 1, "a range takes three numbers");
    Data result;
    result.integral = start.integral && limit.integral && step.integral;
    const double first = result.integral ? static_cast<double>(start.integers[0]) : static_cast<double>(start.real(0)),
                 last = result.integral ? static_cast<double>(limit.integers[0]) : static_cast<double>(limit.real(0)),
                 by = result.integral ? static_cast<double>(step.integers[0]) : static_cast<double>(step.real(0));
    expects(by != 0.0, "a range with step 0");
    const double wanted = std::max(std::ceil((last - first) / by), 0.0);
    expects(wanted <= 1e9, "a range of ", wanted, " elements");
    result.dims = {static_cast<I>(wanted)};
    grown(result.dims);
    for (I i = 0; i != result.dims[0]; ++i)
      if (result.integral)
        result.integers.push_back(start.integers[0] + i * step.integers[0]);
      else
        result.reals.push_back(static_cast<float>(first + static_cast<double>(i) * by));
    return result;
  }
  Data filled() const {
    Data value{{}, false, {0.0F}, {}};
    if (node.has("value")) value = *node.get("value", DataPointer{});
    expects(value.size() == 1, "the fill value is no scalar");
    return pick(value, input(0).integers, [](std::size_t) { return 0; });
  }

  template <class Real, class Whole>
  Data combine(Real real, Whole whole, std::optional<bool> integral = {}) const {
    Data result;
    result.dims = broadcast(input(0).dims, input(1).dims);
    grown(result.dims);
    const Data a = expanded(input(0), result.dims), b = expanded(input(1), result.dims);
    const bool exact = a.integral && b.integral;
    result.integral = integral.value_or(exact);
    for (std::size_t i = 0; i != a.size(); ++i) {
      const auto value = exact ? static_cast<double>(0) : static_cast<double>(real(a.real(i), b.real(i)));
      if (exact && result.integral)
        result.integers.push_back(whole(a.integers[i], b.integers[i]));
      else if (result.integral)
        result.integers.push_back(static_cast<I>(value));
      else
        result.reals.push_back(exact ? static_cast<float>(whole(a.integers[i], b.integers[i]))
                                     : static_cast<float>(value));
    }
    return result;
  }
  template <class Real>
  Data each(Real real) const {
    Data result{input(0).dims, false, {}, {}};
    for (std::size_t i = 0; i != input(0).size(); ++i) result.reals.push_back(real(input(0).real(i)));
    return result;
  }
  Data where() const {
    const Dims dims = broadcast(broadcast(input(0).dims, input(1).dims), input(2).dims);
    grown(dims);
    const Data condition = expanded(input(0), dims), a = expanded(input(1), dims), b = expanded(input(2), dims);
    Data result{dims, a.integral && b.integral, {}, {}};
    for (std::size_t i = 0; i != condition.size(); ++i) {
      const Data& from = condition.real(i) != 0.0F ? a : b;
      if (result.integral)
        result.integers.push_back(from.integers[i]);
      else
        result.reals.push_back(from.real(i));
    }
    return result;
  }

  template <class Step>
  Data reduce(double start, Step step, bool mean = false) const {
    const Data& x = input(0);
    const std::size_t rank = x.dims.size();
    Dims axes = normalized_axes(list_of(node, "axes", 1, inputs), rank);
    if (axes.empty()) {
      if (node.integer("noop_with_empty_axes", 0) != 0) return x;
      axes.resize(rank);
      std::iota(axes.begin(), axes.end(), 0);
    }
    const auto among = [&](std::size_t i) { return std::find(axes.begin(), axes.end(), static_cast<I>(i)) != axes.end(); };
    Dims kept = x.dims, dims;
    I reduced = 1;
    for (std::size_t i = 0; i != rank; ++i)
      if (among(i)) reduced *= kept[i], kept[i] = 1;
    const Dims strides = strides_of(kept);
    std::vector<double> sums(static_cast<std::size_t>(count(kept)), start);
    for (std::size_t flat = 0; flat != x.size(); ++flat) {
      I rest = static_cast<I>(flat), at = 0;
      for (std::size_t i = rank; i-- != 0; rest /= x.dims[i])
        if (!among(i)) at += rest % x.dims[i] * strides[i];
      double& sum = sums[static_cast<std::size_t>(at)];
      sum = step(sum, static_cast<double>(x.integral ? static_cast<double>(x.integers[flat])
                                                     : static_cast<double>(x.reals[flat])));
    }
    for (std::size_t i = 0; i != rank; ++i)
      if (!among(i) || node.integer("keepdims", 1) != 0) dims.push_back(kept[i]);
    Data result{dims, x.integral && !mean, {}, {}};
    for (const double sum : sums) {
      const double value = mean ? sum / static_cast<double>(reduced) : sum;
      if (result.integral)
        result.integers.push_back(static_cast<I>(value));
      else
        result.reals.push_back(static_cast<float>(value));
    }
    return result;
  }
  Data cumulative() const {
    const Data& x = input(0);
    const std::size_t axis = normalized_axis(input(1).whole(0), x.dims.size());
    const bool exclusive = node.integer("exclusive", 0) != 0, reverse = node.integer("reverse", 0) != 0;
    Data result = x;
    const I stride = strides_of(x.dims)[axis], extent = x.dims[axis];
    for (std::size_t flat = 0; flat != x.size(); ++flat) {
      if (static_cast<I>(flat) / stride % extent != 0) continue;
      double sum = 0.0;
      for (I k = 0; k != extent; ++k) {
        const std::size_t at = flat + static_cast<std::size_t>((reverse ? extent - 1 - k : k) * stride);
        const double value = x.integral ? static_cast<double>(x.integers[at]) : static_cast<double>(x.reals[at]);
        const double after = sum + value;
        if (x.integral)
          result.integers[at] = static_cast<I>(exclusive ? sum : after);
        else
          result.reals[at] = static_cast<float>(exclusive ? sum : after);
        sum = after;
      }
    }
    return result;
  }
  /// A product of matrices, stacks of them alike.
  Data matmul() const {
    Data a = input(0), b = input(1);
    expects(a.dims.size() >= 2 && b.dims.size() >= 2, "a product of vectors is not supported");
    const Dims stack_a(a.dims.begin(), a.dims.end() - 2), stack_b(b.dims.begin(), b.dims.end() - 2);
    Dims stack = broadcast(stack_a, stack_b), full_a = stack, full_b = stack;
    full_a.insert(full_a.end(), a.dims.end() - 2, a.dims.end());
    full_b.insert(full_b.end(), b.dims.end() - 2, b.dims.end());
    a = expanded(a, full_a), b = expanded(b, full_b);
    const I m = full_a.end()[-2], k = full_a.end()[-1], n = full_b.end()[-1], s = count(stack);
    expects(full_b.end()[-2] == k, "matrices that do not fit");
    stack.push_back(m), stack.push_back(n);
    expects(count(stack) * k <= most_elements, "a large product of constants; fold it in the file");
    Data result{stack, false, std::vector<float>(grown(stack)), {}};
    for (I z = 0; z != s; ++z)
      for (I i = 0; i != m; ++i)
        for (I j = 0; j != n; ++j) {
          double sum = 0.0;
          for (I p = 0; p != k; ++p)
            sum += static_cast<double>(a.real(static_cast<std::size_t>((z * m + i) * k + p))) *
                   static_cast<double>(b.real(static_cast<std::size_t>((z * k + p) * n + j)));
          result.reals[static_cast<std::size_t>((z * m + i) * n + j)] = static_cast<float>(sum);
        }
    return result;
  }
  Data scattered() const {
    Data result = input(0);
    const Data &at = input(1), &updates = input(2);
    expects(!at.dims.empty() && at.integral, "its indices must be integers");
    const auto depth = static_cast<std::size_t>(at.dims.back());
    expects(depth <= result.dims.size() && depth != 0, "indices that do not fit");
    const Dims strides = strides_of(result.dims);
    const I inner = strides[depth - 1];
    for (std::size_t i = 0; i != at.size() / depth; ++i) {
      I to = 0;
      for (std::size_t k = 0; k != depth; ++k) {
        I index = at.integers[i * depth + k];
        index = index < 0 ? index + result.dims[k] : index;
        expects(index >= 0 && index < result.dims[k], "writes outside its input");
        to += index * strides[k];
      }
      for (I k = 0; k != inner; ++k) {
        const std::size_t from = i * static_cast<std::size_t>(inner) + static_cast<std::size_t>(k);
        expects(from < updates.size() && updates.integral == result.integral, "updates that do not fit");
        if (result.integral)
          result.integers[static_cast<std::size_t>(to + k)] = updates.integers[from];
        else
          result.reals[static_cast<std::size_t>(to + k)] = updates.reals[from];
      }
    }
    return result;
  }
  /// (codes - zero point) * scale, one of each or one for every index of an axis.
  Data dequantized() const {
    const Data &codes = input(0), &scale = input(1);
    expects(scale.size() != 0 && (!has(2) || input(2).size() == scale.size()), "scales and zero points do not fit");
    I inner = 1, extent = 1;
    if (scale.size() != 1) {
      const std::size_t axis = axis_of(codes, 1);
      extent = codes.dims[axis];
      inner = strides_of(codes.dims)[axis];
      expects(static_cast<std::size_t>(extent) == scale.size(), scale.size(), " scales for an axis of ", extent);
    }
    Data result{codes.dims, false, {}, {}};
    for (std::size_t i = 0; i != codes.size(); ++i) {
      const auto k = static_cast<std::size_t>(static_cast<I>(i) / inner % extent);
      const float zero = has(2) ? input(2).real(k) : 0.0F;
      result.reals.push_back((codes.real(i) - zero) * scale.real(k));
    }
    return result;
  }
  Data squeezed() const {
    const Dims& from = input(0).dims;
    const Dims given = normalized_axes(list_of(node, "axes", 1, inputs), from.size());
    Dims dims;
    for (std::size_t i = 0; i != from.size(); ++i) {
      const bool listed = std::find(given.begin(), given.end(), static_cast<I>(i)) != given.end();
      if (given.empty() ? from[i] != 1 : !listed) dims.push_back(from[i]);
    }
    return shaped(std::move(dims));
  }
  Data unsqueezed() const {
    const Dims raw = list_of(node, "axes", 1, inputs);
    Dims dims = input(0).dims, axes = normalized_axes(raw, dims.size() + raw.size());
    std::sort(axes.begin(), axes.end());
    for (const I axis : axes) dims.insert(dims.begin() + std::min(axis, static_cast<I>(dims.size())), 1);
    return shaped(std::move(dims));
  }

  static I floor_divided(I a, I b) {
    expects(b != 0 && !(a == std::numeric_limits<I>::min() && b == -1), "an integer is divided by 0");
    return a / b;
  }

  std::vector<Data> run() const;
};

template <class F>
std::vector<Data> one(F&& f) {
  std::vector<Data> list;
  list.push_back(f());
  return list;
}

std::vector<Data> Evaluator::run() const {
  using Rule = std::function<Data(const Evaluator&)>;
  const auto fn = [](float (*f)(float)) { return Rule{[f](const Evaluator& e) { return e.each(f); }}; };
  const auto compare = [](auto test) {
    return Rule{[test](const Evaluator& e) {
      return e.combine([test](float a, float b) { return test(a, b) ? 1.0F : 0.0F; },
                       [test](I a, I b) { return test(a, b) ? I{1} : I{0}; }, true);
    }};
  };
  const auto wrapped = [](I a, I b, auto op) {
    I c = 0;
    expects(!op(a, b, &c), "an integer overflows; export the model again");
    return c;
  };
  static const std::unordered_map<std::string, Rule> table{
      {"Identity", [](const Evaluator& e) { return e.input(0); }},
      {"Dropout", [](const Evaluator& e) { return e.input(0); }},
      {"Reshape",
       [](const Evaluator& e) {
         return e.shaped(reshaped(e.input(0).dims, list_of(e.node, "shape", 1, e.inputs),
                                  e.node.integer("allowzero", 0) != 0));
       }},
      {"Flatten",
       [](const Evaluator& e) {
         const Dims& d = e.input(0).dims;
         const I axis = e.node.integer("axis", 1), rank = static_cast<I>(d.size());
         const I at = axis < 0 ? axis + rank : axis;
         expects(at >= 0 && at <= rank, "axis ", axis, " for ", rank, " dimensions");
         return e.shaped({count(Dims(d.begin(), d.begin() + at)), count(Dims(d.begin() + at, d.end()))});
       }},
      {"Squeeze", [](const Evaluator& e) { return e.squeezed(); }},
      {"Unsqueeze", [](const Evaluator& e) { return e.unsqueezed(); }},
      {"Transpose", [](const Evaluator& e) { return e.transpose(); }},
      {"Gather", [](const Evaluator& e) { return e.gather(); }},
      {"Slice", [](const Evaluator& e) { return e.slice(); }},
      {"Concat", [](const Evaluator& e) { return e.concat(); }},
      {"Cast", [](const Evaluator& e) { return e.cast(); }},
      {"Range", [](const Evaluator& e) { return e.range(); }},
      {"ConstantOfShape", [](const Evaluator& e) { return e.filled(); }},
      {"Expand",
       [](const Evaluator& e) { return e.expanded(e.input(0), broadcast(e.input(0).dims, e.input(1).integers)); }},
      {"Tile",
       [](const Evaluator& e) {
         const Data& x = e.input(0);
         expects(e.input(1).size() == x.dims.size(), "repeats for another rank");
         Dims dims = x.dims;
         for (std::size_t i = 0; i != dims.size(); ++i) dims[i] *= e.input(1).whole(i);
         const Dims strides = strides_of(x.dims);
         return e.pick(x, dims, [&](std::size_t flat) {
           I rest = static_cast<I>(flat), at = 0;
           for (std::size_t i = dims.size(); i-- != 0; rest /= dims[i]) at += rest % dims[i] % x.dims[i] * strides[i];
           return at;
         });
       }},
      {"Shape",
       [](const Evaluator& e) {
         const Dims& d = e.input(0).dims;
         return Data{{static_cast<I>(d.size())}, true, {}, d};
       }},
      {"Size",
       [](const Evaluator& e) {
         return Data{{}, true, {}, {static_cast<I>(e.input(0).size())}};
       }},
      {"DequantizeLinear", [](const Evaluator& e) { return e.dequantized(); }},
      {"Where", [](const Evaluator& e) { return e.where(); }},
      {"MatMul", [](const Evaluator& e) { return e.matmul(); }},
      {"CumSum", [](const Evaluator& e) { return e.cumulative(); }},
      {"ScatterND", [](const Evaluator& e) { return e.scattered(); }},
      {"ReduceSum", [](const Evaluator& e) { return e.reduce(0.0, [](double a, double b) { return a + b; }); }},
      {"ReduceProd", [](const Evaluator& e) { return e.reduce(1.0, [](double a, double b) { return a * b; }); }},
      {"ReduceMax",
       [](const Evaluator& e) {
         return e.reduce(-std::numeric_limits<double>::infinity(), [](double a, double b) { return std::max(a, b); });
       }},
      {"ReduceMin",
       [](const Evaluator& e) {
         return e.reduce(std::numeric_limits<double>::infinity(), [](double a, double b) { return std::min(a, b); });
       }},
      {"ReduceMean",
       [](const Evaluator& e) { return e.reduce(0.0, [](double a, double b) { return a + b; }, true); }},
      {"Floor", fn([](float x) { return std::floor(x); })},
      {"Ceil", fn([](float x) { return std::ceil(x); })},
      {"Round", fn([](float x) { return std::nearbyint(x); })},
      {"Sqrt", fn([](float x) { return std::sqrt(x); })},
      {"Exp", fn([](float x) { return std::exp(x); })},
      {"Log", fn([](float x) { return std::log(x); })},
      {"Sin", fn([](float x) { return std::sin(x); })},
      {"Cos", fn([](float x) { return std::cos(x); })},
      {"Tanh", fn([](float x) { return std::tanh(x); })},
      {"Sigmoid", fn([](float x) { return 1.0F / (1.0F + std::exp(-x)); })},
      {"Erf", fn([](float x) { return std::erf(x); })},
      {"Relu", fn([](float x) { return std::max(x, 0.0F); })},
      {"Reciprocal", fn([](float x) { return 1.0F / x; })},
      {"Not",
       [](const Evaluator& e) {
         Data result{e.input(0).dims, true, {}, {}};
         for (std::size_t i = 0; i != e.input(0).size(); ++i) result.integers.push_back(e.input(0).real(i) == 0.0F);
         return result;
       }},
      {"Neg",
       [](const Evaluator& e) {
         Data result = e.input(0);
         for (float& value : result.reals) value = -value;
         for (I& value : result.integers) value = 0 - value;
         return result;
       }},
      {"Abs",
       [](const Evaluator& e) {
         Data result = e.input(0);
         for (float& value : result.reals) value = std::abs(value);
         for (I& value : result.integers) value = value < 0 ? 0 - value : value;
         return result;
       }},
      {"Add",
       [wrapped](const Evaluator& e) {
         return e.combine([](float a, float b) { return a + b; }, [wrapped](I a, I b) {
           return wrapped(a, b, [](I x, I y, I* z) { return __builtin_add_overflow(x, y, z); });
         });
       }},
      {"Sub",
       [wrapped](const Evaluator& e) {
         return e.combine([](float a, float b) { return a - b; }, [wrapped](I a, I b) {
           return wrapped(a, b, [](I x, I y, I* z) { return __builtin_sub_overflow(x, y, z); });
         });
       }},
      {"Mul",
       [wrapped](const Evaluator& e) {
         return e.combine([](float a, float b) { return a * b; }, [wrapped](I a, I b) {
           return wrapped(a, b, [](I x, I y, I* z) { return __builtin_mul_overflow(x, y, z); });
         });
       }},
      {"Div",
       [](const Evaluator& e) {
         Data quotient = e.combine([](float a, float b) { return a / b; }, [](I a, I b) { return floor_divided(a, b); });
         for (std::size_t i = 0; i != quotient.reals.size(); ++i)
           expects(std::isfinite(quotient.reals[i]) || e.infinite(),
                   "a constant becomes NaN or infinite (a division by 0?); export the model again");
         return quotient;
       }},
      {"Mod",
       [](const Evaluator& e) {
         return e.combine([](float a, float b) { return std::fmod(a, b); },
                          [](I a, I b) {
                            floor_divided(a, b);
                            const I r = a % b;
                            return r != 0 && (r < 0) != (b < 0) ? r + b : r;
                          });
       }},
      {"Pow",
       [](const Evaluator& e) {
         return e.combine([](float a, float b) { return std::pow(a, b); },
                          [](I a, I b) { return static_cast<I>(std::pow(static_cast<double>(a), static_cast<double>(b))); });
       }},
      {"Max",
       [](const Evaluator& e) {
         if (e.inputs.size() != 2) unsupported("a maximum of more than two constants is not supported");
         return e.combine([](float a, float b) { return std::max(a, b); }, [](I a, I b) { return std::max(a, b); });
       }},
      {"Min",
       [](const Evaluator& e) {
         if (e.inputs.size() != 2) unsupported("a minimum of more than two constants is not supported");
         return e.combine([](float a, float b) { return std::min(a, b); }, [](I a, I b) { return std::min(a, b); });
       }},
      {"Equal", compare([](auto a, auto b) { return a == b; })},
      {"Less", compare([](auto a, auto b) { return a < b; })},
      {"LessOrEqual", compare([](auto a, auto b) { return a <= b; })},
      {"Greater", compare([](auto a, auto b) { return a > b; })},
      {"GreaterOrEqual", compare([](auto a, auto b) { return a >= b; })},
      {"And", compare([](auto a, auto b) { return a != 0 && b != 0; })},
      {"Or", compare([](auto a, auto b) { return a != 0 || b != 0; })},
  };
  if (node.op == "Split") return split();
  const auto rule = table.find(node.op);
  if (rule == table.end()) return {};
  return one([&] { return rule->second(*this); });
}

}  // namespace

std::vector<Data> evaluate(const FileNode& node, const std::vector<const Data*>& inputs, std::size_t room) {
  return Evaluator{node, inputs, room}.run();
}

}  // namespace fat::inline FAT_ABI::reader
