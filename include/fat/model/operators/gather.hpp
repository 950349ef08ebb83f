// Gather: elements of one axis by number, in any order and any number of times.
#ifndef FAT_MODEL_OPERATORS_GATHER_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_GATHER_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// The input, seen as [outer, axis, inner], becomes [outer, indices.size(), inner]: slice i is the input's slice
/// indices[i]. The output has the declared extent.
struct Gather {
  static constexpr std::string_view kind = "gather";
  static constexpr bool moves_only = true;
  static constexpr bool gradient_reads_inputs = false;
  std::size_t axis = 1;
  std::size_t inner = 1;
  std::vector<std::size_t> indices;

  template <class Self, class F>
  static void attributes(Self& self, F&& f) {
    f("axis", self.axis);
    f("inner", self.inner);
    f("indices", self.indices);
  }

  Extent extent(std::span<const Extent> in, const Extent& declared) const {
    expects(in.size() == 1 && axis != 0 && inner != 0 && in[0].size() % inner == 0 && in[0].size() / inner % axis == 0,
            "an input of ", in.empty() ? 0 : in[0].size(), " elements is no [outer, ", axis, ", ", inner, "]");
    for (const std::size_t index : indices) expects(index < axis, "index ", index, " of an axis of ", axis);
    const std::size_t count = in[0].size() / axis * indices.size();
    expects(count == declared.size(), "makes ", count, " elements, its output has ", declared.size());
    return declared;
  }
  void forward(std::span<const Extent> in, const Extent&, std::span<const float* const> x, float* y) const {
    for (std::size_t outer = 0; outer != in[0].size() / axis / inner; ++outer)
      for (const std::size_t index : indices) y = std::copy_n(x[0] + (outer * axis + index) * inner, inner, y);
  }
  void backward(std::size_t, std::span<const Extent> in, const Extent&, std::span<const float* const>, const float*,
                const float* dy, float* dx) const {
    for (std::size_t outer = 0; outer != in[0].size() / axis / inner; ++outer)
      for (const std::size_t index : indices)
        for (std::size_t k = 0; k != inner; ++k) dx[(outer * axis + index) * inner + k] += *dy++;
  }
};

}  // namespace fat::inline FAT_ABI

#endif
