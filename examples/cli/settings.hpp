// Settings: what the command line said, as plain values.
#ifndef FAT_CLI_SETTINGS_HPP_INCLUDED
#define FAT_CLI_SETTINGS_HPP_INCLUDED

#include <fat/io/read_options.hpp>
#include <fat/model/options.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace cli {

/// How much is done where no option says otherwise.
enum class Quality { fast, balanced, best };

/// One invocation. Every command reads the members it documents.
struct Settings {
  std::string command;
  std::string model;
  std::string second_model;  ///< compare
  std::string images;
  std::string labels;
  std::string evaluate;   ///< quantize: other images to measure on
  std::string reference;  ///< evaluate: the float model
  std::vector<std::string> inputs;  ///< run: [NAME=]FILE.npy or FILE.npz
  fat::ReadOptions reading;         ///< what the model's file leaves open
  std::string tensor;     ///< run: the tensor to write instead of the output
  std::vector<std::string> outputs;
  std::string json;
  std::string report;
  std::string preprocess;
  std::optional<std::size_t> resize;
  std::optional<std::size_t> crop;
  std::optional<std::size_t> class_offset;
  std::size_t batch_of_bench = 1;
  bool simulate = false;
  bool codes = false;
  std::optional<fat::Requantization> requantize;  ///< convert, run: in place of the model's
  bool tensorrt = false;  ///< quantize: what TensorRT can express, and .onnx files as it takes them
  Quality quality = Quality::balanced;
  fat::QuantizeOptions options;
};

/// Reads the command line. Returns the exit code where the program has to stop (help, or a usage error that has been
/// printed), nothing where a command is to run.
std::optional<int> parse(int count, const char* const* words, Settings& settings);

int inspect(const Settings& settings);
int quantize(const Settings& settings);
int convert(const Settings& settings);
int evaluate(const Settings& settings);
int compare(const Settings& settings);
int run(const Settings& settings);
int bench(const Settings& settings);
int demo(const Settings& settings);

}  // namespace cli

#endif
