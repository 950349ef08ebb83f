// calibrate: the observed range of every value of a Model over a set of images.
#ifndef FAT_MODEL_CALIBRATE_HPP_INCLUDED
#define FAT_MODEL_CALIBRATE_HPP_INCLUDED

#include <fat/model/forward.hpp>
#include <fat/model/options.hpp>
#include <fat/observe/min_max.hpp>
#include <fat/observe/observer.hpp>
#include <fat/observe/percentile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// `count` different indices below `total` (all where count >= total), drawn by the seed, ascending. The same on every
/// machine.
inline std::vector<std::size_t> draw_indices(std::size_t total, std::size_t count, std::uint64_t seed) {
  std::vector<std::size_t> indices(total);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  if (count >= total) return indices;
  std::mt19937_64 random{seed};
  for (std::size_t i = 0; i != count; ++i) std::swap(indices[i], indices[i + random() % (total - i)]);
  indices.resize(count);
  std::sort(indices.begin(), indices.end());
  return indices;
}

/// Loads the chosen images in batches and calls f(floats of the batch, place of its first image in `chosen`, images in
/// it). `most` bounds the batch.
template <ImageSource Images, class Function>
void for_each_batch(const Images& images, std::span<const std::size_t> chosen, std::size_t image_size, std::size_t most,
                    Function&& f) {
  std::vector<float> batch(std::min(most, chosen.size()) * image_size);
  for (std::size_t first = 0; first < chosen.size(); first += most) {
    const std::size_t count = std::min(most, chosen.size() - first);
    for (std::size_t i = 0; i != count; ++i)
      images.load(chosen[first + i], std::span{batch}.subspan(i * image_size, image_size));
    f(std::span<const float>{batch}.first(count * image_size), first, count);
  }
}

/// Runs the model over the chosen images with one copy of `start` watching each value and returns the ranges, in the
/// order of Model::values. The result does not depend on the number of threads where the observer does not depend on
/// order.
/// Errors: no image; NaN or infinity in a value, by its name.
template <Observer O, ImageSource Images>
std::vector<Interval<float>> calibrate(const Model& model, const Images& images, std::span<const std::size_t> chosen,
                                       const O& start, std::size_t threads, const Progress& progress = {}) {
  expects(!chosen.empty(), "calibrate: no image; give at least one");
  FloatRunner runner{model, {.threads = threads}};
  const std::size_t count = model.values.size();
  std::vector<O> observers(runner.workers() * count, start);
  const std::size_t outputs = model.output_extent().size();
  std::vector<float> sink(4 * threads * outputs);
  detail::notify(progress, {.stage = "calibrate", .done = 0, .total = chosen.size()});
  for_each_batch(images, chosen, model.input_extent().size(), 4 * threads,
                 [&](std::span<const float> batch, std::size_t first, std::size_t size) {
                   runner.run(batch, size, std::span{sink}.first(size * outputs),
                              [&](ValueId value, std::size_t, std::size_t worker, std::span<float> data) {
                                expects(extremes_run(data.data(), data.size()).finite, "calibrate: tensor '",
                                        std::string_view{model.values[value].name},
                                        "' holds NaN or infinity; look at the images and at the weights before it");
                                observers[worker * count + value].observe(data.data(), data.size());
                              });
                   detail::notify(progress, {.stage = "calibrate", .done = first + size, .total = chosen.size()});
                 });
  std::vector<Interval<float>> ranges;
  for (std::size_t value = 0; value != count; ++value) {
    O all = start;
    for (std::size_t worker = 0; worker != runner.workers(); ++worker) all.merge(observers[worker * count + value]);
    const Interval<double> range = all.range();
    ranges.push_back({static_cast<float>(range.low), static_cast<float>(range.high)});
  }
  return ranges;
}

}  // namespace fat::inline FAT_ABI

#endif
