// The unweighted float operators and their gradients over one NHWC image, row by row so that rows can be shared out.
// Every gradient is added to dx; its argument order is (what the forward pass used, dy, dx).
#ifndef FAT_KERNEL_FLOAT_OPERATORS_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_OPERATORS_HPP_INCLUDED

#include <fat/kernel/float/geometry.hpp>
#include <fat/kernel/reference/resize.hpp>
#include <fat/kernel/taps.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace fat::inline FAT_ABI::float_operators {

template <class Real>
Real clamp(Real x, Real low, Real high) {
  return std::min(std::max(x, low), high);
}
/// One inside the open interval, else zero: the gradient of a clamp, told from its result.
template <class Real>
Real clamp_slope(Real y, Real low, Real high) {
  return y > low && y < high ? Real{1} : Real{0};
}
template <class Real>
Real sigmoid(Real x) {
  return Real{1} / (Real{1} + std::exp(-x));
}
template <class Real>
Real hard_swish(Real x) {
  return x * clamp(x / Real{6} + Real{0.5}, Real{0}, Real{1});
}
template <class Real>
Real hard_swish_slope(Real x) {
  return x <= Real{-3} ? Real{0} : x >= Real{3} ? Real{1} : x / Real{3} + Real{0.5};
}

/// Calls visit(row, column) for every pixel of the image under the window of output row r and column c.
template <class Visit>
void for_each_pixel_under(const WindowShape& s, std::size_t r, std::size_t c, Visit&& visit) {
  const auto top = static_cast<std::ptrdiff_t>(r * s.stride_height - s.pad_top),
             left = static_cast<std::ptrdiff_t>(c * s.stride_width - s.pad_left);
  const TapRange rows = taps_inside(top, s.kernel_height, s.dilation_height, s.in_height),
                 columns = taps_inside(left, s.kernel_width, s.dilation_width, s.in_width);
  for (std::size_t kr = rows.first; kr != rows.last; ++kr)
    for (std::size_t kc = columns.first; kc != columns.last; ++kc) visit(s.input_row(r, kr), s.input_column(c, kc));
}

/// Rows [first, last) of max or average pooling.
template <class Real>
void pool(const WindowShape& s, bool maximum, bool count_padding, std::size_t first, std::size_t last, const Real* x,
          Real* y) {
  for (std::size_t r = first; r != last; ++r)
    for (std::size_t c = 0; c != s.out_width; ++c) {
      Real* to = y + (r * s.out_width + c) * s.out_channels;
      std::fill_n(to, s.out_channels, maximum ? std::numeric_limits<Real>::lowest() : Real{0});
      std::size_t taps = 0;
      for_each_pixel_under(s, r, c, [&](std::size_t row, std::size_t column) {
        const Real* from = x + (row * s.in_width + column) * s.in_channels;
        ++taps;
        if (maximum)
          for (std::size_t k = 0; k != s.out_channels; ++k) to[k] = std::max(to[k], from[k]);
        else
          for (std::size_t k = 0; k != s.out_channels; ++k) to[k] += from[k];
      });
      const Real share = Real{1} / static_cast<Real>(count_padding ? s.taps() : taps);
      if (!maximum)
        for (std::size_t k = 0; k != s.out_channels; ++k) to[k] *= share;
    }
}

/// Gradient of pooling. A maximum sends its gradient to the first tap that reaches it.
template <class Real>
void pool_backward(const WindowShape& s, bool maximum, bool count_padding, const Real* x, const Real* y, const Real* dy,
                   Real* dx) {
  for (std::size_t r = 0; r != s.out_height; ++r)
    for (std::size_t c = 0; c != s.out_width; ++c)
      for (std::size_t k = 0; k != s.out_channels; ++k) {
        const std::size_t at = (r * s.out_width + c) * s.out_channels + k;
        std::size_t taps = 0;
        for_each_pixel_under(s, r, c, [&](std::size_t, std::size_t) { ++taps; });
        bool sent = false;
        for_each_pixel_under(s, r, c, [&](std::size_t row, std::size_t column) {
          const std::size_t in = (row * s.in_width + column) * s.in_channels + k;
          if (!maximum)
            dx[in] += dy[at] / static_cast<Real>(count_padding ? s.taps() : taps);
          else if (!sent && x[in] == y[at])
            dx[in] += dy[at], sent = true;
        });
      }
}

template <class Real>
void global_average_backward(std::size_t positions, std::size_t channels, const Real* dy, Real* dx) {
  const Real share = Real{1} / static_cast<Real>(positions);
  for (std::size_t p = 0; p != positions; ++p)
    for (std::size_t k = 0; k != channels; ++k) dx[p * channels + k] += dy[k] * share;
}

/// Softmax over the channels of each of `positions` pixels.
template <class Real>
void softmax(std::size_t positions, std::size_t channels, const Real* x, Real* y) {
  for (std::size_t p = 0; p != positions; ++p, x += channels, y += channels) {
    const Real top = *std::max_element(x, x + channels);
    Real sum{0};
    for (std::size_t k = 0; k != channels; ++k) sum += y[k] = std::exp(x[k] - top);
    for (std::size_t k = 0; k != channels; ++k) y[k] /= sum;
  }
}
template <class Real>
void softmax_backward(std::size_t positions, std::size_t channels, const Real* y, const Real* dy, Real* dx) {
  for (std::size_t p = 0; p != positions; ++p, y += channels, dy += channels, dx += channels) {
    Real mean{0};
    for (std::size_t k = 0; k != channels; ++k) mean += y[k] * dy[k];
    for (std::size_t k = 0; k != channels; ++k) dx[k] += y[k] * (dy[k] - mean);
  }
}

/// Where an output coordinate falls in the input: between `low` and `high`, `fraction` of the way.
template <class Real>
struct Interpolation {
  std::size_t low, high;
  Real fraction;
};
/// What is read at a place. in_steps: as linear, but with the places of linear_sample.
enum class Sampling { nearest, linear, in_steps };

/// How an output coordinate becomes input pixels; `pixel` is for the nearest one only.
struct ResizeRule {
  ResizeCoordinates coordinates = ResizeCoordinates::half_pixel;
  Sampling sampling = Sampling::nearest;
  NearestPixel pixel = NearestPixel::round_prefer_floor;
};

template <class Real>
Interpolation<Real> interpolation(std::size_t at, std::size_t in, std::size_t out, const ResizeRule& rule) {
  using Lattice = ResizeCoordinates;
  const Lattice lattice = rule.coordinates;
  if (rule.sampling == Sampling::nearest) {
    const std::uint32_t found = nearest_sample(at, in, out, lattice, rule.pixel);
    return {found, found, Real{0}};
  }
  if (rule.sampling == Sampling::in_steps) {
    const bool half_pixel = lattice == Lattice::half_pixel || (lattice == Lattice::pytorch_half_pixel && out > 1);
    const ResizeSample found = linear_sample(at, in, out, half_pixel, lattice == Lattice::align_corners);
    return {found.low, found.high, static_cast<Real>(found.weight) / 1024};
  }
  const Real scale = static_cast<Real>(in) / static_cast<Real>(out);
  const Real i = static_cast<Real>(at);
  Real x = (i + Real{0.5}) * scale - Real{0.5};
  if (lattice == Lattice::asymmetric) x = i * scale;
  if (lattice == Lattice::align_corners)
    x = out == 1 ? Real{0} : i * static_cast<Real>(in - 1) / static_cast<Real>(out - 1);
  if (lattice == Lattice::pytorch_half_pixel && out == 1) x = Real{0};
  x = clamp(x, Real{0}, static_cast<Real>(in - 1));
  const auto low = static_cast<std::size_t>(x);
  return {low, std::min(low + 1, in - 1), x - static_cast<Real>(low)};
}

/// Calls visit(output pixel, input pixel, weight) for every term of resized rows [first, last); pixels count from the
/// top left.
template <class Real, class Visit>
void for_each_resized(const WindowShape& s, const ResizeRule& rule, std::size_t first, std::size_t last,
                      Visit&& visit) {
  for (std::size_t r = first; r != last; ++r) {
    const auto v = interpolation<Real>(r, s.in_height, s.out_height, rule);
    for (std::size_t c = 0; c != s.out_width; ++c) {
      const auto h = interpolation<Real>(c, s.in_width, s.out_width, rule);
      const std::size_t out = r * s.out_width + c;
      visit(out, v.low * s.in_width + h.low, (1 - v.fraction) * (1 - h.fraction));
      if (h.fraction != 0) visit(out, v.low * s.in_width + h.high, (1 - v.fraction) * h.fraction);
      if (v.fraction != 0) visit(out, v.high * s.in_width + h.low, v.fraction * (1 - h.fraction));
      if (v.fraction != 0 && h.fraction != 0) visit(out, v.high * s.in_width + h.high, v.fraction * h.fraction);
    }
  }
}
template <class Real>
void resize(const WindowShape& s, const ResizeRule& rule, std::size_t first, std::size_t last, const Real* x, Real* y) {
  const std::size_t row = s.out_width * s.out_channels;
  std::fill(y + first * row, y + last * row, Real{0});
  for_each_resized<Real>(s, rule, first, last, [&](std::size_t out, std::size_t in, Real weight) {
    for (std::size_t k = 0; k != s.out_channels; ++k) y[out * s.out_channels + k] += weight * x[in * s.in_channels + k];
  });
}
template <class Real>
void resize_backward(const WindowShape& s, const ResizeRule& rule, const Real* dy, Real* dx) {
  for_each_resized<Real>(s, rule, 0, s.out_height, [&](std::size_t out, std::size_t in, Real weight) {
    for (std::size_t k = 0; k != s.out_channels; ++k)
      dx[in * s.in_channels + k] += weight * dy[out * s.out_channels + k];
  });
}

/// Calls visit(offset in the larger, offset in the smaller, count) for the runs of an image of `rows` x `width` (in
/// elements) that lies at (top, left) inside one of width `whole`. Padding and concatenation are such placements.
template <class Visit>
void for_each_run(std::size_t rows, std::size_t width, std::size_t whole, std::size_t top, std::size_t left,
                  Visit&& visit) {
  for (std::size_t r = 0; r != rows; ++r) visit((top + r) * whole + left, r * width, width);
}

/// Calls visit(index in CHW order, index in HWC order): how a file that counts channels first flattens an image.
template <class Visit>
void for_each_transposed(std::size_t height, std::size_t width, std::size_t channels, Visit&& visit) {
  for (std::size_t k = 0; k != channels; ++k)
    for (std::size_t p = 0; p != height * width; ++p) visit(k * height * width + p, p * channels + k);
}

}  // namespace fat::inline FAT_ABI::float_operators

#endif
