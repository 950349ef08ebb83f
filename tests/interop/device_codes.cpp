// device_codes: every code of a quantized network on given inputs, by the reference kernels, with the rounding of the
// requantization chosen; and the files of the embedded demo network.
//   device_codes run MODEL INPUTS.npy single|litert OUT.npz   codes of every tensor by name, NHWC, int8 or uint8
// single: one rounding, halves up, everywhere: the integer engine. litert: what LiteRT's reference kernels do, which is
// one rounding in FULLY_CONNECTED and two in every other operator.
//   device_codes demo FOLDER IMAGES                           demo.npz, demo.onnx, demo.tflite, demo_input.npy
#include <demo/demo.hpp>
#include <fat/io/npz.hpp>
#include <fat/io/onnx.hpp>
#include <fat/io/quantized_npz.hpp>
#include <fat/io/tflite.hpp>
#include <support/reference_network.hpp>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace {

fat::QuantizedModel load(const std::string& path) {
  if (path.ends_with(".onnx")) return fat::onnx::load_quantized(path);
  if (path.ends_with(".tflite")) return fat::tflite::load_quantized(path);
  return fat::read_quantized(path);
}

template <class Rounding, class DenseRounding>
void run(const std::string& path, const std::string& inputs, const std::string& result) {
  const fat::QuantizedModel model = load(path);
  const fat::array<float> images = fat::read_npy(inputs).as<float>();
  const std::size_t size = model.graph.input_extent().size(), count = images.size() / size;
  fat::expects(count != 0 && count * size == images.size(), inputs, ": holds ", images.size(), " values, images have ",
               size);
  for (fat::ValueId v = 0; v != model.graph.values.size(); ++v)
    fat::expects(model.activations[v].has_value(), "device_codes: '", std::string_view{model.graph.values[v].name},
                 "' is float");
  const fat::ActivationEncoding& first = *model.activations[model.graph.input];
  fat::test::ReferenceNetwork<Rounding, DenseRounding> network{model};
  std::vector<std::vector<std::uint8_t>> all(model.graph.values.size());
  std::vector<std::uint8_t> image(size);
  for (std::size_t i = 0; i != count; ++i) {
    for (std::size_t k = 0; k != size; ++k)
      image[k] = static_cast<std::uint8_t>(fat::quantize_one(images.data()[i * size + k], fat::grid_of(first)) +
                                           (first.is_signed() ? 128 : 0));
    const auto values = network.run(image);
    for (std::size_t v = 0; v != values.size(); ++v)
      for (const std::uint8_t byte : values[v])
        all[v].push_back(static_cast<std::uint8_t>(byte - (model.activations[v]->is_signed() ? 128 : 0)));
  }
  fat::NpyArrays arrays;
  for (std::size_t v = 0; v != all.size(); ++v) {
    const fat::Extent& e = model.graph.values[v].extent;
    const fat::Shape shape =
        e.vector ? fat::Shape{count, e.channels} : fat::Shape{count, e.height, e.width, e.channels};
    std::string name = model.graph.values[v].name;
    std::replace(name.begin(), name.end(), '/', '|');
    if (model.activations[v]->is_signed())
      arrays[name] = fat::NpyArray{shape, reinterpret_cast<const std::int8_t*>(all[v].data())};
    else
      arrays[name] = fat::NpyArray{shape, all[v].data()};
  }
  fat::write_npz(result, arrays);
}

void write_demo(const std::string& folder, std::size_t count) {
  const demo::PictureSource calibration{demo::calibration_stream, 100}, pictures{demo::evaluation_stream, count};
  const fat::QuantizedModel model = fat::quantize_model(demo::demo_model(), calibration);
  fat::write_quantized(folder + "/demo.npz", model);
  fat::onnx::save(model, folder + "/demo.onnx");
  fat::tflite::save(model, folder + "/demo.tflite");
  const fat::Extent& e = model.graph.input_extent();
  fat::array<float> input{fat::Shape{count, e.height, e.width, e.channels}};
  for (std::size_t i = 0; i != count; ++i) pictures.load(i, std::span{input.data() + i * e.size(), e.size()});
  fat::write_npy(folder + "/demo_input.npy", fat::NpyArray{input});
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> w{words + 1, words + count};
  try {
    if (w.size() == 5 && w[0] == "run" && w[3] == "single")
      return run<fat::SingleRounding, fat::SingleRounding>(w[1], w[2], w[4]), 0;
    if (w.size() == 5 && w[0] == "run" && w[3] == "litert")
      return run<fat::DoubleRounding, fat::SingleRounding>(w[1], w[2], w[4]), 0;
    if (w.size() == 3 && w[0] == "demo") return write_demo(w[1], std::stoul(w[2])), 0;
    std::fprintf(
        stderr, "usage: device_codes run MODEL INPUTS.npy single|litert OUT.npz, or device_codes demo FOLDER IMAGES\n");
    return 2;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "device_codes: %s\n", problem.what());
    return 1;
  }
}
