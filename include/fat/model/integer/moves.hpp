// Integer layers that move codes: concat, reshape, pad and nearest resize by a list of places, bilinear resize by rows.
#ifndef FAT_MODEL_INTEGER_MOVES_HPP_INCLUDED
#define FAT_MODEL_INTEGER_MOVES_HPP_INCLUDED

#include <fat/model/integer/layer.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// Every output code is an input code on the output's grid, or one that stands for what lies outside.
class IntegerMoves final : public IntegerLayer {
 public:
  /// Errors: 2^24 codes or more.
  template <class Op>
  IntegerMoves(IntegerSite where, const Op& op) : IntegerLayer(std::move(where)) {
    learn(op);
  }
  IntegerMoves(IntegerSite where, const Pad& op)
      : IntegerLayer(std::move(where)),
        outside_(static_cast<std::uint8_t>(site_.y.nearest(static_cast<double>(op.value)))) {
    Pad marked = op;
    marked.value = 0.0F;
    learn(marked);
  }

  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*, std::int32_t*) const override {
    for (std::size_t i = 0; i != places_.size(); ++i) {
      std::size_t from = places_[i], input = 0;
      if (from == 0) {
        y[i] = outside_;
        continue;
      }
      for (--from; from >= site_.in[input].size(); ++input) from -= site_.in[input].size();
      y[i] = tables_[input][x[input][from]];
    }
  }

 private:
  /// Runs the operator on positions of floats once, to learn where every output byte comes from.
  template <class Op>
  void learn(const Op& op) {
    std::vector<std::vector<float>> positions;
    std::vector<const float*> inputs;
    std::size_t total = 1;
    for (const Extent& extent : site_.in) {
      positions.emplace_back(extent.size());
      for (float& position : positions.back()) position = static_cast<float>(total++);
    }
    expects(total < (std::size_t{1} << 24U), "IntegerModel: '", site_.name,
            "' moves more than 2^24 codes; keep it float");
    for (const auto& each : positions) inputs.push_back(each.data());
    const Model alone = model_of(op);
    const FloatLayer layer{alone, alone.nodes[0]};
    std::vector<float> found(site_.out.size()), scratch(layer.scratch() + 1);
    layer.run(inputs, found.data(), 0, layer.parts(), scratch.data());
    for (const float position : found) places_.push_back(position < 1.0F ? 0U : static_cast<std::uint32_t>(position));
    for (const detail::ByteGrid& x : site_.x) tables_.push_back(detail::regrid_table(x, site_.y));
  }
  template <class Op>
  Model model_of(const Op& op) const {
    Model model;
    Node node;
    node.name = "alone";
    node.op = op;
    for (const Extent& extent : site_.in) node.inputs.push_back(model.add_value("in", extent));
    node.output = model.add_value("out", site_.out);
    model.output = node.output;
    model.nodes.push_back(std::move(node));
    return model;
  }

  std::vector<std::uint32_t> places_;  ///< 0: outside; else 1 + the place in the inputs one after the other
  std::vector<detail::ByteTable> tables_;
  std::uint8_t outside_ = 0;
};

/// Bilinear; a part is an output row. reference::resize_bilinear in 32 bits, 255 * 1024 * 1024 being below 2^31.
class IntegerResize final : public IntegerLayer {
 public:
  IntegerResize(IntegerSite where, const Resize& op) : IntegerLayer(std::move(where)) {
    site_.expect_one_grid("resize");
    rows_ = detail::resize_samples(op, site_.in[0].height, site_.out.height);
    row_ = detail::resize_samples(op, site_.in[0].width, site_.out.width);
    parts_ = site_.out.height;
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t oy, std::uint8_t*, std::int32_t*) const override {
    const ResizeSample& row = rows_[oy];
    const std::size_t channels = site_.out.channels, width = site_.in[0].width * channels;
    const std::uint8_t *const top = x[0] + row.low * width, *const bottom = x[0] + row.high * width;
    y += oy * site_.out.width * channels;
    for (const ResizeSample& column : row_) {
      const std::size_t left = column.low * channels, right = column.high * channels;
      const std::int32_t down = row.weight, across = column.weight;
      for (std::size_t c = 0; c != channels; ++c) {
        const std::int32_t raise = site_.y.raise,
                           upper = (top[left + c] - raise) * (1024 - across) + (top[right + c] - raise) * across,
                           lower = (bottom[left + c] - raise) * (1024 - across) + (bottom[right + c] - raise) * across;
        const std::int32_t sum = upper * (1024 - down) + lower * down;
        y[c] = static_cast<std::uint8_t>((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20) + raise);
      }
      y += channels;
    }
  }

 private:
  std::vector<ResizeSample> rows_, row_;
};

}  // namespace fat::inline FAT_ABI

#endif
