// fat bench: time of a forward pass, of every layer beside what this processor can do, and of every path that it has.
#include "executor.hpp"
#include "files.hpp"
#include "printable.hpp"
#include "report.hpp"

#include <fat/kernel/arch/blas.hpp>
#include <fat/kernel/product.hpp>
#include <fat/model/forward.hpp>
#include <fat/model/integer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Times of at least five runs and `least` seconds.
template <class Work>
std::vector<double> times_of(double least, Work&& work) {
  std::vector<double> times;
  for (double total = 0.0; times.size() < 5 || total < least; total += times.back()) {
    const auto start = Clock::now();
    work();
    times.push_back(seconds_since(start));
  }
  return times;
}

/// What the processor reaches on one thread: operations a second of a product that stays in the caches, bytes a second
/// of a copy of the given size.
struct Peak {
  double operations = 0.0, bytes = 0.0;
};

constexpr std::size_t extent_of_peak = 240;  // a multiple of every tile's rows and columns

double best_rate(double operations, const std::function<void()>& work) {
  work();
  const auto times = times_of(0.1, work);
  return operations / *std::min_element(times.begin(), times.end());
}

double integer_peak(const fat::kernel::Kernels& kernels) {
  constexpr std::size_t n = extent_of_peak;
  const std::vector<std::int8_t> weights(n * n, 3);  // small: the byte products of AVX2 may run at their full speed
  const std::vector<std::uint8_t> a(n * n, 5);
  const fat::kernel::PackedProduct product{kernels, {weights.data(), n, n, n, 1}};
  const std::vector<std::int32_t> start(product.columns_padded());
  std::vector<std::int16_t> scratch(product.scratch());
  std::vector<std::int32_t> sums(n * n);
  return best_rate(2.0 * n * n * n,
                   [&] { product.sums(a.data(), n, n, start.data(), scratch.data(), sums.data(), n); });
}

double float_peak() {
  constexpr std::size_t n = extent_of_peak;
  fat::WindowShape shape;
  shape.in_height = shape.out_height = n;
  shape.in_channels = shape.out_channels = n;
  const fat::float_kernels::Convolution product{shape, 1};
  const std::vector<float> a(n * n, 0.5F);
  std::vector<float> c(n * n);
  fat::aligned_vector<float> packed(product.packed_size()), scratch(product.scratch());
  product.pack(a.data(), packed.data());
  return best_rate(2.0 * n * n * n, [&] {
    product.forward(a.data(), packed.data(), nullptr, -1e9F, 1e9F, c.data(), 0, product.parts(), scratch.data());
  });
}

double copy_rate(std::size_t bytes) {
  const std::vector<char> from(bytes, 1);
  std::vector<char> to(bytes);
  return best_rate(2.0 * static_cast<double>(bytes), [&] {
    std::memcpy(to.data(), from.data(), bytes);
    asm volatile("" : : "r"(to.data()) : "memory");
  });
}

/// Products counted twice, and the bytes that have to be moved at least: inputs, weights, output.
struct Cost {
  double operations = 0.0, bytes = 0.0;
};

Cost cost_of(const LoadedModel& loaded, std::size_t n) {
  const fat::Model& graph = loaded.graph();
  const fat::Node& node = graph.nodes[n];
  const auto bytes_of = [&](fat::ValueId value) {
    const bool code = loaded.quantized && loaded.quantized->activations[value];
    return static_cast<double>(graph.extent(value).size()) * (code ? 1.0 : 4.0);
  };
  Cost cost{0.0, bytes_of(node.output)};
  for (const fat::ValueId input : node.inputs) cost.bytes += bytes_of(input);
  const auto& out = graph.extent(node.output);
  std::visit(
      [&]<class Layer>(const Layer& layer) {
        if constexpr (fat::WeightedLayer<Layer>) {
          const bool codes = loaded.quantized && loaded.quantized->weights[n];
          const double weights =
              static_cast<double>(codes ? loaded.quantized->weights[n]->codes.size() : layer.kernel.size());
          cost.bytes += weights * (codes ? 1.0 : 4.0);
          cost.operations = 2.0 * weights * static_cast<double>(out.height * out.width);
        }
      },
      node.op);
  return cost;
}

struct Images {
  std::vector<float> in, out;
  Images(const fat::Model& model, std::size_t batch)
      : in(batch * model.input_extent().size(), 0.5F), out(batch * model.output_extent().size()) {}
};

/// Seconds of every node for one image, medians over the runs: a layer's time ends when its value is made.
template <class Runner>
std::vector<double> layer_times(Runner& runner, const fat::Model& model) {
  Images images{model, 1};
  std::vector<double> found;
  std::vector<Clock::time_point> ends;
  std::vector<std::vector<double>> times(model.nodes.size());
  times_of(1.0, [&] {
    ends.clear();
    const auto hook = [&](auto&&...) { ends.push_back(Clock::now()); };
    runner.run(std::span<const float>{images.in}, 1, std::span<float>{images.out}, hook);
    for (std::size_t n = 0; n != times.size(); ++n)
      times[n].push_back(std::chrono::duration<double>(ends[n + 1] - ends[n]).count());
  });
  for (auto& each : times) found.push_back(median(each));
  return found;
}

template <class Runner>
std::vector<double> total_times(Runner& runner, const fat::Model& model, std::size_t batch, double least) {
  Images images{model, batch};
  return times_of(least, [&] { runner.run(std::span<const float>{images.in}, batch, std::span<float>{images.out}); });
}

}  // namespace

int bench(const Settings& settings) {
  LoadedModel loaded = load_model(settings.model, settings.reading);
  if (loaded.floating)
    loaded.floating = prepared(settings.model, std::move(*loaded.floating));  // normalizations folded, clamps fused
  const fat::Model& graph = loaded.graph();
  const std::size_t batch = settings.batch_of_bench, threads = settings.options.threads;
  std::vector<double> times, layers;
  std::size_t activation_bytes = 0;
  for (const auto& value : graph.values) activation_bytes = std::max(activation_bytes, value.extent.size());
  Peak peak;
  std::vector<std::pair<std::string, double>> paths;  // ms per image
  const auto per_image = [&](const std::vector<double>& runs) {
    return 1000.0 * median(runs) / static_cast<double>(batch);
  };
  std::string best = "float";
  if (loaded.quantized) {
    best = best_kernels().name;
    fat::IntegerModel model = naming(settings.model, [&] {
      return fat::IntegerModel{*loaded.quantized, {.threads = threads, .set = &best_kernels()}};
    });
    times = total_times(model, graph, batch, 2.0);
    layers = layer_times(model, graph);
    peak.operations = integer_peak(best_kernels());
    std::vector<const fat::kernel::Kernels*> sets = fat::kernel::available();
    sets.push_back(&fat::kernel::blas_kernels);
    for (const fat::kernel::Kernels* kernels : sets) {
      fat::IntegerModel other{*loaded.quantized, {.threads = threads, .set = kernels}};
      paths.emplace_back(kernels->name, per_image(total_times(other, graph, batch, 0.3)));
    }
  } else {
    fat::FloatRunner model = naming(settings.model, [&] {
      return fat::FloatRunner{*loaded.floating, {.threads = threads}};
    });
    times = total_times(model, graph, batch, 2.0);
    layers = layer_times(model, graph);
    peak.operations = float_peak();
    activation_bytes *= sizeof(float);
    paths.emplace_back("float", per_image(times));
  }
  peak.bytes = copy_rate(activation_bytes);

  Table table{{"layer", "ms", "GOP/s", "roofline"}};
  Json json_layers = Json::array();
  double operations = 0.0, sum = 0.0, bound = 0.0;
  for (std::size_t n = 0; n != layers.size(); ++n) {
    const Cost cost = cost_of(loaded, n);
    // threads share the caches' bandwidth out too, as far as this simple model goes
    const double least =
        std::max(cost.operations / peak.operations, cost.bytes / peak.bytes) / static_cast<double>(threads);
    operations += cost.operations, sum += layers[n], bound += least;
    const double speed = 1e-9 * cost.operations / layers[n], share = least / layers[n];
    table.add({graph.nodes[n].name, text("%.3f", 1e3 * layers[n]), cost.operations > 0.0 ? text("%.1f", speed) : "-",
               text("%.2f", share)});
    json_layers.push_back({{"name", graph.nodes[n].name},
                           {"ms", 1e3 * layers[n]},
                           {"gop", 1e-9 * cost.operations},
                           {"gop_per_s", speed},
                           {"bytes", cost.bytes},
                           {"roofline_share", share}});
  }
  table.add({"sum", text("%.3f", 1e3 * sum), text("%.1f", 1e-9 * operations / sum), text("%.2f", bound / sum)});
  table.print();
  std::printf(
      "roofline: the larger of products at %.0f GOP/s and bytes at %.1f GB/s for each thread, both measured now on "
      "%s\n",
      1e-9 * peak.operations, 1e-9 * peak.bytes, best.c_str());
  Json json_paths = Json::object();
  for (const auto& [name, ms] : paths) {
    std::printf("path %-12s %9.3f ms per image\n", name.c_str(), ms);
    json_paths[name] = ms;
  }
  std::printf("%s: %.3f ms per image, batch %zu, %zu threads, median of %zu runs\n", printable(settings.model).c_str(),
              per_image(times), batch, threads, times.size());
  write_json(settings, {{"model", settings.model},
                        {"ms_per_image", per_image(times)},
                        {"batch", batch},
                        {"threads", threads},
                        {"runs", times.size()},
                        {"path", best},
                        {"peak_gop_per_s", 1e-9 * peak.operations},
                        {"copy_gb_per_s", 1e-9 * peak.bytes},
                        {"gop", 1e-9 * operations},
                        {"layers", json_layers},
                        {"paths", json_paths},
                        {"peak_rss_mib", peak_rss_mib()}});
  return 0;
}

}  // namespace cli
