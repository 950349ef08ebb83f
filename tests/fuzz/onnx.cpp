// Fuzz target: ONNX files, as a float and as a quantized model.
#include <fat/io/onnx.hpp>
#include <fat/model/simulation_model.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Any input gives a result or a fat::error; another exception or a fault is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file{reinterpret_cast<const char*>(data), size};
  try {
    fat::validate(fat::onnx::read(file, "input"));
  } catch (const fat::error&) {
  }
  try {
    fat::validate(fat::onnx::read_quantized(file, "input"));
  } catch (const fat::error&) {
  }
  return 0;
}
