// What integer layers compute with, derived from encodings: byte grids, multipliers, tables; shared by all who run or write them.
#ifndef FAT_MODEL_INTEGER_STAGE_HPP_INCLUDED
#define FAT_MODEL_INTEGER_STAGE_HPP_INCLUDED

#include <fat/kernel/geometry.hpp>
#include <fat/kernel/reference/elementwise.hpp>
#include <fat/kernel/reference/hard_swish.hpp>
#include <fat/kernel/reference/resize.hpp>
#include <fat/kernel/reference/softmax.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/quantized_model.hpp>
#include <fat/model/requantization.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {
namespace detail {

/// Codes as the kernels hold them: bytes, raised by 128 where the encoding is signed.
struct ByteGrid {
  double step = 1.0;
  std::int32_t zero = 0, low = 0, high = 255, raise = 0;

  ByteGrid() = default;
  explicit ByteGrid(const ActivationEncoding& e)
      : step(static_cast<double>(e.step)),
        zero(e.zero_point + (e.is_signed() ? 128 : 0)),
        low(e.code_min + (e.is_signed() ? 128 : 0)),
        high(e.code_max + (e.is_signed() ? 128 : 0)),
        raise(e.is_signed() ? 128 : 0) {}

  /// Whether a code stands for the same real on both.
  bool same_reals(const ByteGrid& other) const { return step == other.step && zero == other.zero; }
  std::int32_t nearest(double real) const {
    return static_cast<std::int32_t>(
        std::clamp(std::nearbyint(real / step) + zero, static_cast<double>(low), static_cast<double>(high)));
  }
  /// Narrows low and high to a fused activation.
  void clamp_to(const Clamp& clamp) {
    const std::int32_t least = nearest(static_cast<double>(clamp.low)), most = nearest(static_cast<double>(clamp.high));
    low = least, high = most;
  }
};

inline Geometry geometry(const Window& window, const Extent& in, const Extent& out) {
  Geometry g;
  g.in_height = in.height, g.in_width = in.width, g.in_channels = in.channels;
  g.out_height = out.height, g.out_width = out.width, g.out_channels = out.channels;
  g.kernel_height = window.kernel.height, g.kernel_width = window.kernel.width;
  g.stride_height = window.stride.height, g.stride_width = window.stride.width;
  g.dilation_height = window.dilation.height, g.dilation_width = window.dilation.width;
  g.pad_top = window.padding.top, g.pad_left = window.padding.left;
  return g;
}

/// Of the sums of output channel c.
inline FixedPointMultiplier product_multiplier(const ByteGrid& x, const WeightEncoding& w, std::size_t c,
                                               const ByteGrid& y) {
  return FixedPointMultiplier::from_real(x.step * static_cast<double>(w.channel_step(c)) / y.step);
}
inline RequantizeStage regrid_stage(const ByteGrid& x, const ByteGrid& y) {
  return {FixedPointMultiplier::from_real(x.step / y.step), x.zero, y.zero, y.low, y.high};
}
inline AddStage add_stage(const ByteGrid& a, const ByteGrid& b, const ByteGrid& y) {
  AddStage stage = AddStage::from_steps(a.step, b.step, y.step);
  stage.a_zero = a.zero, stage.b_zero = b.zero, stage.zero_out = y.zero, stage.low = y.low, stage.high = y.high;
  return stage;
}
inline MultiplyStage multiply_stage(const ByteGrid& a, const ByteGrid& b, const ByteGrid& y) {
  return {FixedPointMultiplier::from_real(a.step * b.step / y.step), a.zero, b.zero, y.zero, y.low, y.high};
}
/// Errors: an output grid other than the one that softmax has in integers.
inline SoftmaxStage softmax_stage(const ByteGrid& x, const ByteGrid& y, std::string_view name) {
  expects(std::abs(y.step * 256.0 - 1.0) < 1e-6 && y.zero == 0, "IntegerModel: the output of softmax '", name,
          "' must have step 1/256 and its lowest code as zero point; keep it float");
  return SoftmaxStage::from_step(x.step);
}

/// An output code for every byte.
using ByteTable = std::array<std::uint8_t, 256>;

/// The output code of every byte, by f(bytes, count, codes).
template <class Function>
ByteTable table_of(Function f) {
  ByteTable bytes{}, table{};
  for (std::size_t code = 0; code != bytes.size(); ++code) bytes[code] = static_cast<std::uint8_t>(code);
  f(bytes.data(), bytes.size(), table.data());
  return table;
}

/// Every code of one grid as a code of another.
inline ByteTable regrid_table(const ByteGrid& x, const ByteGrid& y, ProductRounding rounding) {
  return table_of([&](const std::uint8_t* bytes, std::size_t count, std::uint8_t* codes) {
    with_rounding(rounding,
                  [&](auto policy) { reference::requantize(bytes, count, regrid_stage(x, y), codes, policy); });
  });
}

/// Where the output rows (or columns) of a resize read the input's.
inline std::vector<ResizeSample> resize_samples(const Resize& op, std::size_t in, std::size_t out) {
  Resize as_integers = op;
  as_integers.in_steps = true;
  std::vector<ResizeSample> samples(out);
  for (std::size_t i = 0; i != out; ++i) {
    const auto found = float_operators::interpolation<float>(i, in, out, resize_rule(as_integers));
    samples[i] = {static_cast<std::uint32_t>(found.low), static_cast<std::uint32_t>(found.high),
                  static_cast<std::int32_t>(1024 * found.fraction)};
  }
  return samples;
}

inline double real_function(const HardSwish&, double v) { return v * std::clamp(v / 6.0 + 0.5, 0.0, 1.0); }
inline double real_function(const HardSigmoid& op, double v) {
  return std::clamp(static_cast<double>(op.slope) * v + static_cast<double>(op.intercept), 0.0, 1.0);
}
inline double real_function(const Sigmoid&, double v) { return 1.0 / (1.0 + std::exp(-v)); }

inline double real_function(const Function& op, double v) { return op.at(v); }

/// The codes nearest to a function of the input's reals, whatever the rounding of the network.
template <class Function>
ByteTable function_table(const Function& op, const ByteGrid& x, const ByteGrid& y, Requantization) {
  ByteTable table{};
  for (int code = 0; code != 256; ++code)
    table[static_cast<std::size_t>(code)] =
        static_cast<std::uint8_t>(y.nearest(real_function(op, (code - x.zero) * x.step)));
  return table;
}
/// Hard swish as short_hard_swish says; nearest where the input's step is so large that the 16 bits have no form.
inline ByteTable function_table(const HardSwish& op, const ByteGrid& x, const ByteGrid& y, Requantization how) {
  if (!short_hard_swish(how) || x.step >= 128.0 * y.step) return function_table<HardSwish>(op, x, y, how);
  HardSwishStage stage = HardSwishStage::from_steps(x.step, y.step);
  stage.zero_in = x.zero, stage.zero_out = y.zero, stage.low = y.low, stage.high = y.high;
  return table_of([&](const std::uint8_t* bytes, std::size_t count, std::uint8_t* codes) {
    reference::hard_swish(bytes, count, stage, codes);
  });
}

}  // namespace detail
}  // namespace fat::inline FAT_ABI

#endif
