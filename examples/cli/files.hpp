// Files: models by extension, image sets by option, results by extension.
#ifndef FAT_CLI_FILES_HPP_INCLUDED
#define FAT_CLI_FILES_HPP_INCLUDED

#include "settings.hpp"

#include <fat/core/error.hpp>
#include <fat/io/image_set.hpp>
#include <fat/model/quantized_model.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cli {

/// A float or a quantized model as a file holds it.
struct LoadedModel {
  std::string path;
  std::optional<fat::Model> floating;
  std::optional<fat::QuantizedModel> quantized;
  const fat::Model& graph() const { return floating ? *floating : quantized->graph; }
};

/// Calls f; its errors get the file's name in front where they do not begin with it.
template <class Function>
auto naming(const std::string& path, Function f) {
  try {
    return f();
  } catch (const fat::error& problem) {
    const std::string_view message = problem.what();
    if (message.starts_with(path + ": ")) throw;
    fat::fail(path, ": ", message);
  }
}

/// The same for what a model makes of an image.
template <class Function>
auto naming(const std::string& model, const std::string& image, Function f) {
  return naming(model, [&] { return naming("image " + image, f); });
}

/// In lower case, with its dot.
std::string extension_of(const std::string& path);

bool file_exists(const std::string& path);

/// Reads .onnx, .tflite (both float or quantized) or .npz; what the file had cut off is noted on stderr. Errors name the
/// file.
LoadedModel load_model(const std::string& path, const fat::ReadOptions& reading = {});

/// What --requantize asks for in place of the model's own rounding. Errors: a float model.
void choose_requantization(LoadedModel& loaded, const Settings& settings);

/// Reads a model that must be float.
fat::Model load_float_model(const std::string& path, const fat::ReadOptions& reading = {});

/// fat::prepare_model, whose errors name the file.
fat::Model prepared(const std::string& path, fat::Model model);

/// Drops a softmax at the end, also one whose output is quantized once more, so that outputs are logits.
void drop_softmax(LoadedModel& loaded);

/// The same of two models that are compared: of both, or of none where only one ends so.
void drop_softmax(LoadedModel& a, LoadedModel& b);

/// --preprocess, --resize and --crop over the model's own preprocessing over `tf`.
fat::Preprocessing preprocessing_for(const fat::Model& model, const Settings& settings);

/// --class-offset over the model's own over 0. Warns on stderr where 1001 outputs leave it open.
std::size_t class_offset_for(const fat::Model& model, const Settings& settings);

/// Reads images, with a line on stderr for each that cannot be used. With labels, every image must have one.
fat::ImageSet load_images(const std::string& path, const std::string& labels, const fat::Model& model,
                          const Settings& settings);

/// Errors: the class of an image, as `source` gives it, for which the model has no output.
void check_classes(const fat::ImageSet& images, const std::string& source, const fat::Model& model,
                   std::size_t class_offset);

/// Errors: a model to write whose extension is not known.
void check_extensions(std::span<const std::string> paths);

/// Errors: what the file that the path asks for cannot hold of a model. Writes nothing.
void check_writable(const fat::QuantizedModel& model, const std::string& path, bool tensorrt = false);

/// Writes a quantized model by the extension of the path; an .onnx file in the form that TensorRT takes where asked.
void write_quantized_model(const fat::QuantizedModel& model, const std::string& path, bool tensorrt = false);

}  // namespace cli

#endif
