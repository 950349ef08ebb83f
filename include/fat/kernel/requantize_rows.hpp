// RowRequantizer: rows of sums to codes by a rounding other than halves up, in 32-bit steps that compilers turn into vectors.
#ifndef FAT_KERNEL_REQUANTIZE_ROWS_HPP_INCLUDED
#define FAT_KERNEL_REQUANTIZE_ROWS_HPP_INCLUDED

#include <fat/core/vector_loop.hpp>
#include <fat/kernel/reference/convolution.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {
namespace requantize_detail {

/// Bits 31 to 62 of a 64-bit number, as SRDHM and its unrounded form need them; a logical shift has a vector form.
[[gnu::always_inline]] constexpr std::int32_t upper_bits(std::int64_t product) noexcept {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint64_t>(product) >> 31U));
}

/// requantize(sum, mantissa * 2^(left - right - 31), DoubleRounding{}); left or right is 0, right at most 31.
[[gnu::always_inline]] constexpr std::int32_t twice_rounded(std::int32_t sum, std::int32_t mantissa, std::int32_t left,
                                                            std::int32_t right) noexcept {
  const auto shifted = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) << left);
  const std::int32_t high = upper_bits(std::int64_t{shifted} * mantissa + (1LL << 30));
  const auto mask = static_cast<std::int32_t>((1U << right) - 1U);
  return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0 ? 1 : 0) ? 1 : 0);
}

/// requantize(sum, mantissa * 2^(-right - 31), SingleHalfEven{}); right at most 29. What lies below the integer is
/// compared with a half in two pieces: `rest`, down to 2^-1 of the product's upper bits, and all bits under that.
[[gnu::always_inline]] constexpr std::int32_t even_rounded(std::int32_t sum, std::int32_t mantissa,
                                                           std::int32_t right) noexcept {
  const std::int64_t product = std::int64_t{sum} * mantissa;
  const std::int32_t high = upper_bits(product);
  const auto low = static_cast<std::int32_t>(static_cast<std::uint32_t>(product) & 0x7FFFFFFFU);
  const std::int32_t whole = high >> right, half = 1 << right;
  const std::int32_t rest = ((high & (half - 1)) << 1) | (low >> 30);
  const std::int32_t tie_goes_up = (low & 0x3FFFFFFF) != 0 ? 1 : whole & 1;
  return whole + (rest + tie_goes_up > half ? 1 : 0);
}

/// zero + value, held between low and high.
[[gnu::always_inline]] constexpr std::uint8_t code_of(std::int32_t value, std::int32_t zero, std::int32_t low,
                                                      std::int32_t high) noexcept {
  const std::int32_t least = low - zero, most = high - zero;
  value = value < least ? least : value;
  return static_cast<std::uint8_t>((value > most ? most : value) + zero);
}

}  // namespace requantize_detail

/// The multipliers of a row's channels beside each other. finish() gives the codes of reference::finish with the same
/// rounding, bit for bit; what the vector forms do not cover goes that way.
class RowRequantizer {
 public:
  RowRequantizer() = default;
  RowRequantizer(std::vector<FixedPointMultiplier> multipliers, ProductRounding rounding)
      : multipliers_(std::move(multipliers)), rounding_(rounding) {
    vectors_ = rounding_ == ProductRounding::twice ||
               (rounding_ == ProductRounding::once_even &&
                std::all_of(multipliers_.begin(), multipliers_.end(),
                            [](FixedPointMultiplier m) { return m.shift <= 0 && m.shift >= -29; }));
    if (!vectors_) return;
    for (const FixedPointMultiplier& m : multipliers_) {
      mantissa_.push_back(m.mantissa);
      left_.push_back(std::max(m.shift, 0));
      right_.push_back(std::max(-m.shift, 0));
    }
  }

  std::size_t memory() const noexcept {
    return multipliers_.size() * sizeof(FixedPointMultiplier) + mantissa_.size() * 3 * sizeof(std::int32_t);
  }

  /// Codes of `rows` rows of `channels` sums each, of the channels from `channel` on.
  void finish(const std::int32_t* sums, std::size_t rows, std::size_t channel, std::size_t channels, std::int32_t zero,
              std::int32_t low, std::int32_t high, std::uint8_t* codes) const {
    namespace d = requantize_detail;
    if (!vectors_)
      return with_rounding(rounding_, [&](auto rounding) {
        reference::finish(sums, rows, channels, {multipliers_.data() + channel, false, zero, low, high}, codes,
                          rounding);
      });
    const std::int32_t *const mantissa = mantissa_.data() + channel, *const left = left_.data() + channel,
                              *const right = right_.data() + channel;
    const bool twice = rounding_ == ProductRounding::twice;
    detail::vectorized([=]() __attribute__((always_inline)) {
      for (std::size_t row = 0; row != rows; ++row) {
        const std::int32_t* const from = sums + row * channels;
        std::uint8_t* const to = codes + row * channels;
        if (twice)
          detail::each(
              channels, [=](std::size_t c) __attribute__((always_inline)) {
                to[c] = d::code_of(d::twice_rounded(from[c], mantissa[c], left[c], right[c]), zero, low, high);
              });
        else
          detail::each(
              channels, [=](std::size_t c) __attribute__((always_inline)) {
                to[c] = d::code_of(d::even_rounded(from[c], mantissa[c], right[c]), zero, low, high);
              });
      }
    });
  }

 private:
  std::vector<FixedPointMultiplier> multipliers_;
  std::vector<std::int32_t> mantissa_, left_, right_;
  ProductRounding rounding_ = ProductRounding::once_up;
  bool vectors_ = false;
};

}  // namespace fat::inline FAT_ABI

#endif
