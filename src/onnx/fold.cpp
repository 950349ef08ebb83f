// The operators that are computed on constants.
#include "fold.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fat::inline FAT_ABI::onnx {

Integers normalized_axes(Integers axes, std::size_t rank, std::string_view where) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  for (std::int64_t& axis : axes) {
    expects(axis >= -signed_rank && axis < signed_rank, where, ": axis ", axis, " for ", rank,
            " dimensions; export the model again");
    if (axis < 0) axis += signed_rank;
  }
  std::sort(axes.begin(), axes.end());
  expects(std::adjacent_find(axes.begin(), axes.end()) == axes.end(), where,
          ": an axis is given twice; export the model again");
  return axes;
}

std::vector<AxisSlice> axis_slices(const ::onnx::NodeProto& node, const Integers& dims,
                                   std::span<const Constant* const> inputs, std::string_view where) {
  const Attributes attributes{node};
  const bool attribute_form = inputs.size() < 2;
  const auto list = [&](const char* name, std::size_t input, const Integers& otherwise) {
    if (attribute_form) return attributes.integers(name, otherwise);
    if (input >= inputs.size() || inputs[input] == nullptr) return otherwise;
    expects(inputs[input]->integral, where, ": its ", name, " must be integers; export the model again");
    return inputs[input]->integers;
  };
  const Integers starts = list("starts", 1, {}), ends = list("ends", 2, {});
  Integers first_axes(starts.size(), 0);
  std::iota(first_axes.begin(), first_axes.end(), 0);
  const Integers axes = list("axes", 3, first_axes);
  normalized_axes(axes, dims.size(), where);
  const Integers steps = list("steps", 4, Integers(starts.size(), 1));
  expects(ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(), where, ": ",
          starts.size(), " starts, ", ends.size(), " ends, ", axes.size(), " axes and ", steps.size(),
          " steps; export the model again");
  std::vector<AxisSlice> result;
  for (const std::int64_t size : dims) result.push_back({0, 1, size});
  for (std::size_t i = 0; i != axes.size(); ++i) {
    AxisSlice& slice =
        result[axes[i] < 0 ? dims.size() - static_cast<std::size_t>(-axes[i]) : static_cast<std::size_t>(axes[i])];
    const std::int64_t size = slice.size, step = std::max(steps[i], -std::numeric_limits<std::int64_t>::max());
    expects(step != 0, where, ": a step of 0; export the model again");
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

/// A constant that has more elements was in the file.
constexpr std::size_t most_grown = std::size_t{1} << 22;

struct Folder {
  const ::onnx::NodeProto& node;
  std::span<const Constant* const> inputs;
  std::string_view where;
  Attributes attributes{node};

  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    expects(ok, where, ": ", parts...);
  }
  const Constant& input(std::size_t i) const {
    require(i < inputs.size() && inputs[i] != nullptr, "input ", i, " is missing; export the model again");
    return *inputs[i];
  }
  Integers axes(std::size_t rank) const {
    const bool given = inputs.size() > 1 && inputs[1] != nullptr;
    return normalized_axes(given ? inputs[1]->integers : attributes.integers("axes"), rank, where);
  }

  /// The size of a result; small files must not ask for much memory. `given`: elements of the inputs.
  std::size_t grown(const Integers& dims, std::size_t given) const {
    const auto size = static_cast<std::size_t>(count(dims, where));
    require(size <= std::max(given, most_grown), "makes a constant of ", size, " elements, at most ", most_grown,
            " are supported; store it in the file");
    return size;
  }

  /// Elements picked by their place in the source.
  template <class Place>
  Constant pick(const Constant& from, const Integers& dims, Place place) const {
    require(!from.steps || from.steps->step.size() == 1 || node.op_type() == "Transpose",
            "rearranges weights with a step for each channel");
    Constant result;
    result.dims = dims;
    result.integral = from.integral;
    result.type = from.type;
    result.steps = from.steps;
    const std::size_t available = from.size(), size = grown(dims, available);
    for (std::size_t i = 0; i != size; ++i) {
      const std::size_t at = place(i);
      require(at < available, "reads outside its input; export the model again");
      if (from.integral)
        result.integers.push_back(from.integers[at]);
      else
        result.reals.push_back(from.reals[at]);
    }
    return result;
  }

  /// The elements at origin + sum of index times stride.
  Constant walk(const Constant& from, const Integers& dims, std::int64_t origin, const Integers& strides) const {
    return pick(from, dims, [&](std::size_t flat) {
      std::int64_t at = origin;
      auto rest = static_cast<std::int64_t>(flat);
      for (std::size_t i = dims.size(); i-- != 0; rest /= dims[i]) at += rest % dims[i] * strides[i];
      return static_cast<std::size_t>(at);
    });
  }
  static Integers strides_of(const Constant& from) {
    Integers strides(from.dims.size(), 1);
    if (from.size() == 0) return strides;
    for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * from.dims[i];
    return strides;
  }

  Constant shaped(Integers dims) const {
    Constant result = input(0);
    require(!result.steps || result.steps->step.size() == 1, "reshapes weights with a step for each channel");
    require(static_cast<std::size_t>(count(dims, where)) == result.size(), "cannot reshape a constant of ",
            result.size(), " elements");
    result.dims = std::move(dims);
    return result;
  }
  Constant reshape() const {
    Integers dims = input(1).integers;
    std::int64_t known = 1;
    std::int64_t* open = nullptr;
    for (std::size_t i = 0; i != dims.size(); ++i) {
      if (dims[i] == 0 && i < input(0).dims.size()) dims[i] = input(0).dims[i];
      if (dims[i] == -1) {
        require(open == nullptr, "more than one open extent");
        open = &dims[i];
        continue;
      }
      require(dims[i] >= 0 && dims[i] <= most_elements && (dims[i] == 0 || known <= most_elements / dims[i]),
              "a bad extent");
      known *= dims[i];
    }
    if (open != nullptr) *open = known == 0 ? 0 : static_cast<std::int64_t>(input(0).size()) / known;
    return shaped(std::move(dims));
  }
  Constant squeeze() const {
    const Integers given = axes(input(0).dims.size());
    Integers dims;
    for (std::size_t i = 0; i != input(0).dims.size(); ++i) {
      const bool listed = std::find(given.begin(), given.end(), static_cast<std::int64_t>(i)) != given.end();
      if (given.empty() ? input(0).dims[i] != 1 : !listed) dims.push_back(input(0).dims[i]);
    }
    return shaped(std::move(dims));
  }
  Constant unsqueeze() const {
    Integers raw = inputs.size() > 1 && inputs[1] != nullptr ? inputs[1]->integers : attributes.integers("axes");
    Integers dims = input(0).dims;
    for (const std::int64_t axis : normalized_axes(raw, dims.size() + raw.size(), where))
      dims.insert(dims.begin() + std::min(axis, static_cast<std::int64_t>(dims.size())), 1);
    return shaped(std::move(dims));
  }
  Constant transpose() const {
    const Constant& from = input(0);
    const std::size_t rank = from.dims.size();
    Integers order(rank);
    std::iota(order.rbegin(), order.rend(), 0);
    order = attributes.integers("perm", order);
    Integers sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i != rank; ++i)
      require(order.size() == rank && sorted[i] == static_cast<std::int64_t>(i),
              "perm is no permutation of the axes; export the model again");
    const Integers strides = strides_of(from);
    Integers dims(rank), walked(rank);
    for (std::size_t i = 0; i != rank; ++i) {
      dims[i] = from.dims[static_cast<std::size_t>(order[i])];
      walked[i] = strides[static_cast<std::size_t>(order[i])];
    }
    Constant result = walk(from, dims, 0, walked);
    if (result.steps && result.steps->step.size() > 1)
      result.steps->axis = std::find(order.begin(), order.end(), result.steps->axis) - order.begin();
    return result;
  }
  Constant gather() const {
    const Constant& from = input(0);
    require(from.dims.size() == 1 && input(1).integral,
            "only elements of a list can be gathered; export with constant folding");
    return pick(from, input(1).dims, [&](std::size_t i) {
      const std::int64_t index = input(1).integers[i];
      return static_cast<std::size_t>(index < 0 ? index + from.dims[0] : index);
    });
  }
  Constant slice() const {
    const Constant& from = input(0);
    Integers strides = strides_of(from), dims;
    std::int64_t origin = 0;
    for (const AxisSlice& slice : axis_slices(node, from.dims, inputs, where)) {
      std::int64_t& stride = strides[dims.size()];
      origin += slice.begin * stride;
      // A step that leads to no second element may be any number.
      stride *= slice.size > 1 ? slice.step : 0;
      dims.push_back(slice.size);
    }
    return walk(from, dims, origin, strides);
  }
  Constant concat() const {
    Constant result = input(0);
    require(result.dims.size() == 1 && !result.steps, "only lists can be joined; export with constant folding");
    std::size_t largest = 0;
    for (const Constant* each : inputs) largest = std::max(largest, each == nullptr ? 0 : each->size());
    for (std::size_t i = 1; i != inputs.size(); ++i) {
      const Constant& next = input(i);
      require(next.dims.size() == 1 && !next.steps && next.integral == result.integral,
              "only lists of one type can be joined");
      grown({static_cast<std::int64_t>(result.size() + next.size())}, largest);
      result.reals.insert(result.reals.end(), next.reals.begin(), next.reals.end());
      result.integers.insert(result.integers.end(), next.integers.begin(), next.integers.end());
      result.dims[0] += next.dims[0];
    }
    return result;
  }
  Constant cast() const {
    Constant result = input(0);
    const std::int64_t to = attributes.integer("to", 0);
    using T = ::onnx::TensorProto;
    const bool integral = to == T::INT64 || to == T::INT32 || to == T::BOOL;
    require(integral || to == T::FLOAT || to == T::DOUBLE || to == T::FLOAT16, "a cast to type ", to,
            " is not supported");
    result.type = static_cast<std::int32_t>(to);
    if (integral == result.integral && !result.steps) return result;
    require(!result.steps, "computes with dequantized constants; quantize after folding");
    result.integral = integral;
    if (integral) {
      for (const float value : result.reals) {
        require(!std::isnan(value) && value > -0x1p63F, "a real is too large for an integer");
        result.integers.push_back(value >= 0x1p63F ? batch_mark : static_cast<std::int64_t>(value));
      }
      result.reals.clear();
    } else {
      result.reals.assign(result.integers.begin(), result.integers.end());
      result.integers.clear();
    }
    return result;
  }
  Constant filled() const {
    Constant value;
    value.reals = {0.0F};
    if (const auto* const given = attributes.find("value")) value = decode(given->t(), where);
    require(value.size() == 1, "the fill value is no scalar");
    return pick(value, input(0).integers, [](std::size_t) { return std::size_t{0}; });
  }

  /// Arithmetic may pass NaN and infinity on, but not make them.
  Constant computed(Constant result) const {
    const auto worst = [](const Constant& c) {
      int level = 0;
      for (const float value : c.reals) level = std::max(level, std::isnan(value) ? 2 : std::isinf(value) ? 1 : 0);
      return level;
    };
    int given = 0;
    for (const Constant* each : inputs) given = std::max(given, each == nullptr ? 0 : worst(*each));
    require(worst(result) <= given, "a constant becomes NaN or infinite (a division by 0?); export the model again");
    return result;
  }

  /// Broadcasts two constants and combines them element by element.
  template <class Real, class Whole>
  Constant combine(Real real, Whole whole) const {
    const Constant& a = input(0);
    const Constant& b = input(1);
    require(!a.steps && !b.steps, "computes with dequantized constants; quantize after folding");
    const std::size_t rank = std::max(a.dims.size(), b.dims.size());
    Integers dims(rank, 1);
    const auto extent = [rank](const Constant& c, std::size_t axis) {
      const std::size_t missing = rank - c.dims.size();
      return axis < missing ? std::int64_t{1} : c.dims[axis - missing];
    };
    for (std::size_t i = 0; i != rank; ++i) {
      const std::int64_t left = extent(a, i), right = extent(b, i);
      require(left == right || left == 1 || right == 1,
              "the shapes of two constants do not fit; export the model again");
      dims[i] = left == 1 ? right : left;
    }
    const auto place = [&](const Constant& c, std::size_t flat) {
      std::int64_t at = 0, stride = 1;
      auto rest = static_cast<std::int64_t>(flat);
      for (std::size_t i = rank; i-- != 0; rest /= dims[i]) {
        if (extent(c, i) != 1) at += rest % dims[i] * stride;
        stride *= extent(c, i);
      }
      return static_cast<std::size_t>(at);
    };
    Constant result;
    result.dims = dims;
    result.integral = a.integral && b.integral;
    result.type = a.type;
    const std::size_t size = grown(dims, std::max(a.size(), b.size()));
    for (std::size_t i = 0; i != size; ++i) {
      const std::size_t left = place(a, i), right = place(b, i);
      std::int64_t exact = 0;
      if (result.integral) {
        require(whole(a.integers[left], b.integers[right], &exact), "an integer overflows or is divided by 0");
        result.integers.push_back(exact);
      } else {
        result.reals.push_back(real(a.real(left), b.real(right)));
      }
    }
    return computed(std::move(result));
  }
  template <class Real>
  Constant each(Real real) const {
    Constant result = input(0);
    require(!result.steps, "computes with dequantized constants; quantize after folding");
    for (float& value : result.reals) value = real(value);
    return computed(std::move(result));
  }

  std::optional<Constant> run() const {
    const std::string& op = node.op_type();
    using I = std::int64_t;
    if (op == "Identity" || op == "Dropout") return input(0);
    if (op == "Reshape") return reshape();
    if (op == "Squeeze") return squeeze();
    if (op == "Unsqueeze") return unsqueeze();
    if (op == "Transpose") return transpose();
    if (op == "Gather") return gather();
    if (op == "Slice") return slice();
    if (op == "Concat") return concat();
    if (op == "Cast") return cast();
    if (op == "ConstantOfShape") return filled();
    if (op == "Floor") return each([](float x) { return std::floor(x); });
    if (op == "Ceil") return each([](float x) { return std::ceil(x); });
    if (op == "Sqrt") return each([](float x) { return std::sqrt(x); });
    if (op == "Neg" && !input(0).integral) return each([](float x) { return -x; });
    if (op == "Add")
      return combine([](float a, float b) { return a + b; },
                     [](I a, I b, I* c) { return !__builtin_add_overflow(a, b, c); });
    if (op == "Sub")
      return combine([](float a, float b) { return a - b; },
                     [](I a, I b, I* c) { return !__builtin_sub_overflow(a, b, c); });
    if (op == "Mul")
      return combine([](float a, float b) { return a * b; },
                     [](I a, I b, I* c) { return !__builtin_mul_overflow(a, b, c); });
    if (op == "Div")
      return combine([](float a, float b) { return a / b; },
                     [](I a, I b, I* c) {
                       const bool defined = b != 0 && !(a == std::numeric_limits<I>::min() && b == -1);
                       *c = defined ? a / b : 0;
                       return defined;
                     });
    return std::nullopt;
  }
};

}  // namespace

std::optional<Constant> fold(const ::onnx::NodeProto& node, std::span<const Constant* const> inputs,
                             std::string_view where) {
  return Folder{node, inputs, where}.run();
}

}  // namespace fat::inline FAT_ABI::onnx
