// int8 depthwise 3x3 convolutions of MobileNetV2, codes out, single thread.
//   depthwise            Google Benchmark: depthwise/<path>/<extent>x<channels>/<stride> and depthwise/<path>/total
//   depthwise --ratios   every library's total in turn: who is right on this processor, medians of the ratios of their
// times
#include "support/alternate.hpp"
#include "support/integer_convolution.hpp"
#include "support/mobilenet_v2.hpp"

#include <benchmark/benchmark.h>

#include <cstring>
#include <map>

namespace {

struct Layer {
  std::string name;
  double operations = 0.0;
  std::map<std::string, std::function<void()>> paths;
  std::map<std::string, double> wrong;  // share of outputs
};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> all = [] {
    std::vector<Layer> found;
    const fat::Model& model = benchmarks::mobilenet_v2();
    for (const fat::Node& node : model.nodes) {
      const auto* op = std::get_if<fat::DepthwiseConvolution>(&node.op);
      if (op == nullptr) continue;
      const benchmarks::IntegerConvolution c{model.extent(node.inputs[0]), model.extent(node.output), op->window, true};
      const benchmarks::Expected expected{c};
      Layer layer;
      layer.name = std::to_string(c.in.width) + "x" + std::to_string(c.in.channels) + "/" +
                   std::to_string(op->window.stride.width);
      layer.operations = c.operations();
      const auto add = [&](const std::string& path, auto run, bool lowered) {
        (*run)();
        layer.wrong[path] = expected.wrong(run->output, lowered);
        layer.paths[path] = [run] { (*run)(); };
      };
      for (const fat::kernel::Kernels* kernels : fat::kernel::available())
        add(kernels->name, std::make_shared<benchmarks::OurConvolution>(c, *kernels), false);
#if defined(FAT_HAVE_DNNL)
      add("onednn_u8", std::make_shared<benchmarks::OneDnnConvolution>(c, false), false);
#endif
#if defined(FAT_HAVE_XNNPACK)
      add("xnnpack_qs8", std::make_shared<benchmarks::XnnpackConvolution>(c), true);
#endif
      found.push_back(std::move(layer));
    }
    return found;
  }();
  return all;
}

void run_all(const std::string& path) {
  for (const Layer& layer : layers()) layer.paths.at(path)();
}
double operations() {
  double sum = 0.0;
  for (const Layer& layer : layers()) sum += layer.operations;
  return sum;
}

int ratios() {
  benchmarks::Alternate rows;
  for (const auto& [path, work] : layers()[0].paths) {
    std::size_t wrong = 0;
    for (const Layer& layer : layers()) wrong += layer.wrong.at(path) > 0.0 ? 1U : 0U;
    if (wrong != 0)
      std::printf("%s: WRONG on this processor on %zu of %zu layers\n", path.c_str(), wrong, layers().size());
    rows.add(path, [path = path] { run_all(path); });
  }
  std::puts(
      "17 depthwise layers of MobileNetV2 one after the other, codes out (ratio: time / time of the peer, median)");
  rows.run(15);
  rows.print(operations(), {"onednn_u8", "xnnpack_qs8"});
  const std::string best = fat::kernel::native_kernels().name;
  rows.require(best, "xnnpack_qs8", 1.0, "ahead");
  if (!layers()[0].paths.contains("onednn_u8")) return 0;
  std::puts(
      "each layer again and again, its tensors in the caches, as they are when the layer before has just made them");
  double mine = 0.0, theirs = 0.0;
  for (const Layer& layer : layers()) {
    benchmarks::Alternate each;
    each.add(best, layer.paths.at(best));
    each.add("onednn_u8", layer.paths.at("onednn_u8"));
    each.run(7, 0.003);
    mine += each.time(best), theirs += each.time("onednn_u8");
    std::printf("  %-10s %6.1f GOP/s, %.2f x the time of onednn_u8\n", layer.name.c_str(),
                1e-9 * layer.operations / each.time(best), each.ratio(best, "onednn_u8"));
  }
  std::printf("  %-10s %6.1f GOP/s, %.2f x the time of onednn_u8, at most 0.70 x: %s\n", "sum",
              1e-9 * operations() / mine, mine / theirs, mine <= 0.7 * theirs ? "reached" : "NOT REACHED");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--ratios") == 0) return ratios();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const auto add = [](const std::string& name, std::function<void()> work, double size) {
    benchmark::RegisterBenchmark(name.c_str(), [work, size](benchmark::State& state) {
      for (auto _ : state) work();
      state.counters["GOP/s"] = benchmark::Counter(1e-9 * size, benchmark::Counter::kIsIterationInvariantRate);
    });
  };
  for (const Layer& layer : layers())
    for (const auto& [path, work] : layer.paths) add("depthwise/" + path + "/" + layer.name, work, layer.operations);
  for (const auto& [path, work] : layers()[0].paths)
    add(
        "depthwise/" + path + "/total", [path = path] { run_all(path); }, operations());
  benchmark::RunSpecifiedBenchmarks();
}
