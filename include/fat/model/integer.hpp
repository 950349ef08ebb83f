// IntegerModel: a QuantizedModel prepared for this processor; codes in, codes out, integers only in between.
#ifndef FAT_MODEL_INTEGER_HPP_INCLUDED
#define FAT_MODEL_INTEGER_HPP_INCLUDED

#include <fat/kernel/reference/gemm.hpp>
#include <fat/kernel/threads.hpp>
#include <fat/model/prepared_model.hpp>
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

/// A quantized network ready to run: weights packed, multipliers and memory planned. Keeps nothing of the
/// QuantizedModel but a copy of its graph. Results do not depend on the kernels or the number of threads. Layers that
/// touch a tensor without an encoding run in float, with codes converted at their borders. Requantization rounds as
/// the model says; halves up are the fastest, and halves to even as fast where a layer cannot meet one.
class IntegerModel {
 public:
  explicit IntegerModel(const QuantizedModel& quantized, const IntegerOptions& options = {})
      : IntegerModel(std::make_shared<const PreparedModel>(quantized, options), options.threads) {}
  /// Another caller of the same prepared network: nothing is packed again, the working memory is its own.
  IntegerModel(std::shared_ptr<const PreparedModel> prepared, std::size_t threads)
      : shared_(std::move(prepared)), threads_(threads) {
    for (std::size_t worker = 0; worker != threads_.size(); ++worker)
      workers_.push_back(
          {aligned_vector<std::uint32_t>(shared_->plan.size + 16), aligned_vector<std::uint8_t>(shared_->bytes),
           aligned_vector<std::int32_t>(shared_->words), aligned_vector<float>(shared_->floats),
           std::vector<const std::uint8_t*>(shared_->most_inputs), std::vector<const float*>(shared_->most_inputs)});
  }

  const Model& graph() const noexcept { return shared_->graph; }
  std::size_t steps() const noexcept { return shared_->steps.size(); }
  /// Bytes of activation memory of one worker.
  std::size_t arena_bytes() const noexcept { return shared_->plan.size * sizeof(std::uint32_t); }
  /// Bytes of packed weights, biases and multipliers.
  std::size_t packed_bytes() const noexcept {
    std::size_t bytes = 0;
    for (const PreparedModel::Step& step : shared_->steps) bytes += step.integer ? step.integer->memory() : 0;
    return bytes;
  }

  /// Runs `batch` NHWC images of floats. Errors: sizes that do not match.
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs) {
    run(images, batch, outputs, [](ValueId, std::size_t, std::size_t, const std::uint8_t*) {});
  }
  /// The same on codes, of the signedness of the encodings; the input must be quantized, and the output where codes are wanted.
  template <class In, class Out>
    requires kernel::Code8<In> && (kernel::Code8<Out> || std::same_as<Out, float>)
  void run(std::span<const In> images, std::size_t batch, std::span<Out> outputs) {
    run(images, batch, outputs, [](ValueId, std::size_t, std::size_t, const std::uint8_t*) {});
  }
  /// hook(value id, image, worker, bytes of the value): codes are bytes raised by 128 where they are signed; values
  /// without an encoding are floats. Images and outputs are floats or codes, each for itself.
  template <class In, class Out, class Hook>
    requires(std::same_as<In, float> || kernel::Code8<In>)
  &&(std::same_as<Out, float> || kernel::Code8<Out>)void run(std::span<const In> images, std::size_t batch,
                                                             std::span<Out> outputs, Hook&& hook) {
    const std::size_t in = shared_->graph.input_extent().size(), out = shared_->graph.output_extent().size();
    expects(images.size() == batch * in, "IntegerModel: ", images.size(), " input values for ", batch, " images of ",
            in);
    expects(outputs.size() == batch * out, "IntegerModel: room for ", outputs.size(), " output values, ", batch * out,
            " are needed");
    expect_codes<In>(shared_->graph.input);
    expect_codes<Out>(shared_->graph.output);
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
      expects(
          !busy.exchange(true),
          "IntegerModel: a second thread calls run while the first one is in it; give each thread a model of its own");
    }
    OneCaller(const OneCaller&) = delete;
    OneCaller& operator=(const OneCaller&) = delete;
    ~OneCaller() { busy.store(false); }
    std::atomic<bool>& busy;
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
      expects(shared_->activations[value].has_value(), "IntegerModel: codes are wanted, but '",
              shared_->graph.values[value].name, "' is float");
      expects(shared_->activations[value]->is_signed() == std::is_signed_v<Value>,
              "IntegerModel: the codes given for '", shared_->graph.values[value].name,
              "' differ in sign from the model's; int8 for code_min < 0, else uint8");
    }
  }

  std::uint8_t* at(Worker& worker, ValueId value) const {
    return reinterpret_cast<std::uint8_t*>(worker.arena.data() + shared_->plan.offset[value]);
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
    const std::size_t size = shared_->graph.input_extent().size();
    const auto& e = shared_->activations[shared_->graph.input];
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
    const std::size_t size = shared_->graph.output_extent().size();
    const auto& e = shared_->activations[shared_->graph.output];
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
    take(image, at(mine, shared_->graph.input), split);
    hook(shared_->graph.input, index, worker, at(mine, shared_->graph.input));
    for (std::size_t n = 0; n != shared_->steps.size(); ++n) {
      const Node& node = shared_->graph.nodes[n];
      for (std::size_t i = 0; i != node.inputs.size(); ++i) mine.inputs[i] = at(mine, node.inputs[i]);
      if (shared_->steps[n].integer)
        run_codes(*shared_->steps[n].integer, mine, at(mine, node.output), split);
      else
        run_floats(*shared_->steps[n].real, node, mine, at(mine, node.output));
      hook(node.output, index, worker, at(mine, node.output));
    }
    give(at(mine, shared_->graph.output), output);
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
      if (!shared_->activations[input]) continue;
      to_reals(mine.inputs[i], shared_->graph.extent(input).size(), *shared_->activations[input], next);
      mine.reals[i] = next;
      next += shared_->graph.extent(input).size();
    }
    const std::size_t size = shared_->graph.extent(node.output).size();
    const auto& e = shared_->activations[node.output];
    float* result = e ? next : reinterpret_cast<float*>(output);
    layer.run(std::span{mine.reals}.first(node.inputs.size()), result, 0, layer.parts(), next + (size + 15) / 16 * 16);
    if (e) to_codes(result, size, *e, output);
  }

  std::shared_ptr<const PreparedModel> shared_;
  Threads threads_;
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
