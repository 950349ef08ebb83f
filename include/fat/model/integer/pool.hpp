// Integer pools: the largest or the mean of a window, the mean of an image.
#ifndef FAT_MODEL_INTEGER_POOL_HPP_INCLUDED
#define FAT_MODEL_INTEGER_POOL_HPP_INCLUDED

#include <fat/kernel/reference/convolution.hpp>
#include <fat/kernel/reference/pool.hpp>
#include <fat/model/integer/layer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace fat::inline FAT_ABI {

/// A part is an output row.
class IntegerPool final : public IntegerLayer {
 public:
  IntegerPool(IntegerSite where, const Pool& op)
      : IntegerLayer(std::move(where)), g_(detail::geometry(op.window, site_.in[0], site_.out)), op_(op) {
    site_.expect_one_grid("pool");
    const std::size_t rows = op.count_padding ? g_.kernel_height : std::min(g_.kernel_height, g_.in_height),
                      columns = op.count_padding ? g_.kernel_width : std::min(g_.kernel_width, g_.in_width);
    expects(op.kind == Pool::Kind::max || rows * columns <= std::size_t{1} << 22U, "IntegerModel: pool '", site_.name,
            "' averages ", rows * columns, " values; sums of 32 bits hold 2^22, keep it float");
    parts_ = site_.out.height;
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t oy, std::uint8_t*, std::int32_t*) const override {
    Geometry row = g_;
    row.out_height = 1;
    row.pad_top = g_.pad_top - oy * g_.stride_height;  // wraps: input rows are counted from this output row
    y += oy * row.out_width * row.out_channels;
    if (op_.kind == Pool::Kind::max) return reference::max_pool(x[0], row, site_.y.low, site_.y.high, y);
    if (site_.means().to_even)
      average(x[0], row, mean_half_even<std::int32_t>, y);
    else
      average(x[0], row, mean_half_away<std::int32_t>, y);
  }

 private:
  /// Bytes are lowered by the origin of the rounding first.
  template <class Mean>
  void average(const std::uint8_t* x, const Geometry& g, Mean mean_of, std::uint8_t* y) const {
    const detail::ByteGrid& to = site_.y;
    const std::int32_t origin = site_.means().origin;
    for (std::size_t ox = 0; ox != g.out_width; ++ox)
      for (std::size_t c = 0; c != g.in_channels; ++c) {
        std::int32_t sum = 0, count = 0;
        reference::for_each_tap(g, 0, ox,
                                [&](std::size_t tap) { sum += x[tap * g.in_channels + c] - origin, ++count; });
        const auto taps = static_cast<std::int32_t>(g.taps());
        if (op_.count_padding) sum += (taps - count) * (site_.x[0].zero - origin), count = taps;
        *y++ = static_cast<std::uint8_t>(std::clamp(mean_of(sum, count) + origin, to.low, to.high));
      }
  }

  Geometry g_;
  Pool op_;
};

/// Of every channel over the image: reference::mean, channel sums side by side.
class IntegerMean final : public IntegerLayer {
 public:
  IntegerMean(IntegerSite where, const GlobalAveragePool&)
      : IntegerLayer(std::move(where)),
        multiplier_(divide(detail::regrid_stage(site_.x[0], site_.y).multiplier,
                           static_cast<std::uint32_t>(site_.in[0].height * site_.in[0].width))) {
    scratch_words_ = site_.in[0].channels;
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*,
           std::int32_t* sums) const override {
    const detail::ByteGrid& to = site_.y;
    const std::size_t channels = site_.in[0].channels, size = site_.in[0].size();
    std::fill_n(sums, channels, -static_cast<std::int32_t>(size / channels) * site_.x[0].zero);
    for (std::size_t i = 0; i != size; i += channels)
      for (std::size_t c = 0; c != channels; ++c) sums[c] += x[0][i + c];
    with_rounding(site_.rounding, [&](auto rounding) {
      reference::finish(sums, 1, channels, {&multiplier_, true, to.zero, to.low, to.high}, y, rounding);
    });
  }

 private:
  FixedPointMultiplier multiplier_;
};

}  // namespace fat::inline FAT_ABI

#endif
