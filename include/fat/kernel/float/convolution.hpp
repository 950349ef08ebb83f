// Convolutions on one image as matrix products: forward, and the gradients of input, weights and weight directions.
#ifndef FAT_KERNEL_FLOAT_CONVOLUTION_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_CONVOLUTION_HPP_INCLUDED

#include <fat/kernel/float/native.hpp>

#include <algorithm>
#include <cstddef>

namespace fat::inline FAT_ABI::float_kernels {

/// A convolution in groups, weights [out, kernel height, kernel width, in / groups]. A window of one pixel multiplies
/// the activations where they lie; any other gathers a block of rows of patches at a time.
class Convolution {
 public:
  Convolution() = default;
  Convolution(const WindowShape& shape, std::size_t groups)
      : s_(shape),
        groups_(groups),
        in_(s_.in_channels / groups),
        depth_(s_.taps() * in_),
        out_(s_.out_channels / groups) {}

  std::size_t positions() const noexcept { return s_.out_height * s_.out_width; }
  /// Parts of work of forward: groups of rows, or of columns where there are few rows.
  std::size_t parts() const noexcept {
    return by_columns() ? panels() : (positions() + kernels_->rows - 1) / kernels_->rows;
  }
  /// Floats of packed weights, for forward and dot, and for the input's gradient.
  std::size_t packed_size() const { return groups_ * kernels_->packed_size(depth_, out_); }
  std::size_t packed_transposed_size() const { return groups_ * kernels_->packed_size(out_, depth_); }
  /// Floats of scratch memory that every function here needs.
  std::size_t scratch() const noexcept { return block() * patch_row(); }

  void pack(const float* w, float* packed) const {
    for (std::size_t g = 0; g != groups_; ++g)
      kernels_->pack(w + g * out_ * depth_, 1, depth_, depth_, out_, packed + g * kernels_->packed_size(depth_, out_));
  }
  void pack_transposed(const float* w, float* packed) const {
    for (std::size_t g = 0; g != groups_; ++g)
      kernels_->pack(w + g * out_ * depth_, depth_, 1, out_, depth_, packed + g * kernels_->packed_size(out_, depth_));
  }

  /// Parts [first, last) of y = clamp(convolution(x) + bias).
  void forward(const float* x, const float* packed, const float* bias, float low, float high, float* y,
               std::size_t first, std::size_t last, float* scratch) const {
    MatrixProduct m;
    m.c_row = s_.out_channels;
    m.low = low;
    m.high = high;
    if (by_columns()) {
      m.first_panel = first;
      m.last_panel = last;
    }
    const std::size_t begin = by_columns() ? 0 : first * kernels_->rows;
    const std::size_t end = by_columns() ? positions() : std::min(positions(), last * kernels_->rows);
    for_each_block(x, begin, end, scratch,
                   [&](std::size_t g, std::size_t row, std::size_t rows, const float* a, std::size_t a_row) {
                     set(m, a, a_row, packed, g, rows);
                     m.c = y + row * s_.out_channels + g * out_;
                     m.bias = bias == nullptr ? nullptr : bias + g * out_;
                     kernels_->multiply(m);
                   });
  }

  /// sums[c] += sum over the pixels of dy[pixel][c] * convolution(x)[pixel][c] with other weights: the derivative of
  /// the loss along a direction of the weights, one for each output channel, without the gradient of the weights.
  void dot(const float* x, const float* packed, const float* dy, float* sums, float* scratch) const {
    MatrixProduct m;
    m.epilogue = Epilogue::dot;
    m.c_row = s_.out_channels;
    for_each_block(x, 0, positions(), scratch,
                   [&](std::size_t g, std::size_t row, std::size_t rows, const float* a, std::size_t a_row) {
                     set(m, a, a_row, packed, g, rows);
                     m.c = const_cast<float*>(dy) + row * s_.out_channels + g * out_;  // only read by this epilogue
                     m.sums = sums + g * out_;
                     kernels_->multiply(m);
                   });
  }

  /// dx = (accumulate: +=) gradient of the input.
  void input_gradient(const float* dy, const float* packed_transposed, float* dx, bool accumulate,
                      float* scratch) const {
    MatrixProduct m;
    m.a_row = s_.out_channels;
    m.depth = out_;
    m.columns = depth_;
    if (!s_.pointwise() && !accumulate) std::fill_n(dx, s_.in_size(), 0.0F);
    for (std::size_t g = 0; g != groups_; ++g) {
      m.b = packed_transposed + g * kernels_->packed_size(out_, depth_);
      if (s_.pointwise()) {
        m.a = dy + g * out_;
        m.c = dx + g * in_;
        m.c_row = s_.in_channels;
        m.rows = positions();
        m.epilogue = accumulate ? Epilogue::accumulate : Epilogue::store;
        kernels_->multiply(m);
        continue;
      }
      for (std::size_t row = 0; row < positions(); row += block()) {
        m.a = dy + row * s_.out_channels + g * out_;
        m.c = scratch;
        m.c_row = patch_row();
        m.rows = std::min(block(), positions() - row);
        kernels_->multiply(m);
        for_each_patch_run(row, row + m.rows, g, [&](std::size_t patch, std::size_t pixel, std::size_t n) {
          for (std::size_t at = 0; pixel != outside && at != n; ++at) dx[pixel + at] += scratch[patch + at];
        });
      }
    }
  }

  /// dw += gradient of the weights.
  void weight_gradient(const float* x, const float* dy, float* dw, float* scratch) const {
    MatrixProduct m;
    m.epilogue = Epilogue::accumulate;
    m.a_row = 1;
    m.a_depth = s_.out_channels;
    m.rows = out_;
    m.columns = depth_;
    m.c_row = depth_;
    const bool direct = s_.pointwise() && in_ % kernels_->width == 0;
    for (std::size_t g = 0; g != groups_; ++g)
      for (std::size_t row = 0; row < positions(); row += block()) {
        m.depth = std::min(block(), positions() - row);
        m.a = dy + row * s_.out_channels + g * out_;
        m.b = direct ? x + row * s_.in_channels + g * in_ : scratch;
        m.b_row = direct ? s_.in_channels : patch_row();
        m.c = dw + g * out_ * depth_;
        if (!direct) gather(x, row, row + m.depth, g, scratch);
        kernels_->multiply(m);
      }
  }

 private:
  static constexpr std::size_t outside = static_cast<std::size_t>(-1);

  bool by_columns() const noexcept { return groups_ == 1 && positions() < 2 * kernels_->rows; }
  std::size_t panels() const noexcept {
    return std::max<std::size_t>((out_ + kernels_->width - 1) / kernels_->width / 2, 1);
  }
  std::size_t block() const noexcept { return 8 * kernels_->rows; }
  /// Floats of a patch with room for whole vectors.
  std::size_t patch_row() const noexcept { return (depth_ + 47) / 16 * 16; }

  void set(MatrixProduct& m, const float* a, std::size_t a_row, const float* packed, std::size_t g,
           std::size_t rows) const {
    m.a = a;
    m.a_row = a_row;
    m.b = packed + g * kernels_->packed_size(depth_, out_);
    m.rows = rows;
    m.depth = depth_;
    m.columns = out_;
  }

  /// Calls f(group, first row, rows, A, A's row length) over output pixels [begin, end).
  template <class Function>
  void for_each_block(const float* x, std::size_t begin, std::size_t end, float* scratch, Function&& f) const {
    for (std::size_t g = 0; g != groups_; ++g) {
      if (s_.pointwise()) {
        f(g, begin, end - begin, x + begin * s_.in_channels + g * in_, s_.in_channels);
        continue;
      }
      for (std::size_t row = begin; row < end; row += block()) {
        const std::size_t rows = std::min(block(), end - row);
        gather(x, row, row + rows, g, scratch);
        f(g, row, rows, scratch, patch_row());
      }
    }
  }

  /// Calls f(offset in the block of patches, offset in the image or outside, count) for runs of equal layout.
  template <class Function>
  void for_each_patch_run(std::size_t first, std::size_t last, std::size_t g, Function&& f) const {
    const bool joined = groups_ == 1 && s_.dilation_width == 1;
    const std::size_t row_floats = s_.kernel_width * in_;
    for (std::size_t p = first; p != last; ++p) {
      const std::size_t r = p / s_.out_width;
      const std::size_t c = p % s_.out_width;
      const bool whole = joined && c * s_.stride_width >= s_.pad_left &&
                         c * s_.stride_width - s_.pad_left + s_.kernel_width <= s_.in_width;
      for (std::size_t kr = 0; kr != s_.kernel_height; ++kr) {
        const std::size_t row = s_.input_row(r, kr);
        const std::size_t patch = (p - first) * patch_row() + kr * row_floats;
        if (row == s_.in_height) {
          f(patch, outside, row_floats);
        } else if (whole) {
          f(patch, (row * s_.in_width + c * s_.stride_width - s_.pad_left) * in_, row_floats);
        } else {
          for (std::size_t kc = 0; kc != s_.kernel_width; ++kc) {
            const std::size_t column = s_.input_column(c, kc);
            f(patch + kc * in_,
              column == s_.in_width ? outside : (row * s_.in_width + column) * s_.in_channels + g * in_, in_);
          }
        }
      }
    }
  }
  void gather(const float* x, std::size_t first, std::size_t last, std::size_t g, float* patches) const {
    for_each_patch_run(first, last, g, [&](std::size_t patch, std::size_t pixel, std::size_t n) {
      if (pixel == outside)
        std::fill_n(patches + patch, n, 0.0F);
      else
        std::copy_n(x + pixel, n, patches + patch);
    });
  }

  const Table* kernels_ = &native();
  WindowShape s_;
  std::size_t groups_ = 1, in_ = 1, depth_ = 1, out_ = 1;
};

}  // namespace fat::inline FAT_ABI::float_kernels

#endif
