// Fuzz target: ONNX files.
#include <fat/io/onnx.hpp>
#include <fat/model/extents.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Any input gives a result or a fat::error; another exception or a fault is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    fat::validate(fat::onnx::read(std::string_view{reinterpret_cast<const char*>(data), size}, "input"));
  } catch (const fat::error&) {
  }
  return 0;
}
