// What each rounding of a network means for each of its operators: the one place that says it (docs/interop.md, "Rounding").
#ifndef FAT_MODEL_REQUANTIZATION_HPP_INCLUDED
#define FAT_MODEL_REQUANTIZATION_HPP_INCLUDED

#include <fat/kernel/requantize.hpp>
#include <fat/model/layers.hpp>

#include <cstdint>
#include <variant>

namespace fat::inline FAT_ABI {

/// Of the sums of layers with weights, sums, products, means over an image, and changes of grid. LiteRT's reference
/// kernels round twice but in FULLY_CONNECTED.
inline ProductRounding product_rounding(Requantization how, const Operator& op) {
  if (how == Requantization::half_even) return ProductRounding::once_even;
  return how == Requantization::tflite && !std::holds_alternative<Dense>(op) ? ProductRounding::twice
                                                                             : ProductRounding::once_up;
}

/// Of average pools and bilinear resizes, in bytes (signed codes are raised by 128). zero: the byte of real 0. Halves up
/// are halves away from a byte below all others, and survive that codes are stored 128 lower. LiteRT's codes are signed
/// whatever the model's are.
constexpr MeanRounding mean_rounding(Requantization how, std::int32_t zero) noexcept {
  if (how == Requantization::half_even) return {zero, true};
  return {how == Requantization::tflite ? 128 : -1, false};
}

/// Whether hard swish is LiteRT's computation in 16 bits, not a table of the nearest codes.
constexpr bool short_hard_swish(Requantization how) noexcept { return how == Requantization::tflite; }

}  // namespace fat::inline FAT_ABI

#endif
