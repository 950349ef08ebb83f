// Constant: a tensor that the network holds, such as a positional embedding.
#ifndef FAT_MODEL_OPERATORS_CONSTANT_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_CONSTANT_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// Reads nothing and makes its values, of the declared extent.
struct Constant {
  static constexpr std::string_view kind = "constant";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = false;
  std::vector<float> values;

  template <class Self, class F>
  static void attributes(Self& self, F&& f) {
    f("values", self.values);
  }

  Extent extent(std::span<const Extent> in, const Extent& declared) const {
    expects(in.empty() && values.size() == declared.size(), "has no input and ", declared.size(), " values, not ",
            values.size());
    return declared;
  }
  void forward(std::span<const Extent>, const Extent&, std::span<const float* const>, float* y) const {
    std::copy(values.begin(), values.end(), y);
  }
  void backward(std::size_t, std::span<const Extent>, const Extent&, std::span<const float* const>, const float*,
                const float*, float*) const {}
};

}  // namespace fat::inline FAT_ABI

#endif
