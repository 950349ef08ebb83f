// Where: each element from one of two tensors, as a third one says.
#ifndef FAT_MODEL_OPERATORS_WHERE_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_WHERE_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace fat::inline FAT_ABI {

/// y = condition != 0 ? a : b, the inputs being condition, a, b of one size.
struct Where {
  static constexpr std::string_view kind = "where";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = true;

  template <class Self, class F>
  static void attributes(Self&, F&&) {}

  Extent extent(std::span<const Extent> in, const Extent&) const {
    expects(in.size() == 3 && in[0].size() == in[1].size() && in[0].size() == in[2].size(),
            "has three inputs of one size");
    return in[1];
  }
  void forward(std::span<const Extent>, const Extent& out, std::span<const float* const> x, float* y) const {
    for (std::size_t i = 0; i != out.size(); ++i) y[i] = x[0][i] != 0.0F ? x[1][i] : x[2][i];
  }
  void backward(std::size_t which, std::span<const Extent>, const Extent& out, std::span<const float* const> x,
                const float*, const float* dy, float* dx) const {
    if (which == 0) return;
    for (std::size_t i = 0; i != out.size(); ++i)
      if ((x[0][i] != 0.0F) == (which == 1)) dx[i] += dy[i];
  }
};

}  // namespace fat::inline FAT_ABI

#endif
