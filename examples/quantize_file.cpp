// From a float ONNX file and a folder of pictures to a quantized model: quantize_file MODEL.onnx FOLDER OUT.npz
#include <fat/io/image_set.hpp>
#include <fat/io/onnx.hpp>
#include <fat/io/quantized_npz.hpp>
#include <fat/model/quantize_model.hpp>

#include <cstdio>

int main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: quantize_file MODEL.onnx FOLDER OUT.npz\n");
    return 2;
  }
  try {
    fat::Threads threads{2};
    const fat::Model model = fat::onnx::load(words[1]);
    const fat::ImageSet images{fat::list_images(words[2]), model.input_extent(), fat::Preprocessing{}, threads};
    const fat::QuantizedModel quantized = fat::quantize_model(model, images, {.calibration = 100, .threads = 2});
    fat::write_quantized(words[3], quantized);
  } catch (const fat::error& problem) {
    std::fprintf(stderr, "quantize_file: %s\n", problem.what());
    return 1;
  }
}
