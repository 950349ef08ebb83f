// PRelu: a leaky ReLU with a slope of its own for each channel.
#ifndef FAT_MODEL_OPERATORS_PRELU_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_PRELU_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// y = x < 0 ? slopes[k] x : x, where element i has k = i modulo the number of slopes: one for each channel, or one for
/// each element.
struct PRelu {
  static constexpr std::string_view kind = "prelu";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = true;
  std::vector<float> slopes;

  template <class Self, class F>
  static void attributes(Self& self, F&& f) {
    f("slopes", self.slopes);
  }

  Extent extent(std::span<const Extent> in, const Extent&) const {
    expects(in.size() == 1 && !slopes.empty() && in[0].size() % slopes.size() == 0, slopes.size(),
            " slopes do not divide its input");
    return in[0];
  }
  void forward(std::span<const Extent>, const Extent& out, std::span<const float* const> x, float* y) const {
    for (std::size_t i = 0; i != out.size(); i += slopes.size())
      for (std::size_t k = 0; k != slopes.size(); ++k) y[i + k] = x[0][i + k] < 0.0F ? slopes[k] * x[0][i + k] : x[0][i + k];
  }
  void backward(std::size_t, std::span<const Extent>, const Extent& out, std::span<const float* const> x, const float*,
                const float* dy, float* dx) const {
    for (std::size_t i = 0; i != out.size(); ++i) dx[i] += dy[i] * (x[0][i] < 0.0F ? slopes[i % slopes.size()] : 1.0F);
  }
};

}  // namespace fat::inline FAT_ABI

#endif
