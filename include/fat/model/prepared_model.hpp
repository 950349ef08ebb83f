// PreparedModel: a QuantizedModel made ready for this processor once; any number of callers run it, each with its memory.
#ifndef FAT_MODEL_PREPARED_MODEL_HPP_INCLUDED
#define FAT_MODEL_PREPARED_MODEL_HPP_INCLUDED

#include <fat/kernel/native.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/integer/prepare.hpp>
#include <fat/model/plan.hpp>
#include <fat/model/simulation_model.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

struct IntegerOptions {
  /// Workers. Whole images are shared out where there are enough; else the rows of each layer.
  std::size_t threads = 1;
  /// Micro-kernels by name ("avx2", "generic"...); null: the best of this processor, or what FAT_KERNEL names.
  const char* kernels = nullptr;
  /// In place of a name: a set that no processor takes by itself, such as kernel::blas_kernels.
  const kernel::Kernels* set = nullptr;
};

/// Weights packed, multipliers and memory planned; nothing changes afterwards. Its layers point into its graph, so it
/// stays where it was made.
class PreparedModel {
 public:
  struct Step {
    std::unique_ptr<IntegerLayer> integer;
    std::unique_ptr<FloatLayer> real;
  };

  /// Errors: those of validate and of integer_layer.
  PreparedModel(const QuantizedModel& quantized, const IntegerOptions& options)
      : graph((validate(quantized), simulation_model(quantized))), activations(quantized.activations) {
    const kernel::Kernels& kernels = options.set != nullptr       ? *options.set
                                     : options.kernels != nullptr ? kernel::kernels_named(options.kernels)
                                                                  : kernel::native_kernels();
    std::vector<Lifetime> lifetimes = value_lifetimes(graph);
    for (ValueId v = 0; v != lifetimes.size(); ++v) {
      const std::size_t size = lifetimes[v].size * (activations[v] ? 1 : sizeof(float));
      lifetimes[v].size =
          lifetimes[v].size == 0 ? 0 : (size + 3) / 4 + 1;  // in words; kernels may read 3 bytes past the end
    }
    plan = plan_arena(lifetimes);
    for (std::size_t n = 0; n != graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      Step step;
      const auto is_float = [&](ValueId v) { return !activations[v]; };
      const bool in_float = !has_integer_form(node.op) || is_float(node.output) ||
                            std::any_of(node.inputs.begin(), node.inputs.end(), is_float);
      if (in_float) {
        step.real = std::make_unique<FloatLayer>(graph, node);
        std::size_t needed = graph.extent(node.output).size() + step.real->scratch();
        for (const ValueId input : node.inputs) needed += graph.extent(input).size();
        floats = std::max(floats, needed + 64);
      } else {
        const WeightEncoding* weights = quantized.weights[n] ? &*quantized.weights[n] : nullptr;
        step.integer = integer_layer(graph, node, activations, weights, kernels, options.threads, quantized.requantize);
        bytes = std::max(bytes, step.integer->scratch_bytes());
        words = std::max(words, step.integer->scratch_words());
      }
      most_inputs = std::max(most_inputs, node.inputs.size());
      steps.push_back(std::move(step));
    }
    for (std::size_t n = 0; n != graph.nodes.size(); ++n)
      with_weighted(graph.nodes[n].op, [&](auto& op) {
        if (steps[n].integer) op.kernel = {}, op.offset = {};
      });
  }
  PreparedModel(const PreparedModel&) = delete;
  PreparedModel& operator=(const PreparedModel&) = delete;
  ~PreparedModel() = default;

  Model graph;
  std::vector<std::optional<ActivationEncoding>> activations;
  ArenaPlan plan;  ///< in words of 4 bytes
  std::vector<Step> steps;
  std::size_t bytes = 0, words = 0, floats = 0;  ///< scratch memory of a caller
  std::size_t most_inputs = 0;
};

}  // namespace fat::inline FAT_ABI

#endif
