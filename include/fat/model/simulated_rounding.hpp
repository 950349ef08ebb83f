// SimulatedRounding: how a float simulation moves what a layer makes onto its grid, as near to the integers as floats can be.
#ifndef FAT_MODEL_SIMULATED_ROUNDING_HPP_INCLUDED
#define FAT_MODEL_SIMULATED_ROUNDING_HPP_INCLUDED

#include <fat/kernel/reference/pool.hpp>
#include <fat/model/encodings.hpp>
#include <fat/model/integer_stage.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// Of the output of one node, or of the network's input. Floats that become codes go to the nearest one, halves to even;
/// what integers compute from codes rounds as model/requantization.hpp says: halves up, to even, of a mean away from its
/// origin, or twice, first to the fraction of a code that the multiplier's right shift leaves.
class SimulatedRounding {
 public:
  /// For values that floats make.
  explicit SimulatedRounding(const ActivationEncoding& encoding)
      : grid_(grid_of(encoding)), move_(fake_quantize_run<HalfToEven>) {}

  /// For what node `n` makes. Precondition: its output is quantized. `network`: simulation_model of `quantized`.
  SimulatedRounding(const QuantizedModel& quantized, const Model& network, std::size_t n)
      : SimulatedRounding(*quantized.activations[network.nodes[n].output]) {
    const Node& node = network.nodes[n];
    if (!has_integer_form(node.op)) return;
    std::vector<detail::ByteGrid> x;
    for (const ValueId input : node.inputs) {
      if (!quantized.activations[input]) return;
      x.emplace_back(*quantized.activations[input]);
    }
    const detail::ByteGrid y{*quantized.activations[node.output]};
    const Requantization how = quantized.requantize;
    const MeanRounding mean = mean_rounding(how, y.zero);
    const auto* const pool = std::get_if<Pool>(&node.op);
    const auto* const resize = std::get_if<Resize>(&node.op);
    if ((pool != nullptr && pool->kind == Pool::Kind::average) ||
        (resize != nullptr && resize->kind == Resize::Kind::bilinear)) {
      if (!mean.to_even) move_ = nullptr, origin_ = static_cast<float>(y.zero - mean.origin);
      return;
    }
    const ProductRounding rounding = product_rounding(how, node.op);
    if (rounding == ProductRounding::once_up) move_ = fake_quantize_run<HalfUp>;
    if (rounding != ProductRounding::twice) return;
    move_ = nullptr;
    const WeightEncoding* const weights = quantized.weights[n] ? &*quantized.weights[n] : nullptr;
    for (const FixedPointMultiplier m : multipliers(node.op, x, y, weights, network.extent(node.inputs[0])))
      fractions_.push_back(m.shift < -finest ? 0.0F : std::ldexp(1.0F, std::max(-m.shift, 0)));
  }

  const Grid<float>& grid() const noexcept { return grid_; }

  /// Moves the values, channels together, onto the grid.
  void apply(float* values, std::size_t size) const {
    if (move_ != nullptr) return move_(values, values, size, grid_);
    const auto low = static_cast<float>(grid_.code_min - grid_.zero_point),
               high = static_cast<float>(grid_.code_max - grid_.zero_point);
    for (std::size_t i = 0; i != size; ++i) {
      const float fraction = fractions_.empty() ? 0.0F : fractions_[i % fractions_.size()];
      float u = std::isnan(values[i]) ? 0.0F : std::clamp(values[i] * grid_.codes_per_unit, low - 1.0F, high + 1.0F);
      if (fraction != 0.0F) u = HalfUp{}(u * fraction) / fraction;
      values[i] = std::clamp(HalfAwayFromZero{}(u + origin_) - origin_, low, high) * grid_.step;
    }
  }

 private:
  /// Beyond so many bits a float of 8 bits before the point has nothing to round.
  static constexpr int finest = 14;

  /// Of the last requantization of each output channel, or one for all; none where there is no single one.
  static std::vector<FixedPointMultiplier> multipliers(const Operator& op, const std::vector<detail::ByteGrid>& x,
                                                       const detail::ByteGrid& y, const WeightEncoding* weights,
                                                       const Extent& in) {
    return std::visit(
        [&]<class Op>(const Op&) -> std::vector<FixedPointMultiplier> {
          if constexpr (WeightedLayer<Op>) {
            std::vector<FixedPointMultiplier> all;
            for (std::size_t c = 0; weights != nullptr && c != weights->step.size(); ++c)
              all.push_back(detail::product_multiplier(x[0], *weights, c, y));
            return all;
          } else if constexpr (std::is_same_v<Op, Add>)
            return {detail::add_stage(x[0], x[1], y).multiplier};
          else if constexpr (std::is_same_v<Op, Multiply>)
            return {detail::multiply_stage(x[0], x[1], y).multiplier};
          else if constexpr (std::is_same_v<Op, GlobalAveragePool>)
            return {divide(detail::regrid_stage(x[0], y).multiplier, static_cast<std::uint32_t>(in.height * in.width))};
          else if constexpr (std::is_same_v<Op, ClampLayer> || std::is_same_v<Op, Reshape> || std::is_same_v<Op, Pad> ||
                             std::is_same_v<Op, Resize>)
            return {detail::regrid_stage(x[0], y).multiplier};
          else
            return {};
        },
        op);
  }

  Grid<float> grid_;
  void (*move_)(const float*, float*, std::size_t, const Grid<float>&);  ///< null: see apply
  std::vector<float> fractions_;  ///< of the first rounding, to a code over this; 0: not felt
  float origin_ = 0.0F;           ///< that halves go away from, in codes below real 0
};

}  // namespace fat::inline FAT_ABI

#endif
