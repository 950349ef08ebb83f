// Reports: the progress bar on stderr, tables on stdout, the same figures as JSON.
#ifndef FAT_CLI_REPORT_HPP_INCLUDED
#define FAT_CLI_REPORT_HPP_INCLUDED

#include "settings.hpp"

#include <fat/model/metrics.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace cli {

using Json = nlohmann::ordered_json;

/// Listens to a job: a bar with throughput and time left on a terminal, else one line a stage (training: an epoch).
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();
  void operator()(const fat::ProgressEvent& event);

 private:
  void draw(const fat::ProgressEvent& event, double seconds);
  void clear();
  bool terminal_;
  bool drawn_ = false;
  std::string stage_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

/// A table with aligned columns: the first is text, the rest are right-aligned. Cells are made printable.
class Table {
 public:
  explicit Table(std::vector<std::string> heads) : rows_{std::move(heads)} {}
  void add(std::vector<std::string> row);
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// A number by printf format; "-" where there is none.
std::string text(const char* format, double value);
std::string text(const char* format, const std::optional<double>& value);

/// {"top1", ...}: what was measured, and nothing else. Infinite figures are left out.
Json metrics_json(const fat::Metrics& metrics);
Json options_json(const fat::QuantizeOptions& options);

/// One line: `quantized  top-1 0.8850  top-5 0.9800  agreement 0.9650 ...`; none where nothing was measured.
void print_metrics(const char* name, const fat::Metrics& metrics);

/// How near one output of a network that has several is to the reference's.
struct OutputMeasure {
  std::string name;
  double sqnr_db = 0.0;
};

/// A line for each output of a network that has several, and the same as JSON.
void print_outputs(const std::vector<OutputMeasure>& outputs);
Json outputs_json(const std::vector<OutputMeasure>& outputs);

/// Peak resident memory of this process in MiB.
double peak_rss_mib();

/// Writes the figures where --json asked for them.
void write_json(const Settings& settings, const Json& figures);

}  // namespace cli

#endif
