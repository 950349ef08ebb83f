// JoinedOutputs: the outputs of a network that has several, one after another.
#ifndef FAT_MODEL_OPERATORS_JOINED_OUTPUTS_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_JOINED_OUTPUTS_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace fat::inline FAT_ABI {

/// Joins its inputs to one vector; always of floats, since their grids differ. Model::outputs says what lies where.
struct JoinedOutputs {
  static constexpr std::string_view kind = "outputs";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = false;

  template <class Self, class F>
  static void attributes(Self&, F&&) {}

  Extent extent(std::span<const Extent> in, const Extent&) const {
    std::size_t size = 0;
    for (const Extent& each : in) size += each.size();
    expects(size != 0, "has no input");
    return {1, 1, size, true};
  }
  void forward(std::span<const Extent> in, const Extent&, std::span<const float* const> x, float* y) const {
    for (std::size_t i = 0; i != in.size(); ++i) y = std::copy_n(x[i], in[i].size(), y);
  }
  void backward(std::size_t which, std::span<const Extent> in, const Extent&, std::span<const float* const>,
                const float*, const float* dy, float* dx) const {
    for (std::size_t i = 0; i != which; ++i) dy += in[i].size();
    for (std::size_t i = 0; i != in[which].size(); ++i) dx[i] += dy[i];
  }
};

}  // namespace fat::inline FAT_ABI

#endif
