// IntegerLayer: one node of a quantized network prepared for one instruction set; reads and writes bytes.
#ifndef FAT_MODEL_INTEGER_LAYER_HPP_INCLUDED
#define FAT_MODEL_INTEGER_LAYER_HPP_INCLUDED

#include <fat/kernel/float/operators.hpp>
#include <fat/kernel/gemm.hpp>
#include <fat/kernel/native.hpp>
#include <fat/kernel/product.hpp>
#include <fat/kernel/reference/convolution.hpp>
#include <fat/kernel/reference/elementwise.hpp>
#include <fat/kernel/reference/pool.hpp>
#include <fat/kernel/reference/softmax.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/integer_stage.hpp>
#include <fat/model/quantized_model.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// Reads its inputs' bytes and writes the output's, part by part: parts may run at the same time, in any order.
class IntegerLayer {
 public:
  IntegerLayer(const Model& model, const Node& node, const std::vector<std::optional<ActivationEncoding>>& activations,
               const WeightEncoding* weights, const kernel::Kernels& kernels, std::size_t threads = 1)
      : kernels_(&kernels), threads_(threads), y_(*activations[node.output]), out_(model.extent(node.output)) {
    for (const ValueId input : node.inputs) {
      in_.push_back(model.extent(input));
      x_.emplace_back(*activations[input]);
    }
    std::visit([&](const auto& op) { prepare(op, weights, node); }, node.op);
  }

  std::size_t parts() const noexcept { return parts_; }
  std::size_t scratch_bytes() const noexcept { return scratch_bytes_; }
  std::size_t scratch_words() const noexcept { return scratch_words_; }
  std::size_t memory() const noexcept {
    return products_memory() + taps_.size() * 2 + columns_.size() + start_.size() * 4 + mantissa_.size() * 4 +
           shift_.size() + multipliers_.size() * sizeof(FixedPointMultiplier);
  }
  void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t part, std::uint8_t* bytes,
           std::int32_t* words) const {
    run_(*this, x, y, part, bytes, words);
  }

 private:
  using Run = void (*)(const IntegerLayer&, const std::uint8_t* const*, std::uint8_t*, std::size_t, std::uint8_t*,
                       std::int32_t*);

  std::size_t products_memory() const noexcept {
    std::size_t bytes = 0;
    for (const auto& product : products_) bytes += product.memory();
    return bytes;
  }

  // ---- convolutions -------------------------------------------------------------------------------------------------

  void prepare(const Convolution& op, const WeightEncoding* w, const Node& node) {
    g_ = detail::geometry(op.window, in_[0], out_);
    g_.groups = op.groups;
    prepare_product(op.clamp, w, node);
  }
  void prepare(const Dense& op, const WeightEncoding* w, const Node& node) {
    g_ = {};
    g_.in_channels = in_[0].size();
    g_.out_channels = out_.channels;
    prepare_product(op.clamp, w, node);
  }
  void prepare_product(const Clamp& clamp, const WeightEncoding* w, const Node& node) {
    y_.clamp_to(clamp);
    const std::size_t depth = g_.taps() * g_.in_channels / g_.groups, width = g_.out_channels / g_.groups;
    expects(depth <= detail::deepest_sum, "IntegerModel: layer '", node.name, "' sums ", depth,
            " products, which can overflow 32 bits; keep it float");
    detail::expect_sums_fit(
        x_[0], *w, g_.out_channels, depth,
        [&](std::size_t k, std::size_t c) { return w->codes[c * depth + k] - w->channel_zero_point(c); },
        "IntegerModel", node.name);
    for (std::size_t group = 0; group != g_.groups; ++group)
      products_.emplace_back(*kernels_,
                             kernel::WeightView{w->codes.data() + group * width * depth, depth, width, 1, depth});
    padded_ = products_[0].columns_padded();
    set_stage(
        w, [&](std::size_t c) { return products_[c / width].column_sums()[c % width]; }, kernels_->offset, depth,
        [&](std::size_t c) { return c / width * padded_ + c % width; }, padded_ * g_.groups);
    if (fast_) multipliers_ = decltype(multipliers_){};
    const std::size_t at_once = products_[0].rows_at_once(), rows = g_.out_height * g_.out_width;
    const std::size_t needed = (rows + at_once - 1) / at_once;  // and so many that no thread has less to do
    parts_ = std::min(rows, (needed + threads_ - 1) / threads_ * threads_);
    direct_ = g_.pointwise() && depth == products_[0].depth_padded() && !asymmetric_;
    scratch_bytes_ = at_once * (products_[0].depth_padded() + g_.out_channels) + products_[0].scratch() * 2 + 256;
    scratch_words_ = at_once * (width + 1);
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t part,
              std::uint8_t* bytes, std::int32_t* words) { l.run_product(x[0], y, part, bytes, words); };
  }

  void prepare(const DepthwiseConvolution& op, const WeightEncoding* w, const Node& node) {
    g_ = detail::geometry(op.window, in_[0], out_);
    y_.clamp_to(op.clamp);
    const std::size_t taps = g_.taps(), channels = g_.out_channels;
    padded_ = channels + 64;
    std::vector<std::int32_t> sums(channels);
    const auto weight = [&](std::size_t t, std::size_t c) {
      return w->codes[t * channels + c] - w->channel_zero_point(c);
    };
    detail::expect_sums_fit(x_[0], *w, channels, taps, weight, "IntegerModel", node.name);
    bool narrow = true;  // weights less their zero point are bytes again, and multipliers below 1/4
    for (std::size_t t = 0; t != taps; ++t)
      for (std::size_t c = 0; c != channels; ++c) {
        sums[c] += weight(t, c);
        narrow = narrow && weight(t, c) >= -128 && weight(t, c) <= 127;
      }
    for (std::size_t c = 0; c != channels; ++c)
      narrow = narrow && stage_shift(detail::product_multiplier(x_[0], *w, c, y_)) >= 1;
    by_columns_ = narrow && kernels_->depthwise3x3 != nullptr && channels == g_.in_channels && channels % 4 == 0 &&
                  taps == 9 && g_.kernel_width == 3 && g_.dilation_width == 1 &&
                  (g_.stride_width == 1 || g_.stride_width == 2);
    const std::size_t block = 4 * kernels_->lanes;
    const auto place = [&](std::size_t c) {
      return by_columns_ ? c / block * block + kernel::place_in_block(c % block, kernels_->lanes) : c;
    };
    set_stage(
        w, [&](std::size_t c) { return sums[c]; }, 0, 0, place, padded_);
    by_columns_ = by_columns_ && fast_;
    if (by_columns_) {
      columns_.assign((channels + block - 1) / block * block * 12, 0);
      for (std::size_t t = 0; t != taps; ++t)
        for (std::size_t c = 0; c != channels; ++c)
          columns_[c / block * block * 12 + (t % 3 * block + place(c) % block) * 4 + t / 3] =
              static_cast<std::int8_t>(weight(t, c));
      parts_ = g_.out_height;
      multipliers_ = decltype(multipliers_){};
      run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t part, std::uint8_t*,
                std::int32_t*) { l.run_depthwise3x3(x[0], y, part); };
      return;
    }
    taps_.assign((taps + 1) / 2 * channels * 2 + 128, 0);
    for (std::size_t t = 0; t != taps; ++t)
      for (std::size_t c = 0; c != channels; ++c)
        taps_[((t / 2) * channels + c) * 2 + t % 2] = static_cast<std::int16_t>(weight(t, c));
    vectors_ = fast_ && channels == g_.in_channels && channels >= kernels_->lanes;
    parts_ = g_.out_height;
    scratch_bytes_ = channels + 64 + (taps + 1) * sizeof(void*) + 64;
    weights_ = w->codes;
    for (std::size_t c = 0; c != channels; ++c) {
      weight_zeros_.push_back(w->channel_zero_point(c));
      bias_.push_back(w->bias[c]);
    }
    scratch_words_ = g_.out_width * channels;
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t part,
              std::uint8_t* bytes, std::int32_t* words) {
      if (l.vectors_)
        l.run_depthwise(x[0], y, part, bytes);
      else
        l.run_depthwise_plain(x[0], y, part, words);
    };
    if (vectors_)
      weights_ = {}, bias_ = decltype(bias_){}, weight_zeros_ = decltype(weight_zeros_){},
      multipliers_ = decltype(multipliers_){};
  }

  /// The shift of a ColumnStage.
  static int stage_shift(FixedPointMultiplier m) { return m.mantissa == 0 ? 1 : -1 - m.shift; }

  /// Start of the sums, multipliers and shifts; decides whether the vector requantization holds for every column.
  template <class Sum, class Place>
  void set_stage(const WeightEncoding* w, Sum column_sum, std::int32_t offset, std::size_t depth, Place place,
                 std::size_t size) {
    start_.assign(size + 64, 0);
    mantissa_.assign(size + 64, 0);
    shift_.assign(size + 64, 1);
    asymmetric_ =
        depth != 0 && std::any_of(w->zero_point.begin(), w->zero_point.end(), [](std::int32_t z) { return z != 0; });
    fast_ = !asymmetric_;
    for (std::size_t c = 0; c != g_.out_channels; ++c) {
      const auto m = detail::product_multiplier(x_[0], *w, c, y_);
      const std::int64_t zero = w->channel_zero_point(c);
      std::int64_t start = std::int64_t{w->bias[c]} + std::int64_t{offset - x_[0].zero} * column_sum(c);
      if (depth != 0) start += std::int64_t{x_[0].zero} * zero * static_cast<std::int64_t>(depth);
      start_[place(c)] = static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint64_t>(start)));
      const int shift = stage_shift(m);
      const int left = std::max(1 - shift, 0);
      // |sum| <= 255 * 255 * taps + |bias|
      const double bound = 65025.0 * static_cast<double>(std::max<std::size_t>(depth, g_.taps())) +
                           std::abs(static_cast<double>(w->bias[c]));
      // the product's high half is below 2^30 and the rounding, with the zero point in it, must be too
      const bool rounds = shift < 1 || (shift <= 30 && std::ldexp(2.0 * y_.zero + 1.0, shift - 1) <= 1073741824.0);
      if (!rounds || left > 15 || std::ldexp(bound, left) >= 2147483647.0) fast_ = false;
      mantissa_[place(c)] = m.mantissa;
      shift_[place(c)] = static_cast<std::int8_t>(std::clamp(shift, -100, 100));
      multipliers_.push_back(m);
      if (asymmetric_) weight_zeros_.push_back(w->channel_zero_point(c));
    }
  }

  kernel::ColumnStage stage(std::size_t at) const {
    return {start_.data() + at, mantissa_.data() + at, shift_.data() + at};
  }
  OutputStage output_stage(std::size_t channel) const {
    return {multipliers_.data() + channel, false, y_.zero, y_.low, y_.high};
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
    // spare scratch memory. The last ones must not read past the image.
    const std::size_t end = g_.in_height * g_.in_width * g_.in_channels;
    const std::size_t spare = g_.kernel_height * bytes, tail = padded - spare;
    for (std::size_t row = 0; row != count; ++row, from += step, to += padded) {
      std::uint8_t* at = to;
      if (bytes <= 16 && from + (g_.kernel_height - 1) * line + 16 <= end)
        for (std::size_t ky = 0; ky != g_.kernel_height; ++ky, at += bytes) std::memcpy(at, x + from + ky * line, 16);
      else
        for (std::size_t ky = 0; ky != g_.kernel_height; ++ky, at += bytes)
          std::memcpy(at, x + from + ky * line, bytes);
      std::memset(at, 0, 4);  // a constant length; the next row overwrites what is too much
      if (tail > 4) std::memset(at + 4, 0, tail - 4);
    }
  }

  /// Rows of A for output positions [first, first + count) of one group, the image's zero point outside it.
  void gather(const std::uint8_t* x, std::size_t group, std::size_t first, std::size_t count, std::uint8_t* to) const {
    const std::size_t depth = g_.in_channels / g_.groups, padded = products_[0].depth_padded();
    const auto zero = static_cast<std::uint8_t>(x_[0].zero);
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

  void run_product(const std::uint8_t* x, std::uint8_t* y, std::size_t part, std::uint8_t* bytes,
                   std::int32_t* words) const {
    const std::size_t rows = g_.out_height * g_.out_width, width = g_.out_channels / g_.groups;
    const std::size_t first = part * rows / parts_, count = (part + 1) * rows / parts_ - first;
    const std::size_t at_once = products_[0].rows_at_once(), padded = products_[0].depth_padded();
    auto* wide = reinterpret_cast<std::int16_t*>(bytes + (at_once * padded + 63) / 64 * 64);
    for (std::size_t group = 0; group != g_.groups; ++group) {
      const kernel::PackedProduct& product = products_[group];
      const std::uint8_t* a = x + first * padded;
      if (!direct_) gather(x, group, first, count, bytes), a = bytes;
      std::uint8_t* out = y + first * g_.out_channels + group * width;
      if (fast_) {
        product.codes(a, padded, count, stage(group * padded_), y_.zero, static_cast<std::uint8_t>(y_.low),
                      static_cast<std::uint8_t>(y_.high), wide, out, g_.out_channels);
        continue;
      }
      product.sums(a, padded, count, start_.data() + group * padded_, wide, words, width);
      if (asymmetric_) subtract_weight_zeros(a, padded, product.depth(), count, group * width, width, words);
      for (std::size_t row = 0; row != count; ++row)
        reference::finish(words + row * width, 1, width, output_stage(group * width), out + row * g_.out_channels);
    }
  }

  void subtract_weight_zeros(const std::uint8_t* a, std::size_t stride, std::size_t depth, std::size_t rows,
                             std::size_t channel, std::size_t width, std::int32_t* sums) const {
    for (std::size_t row = 0; row != rows; ++row) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k != depth; ++k) sum += a[row * stride + k];
      for (std::size_t c = 0; c != width; ++c) {
        std::uint32_t& value = reinterpret_cast<std::uint32_t&>(sums[row * width + c]);
        value -= static_cast<std::uint32_t>(sum) * static_cast<std::uint32_t>(weight_zeros_[channel + c]);
      }
    }
  }

  void run_depthwise(const std::uint8_t* x, std::uint8_t* y, std::size_t oy, std::uint8_t* bytes) const {
    const std::size_t channels = g_.out_channels, taps = g_.taps();
    auto** pointers = reinterpret_cast<const std::uint8_t**>(bytes);
    std::uint8_t* zeros = bytes + (taps + 1) * sizeof(void*);
    std::fill_n(zeros, channels, static_cast<std::uint8_t>(x_[0].zero));
    kernel::DepthwiseCall call;
    call.taps = pointers, call.tap_count = taps, call.channels = channels, call.weights = taps_.data(),
    call.stage = stage(0);
    call.zero_point = y_.zero, call.low = static_cast<std::uint8_t>(y_.low),
    call.high = static_cast<std::uint8_t>(y_.high);
    pointers[taps] = zeros;
    y += oy * g_.out_width * channels;
    const auto inside = [&](std::size_t ox) {
      return g_.in_column(ox, 0) < g_.in_width && g_.in_column(ox, g_.kernel_width - 1) < g_.in_width;
    };
    for (std::size_t ox = 0; ox != g_.out_width;) {
      std::size_t end = ox + 1;
      bool rows_inside = true;
      for (std::size_t ky = 0; ky != g_.kernel_height; ++ky) {
        const std::size_t row = g_.in_row(oy, ky);
        rows_inside = rows_inside && row < g_.in_height;
        for (std::size_t kx = 0; kx != g_.kernel_width; ++kx) {
          const std::size_t column = g_.in_column(ox, kx);
          const bool valid = row < g_.in_height && column < g_.in_width;
          pointers[ky * g_.kernel_width + kx] = valid ? x + (row * g_.in_width + column) * channels : zeros;
        }
      }
      // pixels whose taps all move together; a tap that stays on `zeros` must not move
      if (rows_inside && inside(ox)) {
        while (end != g_.out_width && inside(end)) ++end;
        // the spare tap of an odd count moves too, over any readable bytes: its weights are 0
        pointers[taps] = pointers[taps - 1];
      } else
        pointers[taps] = zeros;
      call.step = g_.stride_width * channels;
      call.columns = end - ox;
      kernels_->depthwise(call, y + ox * channels);
      ox = end;
    }
  }

  void run_depthwise3x3(const std::uint8_t* x, std::uint8_t* y, std::size_t oy) const {
    kernel::Depthwise3x3Call call;
    for (std::size_t k = 0; k != 3; ++k) {
      const std::size_t row = g_.in_row(oy, k);
      call.rows[k] = row < g_.in_height ? x + row * g_.in_width * g_.in_channels : nullptr;
    }
    call.in_width = g_.in_width, call.out_width = g_.out_width, call.channels = g_.out_channels;
    call.stride = g_.stride_width, call.pad_left = g_.pad_left, call.outside = static_cast<std::uint8_t>(x_[0].zero);
    call.weights = columns_.data(), call.stage = stage(0), call.zero_point = y_.zero;
    call.low = static_cast<std::uint8_t>(y_.low), call.high = static_cast<std::uint8_t>(y_.high);
    kernels_->depthwise3x3(call, y + oy * g_.out_width * g_.out_channels);
  }

  void run_depthwise_plain(const std::uint8_t* x, std::uint8_t* y, std::size_t oy, std::int32_t* words) const {
    Geometry row = g_;
    row.out_height = 1;
    row.pad_top = g_.pad_top - oy * g_.stride_height;  // wraps: input rows are counted from this output row
    reference::depthwise(x, x_[0].zero, weights_.data(), weight_zeros_.data(), bias_.data(), row, words);
    reference::finish(words, g_.out_width, g_.out_channels, output_stage(0), y + oy * g_.out_width * g_.out_channels);
  }

  // ---- element-wise -------------------------------------------------------------------------------------------------

  void prepare(const Add& op, const WeightEncoding*, const Node&) {
    y_.clamp_to(op.clamp);
    add_ = detail::add_stage(x_[0], x_[1], y_);
    const int shift = -1 - add_.multiplier.shift;
    vectors_ = in_[0].size() == in_[1].size() && in_[0].size() >= 2 * kernels_->lanes && shift >= -1 && shift <= 22 &&
               add_.a_multiplier.shift >= -23 && add_.b_multiplier.shift >= -23;
    constexpr std::size_t least = 4096;  // codes that are worth a thread
    if (vectors_) parts_ = std::clamp<std::size_t>(in_[0].size() / least, 1, threads_);
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t part, std::uint8_t*,
              std::int32_t*) {
      if (!l.vectors_) {
        reference::add(x[0], x[1], l.in_[0].size(), l.in_[1].size(), l.add_, y);
        return;
      }
      const auto shift_of = [](FixedPointMultiplier m) { return static_cast<std::int8_t>(-1 - m.shift); };
      const AddStage& s = l.add_;
      const std::size_t first = part * l.in_[0].size() / l.parts_;
      const kernel::AddCall call{x[0] + first,
                                 x[1] + first,
                                 (part + 1) * l.in_[0].size() / l.parts_ - first,
                                 s.a_zero,
                                 s.b_zero,
                                 s.a_multiplier.mantissa,
                                 s.b_multiplier.mantissa,
                                 s.multiplier.mantissa,
                                 shift_of(s.a_multiplier),
                                 shift_of(s.b_multiplier),
                                 shift_of(s.multiplier),
                                 s.zero_out,
                                 static_cast<std::uint8_t>(s.low),
                                 static_cast<std::uint8_t>(s.high)};
      l.kernels_->add(call, y + first);
    };
  }
  void prepare(const Multiply& op, const WeightEncoding*, const Node&) {
    y_.clamp_to(op.clamp);
    multiply_ = detail::multiply_stage(x_[0], x_[1], y_);
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*,
              std::int32_t*) { reference::multiply(x[0], x[1], l.in_[0].size(), l.in_[1].size(), l.multiply_, y); };
  }

  void run_table(const detail::ByteTable& table) {
    tables_.push_back(table);
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*,
              std::int32_t*) {
      for (std::size_t i = 0; i != l.out_.size(); ++i) y[i] = l.tables_[0][x[0][i]];
    };
  }
  void prepare(const ClampLayer& op, const WeightEncoding*, const Node&) {
    y_.clamp_to(op.clamp);
    run_table(detail::regrid_table(x_[0], y_));
  }
  void prepare(const HardSwish& op, const WeightEncoding*, const Node&) {
    run_table(detail::function_table(op, x_[0], y_));
  }
  void prepare(const HardSigmoid& op, const WeightEncoding*, const Node&) {
    run_table(detail::function_table(op, x_[0], y_));
  }
  void prepare(const Sigmoid& op, const WeightEncoding*, const Node&) {
    run_table(detail::function_table(op, x_[0], y_));
  }
  void prepare(const Softmax&, const WeightEncoding*, const Node& node) {
    softmax_ = detail::softmax_stage(x_[0], y_, node.name);
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*,
              std::int32_t*) {
      const std::size_t channels = l.out_.channels;
      for (std::size_t at = 0; at != l.out_.size(); at += channels)
        reference::softmax(x[0] + at, channels, l.softmax_, 0, y + at);
    };
  }

  // ---- moving codes -------------------------------------------------------------------------------------------------

  /// Runs the operator on positions of floats once, to learn where every output byte comes from.
  template <class Op>
  void prepare_moves(const Op&, const Node& node, const Model& layout, std::int32_t outside) {
    std::vector<std::vector<float>> positions;
    std::vector<const float*> inputs;
    std::size_t total = 1;
    for (const Extent& extent : in_) {
      positions.emplace_back(extent.size());
      for (float& position : positions.back()) position = static_cast<float>(total++);
    }
    expects(total < (std::size_t{1} << 24U), "IntegerModel: '", node.name,
            "' moves more than 2^24 codes; keep it float");
    for (const auto& each : positions) inputs.push_back(each.data());
    const FloatLayer layer{layout, layout.nodes[0]};
    std::vector<float> found(out_.size()), scratch(layer.scratch() + 1);
    layer.run(inputs, found.data(), 0, layer.parts(), scratch.data());
    for (const float position : found) moves_.push_back(position < 1.0F ? 0U : static_cast<std::uint32_t>(position));
    outside_ = static_cast<std::uint8_t>(outside);
    for (std::size_t i = 0; i != in_.size(); ++i) tables_.push_back(detail::regrid_table(x_[i], y_));
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*,
              std::int32_t*) {
      for (std::size_t i = 0; i != l.moves_.size(); ++i) {
        std::size_t from = l.moves_[i], input = 0;
        if (from == 0) {
          y[i] = l.outside_;
          continue;
        }
        for (--from; from >= l.in_[input].size(); ++input) from -= l.in_[input].size();
        y[i] = l.tables_[input][x[input][from]];
      }
    };
  }
  /// A model of the one operator, to run it alone.
  template <class Op>
  Model alone(const Op& op) const {
    Model model;
    Node node;
    node.name = "alone";
    node.op = op;
    for (const Extent& extent : in_) node.inputs.push_back(model.add_value("in", extent));
    node.output = model.add_value("out", out_);
    model.output = node.output;
    model.nodes.push_back(std::move(node));
    return model;
  }
  void prepare(const Concat& op, const WeightEncoding*, const Node& node) { prepare_moves(op, node, alone(op), 0); }
  void prepare(const Reshape& op, const WeightEncoding*, const Node& node) { prepare_moves(op, node, alone(op), 0); }
  void prepare(const Pad& op, const WeightEncoding*, const Node& node) {
    Pad marked = op;
    marked.value = 0.0F;
    prepare_moves(marked, node, alone(marked), y_.nearest(static_cast<double>(op.value)));
  }
  void prepare(const Resize& op, const WeightEncoding*, const Node& node) {
    if (op.kind == Resize::Kind::nearest) {
      prepare_moves(op, node, alone(op), 0);
      return;
    }
    expect_one_grid("resize", node);
    rows_ = detail::resize_samples(op, in_[0].height, out_.height);
    row_ = detail::resize_samples(op, in_[0].width, out_.width);
    parts_ = out_.height;
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t oy, std::uint8_t*,
              std::int32_t*) { l.interpolate(x[0], l.rows_[oy], y + oy * l.out_.width * l.out_.channels); };
  }
  /// One output row of a bilinear resize: reference::resize_bilinear in 32 bits, 255 * 1024 * 1024 being below 2^31.
  void interpolate(const std::uint8_t* x, const ResizeSample& row, std::uint8_t* y) const {
    const std::size_t channels = out_.channels, width = in_[0].width * channels;
    const std::uint8_t *const top = x + row.low * width, *const bottom = x + row.high * width;
    for (const ResizeSample& column : row_) {
      const std::size_t left = column.low * channels, right = column.high * channels;
      const std::int32_t down = row.weight, across = column.weight;
      for (std::size_t c = 0; c != channels; ++c) {
        const std::int32_t raise = y_.raise,
                           upper = (top[left + c] - raise) * (1024 - across) + (top[right + c] - raise) * across,
                           lower = (bottom[left + c] - raise) * (1024 - across) + (bottom[right + c] - raise) * across;
        const std::int32_t sum = upper * (1024 - down) + lower * down;
        y[c] = static_cast<std::uint8_t>((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20) + raise);
      }
      y += channels;
    }
  }
  void expect_one_grid(std::string_view what, const Node& node) const {
    expects(x_[0].same_reals(y_), "IntegerModel: input and output of ", what, " '", node.name, "' must share one grid");
  }
  void prepare(const BatchNormalization&, const WeightEncoding*, const Node& node) {
    fail("IntegerModel: '", node.name, "' is a batch normalization; it has to be folded");
  }

  // ---- pools --------------------------------------------------------------------------------------------------------

  void prepare(const Pool& op, const WeightEncoding*, const Node& node) {
    g_ = detail::geometry(op.window, in_[0], out_);
    pool_ = op;
    expect_one_grid("pool", node);
    parts_ = out_.height;
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t oy, std::uint8_t*,
              std::int32_t*) {
      Geometry row = l.g_;
      row.out_height = 1;
      row.pad_top = l.g_.pad_top - oy * l.g_.stride_height;
      y += oy * row.out_width * row.out_channels;
      if (l.pool_.kind == Pool::Kind::max) {
        reference::max_pool(x[0], row, l.y_.low, l.y_.high, y);
        return;
      }
      l.average(x[0], row, y);
    };
  }
  /// Halves away from zero of the signed code, so bytes are lowered first.
  void average(const std::uint8_t* x, const Geometry& g, std::uint8_t* y) const {
    for (std::size_t ox = 0; ox != g.out_width; ++ox)
      for (std::size_t c = 0; c != g.in_channels; ++c) {
        std::int32_t sum = 0, count = 0;
        reference::for_each_tap(g, 0, ox,
                                [&](std::size_t tap) { sum += x[tap * g.in_channels + c] - y_.raise, ++count; });
        const auto taps = static_cast<std::int32_t>(g.taps());
        if (pool_.count_padding) sum += (taps - count) * (x_[0].zero - y_.raise), count = taps;
        const std::int32_t mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
        *y++ = static_cast<std::uint8_t>(std::clamp(mean + y_.raise, y_.low, y_.high));
      }
  }
  void prepare(const GlobalAveragePool&, const WeightEncoding*, const Node&) {
    const std::size_t positions = in_[0].height * in_[0].width;
    mean_ = detail::regrid_stage(x_[0], y_);
    multipliers_.push_back(divide(mean_.multiplier, static_cast<std::uint32_t>(positions)));
    scratch_words_ = in_[0].channels;
    // reference::mean, channel sums side by side
    run_ = [](const IntegerLayer& l, const std::uint8_t* const* x, std::uint8_t* y, std::size_t, std::uint8_t*,
              std::int32_t* sums) {
      const std::size_t channels = l.in_[0].channels, size = l.in_[0].size();
      std::fill_n(sums, channels, -static_cast<std::int32_t>(size / channels) * l.mean_.zero_in);
      for (std::size_t i = 0; i != size; i += channels)
        for (std::size_t c = 0; c != channels; ++c) sums[c] += x[0][i + c];
      reference::finish(sums, 1, channels, {l.multipliers_.data(), true, l.y_.zero, l.y_.low, l.y_.high}, y);
    };
  }

  const kernel::Kernels* kernels_;
  std::size_t threads_;
  Run run_ = nullptr;
  std::vector<detail::ByteGrid> x_;
  detail::ByteGrid y_;
  std::vector<Extent> in_;
  Extent out_;
  Geometry g_;
  std::size_t parts_ = 1, scratch_bytes_ = 0, scratch_words_ = 0, padded_ = 0;
  bool direct_ = false, fast_ = false, vectors_ = false, asymmetric_ = false, by_columns_ = false;
  std::vector<kernel::PackedProduct> products_;
  std::vector<std::int16_t> taps_;
  aligned_vector<std::int8_t> columns_;
  std::vector<std::int32_t> start_, mantissa_, weight_zeros_, bias_;
  std::vector<std::int8_t> shift_;
  std::vector<FixedPointMultiplier> multipliers_;
  array<std::int8_t> weights_;
  std::vector<detail::ByteTable> tables_;
  std::vector<std::uint32_t> moves_;
  std::vector<ResizeSample> rows_, row_;
  std::uint8_t outside_ = 0;
  AddStage add_;
  MultiplyStage multiply_;
  RequantizeStage mean_;
  SoftmaxStage softmax_;
  Pool pool_;
};

}  // namespace fat::inline FAT_ABI

#endif
