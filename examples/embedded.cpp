// Quantizes the demo's network and writes it for a microcontroller (OUT.h, a C header) or in the library's own form (OUT.npz).
#include "demo/demo.hpp"

#include <fat/io/c_source.hpp>
#include <fat/io/quantized_npz.hpp>

#include <cstdio>
#include <filesystem>

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "usage: embedded OUT.h | OUT.npz\n");
    return 2;
  }
  const std::filesystem::path out{argv[1]};
  const fat::QuantizedModel model =
      fat::quantize_model(demo::demo_model(), demo::PictureSource{demo::calibration_stream, 100}, {});
  if (out.extension() == ".npz")
    fat::write_quantized(out, model);
  else
    fat::write_c_source(out, model);
  std::printf("wrote %s\n", out.c_str());
  return 0;
} catch (const fat::error& problem) {
  std::fprintf(stderr, "embedded: %s\n", problem.what());
  return 1;
}
