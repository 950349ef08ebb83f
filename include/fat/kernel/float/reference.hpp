// The specification of the weighted float layers and their gradients: plain loops over one image, any real type.
#ifndef FAT_KERNEL_FLOAT_REFERENCE_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_REFERENCE_HPP_INCLUDED

#include <fat/kernel/float/geometry.hpp>

#include <cstddef>

namespace fat::inline FAT_ABI::float_reference {

/// Calls visit(output index, input index, weight index) for every product of a convolution in `groups` groups, weights
/// [out, kernel height, kernel width, in / groups].
template <class Visit>
void for_each_product(const WindowShape& s, std::size_t groups, Visit&& visit) {
  const std::size_t group_in = s.in_channels / groups;
  const std::size_t group_out = s.out_channels / groups;
  for (std::size_t r = 0; r != s.out_height; ++r)
    for (std::size_t c = 0; c != s.out_width; ++c)
      for (std::size_t o = 0; o != s.out_channels; ++o)
        for (std::size_t kr = 0; kr != s.kernel_height; ++kr)
          for (std::size_t kc = 0; kc != s.kernel_width; ++kc) {
            const std::size_t row = s.input_row(r, kr);
            const std::size_t column = s.input_column(c, kc);
            if (row == s.in_height || column == s.in_width) continue;
            for (std::size_t i = 0; i != group_in; ++i)
              visit((r * s.out_width + c) * s.out_channels + o,
                    (row * s.in_width + column) * s.in_channels + o / group_out * group_in + i,
                    ((o * s.kernel_height + kr) * s.kernel_width + kc) * group_in + i);
          }
}

/// The same for a depthwise convolution, weights [kernel height, kernel width, out]; output channel o reads input
/// channel o / (out / in).
template <class Visit>
void for_each_depthwise_product(const WindowShape& s, Visit&& visit) {
  const std::size_t multiplier = s.out_channels / s.in_channels;
  for (std::size_t r = 0; r != s.out_height; ++r)
    for (std::size_t c = 0; c != s.out_width; ++c)
      for (std::size_t kr = 0; kr != s.kernel_height; ++kr)
        for (std::size_t kc = 0; kc != s.kernel_width; ++kc) {
          const std::size_t row = s.input_row(r, kr);
          const std::size_t column = s.input_column(c, kc);
          if (row == s.in_height || column == s.in_width) continue;
          for (std::size_t o = 0; o != s.out_channels; ++o)
            visit((r * s.out_width + c) * s.out_channels + o,
                  (row * s.in_width + column) * s.in_channels + o / multiplier,
                  (kr * s.kernel_width + kc) * s.out_channels + o);
        }
}

/// y = convolution(x, w) + b. groups == 0 means depthwise; b may be null.
template <class Real>
void convolution(const WindowShape& s, std::size_t groups, const Real* x, const Real* w, const Real* b, Real* y) {
  for (std::size_t at = 0; at != s.out_size(); ++at) y[at] = b == nullptr ? Real{} : b[at % s.out_channels];
  const auto visit = [&](std::size_t out, std::size_t in, std::size_t weight) { y[out] += x[in] * w[weight]; };
  groups == 0 ? for_each_depthwise_product(s, visit) : for_each_product(s, groups, visit);
}

/// Adds the gradients of a convolution to dx, dw and db; any of them may be null.
template <class Real>
void convolution_backward(const WindowShape& s, std::size_t groups, const Real* x, const Real* w, const Real* dy,
                          Real* dx, Real* dw, Real* db) {
  const auto visit = [&](std::size_t out, std::size_t in, std::size_t weight) {
    if (dx != nullptr) dx[in] += dy[out] * w[weight];
    if (dw != nullptr) dw[weight] += dy[out] * x[in];
  };
  groups == 0 ? for_each_depthwise_product(s, visit) : for_each_product(s, groups, visit);
  if (db != nullptr)
    for (std::size_t at = 0; at != s.out_size(); ++at) db[at % s.out_channels] += dy[at];
}

}  // namespace fat::inline FAT_ABI::float_reference

#endif
