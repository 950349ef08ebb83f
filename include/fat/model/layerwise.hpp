// LayerwiseRunner: a Model run one layer at a time over a set of images, so that layers can be changed on the way.
#ifndef FAT_MODEL_LAYERWISE_HPP_INCLUDED
#define FAT_MODEL_LAYERWISE_HPP_INCLUDED

#include <fat/kernel/threads.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/model.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

/// How many images [count, input extent] these are. Errors: none, or a part of one.
inline std::size_t whole_images(const Model& model, std::span<const float> images, const char* who) {
  const std::size_t in = model.input_extent().size();
  expects(!images.empty() && images.size() % in == 0, who, ": ", images.size(), " input values for images of ", in,
          "; give at least one whole image");
  return images.size() / in;
}

}  // namespace detail

/// The clamp of an operator, or one that does nothing.
inline Clamp clamp_of(const Operator& op) {
  return std::visit(
      []<class Layer>(const Layer& layer) {
        if constexpr (ClampedLayer<const Layer>)
          return layer.clamp;
        else
          return Clamp{};
      },
      op);
}

/// The operator with another clamp; operators that have none stay as they are.
inline Operator with_clamp(Operator op, const Clamp& clamp) {
  std::visit(
      [&]<class Layer>(Layer& layer) {
        if constexpr (ClampedLayer<Layer>) layer.clamp = clamp;
      },
      op);
  return op;
}

/// All images stand at the same layer at the same time: one pass costs one forward pass, whatever is done to the layers
/// in between, but every live value is held for every image. Values no later layer reads are freed.
class LayerwiseRunner {
 public:
  /// images: [count, input extent], preprocessed. Errors: those of validate; images of another size, or none.
  LayerwiseRunner(const Model& model, std::span<const float> images, Threads& threads)
      : model_((validate(model), &model)),
        threads_(&threads),
        values_(model.values.size()),
        last_(model.values.size(), 0) {
    images_ = detail::whole_images(model, images, "LayerwiseRunner");
    for (std::size_t n = 0; n != model.nodes.size(); ++n)
      for (const ValueId input : model.nodes[n].inputs) last_[input] = n;
    last_[model.output] = model.nodes.size();
    values_[model.input].assign(images.begin(), images.end());
  }

  /// Bytes of live values per image at the fullest moment.
  static std::size_t peak_bytes(const Model& model) {
    std::vector<std::size_t> last(model.values.size(), 0);
    for (std::size_t n = 0; n != model.nodes.size(); ++n)
      for (const ValueId input : model.nodes[n].inputs) last[input] = n;
    std::size_t live = model.input_extent().size();
    std::size_t peak = live;
    for (std::size_t n = 0; n != model.nodes.size(); ++n) {
      live += model.extent(model.nodes[n].output).size();
      peak = std::max(peak, live);
      for (ValueId value = 0; value != model.values.size(); ++value)
        if (last[value] == n && value != model.output && reads(model.nodes[n], value))
          live -= model.extent(value).size();
    }
    return peak * sizeof(float);
  }

  std::size_t images() const noexcept { return images_; }
  /// One image of a live value, [height, width, channels].
  std::span<float> value(ValueId id, std::size_t image) {
    const std::size_t size = model_->extent(id).size();
    return std::span{values_[id]}.subspan(image * size, size);
  }

  /// Makes the output of node n with `op` in place of the node's operator: first without the clamp, then
  /// before(image, span) may read or change each image's values, then the clamp is applied. Images run on all threads.
  template <class Hook>
  void run(std::size_t n, const Operator& op, Hook&& before) {
    const Node node{model_->nodes[n].name, with_clamp(op, {}), model_->nodes[n].inputs, model_->nodes[n].output};
    const FloatLayer layer{*model_, node};
    const Clamp clamp = clamp_of(op);
    values_[node.output].resize(images_ * model_->extent(node.output).size());
    std::vector<aligned_vector<float>> scratch(threads_->size(), aligned_vector<float>(layer.scratch()));
    threads_->run(images_, [&](std::size_t image, std::size_t worker) {
      std::vector<const float*> inputs;
      for (const ValueId input : node.inputs) inputs.push_back(value(input, image).data());
      const std::span<float> output = value(node.output, image);
      layer.run(inputs, output.data(), 0, layer.parts(), scratch[worker].data());
      before(image, output);
      if (clamp.active())
        for (float& y : output) y = std::min(std::max(y, clamp.low), clamp.high);
    });
  }
  void run(std::size_t n) {
    run(n, model_->nodes[n].op, [](std::size_t, std::span<float>) {});
  }

  /// Frees the values that no node after n reads.
  void release(std::size_t n) {
    for (const ValueId input : model_->nodes[n].inputs)
      if (last_[input] <= n) aligned_vector<float>{}.swap(values_[input]);  // assigning {} would keep the memory
  }

 private:
  static bool reads(const Node& node, ValueId value) {
    return std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
  }

  const Model* model_;
  Threads* threads_;
  std::size_t images_ = 0;
  std::vector<aligned_vector<float>> values_;
  std::vector<std::size_t> last_;
};

}  // namespace fat::inline FAT_ABI

#endif
