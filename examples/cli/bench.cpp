// fat bench: time of a forward pass.
#include "executor.hpp"
#include "report.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace cli {

int bench(const Settings& settings) {
  check_writable(settings.json);
  const LoadedModel loaded = load_model(settings.model);
  const std::size_t batch = settings.batch_of_bench;
  Executor executor{loaded, settings.simulate, settings.options.threads};
  std::vector<float> images(batch * loaded.graph().input_extent().size(), 0.5F);
  std::vector<float> outputs(batch * loaded.graph().output_extent().size());
  std::vector<double> times;
  double total = 0.0;
  constexpr double least_seconds = 2.0;
  while (times.size() < 5 || total < least_seconds) {
    const auto start = std::chrono::steady_clock::now();
    executor.run(images, batch, outputs);
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    total += times.back();
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  const double per_image = 1000.0 * times[times.size() / 2] / static_cast<double>(batch);
  std::printf("%s: %.3f ms per image, batch %zu, %zu threads, median of %zu runs\n", settings.model.c_str(), per_image, batch,
              settings.options.threads, times.size());
  write_json(settings, {{"model", settings.model}, {"ms_per_image", per_image}, {"batch", batch}, {"threads", settings.options.threads},
                        {"runs", times.size()}, {"peak_rss_mib", peak_rss_mib()}});
  return 0;
}

}  // namespace cli
