// Function: the pointwise functions of networks, each with up to two parameters.
#ifndef FAT_MODEL_OPERATORS_FUNCTION_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_FUNCTION_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>

namespace fat::inline FAT_ABI {

/// One function of single elements. a and b are its parameters, as ONNX names them alpha and beta (gamma of Selu).
struct Function {
  static constexpr std::string_view kind = "function";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = true;

  enum class Name {
    leaky_relu,        ///< x < 0 ? a x : x
    elu,               ///< x < 0 ? a (e^x - 1) : x
    selu,              ///< b (x < 0 ? a (e^x - 1) : x)
    celu,              ///< max(x, 0) + min(a (e^(x / a) - 1), 0)
    gelu,              ///< x (1 + erf(x / sqrt 2)) / 2
    gelu_tanh,         ///< its approximation by tanh
    silu,              ///< x / (1 + e^-x)
    mish,              ///< x tanh(ln(1 + e^x))
    softplus,          ///< ln(1 + e^x)
    softsign,          ///< x / (1 + |x|)
    tanh,              ///< hyperbolic tangent
    erf,               ///< error function
    exp,               ///< e^x
    log,               ///< natural logarithm
    sqrt,              ///< square root
    reciprocal,        ///< 1 / x
    abs,               ///< |x|
    square,            ///< x^2
    pow,               ///< x^a
    thresholded_relu,  ///< x > a ? x : 0
    sin,               ///< sine
    cos,               ///< cosine
    floor,             ///< the largest whole number that is not greater
    ceil,              ///< the smallest whole number that is not less
    round,             ///< the nearest whole number, halves to even
    sign,              ///< -1, 0 or 1
    logical_not        ///< x == 0 ? 1 : 0
  };
  static constexpr std::array<std::string_view, 27> names{
      "leaky_relu", "elu",   "selu", "celu", "gelu", "gelu_tanh",  "silu", "mish",   "softplus",
      "softsign",   "tanh",  "erf",  "exp",  "log",  "sqrt",       "reciprocal",     "abs", "square",
      "pow",        "thresholded_relu", "sin", "cos", "floor", "ceil", "round", "sign", "logical_not"};
  Name name = Name::silu;
  float a = 0.0F;
  float b = 0.0F;

  template <class Self, class F>
  static void attributes(Self& self, F&& f) {
    f("function", self.name);
    f("a", self.a);
    f("b", self.b);
  }

  /// The function in double.
  double at(double x) const {
    const double p = a;
    switch (name) {
      case Name::leaky_relu:
        return x < 0.0 ? p * x : x;
      case Name::elu:
        return x < 0.0 ? p * std::expm1(x) : x;
      case Name::selu:
        return static_cast<double>(b) * (x < 0.0 ? p * std::expm1(x) : x);
      case Name::celu:
        return std::max(x, 0.0) + std::min(p * std::expm1(x / p), 0.0);
      case Name::gelu:
        return 0.5 * x * (1.0 + std::erf(x * 0.70710678118654752));
      case Name::gelu_tanh:
        return 0.5 * x * (1.0 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
      case Name::silu:
        return x / (1.0 + std::exp(-x));
      case Name::mish:
        return x * std::tanh(softplus(x));
      case Name::softplus:
        return softplus(x);
      case Name::softsign:
        return x / (1.0 + std::abs(x));
      case Name::tanh:
        return std::tanh(x);
      case Name::erf:
        return std::erf(x);
      case Name::exp:
        return std::exp(x);
      case Name::log:
        return std::log(x);
      case Name::sqrt:
        return std::sqrt(x);
      case Name::reciprocal:
        return 1.0 / x;
      case Name::abs:
        return std::abs(x);
      case Name::square:
        return x * x;
      case Name::pow:
        return std::pow(x, p);
      case Name::thresholded_relu:
        return x > p ? x : 0.0;
      case Name::sin:
        return std::sin(x);
      case Name::cos:
        return std::cos(x);
      case Name::floor:
        return std::floor(x);
      case Name::ceil:
        return std::ceil(x);
      case Name::round:
        return std::nearbyint(x);
      case Name::sign:
        return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0;
      case Name::logical_not:
        return x == 0.0 ? 1.0 : 0.0;
    }
    return x;
  }
  /// Its derivative; 0 where it jumps or has none.
  double slope(double x) const {
    const double p = a, e = std::exp(std::min(x, 700.0));
    switch (name) {
      case Name::leaky_relu:
        return x < 0.0 ? p : 1.0;
      case Name::elu:
        return x < 0.0 ? p * e : 1.0;
      case Name::selu:
        return static_cast<double>(b) * (x < 0.0 ? p * e : 1.0);
      case Name::celu:
        return x < 0.0 ? std::exp(x / p) : 1.0;
      case Name::gelu:
        return 0.5 * (1.0 + std::erf(x * 0.70710678118654752)) + x * 0.39894228040143268 * std::exp(-0.5 * x * x);
      case Name::gelu_tanh: {
        const double t = std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x));
        return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * 0.79788456080286536 * (1.0 + 3.0 * 0.044715 * x * x);
      }
      case Name::silu: {
        const double s = 1.0 / (1.0 + std::exp(-x));
        return s * (1.0 + x * (1.0 - s));
      }
      case Name::mish: {
        const double t = std::tanh(softplus(x));
        return t + x * (1.0 - t * t) / (1.0 + std::exp(-x));
      }
      case Name::softplus:
        return 1.0 / (1.0 + std::exp(-x));
      case Name::softsign:
        return 1.0 / ((1.0 + std::abs(x)) * (1.0 + std::abs(x)));
      case Name::tanh: {
        const double t = std::tanh(x);
        return 1.0 - t * t;
      }
      case Name::erf:
        return 1.1283791670955126 * std::exp(-x * x);
      case Name::exp:
        return e;
      case Name::log:
        return 1.0 / x;
      case Name::sqrt:
        return x > 0.0 ? 0.5 / std::sqrt(x) : 0.0;
      case Name::reciprocal:
        return -1.0 / (x * x);
      case Name::abs:
        return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0;
      case Name::square:
        return 2.0 * x;
      case Name::pow:
        return p == 0.0 ? 0.0 : p * std::pow(x, p - 1.0);
      case Name::thresholded_relu:
        return x > p ? 1.0 : 0.0;
      case Name::sin:
        return std::cos(x);
      case Name::cos:
        return -std::sin(x);
      case Name::floor:
      case Name::ceil:
      case Name::round:
      case Name::sign:
      case Name::logical_not:
        return 0.0;
    }
    return 1.0;
  }

  Extent extent(std::span<const Extent> in, const Extent&) const {
    expects(in.size() == 1, "has one input");
    return in[0];
  }
  void forward(std::span<const Extent>, const Extent& out, std::span<const float* const> x, float* y) const {
    for (std::size_t i = 0; i != out.size(); ++i) y[i] = static_cast<float>(at(static_cast<double>(x[0][i])));
  }
  void backward(std::size_t, std::span<const Extent>, const Extent& out, std::span<const float* const> x, const float*,
                const float* dy, float* dx) const {
    for (std::size_t i = 0; i != out.size(); ++i)
      dx[i] += dy[i] * static_cast<float>(slope(static_cast<double>(x[0][i])));
  }

 private:
  static double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
};

}  // namespace fat::inline FAT_ABI

#endif
