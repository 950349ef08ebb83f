// fat demo: the embedded network, no file needed.
#include "files.hpp"
#include "report.hpp"

#include <demo/demo.hpp>

namespace cli {

int demo(const Settings& settings) {
  const ::demo::DemoOptions options{.threads = settings.options.threads, .seed = settings.options.seed};
  std::vector<::demo::DemoRow> rows;
  {
    ProgressBar bar;
    rows = ::demo::run_demo(options, [&](const fat::ProgressEvent& event) { bar(event); });
  }
  Json json{{"images", options.pictures}, {"rows", Json::array()}};
  for (const ::demo::DemoRow& row : rows) {
    Json entry = metrics_json(row.metrics);
    entry["network"] = row.name;
    entry["seconds"] = {{"quantize", row.quantize_seconds}, {"evaluate", row.evaluate_seconds}};
    json["rows"].push_back(std::move(entry));
  }
  json["peak_rss_mib"] = peak_rss_mib();
  write_json(settings, json);
  return 0;
}

}  // namespace cli
