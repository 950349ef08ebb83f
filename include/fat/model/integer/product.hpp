// IntegerProduct: convolutions and dense layers as matrix products of gathered windows and packed weights.
#ifndef FAT_MODEL_INTEGER_PRODUCT_HPP_INCLUDED
#define FAT_MODEL_INTEGER_PRODUCT_HPP_INCLUDED

#include <fat/kernel/product.hpp>
#include <fat/model/integer/columns.hpp>
#include <fat/model/sums.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

class IntegerProduct final : public IntegerLayer {
 public:
  IntegerProduct(IntegerSite where, const Convolution& op, const WeightEncoding& w)
      : IntegerLayer(std::move(where)), g_(detail::geometry(op.window, site_.in[0], site_.out)) {
    g_.groups = op.groups;
    prepare(op.clamp, w);
  }
  IntegerProduct(IntegerSite where, const Dense& op, const WeightEncoding& w) : IntegerLayer(std::move(where)) {
    g_.in_channels = site_.in[0].size();
    g_.out_channels = site_.out.channels;
    prepare(op.clamp, w);
  }

  std::size_t memory() const noexcept override {
    std::size_t bytes = columns_.memory();
    for (const auto& product : products_) bytes += product.memory();
    return bytes;
  }

  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t part, std::uint8_t* bytes,
           std::int32_t* words) const override {
    const std::size_t rows = g_.out_height * g_.out_width, width = g_.out_channels / g_.groups;
    const std::size_t row_parts = parts_ / column_parts_, row_part = part % row_parts, column_part = part / row_parts;
    const std::size_t first = row_part * rows / row_parts, count = (row_part + 1) * rows / row_parts - first;
    const std::size_t at_once = products_[0].rows_at_once(), padded = products_[0].depth_padded();
    auto* wide = reinterpret_cast<std::int16_t*>(bytes + (at_once * padded + 63) / 64 * 64);
    for (std::size_t group = 0; group != g_.groups; ++group) {
      const kernel::PackedProduct& product = products_[group];
      const std::uint8_t* a = x[0] + first * padded;
      if (!direct_) gather(x[0], group, first, count, bytes), a = bytes;
      std::uint8_t* out = y + first * g_.out_channels + group * width;
      if (columns_.fast()) {
        const std::size_t panels = product.panels();
        const kernel::PanelRange mine{column_part * panels / column_parts_, (column_part + 1) * panels / column_parts_};
        product.codes(a, padded, count, mine, columns_.stage(group * padded_), columns_.target(), wide, out,
                      g_.out_channels);
        continue;
      }
      product.sums(a, padded, count, columns_.start(group * padded_), wide, words, width);
      if (columns_.asymmetric()) subtract_weight_zeros(a, padded, product.depth(), count, group * width, width, words);
      if (g_.groups == 1)
        columns_.finish(words, count, 0, width, out);
      else
        for (std::size_t row = 0; row != count; ++row)
          columns_.finish(words + row * width, 1, group * width, width, out + row * g_.out_channels);
    }
  }

 private:
  void prepare(const Clamp& clamp, const WeightEncoding& w) {
    site_.y.clamp_to(clamp);
    const std::size_t depth = g_.taps() * g_.in_channels / g_.groups, width = g_.out_channels / g_.groups;
    expects(depth <= deepest_sum, "IntegerModel: layer '", site_.name, "' sums ", depth, " products, at most ",
            deepest_sum, " are possible; keep it float");
    const std::vector<std::int64_t> largest = largest_sums(w, partition(w.codes.shape(), 0), site_.x[0].zero);
    for (std::size_t group = 0; group != g_.groups; ++group)
      products_.emplace_back(*site_.kernels,
                             kernel::WeightView{w.codes.data() + group * width * depth, depth, width, 1, depth});
    padded_ = products_[0].columns_padded();
    columns_ = {site_,
                w,
                {g_.out_channels, padded_ * g_.groups, depth, site_.kernels->offset, true},
                largest,
                [&](std::size_t c) { return products_[c / width].column_sums()[c % width]; },
                [&](std::size_t c) { return c / width * padded_ + c % width; }};
    if (columns_.fast()) columns_.forget_multipliers();
    direct_ = g_.pointwise() && depth == products_[0].depth_padded() && !columns_.asymmetric();
    const std::size_t at_once = products_[0].rows_at_once(), rows = g_.out_height * g_.out_width;
    const std::size_t in_part = direct_ && columns_.fast() ? 2 * at_once : at_once;  // else they need scratch memory
    const std::size_t needed = (rows + in_part - 1) / in_part;
    // Few rows and many columns: each thread reads its part of the weights alone. Else no thread has fewer rows to do.
    if (columns_.fast() && g_.groups == 1 && width >= 3 * rows)
      column_parts_ = std::min(site_.threads, products_[0].panels());
    parts_ = column_parts_ > 1 ? needed * column_parts_
                               : std::min(rows, (needed + site_.threads - 1) / site_.threads * site_.threads);
    std::size_t widened = 0;  // whether rows are depends on a group's weights
    for (const kernel::PackedProduct& product : products_) widened = std::max(widened, product.scratch());
    scratch_bytes_ = at_once * (products_[0].depth_padded() + g_.out_channels) + widened * 2 + 256;
    scratch_words_ = at_once * (width + 1);
  }

  /// How many of `most` output positions of row oy from ox on read rows and columns of the image alone, in runs of bytes.
  std::size_t inner_run(std::size_t oy, std::size_t ox, std::size_t most) const {
    const std::size_t top = g_.in_row(oy, 0), bottom = g_.in_row(oy, g_.kernel_height - 1), left = g_.in_column(ox, 0);
    if (g_.groups != 1 || g_.dilation_width != 1 || top >= g_.in_height || bottom >= g_.in_height || bottom < top ||
        left >= g_.in_width || left + g_.kernel_width > g_.in_width)
      return 0;
    const std::size_t inside = (g_.in_width - g_.kernel_width - left) / g_.stride_width + 1;
    return std::min({most, inside, g_.out_width - ox});
  }

  /// Rows of A for such positions.
  void gather_inner(const std::uint8_t* x, std::size_t oy, std::size_t ox, std::size_t count, std::uint8_t* to) const {
    const std::size_t padded = products_[0].depth_padded(), bytes = g_.kernel_width * g_.in_channels;
    const std::size_t line = g_.dilation_height * g_.in_width * g_.in_channels, step = g_.stride_width * g_.in_channels;
    std::size_t from = (g_.in_row(oy, 0) * g_.in_width + g_.in_column(ox, 0)) * g_.in_channels;
    // A short run is copied as a whole vector: what it brings too much is overwritten next, or by zeros, or lies in the
    // spare scratch memory. Those that would read past the image are copied exactly.
    const std::size_t end = g_.in_height * g_.in_width * g_.in_channels;
    const std::size_t depth = g_.kernel_height * bytes, tail = padded - depth;
    const std::size_t reach = (g_.kernel_height - 1) * line + 16;
    const std::size_t whole = bytes > 16 || from + reach > end ? 0 : std::min(count, (end - reach - from) / step + 1);
    std::size_t row = 0;
    const auto copy_whole = [&](std::size_t height) {
      for (; row != whole; ++row, from += step, to += padded) {
        for (std::size_t ky = 0; ky != height; ++ky) std::memcpy(to + ky * bytes, x + from + ky * line, 16);
        std::memset(to + depth, 0, 4);  // a constant length; the next row overwrites what is too much
        if (tail > 4) std::memset(to + depth + 4, 0, tail - 4);
      }
    };
    if (g_.kernel_height == 3) copy_whole(3);  // a constant, unrolled
    else copy_whole(g_.kernel_height);
    for (; row != count; ++row, from += step, to += padded) {
      for (std::size_t ky = 0; ky != g_.kernel_height; ++ky) std::memcpy(to + ky * bytes, x + from + ky * line, bytes);
      std::memset(to + depth, 0, tail);
    }
  }

  /// Rows of A for output positions [first, first + count) of one group, the image's zero point outside it.
  void gather(const std::uint8_t* x, std::size_t group, std::size_t first, std::size_t count, std::uint8_t* to) const {
    const std::size_t depth = g_.in_channels / g_.groups, padded = products_[0].depth_padded();
    const auto zero = static_cast<std::uint8_t>(site_.x[0].zero);
    std::size_t oy = first / g_.out_width, ox = first % g_.out_width;
    for (std::size_t row = first; row != first + count; ++row, to += padded) {
      if (const std::size_t run = inner_run(oy, ox, first + count - row); run != 0) {
        gather_inner(x, oy, ox, run, to);
        row += run - 1, to += (run - 1) * padded, ox += run;
        if (ox == g_.out_width) ox = 0, ++oy;
        continue;
      }
      std::uint8_t* at = to;
      for (std::size_t ky = 0; ky != g_.kernel_height; ++ky) {
        const std::size_t y = g_.in_row(oy, ky);
        for (std::size_t kx = 0; kx != g_.kernel_width; ++kx, at += depth) {
          const std::size_t column = g_.in_column(ox, kx);
          if (y < g_.in_height && column < g_.in_width)
            std::copy_n(x + (y * g_.in_width + column) * g_.in_channels + group * depth, depth, at);
          else
            std::fill_n(at, depth, zero);
        }
      }
      for (; at != to + padded; ++at) *at = 0;
      if (++ox == g_.out_width) ox = 0, ++oy;
    }
  }

  void subtract_weight_zeros(const std::uint8_t* a, std::size_t stride, std::size_t depth, std::size_t rows,
                             std::size_t channel, std::size_t width, std::int32_t* sums) const {
    for (std::size_t row = 0; row != rows; ++row) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k != depth; ++k) sum += a[row * stride + k];
      for (std::size_t c = 0; c != width; ++c) {
        std::uint32_t& value = reinterpret_cast<std::uint32_t&>(sums[row * width + c]);
        value -= static_cast<std::uint32_t>(sum) * static_cast<std::uint32_t>(columns_.weight_zero(channel + c));
      }
    }
  }

  Geometry g_;
  std::vector<kernel::PackedProduct> products_;
  detail::ColumnTable columns_;
  std::size_t padded_ = 0;        ///< columns of a group
  std::size_t column_parts_ = 1;  ///< parts lie column part by column part, each of them in parts of the rows
  bool direct_ = false;           ///< the input's pixels are the rows of A
};

}  // namespace fat::inline FAT_ABI

#endif
