// Integer layers that look at one place at a time: sums, products, tables of 256 codes, softmax.
#ifndef FAT_MODEL_INTEGER_ELEMENTWISE_HPP_INCLUDED
#define FAT_MODEL_INTEGER_ELEMENTWISE_HPP_INCLUDED

#include <fat/kernel/reference/elementwise.hpp>
#include <fat/kernel/reference/softmax.hpp>
#include <fat/model/integer/layer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

class IntegerAdd final : public IntegerLayer {
 public:
  IntegerAdd(IntegerSite where, const Add& op) : IntegerLayer(std::move(where)) {
    site_.y.clamp_to(op.clamp);
    stage_ = detail::add_stage(site_.x[0], site_.x[1], site_.y);
    const std::size_t size = site_.in[0].size();
    const int shift = -1 - stage_.multiplier.shift;
    vectors_ = size == site_.in[1].size() && size >= 2 * site_.kernels->lanes && shift >= -1 && shift <= 22 &&
               stage_.a_multiplier.shift >= -23 && stage_.b_multiplier.shift >= -23;
    if (site_.rounding != ProductRounding::once_up) learn_roundings();
    constexpr std::size_t least = 4096;  // codes that are worth a thread
    if (vectors_) parts_ = std::clamp<std::size_t>(size / least, 1, site_.threads);
  }

  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t part, std::uint8_t*,
           std::int32_t*) const override {
    const std::size_t size = site_.in[0].size(), first = part * size / parts_;
    if (!vectors_) return add_plainly(x, y);
    const auto shift_of = [](FixedPointMultiplier m) { return static_cast<std::int8_t>(-1 - m.shift); };
    const kernel::AddCall call{
        x[0] + first,
        x[1] + first,
        (part + 1) * size / parts_ - first,
        stage_.a_zero,
        stage_.b_zero,
        stage_.a_multiplier.mantissa,
        stage_.b_multiplier.mantissa,
        stage_.multiplier.mantissa,
        shift_of(stage_.a_multiplier),
        shift_of(stage_.b_multiplier),
        shift_of(stage_.multiplier),
        {stage_.zero_out, static_cast<std::uint8_t>(stage_.low), static_cast<std::uint8_t>(stage_.high)}};
    site_.kernels->add(call, y + first);
  }

 private:
  /// A byte of either input in the common unit of the sum, by another rounding than halves up; and whether that makes
  /// another code of any two bytes, which keeps the vectors from being used.
  void learn_roundings() {
    with_rounding(site_.rounding, [&](auto rounding) {
      std::vector<std::int32_t> up[2];
      for (std::size_t input = 0; input != 2; ++input)
        for (std::int32_t byte = 0; byte != 256; ++byte) {
          const std::int32_t value =
              (byte - (input == 0 ? stage_.a_zero : stage_.b_zero)) * (1 << AddStage::left_shift);
          const FixedPointMultiplier m = input == 0 ? stage_.a_multiplier : stage_.b_multiplier;
          parts_of_sum_[input].push_back(requantize(value, m, rounding));
          up[input].push_back(requantize(value, m, SingleRounding{}));
        }
      for (std::size_t a = 0; a != 256 && vectors_; ++a)
        for (std::size_t b = 0; b != 256; ++b)
          vectors_ = vectors_ && code_of(parts_of_sum_[0][a] + parts_of_sum_[1][b], rounding) ==
                                     code_of(up[0][a] + up[1][b], SingleRounding{});
    });
  }
  template <class Rounding>
  std::uint8_t code_of(std::int32_t sum, Rounding rounding) const {
    return static_cast<std::uint8_t>(
        reference::clamp_code(requantize(sum, stage_.multiplier, rounding), stage_.zero_out, stage_.low, stage_.high));
  }
  void add_plainly(const std::uint8_t* const* x, std::uint8_t* y) const {
    const std::size_t size = site_.in[0].size(), b_size = site_.in[1].size();
    if (site_.rounding == ProductRounding::once_up) return reference::add(x[0], x[1], size, b_size, stage_, y);
    with_rounding(site_.rounding, [&](auto rounding) {
      for (std::size_t i = 0; i != size; i += b_size)
        for (std::size_t k = 0; k != b_size; ++k)
          y[i + k] = code_of(parts_of_sum_[0][x[0][i + k]] + parts_of_sum_[1][x[1][k]], rounding);
    });
  }

  AddStage stage_;
  std::vector<std::int32_t> parts_of_sum_[2];  ///< by byte; empty for halves up
  bool vectors_ = false;
};

class IntegerMultiply final : public IntegerLayer {
 public:
  IntegerMultiply(IntegerSite where, const Multiply& op) : IntegerLayer(std::move(where)) {
    site_.y.clamp_to(op.clamp);
    stage_ = detail::multiply_stage(site_.x[0], site_.x[1], site_.y);
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*, std::int32_t*) const override {
    with_rounding(site_.rounding, [&](auto rounding) {
      reference::multiply(x[0], x[1], site_.in[0].size(), site_.in[1].size(), stage_, y, rounding);
    });
  }

 private:
  MultiplyStage stage_;
};

/// A clamp or a function of single values, tabulated over the 256 codes.
class IntegerTable final : public IntegerLayer {
 public:
  IntegerTable(IntegerSite where, const ClampLayer& op) : IntegerLayer(std::move(where)) {
    site_.y.clamp_to(op.clamp);
    table_ = detail::regrid_table(site_.x[0], site_.y, site_.rounding);
  }
  template <class Function>
  IntegerTable(IntegerSite where, const Function& op) : IntegerLayer(std::move(where)) {
    table_ = detail::function_table(op, site_.x[0], site_.y, site_.requantize);
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*, std::int32_t*) const override {
    for (std::size_t i = 0; i != site_.out.size(); ++i) y[i] = table_[x[0][i]];
  }

 private:
  detail::ByteTable table_;
};

/// Over the channels of every pixel.
class IntegerSoftmax final : public IntegerLayer {
 public:
  IntegerSoftmax(IntegerSite where, const Softmax&)
      : IntegerLayer(std::move(where)), stage_(detail::softmax_stage(site_.x[0], site_.y, site_.name)) {}
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*, std::int32_t*) const override {
    const std::size_t channels = site_.out.channels;
    for (std::size_t at = 0; at != site_.out.size(); at += channels)
      reference::softmax(x[0] + at, channels, stage_, 0, y + at);
  }

 private:
  SoftmaxStage stage_;
};

}  // namespace fat::inline FAT_ABI

#endif
