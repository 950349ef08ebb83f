// Fuzz target: .npz files, as quantized models.
#include <fat/io/quantized_npz.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Any input gives a result or a fat::error; another exception or a fault is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    fat::validate(
        fat::quantized_from_arrays(fat::parse_npz({reinterpret_cast<const char*>(data), size}, "input"), "input"));
  } catch (const fat::error&) {
  }
  return 0;
}
