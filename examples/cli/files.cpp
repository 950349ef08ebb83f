// Files: models by extension, image sets by option, results by extension.
#include "files.hpp"

#include "printable.hpp"

#include <fat/io/c_source.hpp>
#include <fat/io/encodings_json.hpp>
#include <fat/io/images.hpp>
#include <fat/io/onnx.hpp>
#include <fat/io/quantized_npz.hpp>
#include <fat/io/tflite.hpp>
#include <fat/model/before_softmax.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/metrics.hpp>
#include <fat/model/quantize_model.hpp>

#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>

namespace cli {
namespace {

namespace fs = std::filesystem;

using Writer = void (*)(const fat::QuantizedModel&, const std::string&);

constexpr std::array<std::pair<std::string_view, Writer>, 5> writers{{
    {".npz", [](const fat::QuantizedModel& model, const std::string& path) { fat::write_quantized(path, model); }},
    {".json",
     [](const fat::QuantizedModel& model, const std::string& path) { fat::write_encodings_json(path, model); }},
    {".h", [](const fat::QuantizedModel& model, const std::string& path) { fat::write_c_source(path, model); }},
    {".onnx", [](const fat::QuantizedModel& model, const std::string& path) { fat::onnx::save(model, path); }},
    {".tflite", [](const fat::QuantizedModel& model, const std::string& path) { fat::tflite::save(model, path); }},
}};

Writer writer_for(const std::string& path) {
  const std::string extension = extension_of(path);
  std::string known;
  for (const auto& [name, writer] : writers) {
    if (name == extension) return writer;
    known += (known.empty() ? "" : ", ") + std::string{name};
  }
  fat::fail(path, ": the extension '", std::string_view{extension}, "' cannot be written; use one of ",
            std::string_view{known});
}

}  // namespace

std::string extension_of(const std::string& path) {
  std::string extension = fs::path{path}.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

LoadedModel load_model(const std::string& path, const fat::ReadOptions& reading) {
  const std::string extension = extension_of(path);
  LoadedModel loaded{path, {}, {}};
  fat::expects(extension == ".onnx" || extension == ".tflite" || extension == ".npz", path, ": the extension '",
               std::string_view{extension}, "' is no model's; use .onnx, .tflite or .npz");
  std::error_code status;
  fat::expects(fs::exists(path, status), path, ": no such file; check the path");
  naming(path, [&] {
    if (extension == ".npz") {
      loaded.quantized = fat::read_quantized(path);
    } else if (extension == ".onnx") {
      if (fat::onnx::is_quantized(path))
        loaded.quantized = fat::onnx::load_quantized(path);
      else
        loaded.floating = fat::onnx::load(path, reading);
    } else {
      if (fat::tflite::is_quantized(path))
        loaded.quantized = fat::tflite::load_quantized(path);
      else
        loaded.floating = fat::tflite::load(path, reading);
    }
    if (loaded.floating)
      for (const std::string& note : loaded.floating->notes)
        std::fprintf(stderr, "fat: note: %s: %s\n", printable(path).c_str(), printable(note).c_str());
    if (loaded.floating)
      fat::validate(*loaded.floating);
    else
      fat::validate(*loaded.quantized);
  });
  return loaded;
}

void choose_requantization(LoadedModel& loaded, const Settings& settings) {
  if (!settings.requantize) return;
  fat::expects(loaded.quantized.has_value(), loaded.path,
               ": is a float model, which --requantize has no meaning for; quantize it, or leave the option out");
  loaded.quantized->requantize = *settings.requantize;
}

bool file_exists(const std::string& path) {
  std::error_code status;
  return fs::exists(path, status);
}

fat::Model load_float_model(const std::string& path, const fat::ReadOptions& reading) {
  LoadedModel loaded = load_model(path, reading);
  fat::expects(loaded.floating.has_value(), path, ": is quantized; a float model is needed here");
  return std::move(*loaded.floating);
}

fat::Model prepared(const std::string& path, fat::Model model) {
  return naming(path, [&] { return fat::prepare_model(std::move(model)); });
}

void drop_softmax(LoadedModel& loaded) {
  if (loaded.floating) loaded.floating = fat::before_softmax(*std::move(loaded.floating));
  if (loaded.quantized) loaded.quantized = fat::before_softmax(*std::move(loaded.quantized));
}

void drop_softmax(LoadedModel& a, LoadedModel& b) {
  if (fat::softmax_at_end(a.graph()).empty() || fat::softmax_at_end(b.graph()).empty()) return;
  drop_softmax(a);
  drop_softmax(b);
}

fat::Preprocessing preprocessing_for(const fat::Model& model, const Settings& settings) {
  fat::Preprocessing how = fat::preprocessing_preset(settings.preprocess.empty() ? "tf" : settings.preprocess);
  if (settings.preprocess.empty() && model.preprocessing) {
    how = *model.preprocessing;
  } else if (settings.preprocess != "raw") {
    how.crop = model.input_extent().height;
    how.resize = static_cast<std::size_t>(std::lround(static_cast<double>(how.crop) * 256.0 / 224.0));
  }
  if (settings.resize) how.resize = *settings.resize;
  if (settings.crop) how.crop = *settings.crop;
  return how;
}

std::size_t class_offset_for(const fat::Model& model, const Settings& settings) {
  if (settings.class_offset) return *settings.class_offset;
  if (model.class_offset) return *model.class_offset;
  if (model.output_extent().size() == 1001)
    std::fprintf(
        stderr,
        "fat: note: the model has 1001 outputs; where the first one is the background, --class-offset 1 gives the "
        "accuracy of the labels\n");
  return 0;
}

fat::ImageSet load_images(const std::string& path, const std::string& labels, const fat::Model& model,
                          const Settings& settings) {
  std::vector<fat::ImageEntry> entries = fat::list_images(path);
  if (!labels.empty()) {
    fat::attach_labels(entries, labels);
    for (const fat::ImageEntry& entry : entries)
      fat::expects(entry.label.has_value(), labels, ": no class for '", std::string_view{entry.path},
                   "'; add a line `path class`, or leave the image out");
  }
  fat::Threads threads{settings.options.threads};
  fat::ImageSet images{entries, model.input_extent(), preprocessing_for(model, settings), threads};
  for (const std::string& problem : images.skipped())
    std::fprintf(stderr, "fat: skipped %s\n", printable(problem).c_str());
  if (!images.skipped().empty())
    std::fprintf(stderr, "fat: %zu of %zu images skipped in %s\n", images.skipped().size(),
                 images.size() + images.skipped().size(), printable(path).c_str());
  return images;
}

void check_classes(const fat::ImageSet& images, const std::string& source, const fat::Model& model,
                   std::size_t class_offset) {
  const fat::Score score{class_offset};
  const std::size_t outputs = model.output_extent().size();
  for (std::size_t i = 0; i != images.size(); ++i)
    if (const auto label = images.label(i); label && !score.knows(*label, outputs))
      fat::fail(source, ": class ", *label, " of '", std::string_view{images.name(i)}, "', the model has ", outputs,
                " outputs, the first ", class_offset, " of which are no class; check the classes and --class-offset");
}

void check_extensions(std::span<const std::string> paths) {
  for (const std::string& path : paths) writer_for(path);
}

namespace {

/// Errors: a network that the integer engine refuses. Its file would be one that `fat run` does not take.
void expect_runs(const fat::QuantizedModel& model) { fat::IntegerModel{model}; }

}  // namespace

void check_writable(const fat::QuantizedModel& model, const std::string& path, bool tensorrt) {
  const std::string extension = extension_of(path);
  naming(path, [&] {
    expect_runs(model);
    if (extension == ".onnx")
      fat::onnx::write(model, tensorrt ? fat::onnx::Profile::tensorrt : fat::onnx::Profile::standard);
    else if (extension == ".tflite")
      fat::tflite::write(model);
    else if (extension == ".h")
      fat::c_source(model, "network");
  });
}

void write_quantized_model(const fat::QuantizedModel& model, const std::string& path, bool tensorrt) {
  const Writer write = writer_for(path);
  naming(path, [&] {
    expect_runs(model);
    if (tensorrt && extension_of(path) == ".onnx")
      fat::onnx::save(model, path, fat::onnx::Profile::tensorrt);
    else
      write(model, path);
  });
}

}  // namespace cli
