// Outputs: refused before any work where they cannot be written or would replace an input or each other.
#include "outputs.hpp"

#include <fat/core/error.hpp>
#include <fat/io/file.hpp>
#include <fat/io/image_set.hpp>
#include <fat/model/finetune.hpp>

#include <unistd.h>
#include <filesystem>
#include <string_view>
#include <vector>

namespace cli {
namespace {

namespace fs = std::filesystem;

/// A file of the command line and what names it.
struct Named {
  std::string_view role;
  std::string path;
};

struct Output {
  Named named;
  fs::path target;  ///< where links lead
  bool device = false;
};

/// Errors: what makes it impossible to write `output`.
void check_writable(const Output& output) {
  const std::string& path = output.named.path;
  std::error_code status;
  if (output.device && !fs::is_directory(output.target, status)) return;
  fs::path folder = output.target.parent_path();
  if (folder.empty()) folder = ".";
  fat::expects(fs::is_directory(folder, status), path, ": cannot be written: there is no such folder; create it first");
  fat::expects(::access(folder.c_str(), W_OK) == 0, path,
               ": cannot be written: the folder is not writable; choose another");
  fat::expects(!fs::is_directory(path, status), path, ": is a folder; name a file to write");
  fat::detail::expect_not_protected(path, output.target);
}

/// Whether both are one file, by the file system where both exist, else by their names.
bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code status;
  if (fs::equivalent(a, b, status)) return true;
  if (fs::exists(a, status) || fs::exists(b, status)) return false;
  const fs::path name = fs::weakly_canonical(fs::absolute(a, status), status);
  return !status && name == fs::weakly_canonical(fs::absolute(b, status), status);
}

std::vector<Output> outputs_of(const Settings& settings) {
  std::vector<Output> outputs;
  const auto add = [&](std::string_view role, const std::string& path) {
    if (path.empty()) return;
    Output output{{role, path}, {}, false};
    output.target = fat::detail::follow_links(path, output.device);
    outputs.push_back(std::move(output));
  };
  for (const std::string& path : settings.outputs) add("-o", path);
  add("--json", settings.json);
  add("--report", settings.report);
  for (const Output& output : outputs) check_writable(output);
  if (const std::string& folder = settings.options.checkpoint; !folder.empty()) {
    const std::string state = fat::detail::checkpoint_path(folder).string();
    for (const std::string& path : {folder, state}) add("--checkpoint", path);
  }
  return outputs;
}

/// The plain files that the command reads. Those that do not exist are an error later on.
std::vector<Named> inputs_of(const Settings& settings) {
  std::vector<Named> inputs;
  const auto add = [&](std::string_view role, const std::string& path) {
    std::error_code status;
    if (fs::is_regular_file(path, status)) inputs.push_back({role, path});
  };
  add(settings.second_model.empty() ? "MODEL" : "MODEL_A", settings.model);
  add("MODEL_B", settings.second_model);
  add("--images", settings.images);
  add("--evaluate", settings.evaluate);
  add("--labels", settings.labels);
  add("--reference", settings.reference);
  for (const std::string& input : settings.inputs) {
    add("--input", input);
    if (const std::size_t equals = input.find('='); equals != std::string::npos) add("--input", input.substr(equals + 1));
  }
  return inputs;
}

/// Adds the images that a folder or a list file of images leads to.
void add_images(std::string_view role, const std::string& path, std::vector<Named>& inputs) {
  std::error_code status;
  if (!fs::is_directory(path, status) && !fs::is_regular_file(path, status)) return;  // a pipe is read once
  try {
    for (fat::ImageEntry& entry : fat::list_images(path)) inputs.push_back({role, std::move(entry.path)});
  } catch (const fat::error&) {  // the command says what is wrong with it, after what is wrong with the model
  }
}

void refuse_to_replace(const Output& output, const Named& other, std::string_view advice) {
  fat::fail(output.named.path, ": ", output.named.role, " would replace ", other.role, " ",
            std::string_view{other.path}, "; ", advice);
}

}  // namespace

void check_outputs(const Settings& settings) {
  const std::vector<Output> outputs = outputs_of(settings);
  for (std::size_t i = 0; i != outputs.size(); ++i)
    for (std::size_t j = 0; j != i; ++j) {
      if (outputs[i].device && outputs[j].device) continue;
      if (outputs[i].named.role == "--checkpoint" && outputs[j].named.role == "--checkpoint") continue;
      if (same_file(outputs[i].target, outputs[j].target))
        refuse_to_replace(outputs[i], outputs[j].named, "give each output a file of its own");
    }

  std::error_code status;
  bool replaces = false;  // only then are the images listed
  for (const Output& output : outputs) replaces = replaces || fs::is_regular_file(output.target, status);
  if (!replaces) return;
  std::vector<Named> inputs = inputs_of(settings);
  add_images("the image of --images", settings.images, inputs);
  add_images("the image of --evaluate", settings.evaluate, inputs);
  for (const Output& output : outputs) {
    if (!fs::is_regular_file(output.target, status)) continue;
    for (const Named& input : inputs)
      if (fs::equivalent(output.target, input.path, status))
        refuse_to_replace(output, input, "name another file to write");
  }
}

}  // namespace cli
