// Metrics: how well a network's outputs match labels and another network's outputs.
#ifndef FAT_MODEL_METRICS_HPP_INCLUDED
#define FAT_MODEL_METRICS_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>

namespace fat::inline FAT_ABI {

/// Index of the largest value; the lowest one where several are largest. Errors: no value.
inline std::size_t arg_max(std::span<const float> values) {
  expects(!values.empty(), "arg_max: no values");
  std::size_t best = 0;
  for (std::size_t i = 1; i != values.size(); ++i)
    if (values[i] > values[best]) best = i;
  return best;
}

/// Whether `index` is among the k largest values; of equal values the lower index counts as the larger. NaN is never
/// among them.
inline bool in_top(std::span<const float> values, std::size_t index, std::size_t k) {
  if (index >= values.size() || std::isnan(values[index])) return false;
  std::size_t before = 0;
  for (std::size_t i = 0; i != values.size(); ++i)
    before += (values[i] > values[index] || (values[i] == values[index] && i < index)) ? 1U : 0U;
  return before < k;
}

/// Sums that tell how far `b` is from `a`; several tensors add up in any order of parts.
struct Distance {
  double signal = 0.0;  ///< sum of a^2
  double noise = 0.0;   ///< sum of (a - b)^2
  std::size_t count = 0;

  void add(std::span<const float> a, std::span<const float> b) {
    expects(a.size() == b.size(), "Distance: ", a.size(), " values against ", b.size());
    for (std::size_t i = 0; i != a.size(); ++i) {
      const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
      signal += static_cast<double>(a[i]) * static_cast<double>(a[i]);
      noise += difference * difference;
    }
    count += a.size();
  }
  Distance& operator+=(const Distance& other) {
    signal += other.signal;
    noise += other.noise;
    count += other.count;
    return *this;
  }
  /// Root of the mean squared difference; 0 without values.
  double rmse() const { return count == 0 ? 0.0 : std::sqrt(noise / static_cast<double>(count)); }
  /// Signal to quantization noise in dB, 10 log10(signal / noise); infinite without noise.
  double sqnr_db() const {
    if (noise == 0.0) return std::numeric_limits<double>::infinity();
    return 10.0 * std::log10(signal / noise);
  }
};

/// Figures of one network on a set of images. Shares lie in [0, 1]; what was not measured is empty.
struct Metrics {
  std::size_t images = 0;
  std::optional<double> top1;
  std::optional<double> top5;
  std::optional<double> agreement;   ///< share of images whose arg-max equals the reference's
  std::optional<double> logit_rmse;  ///< over all images and outputs
  std::optional<double> sqnr_db;     ///< of the outputs, the reference being the signal
};

/// Errors: NaN or infinity among the outputs of a network.
inline void expects_finite(std::span<const float> outputs) {
  for (const float value : outputs)
    expects(std::isfinite(value), "the outputs hold NaN or infinity; check the weights and the preprocessing");
}

/// Counts images one by one. An output i stands for class i - class_offset.
class Score {
 public:
  explicit Score(std::size_t class_offset = 0) : class_offset_(class_offset) {}

  /// Whether an output stands for the class. A sum of class and offset could wrap around.
  bool knows(std::size_t label, std::size_t outputs) const {
    return outputs > class_offset_ && label < outputs - class_offset_;
  }

  /// `outputs` of one image; its class where known; the reference's outputs where there is one, else empty.
  /// Errors: NaN or infinity among the outputs of either, a class that no output stands for.
  void add(std::span<const float> outputs, std::optional<std::size_t> label, std::span<const float> reference = {}) {
    expects_finite(outputs);
    expects_finite(reference);
    expects(!label || knows(*label, outputs.size()), "class ", label.value_or(0), " of ", outputs.size(),
            " outputs, the first ", class_offset_, " of which are no class; check the labels and the class offset");
    ++images_;
    if (label) {
      ++labelled_;
      const std::size_t index = *label + class_offset_;
      top1_ += in_top(outputs, index, 1) ? 1U : 0U;
      top5_ += in_top(outputs, index, 5) ? 1U : 0U;
    }
    if (reference.empty()) return;
    ++compared_;
    agreeing_ += arg_max(outputs) == arg_max(reference) ? 1U : 0U;
    distance_.add(reference, outputs);
  }

  Metrics metrics() const {
    const auto share = [](std::size_t part, std::size_t whole) -> std::optional<double> {
      if (whole == 0) return std::nullopt;
      return static_cast<double>(part) / static_cast<double>(whole);
    };
    Metrics result{images_, share(top1_, labelled_), share(top5_, labelled_), share(agreeing_, compared_), {}, {}};
    if (compared_ != 0) {
      result.logit_rmse = distance_.rmse();
      result.sqnr_db = distance_.sqnr_db();
    }
    return result;
  }

 private:
  std::size_t class_offset_;
  std::size_t images_ = 0;
  std::size_t labelled_ = 0;
  std::size_t compared_ = 0;
  std::size_t top1_ = 0;
  std::size_t top5_ = 0;
  std::size_t agreeing_ = 0;
  Distance distance_;
};

}  // namespace fat::inline FAT_ABI

#endif
