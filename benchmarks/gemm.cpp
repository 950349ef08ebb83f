// int8 matrix products on the shapes of MobileNetV2's 1x1 convolutions (M positions, K inputs, N outputs), single thread.
//   gemm              Google Benchmark: gemm/<path>/MxKxN and gemm/<path>/total, counter GOP/s
//   gemm --ratios     every library's total in turn: who is right on this processor, medians of the ratios of their
// times Paths with codes as outputs: our micro-kernels by name, onednn_u8, xnnpack_qs8. With 32-bit sums: <name>_s32,
// onednn_u8_s32, gemmlowp_u8, blas (exact products through sgemm), and sgemm itself on floats.
#include "support/alternate.hpp"
#include "support/integer_convolution.hpp"
#include "support/mobilenet_v2.hpp"

#include <fat/kernel/blas.hpp>

#include <benchmark/benchmark.h>

#include <cstring>
#include <map>

#if defined(FAT_HAVE_GEMMLOWP)
#include <gemmlowp/public/gemmlowp.h>
#endif

namespace {

using benchmarks::IntegerConvolution;
using Work = std::function<void()>;

/// One shape with every library ready to run on it.
struct Problem {
  IntegerConvolution c;
  std::size_t rows, depth, columns;
  std::string name;
  std::size_t count = 1;  // how often the network has it
  std::map<std::string, Work> paths;
  std::map<std::string, double> wrong;  // share of outputs

  Problem(const fat::Extent& in, const fat::Extent& out)
      : c(in, out, {{1, 1}, {1, 1}, {1, 1}, {}}, false),
        rows(in.height * in.width),
        depth(in.channels),
        columns(out.channels),
        name(std::to_string(rows) + "x" + std::to_string(depth) + "x" + std::to_string(columns)) {}

  void prepare() {
    const benchmarks::Expected expected{c};
    const auto add = [&](const std::string& path, auto run, bool lowered) {
      (*run)();
      wrong[path] = expected.wrong(run->output, lowered);
      paths[path] = [run] { (*run)(); };
    };
    const auto sums = std::make_shared<std::vector<std::int32_t>>(rows * columns);
    const auto add_sums = [&](const std::string& path, Work run) {
      run();
      wrong[path] = expected.wrong_sums(sums->data());
      paths[path] = std::move(run);
    };
    for (const fat::kernel::Kernels* kernels : fat::kernel::available()) {
      add(kernels->name, std::make_shared<benchmarks::OurConvolution>(c, *kernels), false);
      const auto product = std::make_shared<fat::kernel::PackedProduct>(
          *kernels, fat::kernel::WeightView{c.w.data(), depth, columns, 1, depth});
      const auto start = std::make_shared<std::vector<std::int32_t>>(product->columns_padded());
      for (std::size_t n = 0; n != columns; ++n) (*start)[n] = kernels->offset * product->column_sums()[n];
      const auto scratch = std::make_shared<fat::aligned_vector<std::int16_t>>(product->scratch());
      add_sums(kernels->name + std::string{"_s32"}, [this, product, start, scratch, sums] {
        product->sums(c.x.data(), depth, rows, start->data(), scratch->data(), sums->data(), columns);
      });
    }
#if defined(FAT_HAVE_DNNL)
    add("onednn_u8", std::make_shared<benchmarks::OneDnnConvolution>(c, false), false);
    const auto dnnl_sums = std::make_shared<benchmarks::OneDnnConvolution>(c, true);
    (*dnnl_sums)();
    wrong["onednn_u8_s32"] = expected.wrong_sums(reinterpret_cast<const std::int32_t*>(dnnl_sums->output.data()));
    paths["onednn_u8_s32"] = [dnnl_sums] { (*dnnl_sums)(); };
#endif
#if defined(FAT_HAVE_XNNPACK)
    add("xnnpack_qs8", std::make_shared<benchmarks::XnnpackConvolution>(c), true);
#endif
    // B as [depth, columns], as a BLAS user has it.
    const auto b = std::make_shared<std::vector<std::int8_t>>(depth * columns);
    for (std::size_t k = 0; k != depth; ++k)
      for (std::size_t n = 0; n != columns; ++n) (*b)[k * columns + n] = c.w[n * depth + k];
    const auto memory = std::make_shared<fat::kernel::BlasWorkspace>();
    add_sums("blas", [this, b, memory, sums] {
      fat::kernel::blas_gemm(c.x.data(), b->data(), sums->data(), rows, depth, columns,
                             fat::kernel::exact_depth<std::uint8_t, std::int8_t>(), *memory);
    });
    const auto fa = std::make_shared<fat::aligned_vector<float>>(
        c.x.begin(), c.x.begin() + static_cast<std::ptrdiff_t>(rows * depth));
    const auto fb = std::make_shared<fat::aligned_vector<float>>(b->begin(), b->end());
    const auto fc = std::make_shared<fat::aligned_vector<float>>(rows * columns);
    paths["sgemm"] = [this, fa, fb, fc] {
      const auto n = [](std::size_t value) { return static_cast<int>(value); };
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n(rows), n(columns), n(depth), 1.0F, fa->data(), n(depth),
                  fb->data(), n(columns), 0.0F, fc->data(), n(columns));
    };
    wrong["sgemm"] = 0.0;
#if defined(FAT_HAVE_GEMMLOWP)
    const auto raised = std::make_shared<std::vector<std::uint8_t>>(depth * columns);
    for (std::size_t i = 0; i != raised->size(); ++i) (*raised)[i] = static_cast<std::uint8_t>((*b)[i] + 128);
    const auto context = std::make_shared<gemmlowp::GemmContext>();
    context->set_max_num_threads(1);
    add_sums("gemmlowp_u8", [this, raised, context, sums] {
      using gemmlowp::MapOrder;
      const auto n = [](std::size_t value) { return static_cast<int>(value); };
      const gemmlowp::MatrixMap<const std::uint8_t, MapOrder::RowMajor> a(c.x.data(), n(rows), n(depth)),
          w(raised->data(), n(depth), n(columns));
      gemmlowp::MatrixMap<std::int32_t, MapOrder::RowMajor> to(sums->data(), n(rows), n(columns));
      gemmlowp::GemmWithOutputPipeline<std::uint8_t, std::int32_t, gemmlowp::DefaultL8R8BitDepthParams>(
          context.get(), a, w, &to, 0, -128, std::tuple<>{});
    });
#endif
  }
};

std::vector<std::unique_ptr<Problem>>& problems() {
  static std::vector<std::unique_ptr<Problem>> all = [] {
    std::vector<std::unique_ptr<Problem>> found;
    const fat::Model& model = benchmarks::mobilenet_v2();
    for (const fat::Node& node : model.nodes) {
      const auto* op = std::get_if<fat::Convolution>(&node.op);
      if (op == nullptr || op->window.kernel != fat::Pair{1, 1}) continue;
      auto next = std::make_unique<Problem>(model.extent(node.inputs[0]), model.extent(node.output));
      const auto same =
          std::find_if(found.begin(), found.end(), [&](const auto& each) { return each->name == next->name; });
      if (same != found.end())
        ++(*same)->count;
      else
        found.push_back(std::move(next));
    }
    for (auto& each : found) each->prepare();
    return found;
  }();
  return all;
}

void count(benchmark::State& state, double operations) {
  state.counters["GOP/s"] = benchmark::Counter(1e-9 * operations, benchmark::Counter::kIsIterationInvariantRate);
}

/// All 1x1 convolutions of the network once.
void run_all(const std::string& path) {
  for (const auto& each : problems())
    for (std::size_t times = 0; times != each->count; ++times) each->paths.at(path)();
}

int ratios() {
  double operations = 0.0;
  for (const auto& each : problems()) operations += each->c.operations() * static_cast<double>(each->count);
  benchmarks::Alternate codes, sums;
  const std::string best = fat::kernel::native_kernels().name;
  for (const auto& [path, work] : problems()[0]->paths) {
    double wrong = 0.0;
    std::size_t shapes = 0;
    for (const auto& each : problems())
      wrong = std::max(wrong, each->wrong.at(path)), shapes += each->wrong.at(path) > 0.0 ? 1U : 0U;
    if (shapes != 0)
      std::printf("%s: WRONG on this processor on %zu of %zu shapes (up to %.0f %% of the outputs)\n", path.c_str(),
                  shapes, problems().size(), 100.0 * wrong);
    if (path == "generic" || path == "generic_s32") continue;
    const bool makes_codes =
        path == "onednn_u8" || path == "xnnpack_qs8" || problems()[0]->paths.contains(path + "_s32");
    (makes_codes ? codes : sums).add(path, [path = path] { run_all(path); });
  }
  std::puts("1x1 convolutions of MobileNetV2, codes out (ratio: time / time of the peer, median)");
  codes.run(15);
  codes.print(operations, {"onednn_u8", "xnnpack_qs8"});
  std::puts("32-bit sums out");
  sums.run(15);
  sums.print(operations, {"onednn_u8_s32", "gemmlowp_u8", "sgemm"});
  const bool vnni = best != "avx2";
  codes.require(best, "onednn_u8", vnni ? 1.0 : 1.0 / 0.72, vnni ? "as fast" : "at least 0.72 x its speed");
  codes.require(best, "xnnpack_qs8", 1.0, "ahead");
  codes.require("avx2", "xnnpack_qs8", 1.0, "ahead on AVX2 too");
  sums.require(best + "_s32", "gemmlowp_u8", 1.0, "ahead");
  sums.require("avx2_s32", "gemmlowp_u8", 1.0, "ahead on AVX2 too");
  sums.require("blas", "sgemm", 1.0 / 0.85, "at least 0.85 x its speed");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  openblas_set_num_threads(1);
  if (argc == 2 && std::strcmp(argv[1], "--ratios") == 0) return ratios();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  double operations = 0.0;
  for (const auto& each : problems()) {
    operations += each->c.operations() * static_cast<double>(each->count);
    for (const auto& [path, work] : each->paths)
      benchmark::RegisterBenchmark(("gemm/" + path + "/" + each->name).c_str(),
                                   [&run = work, size = each->c.operations()](benchmark::State& state) {
                                     for (auto _ : state) run();
                                     count(state, size);
                                   });
  }
  for (const auto& [path, work] : problems()[0]->paths)
    benchmark::RegisterBenchmark(("gemm/" + path + "/total").c_str(),
                                 [path = path, operations](benchmark::State& state) {
                                   for (auto _ : state) run_all(path);
                                   count(state, operations);
                                 });
  benchmark::RunSpecifiedBenchmarks();
}
