// Engine: a quantized network that any number of callers run; the compiled runtime, whose header costs next to nothing.
#ifndef FAT_ENGINE_HPP_INCLUDED
#define FAT_ENGINE_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

struct QuantizedModel;

/// An input or output of an engine.
struct EnginePort {
  std::string name;
  /// Of one sample, in the order in which elements are given: images [1, height, width, channels].
  std::vector<std::size_t> dims;
  /// What codes mean: scale * (code - zero_point); scale 0 where the tensor is float and has no codes.
  float scale = 0.0F;
  std::int32_t zero_point = 0;
  bool is_signed = false;  ///< int8 codes, else uint8
  std::size_t size = 0;    ///< elements of one sample
};

/// Immutable: threads may share one, each with a session of its own. Errors are thrown as fat::error, with the file and
/// what to do. The result of a run does not depend on the processor or the number of threads.
class [[gnu::visibility("default")]] Engine {
 public:
  class Session;
  struct SessionOptions {
    std::size_t threads = 1;
  };

  /// Reads an .npz file that `fat quantize` wrote. Errors: those of reading, a model that is not valid.
  explicit Engine(const std::string& path);
  /// The same from memory.
  explicit Engine(std::span<const std::byte> npz);
  explicit Engine(const QuantizedModel& model);

  const std::vector<EnginePort>& inputs() const noexcept;
  const std::vector<EnginePort>& outputs() const noexcept;
  /// Working memory of one caller; the packed weights are shared.
  Session session(const SessionOptions& options) const;
  Session session() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// One caller at a time; a second one at once is an error. Nothing is allocated in a run. Sizes are checked.
class [[gnu::visibility("default")]] Engine::Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// Pixels, rows of RGB (or as many channels as the input has), any number of images; the file's preprocessing makes
  /// numbers of them (without one they are taken as they are). The network must have one input.
  void operator()(std::span<const std::uint8_t> rgb_nhwc, std::span<float> outputs);
  /// Numbers as the network was trained on, all inputs of a sample one after another.
  void operator()(std::span<const float> inputs, std::span<float> outputs);
  /// Codes of the input's own type.
  void codes(std::span<const std::uint8_t> inputs, std::span<std::uint8_t> outputs);
  void codes(std::span<const std::int8_t> inputs, std::span<std::int8_t> outputs);
  void codes(std::span<const std::uint8_t> inputs, std::span<std::int8_t> outputs);
  void codes(std::span<const std::int8_t> inputs, std::span<std::uint8_t> outputs);
  void codes(std::span<const std::uint8_t> inputs, std::span<float> outputs);
  void codes(std::span<const std::int8_t> inputs, std::span<float> outputs);

  /// One sample by names: where an input is written before run(), and an output is read after it.
  std::span<float> input(std::string_view name);
  std::span<const float> output(std::string_view name) const;
  void run();

 private:
  friend class Engine;
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fat::inline FAT_ABI

#endif
