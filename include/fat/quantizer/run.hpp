// quantize, dequantize and fake_quantize over raw memory: one grid over a run, or a grid for each channel of a
// partition.
#ifndef FAT_QUANTIZER_RUN_HPP_INCLUDED
#define FAT_QUANTIZER_RUN_HPP_INCLUDED

#include <fat/quantizer/grid_table.hpp>

namespace fat::inline FAT_ABI {

namespace detail {

/// The three element operations, over pointers; `in` and `out` may be the same.
template <class Rounding, class Scaling>
struct QuantizeCell {
  template <class Real, class Code>
  [[gnu::always_inline]] static void apply(const Real& in, Code& out, const std::array<Real, 5>& p) {
    const Real centered = centered_code<Rounding, Scaling>(in, p[0], p[1], p[2], p[3]);
    out = static_cast<Code>(static_cast<std::int32_t>(centered + p[4]));
  }
};

struct DequantizeCell {
  template <class Code, class Real>
  [[gnu::always_inline]] static void apply(const Code& in, Real& out, const std::array<Real, 5>& p) {
    out = (static_cast<Real>(in) - p[4]) * p[1];
  }
};

template <class Rounding, class Scaling>
struct FakeQuantizeCell {
  template <class Real>
  [[gnu::always_inline]] static void apply(const Real& in, Real& out, const std::array<Real, 5>& p) {
    out = centered_code<Rounding, Scaling>(in, p[0], p[1], p[2], p[3]) * p[1];
  }
  /// A sixth parameter is an origin that the grid counts from.
  template <class Real>
  [[gnu::always_inline]] static void apply(const Real& in, Real& out, const std::array<Real, 6>& p) {
    out = centered_code<Rounding, Scaling>(in - p[5], p[0], p[1], p[2], p[3]) * p[1] + p[5];
  }
};

template <class Cell, class In, class Out, class Real, std::size_t K>
void transform_cells(const In* in, Out* out, const Partition& parts, const Columns<Real, K>& columns) {
  vectorized([=]() __attribute__((always_inline)) {
    for_each_cell(
        parts, columns, [=](std::size_t i, const std::array<Real, K>& p) __attribute__((always_inline)) {
          Cell::apply(in[i], out[i], p);
        });
  });
}

template <class Cell, class In, class Out, class Real>
void transform_run(const In* in, Out* out, std::size_t n, const Grid<Real>& grid) {
  const auto p = grid_parameters(grid);
  transform_cells<Cell>(in, out, {1, 1, n}, GridColumns<Real>{{&p[0], &p[1], &p[2], &p[3], &p[4]}});
}

}  // namespace detail

/// codes[i] = code of x[i] on one grid, i < n. Precondition: Code holds the grid's codes.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, RealScalar Real, CodeScalar Code>
void quantize_run(const Real* x, Code* codes, std::size_t n, const Grid<Real>& grid) {
  detail::transform_run<detail::QuantizeCell<Rounding, Scaling>>(x, codes, n, grid);
}

/// y[i] = real of codes[i] on one grid, i < n.
template <CodeScalar Code, RealScalar Real>
void dequantize_run(const Code* codes, Real* y, std::size_t n, const Grid<Real>& grid) {
  detail::transform_run<detail::DequantizeCell>(codes, y, n, grid);
}

/// y[i] = x[i] moved onto one grid, i < n; the same bits as dequantize_run after quantize_run. y may be x.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, RealScalar Real>
void fake_quantize_run(const Real* x, Real* y, std::size_t n, const Grid<Real>& grid) {
  detail::transform_run<detail::FakeQuantizeCell<Rounding, Scaling>>(x, y, n, grid);
}

/// The same with one grid for each channel: x is [outer][channels][inner], row-major. Channels last (NHWC) is
/// {pixels, channels, 1}. Precondition: grids.channels() == parts.channels.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, RealScalar Real, CodeScalar Code>
void quantize_channels(const Real* x, Code* codes, const Partition& parts, const GridTable<Real>& grids) {
  detail::transform_cells<detail::QuantizeCell<Rounding, Scaling>>(x, codes, parts, grids.columns());
}

template <CodeScalar Code, RealScalar Real>
void dequantize_channels(const Code* codes, Real* y, const Partition& parts, const GridTable<Real>& grids) {
  detail::transform_cells<detail::DequantizeCell>(codes, y, parts, grids.columns());
}

/// y may be x.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, RealScalar Real>
void fake_quantize_channels(const Real* x, Real* y, const Partition& parts, const GridTable<Real>& grids) {
  detail::transform_cells<detail::FakeQuantizeCell<Rounding, Scaling>>(x, y, parts, grids.columns());
}

}  // namespace fat::inline FAT_ABI

#endif
