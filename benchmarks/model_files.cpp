// Reading and writing MobileNetV2 as ONNX and TensorFlow Lite: whole files, from and to a folder. Needs ../shared/data.
#include <fat/io/onnx.hpp>
#include <fat/io/tflite.hpp>
#include <fat/model/quantize_model.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>

namespace {

/// One image of mid-grey noise; what is measured does not depend on the ranges.
struct Noise {
  std::size_t size() const { return 1; }
  void load(std::size_t, std::span<float> image) const {
    std::uint32_t state = 1;
    for (float& value : image) {
      state = state * 1664525U + 1013904223U;
      value = static_cast<float>(state >> 8U) / 8388608.0F - 1.0F;
    }
  }
};

std::string source() {
  const char* const folder = std::getenv("FAT_DATA_DIR");
  return std::string{folder != nullptr ? folder : "../shared/data"} + "/models/mobilenet_v2_1.0_224.onnx";
}
std::string written(const char* name) { return (std::filesystem::temp_directory_path() / name).string(); }

const fat::QuantizedModel& model() {
  static const fat::QuantizedModel made = fat::quantize_model(fat::onnx::load(source()), Noise{});
  return made;
}

template <class Work>
void measure(benchmark::State& state, Work work) {
  if (!std::filesystem::exists(source()))
    return state.SkipWithError((source() + " is absent; set FAT_DATA_DIR").c_str());
  model();
  fat::onnx::save(model(), written("fat_model_files.onnx"));
  fat::tflite::save(model(), written("fat_model_files.tflite"));
  for (auto _ : state) work();
}

void read_float_onnx(benchmark::State& state) {
  measure(state, [] { benchmark::DoNotOptimize(fat::onnx::load(source())); });
}
void read_onnx(benchmark::State& state) {
  measure(state, [] { benchmark::DoNotOptimize(fat::onnx::load_quantized(written("fat_model_files.onnx"))); });
}
void write_onnx(benchmark::State& state) {
  measure(state, [] { fat::onnx::save(model(), written("fat_model_files.onnx")); });
}
void read_tflite(benchmark::State& state) {
  measure(state, [] { benchmark::DoNotOptimize(fat::tflite::load_quantized(written("fat_model_files.tflite"))); });
}
void write_tflite(benchmark::State& state) {
  measure(state, [] { fat::tflite::save(model(), written("fat_model_files.tflite")); });
}

BENCHMARK(read_float_onnx)->Unit(benchmark::kMillisecond);
BENCHMARK(read_onnx)->Unit(benchmark::kMillisecond);
BENCHMARK(write_onnx)->Unit(benchmark::kMillisecond);
BENCHMARK(read_tflite)->Unit(benchmark::kMillisecond);
BENCHMARK(write_tflite)->Unit(benchmark::kMillisecond);

}  // namespace
