// Fuzz target: .npy files.
#include <fat/io/npy.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Any input gives a result or a fat::error; another exception or a fault is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const fat::NpyArray values = fat::parse_npy({reinterpret_cast<const char*>(data), size}, "input");
    (void)values.as<float>();
  } catch (const fat::error&) {
  }
  return 0;
}
