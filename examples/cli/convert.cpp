// fat convert: a quantized model as other files.
#include "files.hpp"
#include "printable.hpp"
#include "problems.hpp"

#include <cstdio>

namespace cli {

int convert(const Settings& settings) {
  check_extensions(settings.outputs);
  LoadedModel loaded = load_model(settings.model);
  fat::expects(loaded.quantized.has_value(), settings.model, ": is a float model; quantize it with `fat quantize`");
  choose_requantization(loaded, settings);
  Problems problems;
  for (const std::string& path : settings.outputs)
    if (problems.attempt([&] { write_quantized_model(*loaded.quantized, path, settings.tensorrt); }))
      std::printf("wrote %s\n", printable(path).c_str());
  problems.report();
  return 0;
}

}  // namespace cli
