// Fuzz target: JPEG and PNG pictures.
#include <fat/io/images.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Any input gives a result or a fat::error; another exception or a fault is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const fat::Image image = fat::decode_image({data, size}, "input");
    if (image.pixels.size() != image.height * image.width * 3) std::abort();
  } catch (const fat::error&) {
  }
  return 0;
}
