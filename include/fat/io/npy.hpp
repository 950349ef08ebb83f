// Arrays in numpy's .npy format (versions 1 to 3; C or Fortran order; either byte order).
#ifndef FAT_IO_NPY_HPP_INCLUDED
#define FAT_IO_NPY_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/io/file.hpp>
#include <fat/io/half.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fat::inline FAT_ABI {

/// Element type of a .npy array: numpy's kind ('b' bool, 'i', 'u', 'f', 'U' and 'S' text) and bytes per element.
struct NpyType {
  char kind = 'f';
  std::size_t size = 4;
  bool operator==(const NpyType&) const = default;
};

/// The NpyType of a C++ arithmetic type.
template <class T>
  requires std::is_arithmetic_v<T>
constexpr NpyType npy_type() {
  if constexpr (std::is_same_v<T, bool>)
    return {'b', 1};
  else if constexpr (std::is_floating_point_v<T>)
    return {'f', sizeof(T)};
  else
    return {std::is_signed_v<T> ? 'i' : 'u', sizeof(T)};
}

/// An array as read from a file: elements in C order and in this machine's byte order, their type known at run time.
struct NpyArray {
  Shape shape;
  NpyType type;
  aligned_vector<char> bytes;

  NpyArray() = default;
  NpyArray(const Shape& extents, NpyType element, aligned_vector<char> values)
      : shape(extents), type(element), bytes(std::move(values)) {}
  /// A copy of contiguous values (anything with data(), size() and shape()).
  template <class T>
    requires std::is_arithmetic_v<T> NpyArray(const Shape& extents, const T* values)
        : shape(extents), type(npy_type<T>()) {
      bytes.resize(shape.elements() * sizeof(T));
      if (!bytes.empty()) std::memcpy(bytes.data(), values, bytes.size());
    }
    template <class T>
    explicit NpyArray(const array<T>& values) : NpyArray(values.shape(), values.data()) {}

    std::size_t size() const { return shape.elements(); }

    /// The elements as T. Reals convert to any real; integers and bools to reals and to integers that hold their value.
    /// Errors: reals asked for as integers, an integer that does not fit, text.
    template <class T>
      requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
    array<T> as()
    const {
      array<T> result{shape};
      visit([&]<class From>(From, auto load) {
        for (std::size_t i = 0; i != result.size(); ++i) {
          const From value = load(bytes.data() + i * type.size);
          if constexpr (std::is_integral_v<T>) {
            expects(std::is_integral_v<From>, "npy: the array holds reals, integers are needed");
            if constexpr (std::is_integral_v<From> && !std::is_same_v<From, bool>)
              expects(std::in_range<T>(value), "npy: element ", i, " is ", value,
                      ", too large for the integers needed");
          }
          result[i] = static_cast<T>(value);
        }
      });
      return result;
    }

   private:
    template <class Function>
    void visit(Function function) const {
      const auto use = [&]<class From>(From) {
        function(From{}, [](const char* at) {
          From value;
          std::memcpy(&value, at, sizeof(From));
          return value;
        });
      };
      if (type == NpyType{'b', 1}) return function(bool{}, [](const char* at) { return *at != 0; });
      if (type == NpyType{'f', 2})
        return function(float{}, [](const char* at) {
          std::uint16_t half = 0;
          std::memcpy(&half, at, sizeof(half));
          return half_to_float(half);
        });
      if (type == NpyType{'f', 4}) return use(float{});
      if (type == NpyType{'f', 8}) return use(double{});
      if (type == NpyType{'i', 1}) return use(std::int8_t{});
      if (type == NpyType{'i', 2}) return use(std::int16_t{});
      if (type == NpyType{'i', 4}) return use(std::int32_t{});
      if (type == NpyType{'i', 8}) return use(std::int64_t{});
      if (type == NpyType{'u', 1}) return use(std::uint8_t{});
      if (type == NpyType{'u', 2}) return use(std::uint16_t{});
      if (type == NpyType{'u', 4}) return use(std::uint32_t{});
      if (type == NpyType{'u', 8}) return use(std::uint64_t{});
      fail("npy: elements of kind '", std::string_view{&type.kind, 1}, "' are not numbers");
    }
};

namespace detail {

/// Reads the Python dictionary literal of a .npy header.
class NpyHeader {
 public:
  NpyHeader(std::string_view text, std::string_view name) : rest_(text), name_(name) {
    take('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      take(':');
      if (key == "descr")
        element(quoted());
      else if (key == "fortran_order")
        fortran = boolean();
      else if (key == "shape")
        extents();
      else
        bad("unknown key");
      if (!accept(',')) {
        take('}');
        break;
      }
    }
    check(has_type_ && has_shape_, "descr or shape is missing");
  }

  Shape shape;
  NpyType type;
  bool swapped = false;
  bool fortran = false;

 private:
  [[noreturn]] void bad(std::string_view what) const { fail(name_, ": malformed .npy header: ", what); }
  void check(bool ok, std::string_view what) const {
    if (!ok) bad(what);
  }
  void skip() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
  }
  bool accept(char wanted) {
    skip();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void take(char wanted) { check(accept(wanted), "unexpected character"); }
  std::string_view quoted() {
    skip();
    check(!rest_.empty() && (rest_.front() == '\'' || rest_.front() == '"'), "a string is needed");
    const std::size_t close = rest_.find(rest_.front(), 1);
    check(close != std::string_view::npos, "a string does not end");
    const std::string_view text = rest_.substr(1, close - 1);
    rest_.remove_prefix(close + 1);
    return text;
  }
  bool boolean() {
    skip();
    const bool yes = rest_.starts_with("True");
    check(yes || rest_.starts_with("False"), "True or False is needed");
    rest_.remove_prefix(yes ? 4 : 5);
    return yes;
  }
  std::size_t number() {
    skip();
    std::size_t value = 0;
    const auto [end, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    check(code == std::errc{}, "a number is needed");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    if (!rest_.empty() && rest_.front() == 'L') rest_.remove_prefix(1);
    return value;
  }
  void extents() {
    take('(');
    while (!accept(')')) {
      check(shape.rank() < Shape::max_rank, "more than 8 dimensions");
      shape.push_back(number());
      if (!accept(',')) {
        take(')');
        break;
      }
    }
    has_shape_ = true;
  }
  void element(std::string_view descr) {
    check(descr.size() >= 3, "unknown element type");
    const char order = descr[0];
    check(std::string_view{"<>|="}.find(order) != std::string_view::npos, "unknown byte order");
    check(std::string_view{"biufUS"}.find(descr[1]) != std::string_view::npos, "unsupported element type");
    rest_element(descr.substr(2));
    type.kind = descr[1];
    constexpr bool little = std::endian::native == std::endian::little;
    swapped = (order == '>' && little) || (order == '<' && !little);
    if (type.kind == 'U') {
      check(type.size <= (std::size_t{1} << 32U), "text too long");
      type.size *= 4;
    } else if (type.kind != 'S') {
      const bool known = type.size == 1 || type.size == 2 || type.size == 4 || type.size == 8;
      check(known && (type.kind != 'f' || type.size != 1) && (type.kind != 'b' || type.size == 1),
            "unsupported element size");
    }
    has_type_ = true;
  }
  void rest_element(std::string_view digits) {
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), type.size);
    check(code == std::errc{} && end == digits.data() + digits.size(), "unknown element size");
  }

  std::string_view rest_;
  std::string_view name_;
  bool has_type_ = false;
  bool has_shape_ = false;
};

/// Copies column-major elements into row-major order.
inline void fortran_to_c(const Shape& shape, std::size_t width, const char* from, char* to) {
  Shape index = shape;
  for (std::size_t axis = 0; axis != shape.rank(); ++axis) index[axis] = 0;
  const std::size_t count = shape.elements();
  for (std::size_t source = 0; source != count; ++source) {
    std::size_t target = 0;
    for (std::size_t axis = 0; axis != shape.rank(); ++axis) target = target * shape[axis] + index[axis];
    std::memcpy(to + target * width, from + source * width, width);
    for (std::size_t axis = 0; axis != shape.rank() && ++index[axis] == shape[axis]; ++axis) index[axis] = 0;
  }
}

inline std::size_t little_endian(std::string_view bytes, std::size_t at, std::size_t width) {
  std::size_t value = 0;
  for (std::size_t i = 0; i != width; ++i)
    value |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return value;
}

}  // namespace detail

/// The array in the bytes of a .npy file; `name` is what errors call it. Errors: not a .npy file, malformed header,
/// unsupported element type, fewer or more bytes than the shape needs (checked before allocating).
inline NpyArray parse_npy(std::string_view bytes, std::string_view name) {
  expects(bytes.size() >= 10 && bytes.substr(0, 6) == "\x93NUMPY", name, ": not a .npy file");
  const auto major = static_cast<unsigned char>(bytes[6]);
  expects(major >= 1 && major <= 3, name, ": .npy version ", major, " is not known");
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  expects(bytes.size() >= 8 + length_bytes, name, ": truncated .npy header");
  const std::size_t length = detail::little_endian(bytes, 8, length_bytes);
  expects(length <= bytes.size() - 8 - length_bytes, name, ": truncated .npy header");
  const detail::NpyHeader header{bytes.substr(8 + length_bytes, length), name};
  const std::string_view values = bytes.substr(8 + length_bytes + length);
  std::size_t needed = header.type.size;
  for (const std::size_t extent : header.shape)
    expects(!__builtin_mul_overflow(needed, extent, &needed), name, ": the shape ", header.shape, " is too large");
  expects(values.size() == needed, name, ": shape ", header.shape, " needs ", needed, " bytes, the file has ",
          values.size());
  NpyArray result{header.shape, header.type, aligned_vector<char>(needed)};
  if (needed == 0) return result;
  if (header.fortran && header.shape.rank() > 1)
    detail::fortran_to_c(header.shape, header.type.size, values.data(), result.bytes.data());
  else
    std::memcpy(result.bytes.data(), values.data(), needed);
  const std::size_t unit = header.type.kind == 'U' ? 4 : header.type.kind == 'S' ? 1 : header.type.size;
  if (header.swapped && unit > 1)
    for (char* at = result.bytes.data(); at != result.bytes.data() + needed; at += unit) std::reverse(at, at + unit);
  return result;
}

/// Reads a .npy file. Errors: those of read_file and parse_npy.
inline NpyArray read_npy(const std::filesystem::path& path) { return parse_npy(read_file(path), path.string()); }

/// The values of a file that a network may read. Errors: NaN or infinity among them, in the name of `path`.
inline array<float> finite_values(const NpyArray& file, std::string_view path) {
  array<float> values = file.as<float>();
  for (const float value : values) expects(std::isfinite(value), path, ": holds NaN or infinity; write finite values");
  return values;
}

/// The bytes of a version 1.0 .npy file, values starting on a multiple of 64 bytes.
inline std::string format_npy(const NpyArray& values) {
  constexpr bool little = std::endian::native == std::endian::little;
  std::string header = "{'descr': '";
  header += values.type.size == 1 || values.type.kind == 'S' ? '|' : little ? '<' : '>';
  header += values.type.kind;
  header += std::to_string(values.type.kind == 'U' ? values.type.size / 4 : values.type.size);
  header += "', 'fortran_order': False, 'shape': (";
  for (std::size_t axis = 0; axis != values.shape.rank(); ++axis)
    header += std::to_string(values.shape[axis]) + (axis + 1 == values.shape.rank() && axis != 0 ? "" : ", ");
  if (values.shape.rank() == 1) header.pop_back();
  header += "), }";
  header.append((64 - (10 + header.size() + 1) % 64) % 64, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY\x01";
  bytes += '\0';
  bytes += static_cast<char>(header.size() % 256);
  bytes += static_cast<char>(header.size() / 256);
  bytes += header;
  bytes.append(values.bytes.data(), values.bytes.size());
  return bytes;
}

/// Writes a .npy file. Errors: those of write_file_atomically.
inline void write_npy(const std::filesystem::path& path, const NpyArray& values) {
  write_file_atomically(path, format_npy(values));
}

}  // namespace fat::inline FAT_ABI

#endif
