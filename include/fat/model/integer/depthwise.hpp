// IntegerDepthwise: depthwise convolutions, by columns of 3 x 3 windows, by taps in vectors, or plainly.
#ifndef FAT_MODEL_INTEGER_DEPTHWISE_HPP_INCLUDED
#define FAT_MODEL_INTEGER_DEPTHWISE_HPP_INCLUDED

#include <fat/model/integer/columns.hpp>
#include <fat/model/sums.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// A part is an output row.
class IntegerDepthwise final : public IntegerLayer {
 public:
  IntegerDepthwise(IntegerSite where, const DepthwiseConvolution& op, const WeightEncoding& w)
      : IntegerLayer(std::move(where)), g_(detail::geometry(op.window, site_.in[0], site_.out)) {
    site_.y.clamp_to(op.clamp);
    parts_ = g_.out_height;
    const std::size_t taps = g_.taps(), channels = g_.out_channels;
    std::vector<std::int32_t> sums(channels);
    const auto weight = [&](std::size_t t, std::size_t c) {
      return w.codes[t * channels + c] - w.channel_zero_point(c);
    };
    const std::vector<std::int64_t> largest = largest_sums(w, partition(w.codes.shape(), 3), site_.x[0].zero);
    bool narrow = true;  // weights less their zero point are bytes again
    for (std::size_t t = 0; t != taps; ++t)
      for (std::size_t c = 0; c != channels; ++c) {
        sums[c] += weight(t, c);
        narrow = narrow && weight(t, c) >= -128 && weight(t, c) <= 127;
      }
    const bool by_columns = narrow && site_.kernels->depthwise3x3 != nullptr && channels == g_.in_channels &&
                            channels % 4 == 0 && taps == 9 && g_.kernel_width == 3 && g_.dilation_width == 1 &&
                            (g_.stride_width == 1 || g_.stride_width == 2);
    const std::size_t lanes = site_.kernels->lanes, block = 4 * lanes;
    const auto place = [&](std::size_t c) {
      return by_columns ? c / block * block + kernel::place_in_block(c % block, lanes) : c;
    };
    columns_ = {site_, w, {channels, channels + 64, taps}, largest, [&](std::size_t c) { return sums[c]; }, place};
    if (by_columns && columns_.fast()) {
      way_ = Way::columns;
      window_columns_.assign((channels + block - 1) / block * block * 12, 0);
      for (std::size_t t = 0; t != taps; ++t)
        for (std::size_t c = 0; c != channels; ++c)
          window_columns_[c / block * block * 12 + (t % 3 * block + place(c) % block) * 4 + t / 3] =
              static_cast<std::int8_t>(weight(t, c));
    } else if (columns_.fast() && channels == g_.in_channels && channels >= lanes) {
      way_ = Way::taps;
      taps_.assign((taps + 1) / 2 * channels * 2 + 128, 0);
      for (std::size_t t = 0; t != taps; ++t)
        for (std::size_t c = 0; c != channels; ++c)
          taps_[((t / 2) * channels + c) * 2 + t % 2] = static_cast<std::int16_t>(weight(t, c));
      scratch_bytes_ = channels + 64 + (taps + 1) * sizeof(void*) + 64;
    } else {
      weights_.resize(taps * channels);
      for (std::size_t t = 0; t != taps; ++t)
        for (std::size_t c = 0; c != channels; ++c)
          weights_[t * channels + c] = static_cast<std::int16_t>(weight(t, c));
      bias_.assign(w.bias.begin(), w.bias.end());
      scratch_words_ = g_.out_width * channels;
    }
    if (way_ != Way::plain) columns_.forget_multipliers();
  }

  std::size_t memory() const noexcept override {
    return columns_.memory() + taps_.size() * 2 + window_columns_.size() + weights_.size() * 2 + bias_.size() * 4;
  }

  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t oy, std::uint8_t* bytes,
           std::int32_t* words) const override {
    y += oy * g_.out_width * g_.out_channels;
    if (way_ == Way::columns)
      run_columns(x[0], y, oy);
    else if (way_ == Way::taps)
      run_taps(x[0], y, oy, bytes);
    else
      run_plain(x[0], y, oy, words);
  }

 private:
  enum class Way { columns, taps, plain };

  void run_columns(const std::uint8_t* x, std::uint8_t* y, std::size_t oy) const {
    kernel::Depthwise3x3Call call;
    for (std::size_t k = 0; k != 3; ++k) {
      const std::size_t row = g_.in_row(oy, k);
      call.rows[k] = row < g_.in_height ? x + row * g_.in_width * g_.in_channels : nullptr;
    }
    call.in_width = g_.in_width, call.out_width = g_.out_width, call.channels = g_.out_channels;
    call.stride = g_.stride_width, call.pad_left = g_.pad_left;
    call.outside = static_cast<std::uint8_t>(site_.x[0].zero);
    call.weights = window_columns_.data(), call.stage = columns_.stage(0), call.target = columns_.target();
    site_.kernels->depthwise3x3(call, y);
  }

  void run_taps(const std::uint8_t* x, std::uint8_t* y, std::size_t oy, std::uint8_t* bytes) const {
    const std::size_t channels = g_.out_channels, taps = g_.taps();
    auto** pointers = reinterpret_cast<const std::uint8_t**>(bytes);
    std::uint8_t* zeros = bytes + (taps + 1) * sizeof(void*);
    std::fill_n(zeros, channels, static_cast<std::uint8_t>(site_.x[0].zero));
    kernel::DepthwiseCall call;
    call.taps = pointers, call.tap_count = taps, call.channels = channels, call.weights = taps_.data();
    call.stage = columns_.stage(0), call.target = columns_.target();
    pointers[taps] = zeros;
    const auto inside = [&](std::size_t ox) {
      return g_.in_column(ox, 0) < g_.in_width && g_.in_column(ox, g_.kernel_width - 1) < g_.in_width;
    };
    for (std::size_t ox = 0; ox != g_.out_width;) {
      std::size_t end = ox + 1;
      bool rows_inside = true;
      for (std::size_t ky = 0; ky != g_.kernel_height; ++ky) {
        const std::size_t row = g_.in_row(oy, ky);
        rows_inside = rows_inside && row < g_.in_height;
        for (std::size_t kx = 0; kx != g_.kernel_width; ++kx) {
          const std::size_t column = g_.in_column(ox, kx);
          const bool valid = row < g_.in_height && column < g_.in_width;
          pointers[ky * g_.kernel_width + kx] = valid ? x + (row * g_.in_width + column) * channels : zeros;
        }
      }
      // pixels whose taps all move together; a tap that stays on `zeros` must not move
      if (rows_inside && inside(ox)) {
        while (end != g_.out_width && inside(end)) ++end;
        // the spare tap of an odd count moves too, over any readable bytes: its weights are 0
        pointers[taps] = pointers[taps - 1];
      } else
        pointers[taps] = zeros;
      call.step = g_.stride_width * channels;
      call.columns = end - ox;
      site_.kernels->depthwise(call, y + ox * channels);
      ox = end;
    }
  }

  void run_plain(const std::uint8_t* x, std::uint8_t* y, std::size_t oy, std::int32_t* words) const {
    detail::vectorized([ =, this ]() __attribute__((always_inline)) {
      for (std::size_t ox = 0; ox != g_.out_width; ++ox) {
        std::int32_t* const sums = words + ox * g_.out_channels;
        std::copy(bias_.begin(), bias_.end(), sums);
        for (std::size_t ky = 0; ky != g_.kernel_height; ++ky)
          for (std::size_t kx = 0; kx != g_.kernel_width; ++kx) {
            const std::size_t row = g_.in_row(oy, ky), column = g_.in_column(ox, kx);
            if (row < g_.in_height && column < g_.in_width)
              add_tap(x + (row * g_.in_width + column) * g_.in_channels,
                      weights_.data() + (ky * g_.kernel_width + kx) * g_.out_channels, sums);
          }
      }
    });
    columns_.finish(words, g_.out_width, 0, g_.out_channels, y);
  }

  /// sums[c] += (pixel[c / multiplier] - zero point) * weights[c].
  [[gnu::always_inline]] void add_tap(const std::uint8_t* pixel, const std::int16_t* weights,
                                      std::int32_t* sums) const {
    const std::size_t channels = g_.out_channels, multiplier = channels / g_.in_channels;
    const std::int32_t zero = site_.x[0].zero;
    if (multiplier == 1)
      detail::each(
          channels, [=](std::size_t c) __attribute__((always_inline)) { sums[c] += (pixel[c] - zero) * weights[c]; });
    else
      for (std::size_t c = 0; c != channels; ++c) sums[c] += (pixel[c / multiplier] - zero) * weights[c];
  }

  Geometry g_;
  Way way_ = Way::plain;
  detail::ColumnTable columns_;
  aligned_vector<std::int8_t>
      window_columns_;                 ///< of a block of channels: the windows' columns, three rows and a 0 each
  std::vector<std::int16_t> taps_;     ///< weights in pairs of taps
  std::vector<std::int16_t> weights_;  ///< less their zero points, by tap
  std::vector<std::int32_t> bias_;
};

}  // namespace fat::inline FAT_ABI

#endif
