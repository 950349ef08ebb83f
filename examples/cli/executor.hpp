// Executor: any loaded model, ready to run on NHWC float images.
#ifndef FAT_CLI_EXECUTOR_HPP_INCLUDED
#define FAT_CLI_EXECUTOR_HPP_INCLUDED

#include "files.hpp"
#include "report.hpp"

#include <fat/kernel/arch/types.hpp>
#include <fat/model/metrics.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cli {

/// The kernels that quantized models run on: the processor's own, or sgemm where it has none but the generic ones.
const fat::kernel::Kernels& best_kernels();

class Executor {
 public:
  /// Keeps a reference to the model. Quantized models run on integers unless `simulate`.
  Executor(const LoadedModel& loaded, bool simulate, std::size_t threads);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const fat::Model& graph() const { return loaded_->graph(); }
  const std::string& path() const { return loaded_->path; }
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs);
  /// All values of one image, as reals, in the order of the graph's values.
  std::vector<std::vector<float>> values(std::span<const float> image);

 private:
  struct Engine;
  const LoadedModel* loaded_;
  std::unique_ptr<Engine> engine_;
};

/// What measure found, and how long the measured model took.
struct Measurement {
  fat::Metrics metrics;  ///< no classes (top-1, agreement) where there are several outputs
  std::optional<fat::Metrics> reference;
  double seconds = 0.0;
  std::vector<OutputMeasure> outputs{};  ///< of several, the worst first; empty for one
};

/// Runs a model, and a reference beside it where given, over the chosen images. `tick` hears how many are done.
Measurement measure(Executor& model, Executor* reference, const fat::ImageSet& images,
                    std::span<const std::size_t> chosen, std::size_t class_offset,
                    const std::function<void(std::size_t)>& tick);

}  // namespace cli

#endif
