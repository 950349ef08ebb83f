// IntegerLayer: what the integer engine asks of a node of a quantized network prepared for one instruction set.
#ifndef FAT_MODEL_INTEGER_LAYER_HPP_INCLUDED
#define FAT_MODEL_INTEGER_LAYER_HPP_INCLUDED

#include <fat/kernel/native.hpp>
#include <fat/model/integer_stage.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// Where a layer stands: the grids and extents of its inputs and its output, and what it runs on.
struct IntegerSite {
  std::string name;
  std::vector<detail::ByteGrid> x;
  detail::ByteGrid y;
  std::vector<Extent> in;
  Extent out;
  const kernel::Kernels* kernels = nullptr;
  std::size_t threads = 1;
  Requantization requantize = Requantization::half_up;  ///< of the network
  ProductRounding rounding = ProductRounding::once_up;  ///< of this operator

  IntegerSite(const Model& model, const Node& node, const std::vector<std::optional<ActivationEncoding>>& activations,
              const kernel::Kernels& chosen, std::size_t workers, Requantization how)
      : name(node.name),
        y(*activations[node.output]),
        out(model.extent(node.output)),
        kernels(&chosen),
        threads(workers),
        requantize(how),
        rounding(product_rounding(how, node.op)) {
    for (const ValueId input : node.inputs) {
      in.push_back(model.extent(input));
      x.emplace_back(*activations[input]);
    }
  }

  /// Of means of codes that stay on the output's grid.
  MeanRounding means() const noexcept { return mean_rounding(requantize, y.zero); }
  /// Errors: an output whose codes stand for other reals than the input's.
  void expect_one_grid(std::string_view what) const {
    expects(x[0].same_reals(y), "IntegerModel: input and output of ", what, " '", name, "' must share one grid");
  }
};

/// Reads its inputs' bytes and writes the output's, part by part: parts may run at the same time, in any order.
class IntegerLayer {
 public:
  explicit IntegerLayer(IntegerSite where) : site_(std::move(where)) {}
  IntegerLayer(const IntegerLayer&) = delete;
  IntegerLayer& operator=(const IntegerLayer&) = delete;
  virtual ~IntegerLayer() = default;

  /// One part; bytes and words are scratch memory of the caller's thread.
  virtual void run(const std::uint8_t* const* x, std::uint8_t* y, std::size_t part, std::uint8_t* bytes,
                   std::int32_t* words) const = 0;
  /// Bytes of packed weights, biases and multipliers.
  virtual std::size_t memory() const noexcept { return 0; }

  std::size_t parts() const noexcept { return parts_; }
  std::size_t scratch_bytes() const noexcept { return scratch_bytes_; }
  std::size_t scratch_words() const noexcept { return scratch_words_; }

 protected:
  IntegerSite site_;
  std::size_t parts_ = 1, scratch_bytes_ = 0, scratch_words_ = 0;
};

}  // namespace fat::inline FAT_ABI

#endif
