// fat demo: the embedded network, no file needed.
#include "report.hpp"

#include <demo/demo.hpp>

namespace cli {

int demo(const Settings& settings) {
  ProgressBar bar;
  return ::demo::run_demo({.threads = settings.options.threads}, [&](const fat::ProgressEvent& event) { bar(event); });
}

}  // namespace cli
