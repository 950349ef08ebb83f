// Binary: functions of two tensors of one size, element by element.
#ifndef FAT_MODEL_OPERATORS_BINARY_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_BINARY_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>

namespace fat::inline FAT_ABI {

/// Both inputs have as many elements as the output. Comparisons give 1 or 0, logical operators take 0 for false.
struct Binary {
  static constexpr std::string_view kind = "binary";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = true;
  enum class Name { subtract, divide, maximum, minimum, pow, equal, less, greater, logical_and, logical_or };
  static constexpr std::array<std::string_view, 10> names{"subtract", "divide", "maximum", "minimum",     "pow",
                                                          "equal",    "less",   "greater", "logical_and", "logical_or"};
  Name name = Name::subtract;

  template <class Self, class F>
  static void attributes(Self& self, F&& f) {
    f("function", self.name);
  }

  float at(float x, float y) const {
    switch (name) {
      case Name::subtract:
        return x - y;
      case Name::divide:
        return x / y;
      case Name::maximum:
        return x > y ? x : y;
      case Name::minimum:
        return x < y ? x : y;
      case Name::pow:
        return std::pow(x, y);
      case Name::equal:
        return x == y ? 1.0F : 0.0F;
      case Name::less:
        return x < y ? 1.0F : 0.0F;
      case Name::greater:
        return x > y ? 1.0F : 0.0F;
      case Name::logical_and:
        return x != 0.0F && y != 0.0F ? 1.0F : 0.0F;
      case Name::logical_or:
        return x != 0.0F || y != 0.0F ? 1.0F : 0.0F;
    }
    return x;
  }
  /// The derivative by the first or second operand.
  float slope(std::size_t which, float x, float y) const {
    const bool first = which == 0;
    switch (name) {
      case Name::subtract:
        return first ? 1.0F : -1.0F;
      case Name::divide:
        return first ? 1.0F / y : -x / (y * y);
      case Name::maximum:
        return (x > y) == first ? 1.0F : 0.0F;
      case Name::minimum:
        return (x < y) == first ? 1.0F : 0.0F;
      case Name::pow:
        return first ? y * std::pow(x, y - 1.0F) : x > 0.0F ? std::pow(x, y) * std::log(x) : 0.0F;
      case Name::equal:
      case Name::less:
      case Name::greater:
      case Name::logical_and:
      case Name::logical_or:
        return 0.0F;
    }
    return 0.0F;
  }

  Extent extent(std::span<const Extent> in, const Extent&) const {
    expects(in.size() == 2 && in[0].size() == in[1].size(), "has two inputs of one size");
    return in[0];
  }
  void forward(std::span<const Extent>, const Extent& out, std::span<const float* const> x, float* y) const {
    for (std::size_t i = 0; i != out.size(); ++i) y[i] = at(x[0][i], x[1][i]);
  }
  void backward(std::size_t which, std::span<const Extent>, const Extent& out, std::span<const float* const> x,
                const float*, const float* dy, float* dx) const {
    for (std::size_t i = 0; i != out.size(); ++i) dx[i] += dy[i] * slope(which, x[0][i], x[1][i]);
  }
};

}  // namespace fat::inline FAT_ABI

#endif
