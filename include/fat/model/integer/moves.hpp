// Integer layers that move codes: concat, reshape, pad and nearest resize in runs, bilinear resize by rows.
#ifndef FAT_MODEL_INTEGER_MOVES_HPP_INCLUDED
#define FAT_MODEL_INTEGER_MOVES_HPP_INCLUDED

#include <fat/model/integer/layer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// Every output code is an input code on the output's grid, or one that stands for what lies outside.
class IntegerMoves final : public IntegerLayer {
 public:
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

  std::size_t memory() const noexcept override {
    return runs_.size() * sizeof(Run) + tables_.size() * sizeof(detail::ByteTable);
  }

  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*, std::int32_t*) const override {
    for (const Run& run : runs_) {
      if (run.input == site_.in.size()) {
        std::memset(y, outside_, run.length);
      } else if (const std::uint8_t* const from = x[run.input] + run.from; same_grid_[run.input] != 0) {
        std::memcpy(y, from, run.length);
      } else {
        for (std::size_t i = 0; i != run.length; ++i) y[i] = tables_[run.input][from[i]];
      }
      y += run.length;
    }
  }

 private:
  /// Consecutive output codes that are consecutive codes of one input; that of no input: outside.
  struct Run {
    std::uint32_t input = 0, from = 0, length = 0;
  };

  /// Runs the operator on positions instead of values, to learn where every output byte comes from. A position, counted
  /// from 1 through all inputs, takes two floats: 0 and 0 is outside.
  template <class Op>
  void learn(const Op& op) {
    constexpr std::size_t part = std::size_t{1} << 16U;
    const Model alone = model_of(op);
    const FloatLayer layer{alone, alone.nodes[0]};
    std::vector<float> scratch(layer.scratch() + 1), found[2];
    for (const bool upper : {false, true}) {
      std::vector<std::vector<float>> positions;
      std::vector<const float*> inputs;
      std::size_t total = 0;
      for (const Extent& extent : site_.in) {
        positions.emplace_back(extent.size());
        for (float& position : positions.back())
          ++total, position = static_cast<float>(upper ? total / part : total % part);
      }
      expects(total <= std::numeric_limits<std::uint32_t>::max(), "IntegerModel: '", site_.name,
              "' moves more than 2^32 codes; keep it float");
      for (const auto& each : positions) inputs.push_back(each.data());
      found[upper].resize(site_.out.size());
      layer.run(inputs, found[upper].data(), 0, layer.parts(), scratch.data());
    }
    for (std::size_t i = 0; i != site_.out.size(); ++i)
      append(static_cast<std::size_t>(found[1][i]) * part + static_cast<std::size_t>(found[0][i]));
    for (const detail::ByteGrid& x : site_.x) {
      tables_.push_back(detail::regrid_table(x, site_.y, site_.rounding));
      bool same = true;
      for (std::size_t code = 0; code != tables_.back().size(); ++code) same = same && tables_.back()[code] == code;
      same_grid_.push_back(same ? 1 : 0);
    }
  }
  void append(std::size_t position) {
    const bool outside = position == 0;
    Run next{static_cast<std::uint32_t>(outside ? site_.in.size() : 0), 0, 1};
    if (!outside) {
      for (--position; position >= site_.in[next.input].size(); ++next.input) position -= site_.in[next.input].size();
      next.from = static_cast<std::uint32_t>(position);
    }
    Run* const last = runs_.empty() ? nullptr : &runs_.back();
    if (last != nullptr && last->input == next.input && (outside || last->from + last->length == next.from))
      ++last->length;
    else
      runs_.push_back(next);
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

  std::vector<Run> runs_;
  std::vector<detail::ByteTable> tables_;  ///< from the grid of each input to the output's
  std::vector<char> same_grid_;            ///< whether the table changes nothing
  std::uint8_t outside_ = 0;
};

/// Bilinear; a part is an output row. reference::resize_bilinear in 32 bits, 255 * 1024 * 1024 being below 2^29.
class IntegerResize final : public IntegerLayer {
 public:
  IntegerResize(IntegerSite where, const Resize& op) : IntegerLayer(std::move(where)) {
    site_.expect_one_grid("resize");
    rows_ = detail::resize_samples(op, site_.in[0].height, site_.out.height);
    row_ = detail::resize_samples(op, site_.in[0].width, site_.out.width);
    parts_ = site_.out.height;
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t oy, std::uint8_t*, std::int32_t*) const override {
    if (site_.means().to_even)
      interpolate(x, y, oy, mean_half_even<std::int32_t>);
    else
      interpolate(x, y, oy, mean_half_away<std::int32_t>);
  }

 private:
  template <class Mean>
  void interpolate(const std::uint8_t* const* x, std::uint8_t* y, std::size_t oy, Mean mean) const {
    const std::int32_t origin = site_.means().origin;
    const ResizeSample& row = rows_[oy];
    const std::size_t channels = site_.out.channels, width = site_.in[0].width * channels;
    const std::uint8_t *const top = x[0] + row.low * width, *const bottom = x[0] + row.high * width;
    y += oy * site_.out.width * channels;
    for (const ResizeSample& column : row_) {
      const std::size_t left = column.low * channels, right = column.high * channels;
      const std::int32_t down = row.weight, across = column.weight;
      for (std::size_t c = 0; c != channels; ++c) {
        const std::int32_t upper = (top[left + c] - origin) * (1024 - across) + (top[right + c] - origin) * across,
                           lower =
                               (bottom[left + c] - origin) * (1024 - across) + (bottom[right + c] - origin) * across;
        y[c] = static_cast<std::uint8_t>(mean(upper * (1024 - down) + lower * down, 1 << 20) + origin);
      }
      y += channels;
    }
  }

  std::vector<ResizeSample> rows_, row_;
};

}  // namespace fat::inline FAT_ABI

#endif
