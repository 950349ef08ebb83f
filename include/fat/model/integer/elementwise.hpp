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
    constexpr std::size_t least = 4096;  // codes that are worth a thread
    if (vectors_) parts_ = std::clamp<std::size_t>(size / least, 1, site_.threads);
  }

  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t part, std::uint8_t*,
           std::int32_t*) const override {
    const std::size_t size = site_.in[0].size(), first = part * size / parts_;
    if (!vectors_) return reference::add(x[0], x[1], size, site_.in[1].size(), stage_, y);
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
  AddStage stage_;
  bool vectors_ = false;
};

class IntegerMultiply final : public IntegerLayer {
 public:
  IntegerMultiply(IntegerSite where, const Multiply& op) : IntegerLayer(std::move(where)) {
    site_.y.clamp_to(op.clamp);
    stage_ = detail::multiply_stage(site_.x[0], site_.x[1], site_.y);
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*, std::int32_t*) const override {
    reference::multiply(x[0], x[1], site_.in[0].size(), site_.in[1].size(), stage_, y);
  }

 private:
  MultiplyStage stage_;
};

/// A clamp or a function of single values, tabulated over the 256 codes.
class IntegerTable final : public IntegerLayer {
 public:
  IntegerTable(IntegerSite where, const ClampLayer& op) : IntegerLayer(std::move(where)) {
    site_.y.clamp_to(op.clamp);
    table_ = detail::regrid_table(site_.x[0], site_.y);
  }
  template <class Function>
  IntegerTable(IntegerSite where, const Function& op) : IntegerLayer(std::move(where)) {
    table_ = detail::function_table(op, site_.x[0], site_.y);
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
