// integer_layer: prepares one node of a quantized network for one instruction set.
#ifndef FAT_MODEL_INTEGER_PREPARE_HPP_INCLUDED
#define FAT_MODEL_INTEGER_PREPARE_HPP_INCLUDED

#include <fat/model/integer/depthwise.hpp>
#include <fat/model/integer/elementwise.hpp>
#include <fat/model/integer/moves.hpp>
#include <fat/model/integer/pool.hpp>
#include <fat/model/integer/product.hpp>
#include <fat/model/sums.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// The integer layer of a node whose inputs and output are quantized. weights: the node's, null where it has none. how:
/// the rounding of the network.
/// Errors: a layer whose weights are not codes, sums that can pass 32 bits, grids that the operator does not have in integers, a batch normalization.
inline std::unique_ptr<IntegerLayer> integer_layer(const Model& model, const Node& node,
                                                   const std::vector<std::optional<ActivationEncoding>>& activations,
                                                   const WeightEncoding* weights, const kernel::Kernels& kernels,
                                                   std::size_t threads = 1,
                                                   Requantization how = Requantization::half_up) {
  IntegerSite site{model, node, activations, kernels, threads, how};
  const auto codes = [&]() -> const WeightEncoding& {
    expects(weights != nullptr, "IntegerModel: layer '", node.name,
            "' has float weights between quantized tensors; quantize it, or keep its input and output in float");
    return *weights;
  };
  return std::visit(
      [&]<class Op>(const Op& op) -> std::unique_ptr<IntegerLayer> {
        if constexpr (WeightedLayer<Op>)
          expect_sums_fit(codes(), partition(codes().codes.shape(), Op::channel_axis), *activations[node.inputs[0]],
                          "IntegerModel", node.name);
        if constexpr (std::is_same_v<Op, Convolution> || std::is_same_v<Op, Dense>)
          return std::make_unique<IntegerProduct>(std::move(site), op, codes());
        else if constexpr (std::is_same_v<Op, DepthwiseConvolution>)
          return std::make_unique<IntegerDepthwise>(std::move(site), op, codes());
        else if constexpr (std::is_same_v<Op, Add>)
          return std::make_unique<IntegerAdd>(std::move(site), op);
        else if constexpr (std::is_same_v<Op, Multiply>)
          return std::make_unique<IntegerMultiply>(std::move(site), op);
        else if constexpr (std::is_same_v<Op, Softmax>)
          return std::make_unique<IntegerSoftmax>(std::move(site), op);
        else if constexpr (std::is_same_v<Op, Pool>)
          return std::make_unique<IntegerPool>(std::move(site), op);
        else if constexpr (std::is_same_v<Op, GlobalAveragePool>)
          return std::make_unique<IntegerMean>(std::move(site), op);
        else if constexpr (std::is_same_v<Op, Concat> || std::is_same_v<Op, Reshape> || std::is_same_v<Op, Pad>)
          return std::make_unique<IntegerMoves>(std::move(site), op);
        else if constexpr (std::is_same_v<Op, Resize>) {
          if (op.kind == Resize::Kind::nearest) return std::make_unique<IntegerMoves>(std::move(site), op);
          return std::make_unique<IntegerResize>(std::move(site), op);
        } else if constexpr (std::is_same_v<Op, BatchNormalization>)
          fail("IntegerModel: '", node.name, "' is a batch normalization; it has to be folded");
        else if constexpr (OwnOperator<Op>) {
          if constexpr (Op::moves_only)
            return std::make_unique<IntegerMoves>(std::move(site), op);
          else if constexpr (std::is_same_v<Op, Function>)
            return std::make_unique<IntegerTable>(std::move(site), op);
          else
            fail("IntegerModel: '", node.name, "' has no form in integers");
        } else
          return std::make_unique<IntegerTable>(std::move(site), op);
      },
      node.op);
}

}  // namespace fat::inline FAT_ABI

#endif
