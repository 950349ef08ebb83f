// Reports: the progress bar on stderr, tables on stdout, the same figures as JSON.
#include "report.hpp"

#include "printable.hpp"

#include <fat/io/file.hpp>

#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace cli {

ProgressBar::ProgressBar() : terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
  if (drawn_) std::fprintf(stderr, "\r\033[K");
  drawn_ = false;
}

void ProgressBar::operator()(const fat::ProgressEvent& event) {
  using Clock = std::chrono::steady_clock;
  if (!event.message.empty()) {
    clear();
    std::fprintf(stderr, "fat: note: %s\n", printable(event.message).c_str());
  }
  if (event.total == 0) return;
  const auto now = Clock::now();
  if (stage_ != event.stage) {
    stage_ = event.stage;
    start_ = last_ = now;
  }
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (!terminal_) {
    if (!event.ends_epoch && event.done != event.total) return;
    std::fprintf(stderr, "%s: %zu of %zu", stage_.c_str(), event.done, event.total);
    if (!std::isnan(event.loss)) std::fprintf(stderr, ", loss %.5g, rate %.3g", event.loss, event.rate);
    std::fprintf(stderr, ", %.1f s\n", seconds);
    return;
  }
  if (event.done != event.total && event.done != 0 && now - last_ < std::chrono::milliseconds{100}) return;
  last_ = now;
  draw(event, seconds);
  if (event.done == event.total) clear();
}

void ProgressBar::draw(const fat::ProgressEvent& event, double seconds) {
  constexpr std::size_t width = 30;
  const std::size_t full = width * event.done / event.total;
  const std::string bar = std::string(full, '#') + std::string(width - full, '.');
  std::fprintf(stderr, "\r\033[K%-10s [%s] %zu/%zu", stage_.c_str(), bar.c_str(), event.done, event.total);
  if (event.done != 0 && seconds > 0.0) {
    const double rate = static_cast<double>(event.done) / seconds;
    std::fprintf(stderr, "  %.1f/s  %.0f s left", rate, static_cast<double>(event.total - event.done) / rate);
  }
  if (!std::isnan(event.loss)) std::fprintf(stderr, "  loss %.5g  rate %.3g", event.loss, event.rate);
  std::fflush(stderr);
  drawn_ = true;
}

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = printable(cell);
  rows_.push_back(std::move(row));
}

namespace {

/// The beginning and the end of a text that is longer than `width` bytes; no character of several bytes is cut.
std::string shortened(const std::string& text, std::size_t width) {
  if (text.size() <= width) return text;
  const auto inside = [&](std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  std::size_t front = (width - 2) / 2, back = text.size() - (width - 2 - front);
  while (front != 0 && inside(front)) --front;
  while (inside(back)) ++back;
  return text.substr(0, front) + ".." + text.substr(back);
}

}  // namespace

void Table::print() const {
  constexpr std::size_t page = 120, least = 12;
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c != row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::size_t total = widths.empty() ? 0 : 2 * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;
  // Long names give way, the longest first.
  for (; total > page; --total) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= least) break;
    --*widest;
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c != row.size(); ++c) {
      const std::string cell = shortened(row[c], widths[c]);
      const std::string gap(widths[c] - std::min(widths[c], cell.size()), ' ');
      line += (c == 0 ? cell + gap : "  " + gap + cell);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
  }
}

std::string text(const char* format, double value) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format, value);
  return buffer.data();
}

std::string text(const char* format, const std::optional<double>& value) {
  return value ? text(format, *value) : std::string{"-"};
}

Json metrics_json(const fat::Metrics& metrics) {
  Json json = Json::object();
  const auto put = [&](const char* key, const std::optional<double>& value) {
    if (value && std::isfinite(*value)) json[key] = *value;
  };
  put("top1", metrics.top1);
  put("top5", metrics.top5);
  put("agreement", metrics.agreement);
  put("logit_rmse", metrics.logit_rmse);
  put("sqnr_db", metrics.sqnr_db);
  return json;
}

Json options_json(const fat::QuantizeOptions& o) {
  constexpr std::array schemes{"symmetric", "asymmetric"};
  constexpr std::array granularities{"scalar", "per-channel"};
  constexpr std::array observers{"minmax", "percentile", "mse", "entropy"};
  constexpr std::array corrections{"off", "on", "auto", "analytic"};
  constexpr std::array roundings{"nearest", "sum", "learned"};
  constexpr std::array rescalings{"none", "depthwise", "equalize", "balance", "auto"};
  constexpr std::array finetunings{"none", "thresholds", "pointwise", "both"};
  constexpr std::array losses{"rmse", "element-rmse", "absolute"};
  constexpr std::array optimizers{"adam", "sgd"};
  constexpr std::array schedules{"cosine", "constant", "authors"};
  const auto word = [](const auto& words, auto value) { return words[static_cast<std::size_t>(value)]; };
  Json json{{"scheme", word(schemes, o.scheme)},
            {"weight_scheme", word(schemes, o.weight_scheme)},
            {"granularity", word(granularities, o.granularity)},
            {"bits", o.bits},
            {"activation_bits", o.activation_bits},
            {"observer", word(observers, o.observer)},
            {"bias_correction", word(corrections, o.bias_correction)},
            {"rounding", word(roundings, o.rounding)},
            {"requantize", fat::name_of(o.requantize)},
            {"keep_float", o.keep_float},
            {"calibration", o.calibration},
            {"rescale", word(rescalings, o.rescale)},
            {"finetune", word(finetunings, o.finetune)},
            {"train_activations", o.train_activations},
            {"train_weights", o.train_weights},
            {"train_biases", o.train_biases},
            {"epochs", o.epochs},
            {"batch", o.batch},
            {"loss", word(losses, o.loss)},
            {"optimizer", word(optimizers, o.optimizer)},
            {"schedule", word(schedules, o.schedule)},
            {"seed", o.seed},
            {"threads", o.threads}};
  for (const fat::LayerOptions& each : o.layers) {
    Json layer{{"layer", each.layer}};
    if (each.bits) layer["bits"] = *each.bits;
    if (each.weight_scheme) layer["weight_scheme"] = word(schemes, *each.weight_scheme);
    if (each.granularity) layer["granularity"] = word(granularities, *each.granularity);
    if (each.train_activations) layer["train_activations"] = *each.train_activations;
    if (each.train_weights) layer["train_weights"] = *each.train_weights;
    if (each.train_biases) layer["train_biases"] = *each.train_biases;
    json["layers"].push_back(std::move(layer));
  }
  if (o.observer == fat::RangeRule::percentile) json["percentile"] = o.percentile;
  if (o.rescale_lock) json["rescale_lock"] = *o.rescale_lock;
  if (o.signed_activations) json["signed_activations"] = true;
  if (o.train) json["train"] = *o.train;
  if (o.learning_rate) json["learning_rate"] = *o.learning_rate;
  if (o.cycles) json["cycles"] = *o.cycles;
  if (o.patience != 0) json["patience"] = o.patience;
  return json;
}

void print_metrics(const char* name, const fat::Metrics& metrics) {
  std::string line;
  const auto put = [&](const char* label, const char* format, const std::optional<double>& value) {
    if (value) line += "  " + std::string{label} + " " + text(format, *value);
  };
  put("top-1", "%.4f", metrics.top1);
  put("top-5", "%.4f", metrics.top5);
  put("agreement", "%.4f", metrics.agreement);
  put("logit RMSE", "%.4f", metrics.logit_rmse);
  put("SQNR", "%.2f dB", metrics.sqnr_db);
  if (!line.empty()) std::printf("%-10s%s\n", name, line.c_str());
}

void print_outputs(const std::vector<OutputMeasure>& outputs) {
  for (const OutputMeasure& output : outputs)
    std::printf("output %s  SQNR %.2f dB\n", printable(output.name).c_str(), output.sqnr_db);
}

Json outputs_json(const std::vector<OutputMeasure>& outputs) {
  Json list = Json::array();
  for (const OutputMeasure& output : outputs) {
    list.push_back({{"name", output.name}});
    if (std::isfinite(output.sqnr_db)) list.back()["sqnr_db"] = output.sqnr_db;
  }
  return list;
}

double peak_rss_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

void write_json(const Settings& settings, const Json& figures) {
  if (settings.json.empty()) return;
  fat::write_file_atomically(settings.json, figures.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace cli
