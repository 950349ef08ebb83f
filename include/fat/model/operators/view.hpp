// View: elements of the input picked by strides: transposes, slices, flips, repeats, splits, shuffles.
#ifndef FAT_MODEL_OPERATORS_VIEW_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_VIEW_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// Output element [i0, i1, ...] of a tensor of shape `sizes`, stored in that order, is the input's element number
/// offset + i0 * strides[0] + i1 * strides[1] + ... The output has the declared extent. A stride of 0 repeats, a negative
/// one runs backwards.
struct View {
  static constexpr std::string_view kind = "view";
  static constexpr bool moves_only = true;
  static constexpr bool gradient_reads_inputs = false;
  std::vector<std::size_t> sizes;
  std::vector<std::int64_t> strides;
  std::size_t offset = 0;

  template <class Self, class F>
  static void attributes(Self& self, F&& f) {
    f("sizes", self.sizes);
    f("strides", self.strides);
    f("offset", self.offset);
  }

  Extent extent(std::span<const Extent> in, const Extent& declared) const {
    expects(in.size() == 1 && sizes.size() == strides.size() && sizes.size() <= 12,
            "has one input, and as many strides as sizes, at most 12");
    std::size_t count = 1;
    auto low = static_cast<std::int64_t>(offset), high = low;
    const auto bound = static_cast<std::int64_t>(in[0].size());
    for (std::size_t axis = 0; axis != sizes.size(); ++axis) {
      expects(sizes[axis] != 0 && sizes[axis] < (std::size_t{1} << 31) && count <= (std::size_t{1} << 31) / sizes[axis],
              "a size is 0 or the output has more than 2^31 elements");
      count *= sizes[axis];
      const std::int64_t stride = strides[axis], last = static_cast<std::int64_t>(sizes[axis]) - 1;
      expects(stride > -bound - 1 && stride < bound + 1 && offset < in[0].size(), "a stride leaves its input");
      (stride < 0 ? low : high) += stride * last;
      expects(low >= 0 && high < bound, "reads outside its input of ", in[0].size(), " elements");
    }
    expects(count == declared.size(), "makes ", count, " elements, its output has ", declared.size());
    return declared;
  }

  /// Calls f(input element, output element) for each output element, in order.
  template <class F>
  void for_each(F&& f) const {
    std::vector<std::size_t> index(sizes.size(), 0);
    auto from = static_cast<std::int64_t>(offset);
    const std::size_t inner = sizes.empty() ? 1 : sizes.back();
    const std::int64_t step = sizes.empty() ? 0 : strides.back();
    for (std::size_t to = 0;; to += inner) {
      for (std::size_t i = 0; i != inner; ++i)
        f(static_cast<std::size_t>(from + static_cast<std::int64_t>(i) * step), to + i);
      std::size_t axis = sizes.size();
      for (axis = axis < 2 ? 0 : axis - 1; axis != 0; --axis) {
        from += strides[axis - 1];
        if (++index[axis - 1] != sizes[axis - 1]) break;
        from -= strides[axis - 1] * static_cast<std::int64_t>(sizes[axis - 1]);
        index[axis - 1] = 0;
      }
      if (axis == 0) return;
    }
  }

  void forward(std::span<const Extent>, const Extent&, std::span<const float* const> x, float* y) const {
    for_each([&](std::size_t from, std::size_t to) { y[to] = x[0][from]; });
  }
  void backward(std::size_t, std::span<const Extent>, const Extent&, std::span<const float* const>, const float*,
                const float* dy, float* dx) const {
    for_each([&](std::size_t from, std::size_t to) { dx[from] += dy[to]; });
  }
};

}  // namespace fat::inline FAT_ABI

#endif
