// How an element operation reaches every kind of tensor: directly where memory is contiguous, else through small
// buffers.
#ifndef FAT_QUANTIZER_TRANSFORM_HPP_INCLUDED
#define FAT_QUANTIZER_TRANSFORM_HPP_INCLUDED

#include <fat/core/tensor.hpp>
#include <fat/quantizer/run.hpp>

namespace fat::inline FAT_ABI::detail {

/// Result of deleted overloads that let the compiler say why a call is refused: a tensor of float takes Params<float>,
/// one of double Params<double>, one of integers none.
struct TensorNeedsParamsOfItsOwnReal;

/// Preconditions of every algorithm from a tensor to a tensor with parameters by channel.
template <class In, class Out>
void expect_same_shape(const char* algorithm, const In& in, const Out& out) {
  const Shape from = shape_of(in);
  const Shape to = shape_of(out);
  expects(from == to, algorithm, ": the input has shape ", from, " but the output has shape ", to, "; make them equal");
}

inline void expect_channels(const char* algorithm, const Shape& shape, const Partition& parts, std::size_t channels) {
  expects(parts.channels == channels, algorithm, ": parameters for ", channels, " channels, but a tensor of shape ",
          shape, " with ", parts.channels, "; take the parameters from ranges of this tensor");
}

/// out[i] = Cell(in[i]) in row-major order, equal shapes; the same arithmetic, and so the same bits, for every kind of
/// tensor. BufferIn and BufferOut are the element types of the loops. `out` may be `in`.
template <class Cell, class BufferIn, class BufferOut, class Real, std::size_t K, Tensor In, MutableTensor Out>
void transform_tensor(const In& in, Out& out, const Partition& parts, const Columns<Real, K>& columns) {
  if (parts.size() == 0) return;
  if constexpr (std::is_same_v<value_type_of<In>, BufferIn> && std::is_same_v<value_type_of<Out>, BufferOut>) {
    const auto from = contiguous_data(in);
    const auto to = contiguous_data(out);
    if (from != nullptr && to != nullptr) return transform_cells<Cell>(from, to, parts, columns);
  }
  constexpr std::size_t capacity = Tile<Real, K>::capacity;
  std::array<BufferIn, capacity> near_in;
  std::array<BufferOut, capacity> near_out;
  Tile<Real, K> tile;
  auto from = traits_of<In>::begin(in);
  auto to = traits_of<Out>::begin(out);
  for (std::size_t first = 0; first < parts.size(); first += capacity) {
    const std::size_t count = std::min(capacity, parts.size() - first);
    for (std::size_t i = 0; i != count; ++i, ++from) near_in[i] = static_cast<BufferIn>(*from);
    tile.fill(columns, parts, first, count);
    transform_cells<Cell>(near_in.data(), near_out.data(), {1, count, 1}, tile.columns());
    for (std::size_t i = 0; i != count; ++i, ++to) *to = static_cast<value_type_of<Out>>(near_out[i]);
  }
}

}  // namespace fat::inline FAT_ABI::detail

#endif
