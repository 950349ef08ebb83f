// FloatRunner: runs a Model in float over a batch of images, memory planned once, the same bits for any number of threads.
#ifndef FAT_MODEL_FORWARD_HPP_INCLUDED
#define FAT_MODEL_FORWARD_HPP_INCLUDED

#include <fat/kernel/threads.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/plan.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

struct FloatRunnerOptions {
  /// Workers. Whole images are shared out first; the images left over are split inside the layers.
  std::size_t threads = 1;
};

/// Ready to run a model; keeps references to the model's nodes, which must stay as they are while the runner lives.
/// Errors of the constructor: those of validate.
///   fat::FloatRunner runner{model, {.threads = 2}};
///   runner.run(images, 16, logits);
class FloatRunner {
 public:
  explicit FloatRunner(const Model& model, const FloatRunnerOptions& options = {})
      : model_((validate(model), &model)), threads_(options.threads), plan_(plan_arena(value_lifetimes(model))) {
    std::size_t scratch = 0;
    std::size_t most_inputs = 0;
    for (const Node& node : model.nodes) {
      layers_.emplace_back(model, node);
      scratch = std::max(scratch, layers_.back().scratch());
      most_inputs = std::max(most_inputs, node.inputs.size());
    }
    for (std::size_t worker = 0; worker != threads_.size(); ++worker) {
      arenas_.emplace_back(plan_.size);
      scratches_.emplace_back(scratch);
      pointers_.emplace_back(most_inputs);
    }
  }

  const Model& model() const noexcept { return *model_; }
  /// Workers: the greatest worker index a hook sees is one less.
  std::size_t workers() const noexcept { return threads_.size(); }

  /// Runs `batch` NHWC images. After every value is made (the input first) hook(value id, image, worker, span of its
  /// floats) may read it or change it in place; hooks of different images run at the same time on different workers.
  /// Errors: sizes that do not match the model's input and output.
  template <class Hook>
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs, Hook&& hook) {
    const std::size_t in = model_->input_extent().size();
    const std::size_t out = model_->output_extent().size();
    expects(images.size() == batch * in, "FloatRunner: ", images.size(), " input values for ", batch, " images of ",
            in);
    expects(outputs.size() == batch * out, "FloatRunner: room for ", outputs.size(), " output values, ", batch * out,
            " are needed");
    const std::size_t shared = threads_.size() == 1 ? batch : batch / threads_.size() * threads_.size();
    threads_.run(shared, [&](std::size_t image, std::size_t worker) {
      run_image(images.data() + image * in, outputs.data() + image * out, image, worker, false, hook);
    });
    for (std::size_t image = shared; image != batch; ++image)
      run_image(images.data() + image * in, outputs.data() + image * out, image, 0, true, hook);
  }
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs) {
    run(images, batch, outputs, [](ValueId, std::size_t, std::size_t, std::span<float>) {});
  }

  /// All values of one image, in the order of Model::values.
  std::vector<array<float>> run_all(std::span<const float> image) {
    std::vector<array<float>> all(model_->values.size());
    std::vector<float> output(model_->output_extent().size());
    run(image, 1, output, [&](ValueId value, std::size_t, std::size_t, std::span<float> data) {
      const Extent& e = model_->extent(value);
      all[value] = array<float>{Shape{e.height, e.width, e.channels}, {data.begin(), data.end()}};
    });
    return all;
  }

 private:
  template <class Hook>
  void run_image(const float* image, float* output, std::size_t index, std::size_t worker, bool split, Hook& hook) {
    float* arena = arenas_[worker].data();
    const auto at = [&](ValueId value) { return arena + plan_.offset[value]; };
    const auto made = [&](ValueId value) {
      hook(value, index, worker, std::span{at(value), model_->extent(value).size()});
    };
    std::copy_n(image, model_->input_extent().size(), at(model_->input));
    made(model_->input);
    for (std::size_t n = 0; n != layers_.size(); ++n) {
      const Node& node = model_->nodes[n];
      const std::span<const float*> inputs = std::span{pointers_[worker]}.first(node.inputs.size());
      std::transform(node.inputs.begin(), node.inputs.end(), inputs.begin(), at);
      run_layer(layers_[n], inputs, at(node.output), worker, split);
      made(node.output);
    }
    std::copy_n(at(model_->output), model_->output_extent().size(), output);
  }

  void run_layer(const FloatLayer& layer, std::span<const float* const> inputs, float* output, std::size_t worker,
                 bool split) {
    const std::size_t parts = layer.parts();
    const std::size_t pieces = split ? std::min(threads_.size(), parts) : 1;
    if (pieces == 1) {
      layer.run(inputs, output, 0, parts, scratches_[worker].data());
      return;
    }
    threads_.run(pieces, [&](std::size_t piece, std::size_t by) {
      layer.run(inputs, output, parts * piece / pieces, parts * (piece + 1) / pieces, scratches_[by].data());
    });
  }

  const Model* model_;
  Threads threads_;
  ArenaPlan plan_;
  std::vector<FloatLayer> layers_;
  std::vector<aligned_vector<float>> arenas_;
  std::vector<aligned_vector<float>> scratches_;
  std::vector<std::vector<const float*>> pointers_;
};

}  // namespace fat::inline FAT_ABI

#endif
