// Normalize: normalization by the statistics of the tensor itself: layer, instance, group and L2 norms.
#ifndef FAT_MODEL_OPERATORS_NORMALIZE_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_NORMALIZE_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>

namespace fat::inline FAT_ABI {

/// The input, seen as [outer, axis, inner], is normalized over its axis for each outer and inner index. An affine map is
/// a layer of its own behind it.
struct Normalize {
  static constexpr std::string_view kind = "normalize";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = true;
  enum class Method {
    standard,  ///< (x - mean) / sqrt(variance + epsilon)
    rms,       ///< x / sqrt(mean of squares + epsilon)
    l2         ///< x / max(sqrt(sum of squares), epsilon)
  };
  static constexpr std::array<std::string_view, 3> names{"standard", "rms", "l2"};
  Method method = Method::standard;
  std::size_t axis = 1;
  std::size_t inner = 1;
  float epsilon = 1e-5F;

  template <class Self, class F>
  static void attributes(Self& self, F&& f) {
    f("method", self.method);
    f("axis", self.axis);
    f("inner", self.inner);
    f("epsilon", self.epsilon);
  }

  Extent extent(std::span<const Extent> in, const Extent&) const {
    expects(in.size() == 1 && axis != 0 && inner != 0 && in[0].size() % inner == 0 && in[0].size() / inner % axis == 0,
            "an input of ", in.empty() ? 0 : in[0].size(), " elements is no [outer, ", axis, ", ", inner, "]");
    return in[0];
  }

  void forward(std::span<const Extent>, const Extent& out, std::span<const float* const> x, float* y) const {
    for_each_group(out, [&](std::size_t first) {
      const Statistics s = statistics(x[0] + first);
      for (std::size_t i = 0; i != axis; ++i)
        y[first + i * inner] =
            static_cast<float>((static_cast<double>(x[0][first + i * inner]) - s.mean) * s.factor);
    });
  }
  /// With n = factor (x - mean): standard dx = factor (dy - mean(dy) - n mean(dy n)), rms the same without the second
  /// term, l2 dx = factor (dy - n sum(dy n)).
  void backward(std::size_t, std::span<const Extent>, const Extent& out, std::span<const float* const> x, const float*,
                const float* dy, float* dx) const {
    for_each_group(out, [&](std::size_t first) {
      const Statistics s = statistics(x[0] + first);
      double sum = 0.0, along = 0.0;
      for (std::size_t i = 0; i != axis; ++i) {
        const std::size_t at = first + i * inner;
        sum += static_cast<double>(dy[at]);
        along += static_cast<double>(dy[at]) * (static_cast<double>(x[0][at]) - s.mean) * s.factor;
      }
      const double count = method == Method::l2 ? 1.0 : static_cast<double>(axis);
      const double shift = method == Method::standard ? sum / count : 0.0, tilt = s.held ? 0.0 : along / count;
      for (std::size_t i = 0; i != axis; ++i) {
        const std::size_t at = first + i * inner;
        const double n = (static_cast<double>(x[0][at]) - s.mean) * s.factor;
        dx[at] += static_cast<float>(s.factor * (static_cast<double>(dy[at]) - shift - n * tilt));
      }
    });
  }

 private:
  struct Statistics {
    double mean = 0.0;
    double factor = 0.0;
    bool held = false;  ///< l2: epsilon is the divisor
  };
  template <class F>
  void for_each_group(const Extent& out, F&& f) const {
    for (std::size_t outer = 0; outer != out.size() / axis / inner; ++outer)
      for (std::size_t k = 0; k != inner; ++k) f(outer * axis * inner + k);
  }
  Statistics statistics(const float* x) const {
    const auto count = static_cast<double>(axis);
    Statistics s;
    if (method == Method::standard) {
      for (std::size_t i = 0; i != axis; ++i) s.mean += static_cast<double>(x[i * inner]);
      s.mean /= count;
    }
    double squares = 0.0;
    for (std::size_t i = 0; i != axis; ++i) {
      const double d = static_cast<double>(x[i * inner]) - s.mean;
      squares += d * d;
    }
    if (method == Method::l2) {
      const double norm = std::sqrt(squares), least = static_cast<double>(epsilon);
      s.held = norm < least;
      s.factor = 1.0 / (s.held ? least : norm);
    } else {
      s.factor = 1.0 / std::sqrt(squares / count + static_cast<double>(epsilon));
    }
    return s;
  }
};

}  // namespace fat::inline FAT_ABI

#endif
