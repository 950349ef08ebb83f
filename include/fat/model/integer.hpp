// IntegerModel: a QuantizedModel prepared for this processor; codes in, codes out, integers only in between.
#ifndef FAT_MODEL_INTEGER_HPP_INCLUDED
#define FAT_MODEL_INTEGER_HPP_INCLUDED

#include <fat/kernel/gemm.hpp>
#include <fat/kernel/threads.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/integer/prepare.hpp>
#include <fat/model/plan.hpp>
#include <fat/model/simulation_model.hpp>
#include <fat/quantizer/run.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
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

/// A quantized network ready to run: weights packed, multipliers and memory planned. Keeps nothing of the
/// QuantizedModel but a copy of its graph. Results do not depend on the kernels or the number of threads. Layers that
/// touch a tensor without an encoding run in float, with codes converted at their borders. Requantization rounds as
/// the model says; halves up are the fastest, and halves to even as fast where a layer cannot meet one.
class IntegerModel {
 public:
  explicit IntegerModel(const QuantizedModel& quantized, const IntegerOptions& options = {})
      : float_model_((validate(quantized), simulation_model(quantized))),
        activations_(quantized.activations),
        threads_(options.threads) {
    const kernel::Kernels& kernels = options.set != nullptr       ? *options.set
                                     : options.kernels != nullptr ? kernel::kernels_named(options.kernels)
                                                                  : kernel::native_kernels();
    std::vector<Lifetime> lifetimes = value_lifetimes(float_model_);
    for (ValueId v = 0; v != lifetimes.size(); ++v) {
      const std::size_t bytes = lifetimes[v].size * (activations_[v] ? 1 : sizeof(float));
      lifetimes[v].size =
          lifetimes[v].size == 0 ? 0 : (bytes + 3) / 4 + 1;  // in words; kernels may read 3 bytes past the end
    }
    plan_ = plan_arena(lifetimes);
    std::size_t bytes = 0, words = 0, floats = 0;
    for (std::size_t n = 0; n != float_model_.nodes.size(); ++n) {
      const Node& node = float_model_.nodes[n];
      Step step;
      const auto is_float = [&](ValueId v) { return !activations_[v]; };
      const bool in_float = !has_integer_form(node.op) || is_float(node.output) || std::any_of(node.inputs.begin(), node.inputs.end(), is_float);
      if (in_float) {
        step.real = std::make_unique<FloatLayer>(float_model_, node);
        std::size_t needed = float_model_.extent(node.output).size() + step.real->scratch();
        for (const ValueId input : node.inputs) needed += float_model_.extent(input).size();
        floats = std::max(floats, needed + 64);
      } else {
        const WeightEncoding* weights = quantized.weights[n] ? &*quantized.weights[n] : nullptr;
        step.integer =
            integer_layer(float_model_, node, activations_, weights, kernels, threads_.size(), quantized.requantize);
        bytes = std::max(bytes, step.integer->scratch_bytes());
        words = std::max(words, step.integer->scratch_words());
      }
      steps_.push_back(std::move(step));
    }
    for (std::size_t worker = 0; worker != threads_.size(); ++worker) {
      workers_.push_back({aligned_vector<std::uint32_t>(plan_.size + 16),
                          aligned_vector<std::uint8_t>(bytes),
                          aligned_vector<std::int32_t>(words),
                          aligned_vector<float>(floats),
                          {},
                          {}});
      for (const Node& node : float_model_.nodes) {
        workers_.back().inputs.resize(std::max(workers_.back().inputs.size(), node.inputs.size()));
        workers_.back().reals.resize(workers_.back().inputs.size());
      }
    }
    for (Node& node : float_model_.nodes) release_unused(node);
  }

  const Model& graph() const noexcept { return float_model_; }
  std::size_t steps() const noexcept { return steps_.size(); }
  /// Bytes of activation memory of one worker.
  std::size_t arena_bytes() const noexcept { return plan_.size * sizeof(std::uint32_t); }
  /// Bytes of packed weights, biases and multipliers.
  std::size_t packed_bytes() const noexcept {
    std::size_t bytes = 0;
    for (const Step& step : steps_) bytes += step.integer ? step.integer->memory() : 0;
    return bytes;
  }

  /// Runs `batch` NHWC images of floats. Errors: sizes that do not match.
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs) {
    run(images, batch, outputs, [](ValueId, std::size_t, std::size_t, const std::uint8_t*) {});
  }
  /// The same on codes, of the signedness of the encodings; input and output must be quantized.
  template <class In, class Out>
    requires kernel::Code8<In> && kernel::Code8<Out>
  void run(std::span<const In> images, std::size_t batch, std::span<Out> outputs) {
    run(images, batch, outputs, [](ValueId, std::size_t, std::size_t, const std::uint8_t*) {});
  }
  /// hook(value id, image, worker, bytes of the value): codes are bytes raised by 128 where they are signed; values
  /// without an encoding are floats. Images and outputs are floats or codes, each for itself.
  template <class In, class Out, class Hook>
    requires(std::same_as<In, float> || kernel::Code8<In>)
  &&(std::same_as<Out, float> || kernel::Code8<Out>)void run(std::span<const In> images, std::size_t batch,
                                                             std::span<Out> outputs, Hook&& hook) {
    const std::size_t in = float_model_.input_extent().size(), out = float_model_.output_extent().size();
    expects(images.size() == batch * in, "IntegerModel: ", images.size(), " input values for ", batch, " images of ",
            in);
    expects(outputs.size() == batch * out, "IntegerModel: room for ", outputs.size(), " output values, ", batch * out,
            " are needed");
    expect_codes<In>(float_model_.input);
    expect_codes<Out>(float_model_.output);
    const OneCaller only{*busy_};
    const std::size_t shared = threads_.size() == 1 ? batch : batch / threads_.size() * threads_.size();
    threads_.run(shared, [&](std::size_t image, std::size_t worker) {
      run_image(images.data() + image * in, outputs.data() + image * out, image, worker, false, hook);
    });
    for (std::size_t image = shared; image != batch; ++image)
      run_image(images.data() + image * in, outputs.data() + image * out, image, 0, true, hook);
  }

 private:
  /// Two callers at once would work in the same memory.
  struct OneCaller {
    explicit OneCaller(std::atomic<bool>& flag) : busy(flag) {
      expects(!busy.exchange(true),
              "IntegerModel: a second thread calls run while the first one is in it; give each thread a model of its own");
    }
    OneCaller(const OneCaller&) = delete;
    OneCaller& operator=(const OneCaller&) = delete;
    ~OneCaller() { busy.store(false); }
    std::atomic<bool>& busy;
  };
  struct Step {
    std::unique_ptr<IntegerLayer> integer;
    std::unique_ptr<FloatLayer> real;
  };
  struct Worker {
    aligned_vector<std::uint32_t> arena;
    aligned_vector<std::uint8_t> bytes;
    aligned_vector<std::int32_t> words;
    aligned_vector<float> floats;
    std::vector<const std::uint8_t*> inputs;
    std::vector<const float*> reals;
  };

  /// Where codes are given or wanted, the value has codes of the same sign.
  template <class Value>
  void expect_codes(ValueId value) const {
    if constexpr (kernel::Code8<Value>) {
      expects(activations_[value].has_value(), "IntegerModel: codes are wanted, but '", float_model_.values[value].name,
              "' is float");
      expects(activations_[value]->is_signed() == std::is_signed_v<Value>, "IntegerModel: the codes given for '",
              float_model_.values[value].name, "' differ in sign from the model's; int8 for code_min < 0, else uint8");
    }
  }

  std::uint8_t* at(Worker& worker, ValueId value) const {
    return reinterpret_cast<std::uint8_t*>(worker.arena.data() + plan_.offset[value]);
  }

  void release_unused(Node& node) {
    with_weighted(node.op, [&](auto& op) {
      if (steps_[static_cast<std::size_t>(&node - float_model_.nodes.data())].integer) op.kernel = {}, op.offset = {};
    });
  }

  /// Quantizes halves to even, as the simulation does.
  static void to_codes(const float* from, std::size_t size, const ActivationEncoding& e, std::uint8_t* to) {
    const std::int32_t raise = e.is_signed() ? 128 : 0;
    const Grid<float> bytes{1.0F / e.step, e.step, e.zero_point + raise, e.code_min + raise, e.code_max + raise};
    quantize_run(from, to, size, bytes);
  }
  static void to_reals(const std::uint8_t* from, std::size_t size, const ActivationEncoding& e, float* to) {
    const std::int32_t zero = e.zero_point + (e.is_signed() ? 128 : 0);
    for (std::size_t i = 0; i != size; ++i) to[i] = static_cast<float>(from[i] - zero) * e.step;
  }

  template <class In>
  void take(const In* image, std::uint8_t* to, bool split) {
    const std::size_t size = float_model_.input_extent().size();
    const auto& e = activations_[float_model_.input];
    if constexpr (std::is_same_v<In, float>) {
      if (e) {
        const std::size_t parts = split ? threads_.size() : 1;
        threads_.run(parts, [&](std::size_t part, std::size_t) {
          const std::size_t first = part * size / parts, end = (part + 1) * size / parts;
          to_codes(image + first, end - first, *e, to + first);
        });
      } else
        std::memcpy(to, image, size * sizeof(float));
    } else {
      for (std::size_t i = 0; i != size; ++i)
        to[i] = static_cast<std::uint8_t>(image[i] + (std::is_signed_v<In> ? 128 : 0));
    }
  }
  template <class Out>
  void give(const std::uint8_t* from, Out* output) const {
    const std::size_t size = float_model_.output_extent().size();
    const auto& e = activations_[float_model_.output];
    if constexpr (std::is_same_v<Out, float>) {
      if (e)
        to_reals(from, size, *e, output);
      else
        std::memcpy(output, from, size * sizeof(float));
    } else {
      for (std::size_t i = 0; i != size; ++i) output[i] = static_cast<Out>(from[i] - (std::is_signed_v<Out> ? 128 : 0));
    }
  }

  template <class In, class Out, class Hook>
  void run_image(const In* image, Out* output, std::size_t index, std::size_t worker, bool split, Hook& hook) {
    Worker& mine = workers_[worker];
    take(image, at(mine, float_model_.input), split);
    hook(float_model_.input, index, worker, at(mine, float_model_.input));
    for (std::size_t n = 0; n != steps_.size(); ++n) {
      const Node& node = float_model_.nodes[n];
      for (std::size_t i = 0; i != node.inputs.size(); ++i) mine.inputs[i] = at(mine, node.inputs[i]);
      if (steps_[n].integer)
        run_codes(*steps_[n].integer, mine, at(mine, node.output), split);
      else
        run_floats(*steps_[n].real, node, mine, at(mine, node.output));
      hook(node.output, index, worker, at(mine, node.output));
    }
    give(at(mine, float_model_.output), output);
  }

  void run_codes(const IntegerLayer& layer, Worker& mine, std::uint8_t* output, bool split) {
    const std::size_t parts = layer.parts();
    if (!split || threads_.size() == 1) {
      for (std::size_t part = 0; part != parts; ++part)
        layer.run(mine.inputs.data(), output, part, mine.bytes.data(), mine.words.data());
      return;
    }
    threads_.run(parts, [&](std::size_t part, std::size_t by) {
      layer.run(mine.inputs.data(), output, part, workers_[by].bytes.data(), workers_[by].words.data());
    });
  }

  /// Apart from the integers, so that a look at the machine code tells them from layers kept in float.
  [[gnu::noinline]] void run_floats(const FloatLayer& layer, const Node& node, Worker& mine,
                                    std::uint8_t* output) const {
    float* next = mine.floats.data();
    for (std::size_t i = 0; i != node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      mine.reals[i] = reinterpret_cast<const float*>(mine.inputs[i]);
      if (!activations_[input]) continue;
      to_reals(mine.inputs[i], float_model_.extent(input).size(), *activations_[input], next);
      mine.reals[i] = next;
      next += float_model_.extent(input).size();
    }
    const std::size_t size = float_model_.extent(node.output).size();
    const auto& e = activations_[node.output];
    float* result = e ? next : reinterpret_cast<float*>(output);
    layer.run(std::span{mine.reals}.first(node.inputs.size()), result, 0, layer.parts(), next + (size + 15) / 16 * 16);
    if (e) to_codes(result, size, *e, output);
  }

  Model float_model_;
  std::vector<std::optional<ActivationEncoding>> activations_;
  Threads threads_;
  ArenaPlan plan_;
  std::vector<Step> steps_;
  std::vector<Worker> workers_;
  std::unique_ptr<std::atomic<bool>> busy_ = std::make_unique<std::atomic<bool>>(false);
};

template <Tensor In, MutableTensor Out>
void QuantizedModel::run(const In& input, Out&& output) const {
  IntegerModel model{*this};
  const std::size_t size = graph.input_extent().size();
  const auto* from = contiguous_data(input);
  auto* to = contiguous_data(output);
  expects(from != nullptr && to != nullptr,
          "QuantizedModel: input and output must lie in memory row by row without gaps");
  using From = value_type_of<In>;
  model.run(std::span<const From>{from, size_of(input)}, size_of(input) / size, std::span{to, size_of(output)});
}

}  // namespace fat::inline FAT_ABI

#endif
