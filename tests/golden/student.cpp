// StudentNetwork, Adam and the paper's loss together against the reference vectors 10_train_e2e.
#include <fat/model/encodings.hpp>
#include <fat/model/student.hpp>
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../support/golden.hpp"
#include "../support/small_model.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(golden_student)

namespace {

constexpr auto file = "10_train_e2e.npz";

fat::array<double> reals(const std::string& name) { return fat::test::golden(file).at(name).as<double>(); }

fat::array<float> vector(const std::string& name) {
  const auto from = reals(name);
  return {from.shape(), fat::aligned_vector<float>(from.begin(), from.end())};
}
/// [out, in, height, width] to [out, height, width, in].
fat::array<float> kernel(const std::string& name) {
  const auto from = reals(name);
  const std::size_t out = from.shape(0), in = from.shape(1), taps = from.shape(2) * from.shape(3);
  fat::array<float> to{fat::Shape{out, from.shape(2), from.shape(3), in}};
  for (std::size_t o = 0; o != out; ++o)
    for (std::size_t i = 0; i != in; ++i)
      for (std::size_t t = 0; t != taps; ++t)
        to[(o * taps + t) * in + i] = static_cast<float>(from[(o * in + i) * taps + t]);
  return to;
}
/// [channels, 1, height, width] to [1, height, width, channels].
fat::array<float> depthwise_kernel(const std::string& name) {
  const auto from = reals(name);
  const std::size_t channels = from.shape(0), taps = from.shape(2) * from.shape(3);
  fat::array<float> to{fat::Shape{1, from.shape(2), from.shape(3), channels}};
  for (std::size_t c = 0; c != channels; ++c)
    for (std::size_t t = 0; t != taps; ++t) to[t * channels + c] = static_cast<float>(from[c * taps + t]);
  return to;
}

fat::Model network() {
  using fat::Window;
  fat::test::Builder b{{16, 16, 3}};
  const std::size_t stem_size = 8;
  fat::Padding stem_padding{1, 1, 1, 1};
  const auto stem = b.add(
      "stem",
      fat::Convolution{Window{{3, 3}, {2, 2}, {1, 1}, stem_padding}, 1, fat::relu6, kernel("w_stem"), vector("b_stem")},
      {0});
  const auto dw = b.add("dw",
                        fat::DepthwiseConvolution{Window{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 1, fat::relu6,
                                                  depthwise_kernel("w_dw"), vector("b_dw")},
                        {stem});
  const auto pw = b.add("pw", fat::Convolution{{}, 1, {}, kernel("w_pw"), vector("b_pw")}, {dw});
  const auto sum = b.add("add", fat::Add{}, {pw, stem});
  const auto mean = b.add("mean", fat::GlobalAveragePool{}, {sum}, {1, 1, stem_size, true});
  b.add("fc", fat::Dense{{}, vector("w_fc"), vector("b_fc")}, {mean});
  return b.take();
}

struct Run {
  fat::Model model = network();
  fat::array<float> images = kernel("x");  // NCHW to NHWC is the same exchange of axes
  std::vector<fat::Interval<float>> ranges;
  fat::ModelGrids grids;

  explicit Run(fat::Scheme scheme) {
    const auto calib = reals("calib");
    for (std::size_t v = 0; v != model.values.size(); ++v) {
      const bool quantized = v < calib.shape(0);
      ranges.push_back(
          quantized ? fat::Interval<float>{static_cast<float>(calib[3 * v]), static_cast<float>(calib[3 * v + 1])}
                    : fat::Interval<float>{});
      grids.activations.emplace_back();
      if (quantized) grids.activations.back() = fat::activation_grid(ranges[v], scheme, 8);
    }
    for (const fat::Node& node : model.nodes)
      std::visit(
          [&]<class Layer>(const Layer& layer) {
            auto& of_layer = grids.weights.emplace_back();
            if constexpr (fat::WeightedLayer<Layer>)
              for (const auto& range : fat::weight_ranges(layer, fat::Granularity::per_channel))
                of_layer.push_back(fat::weight_grid(range, fat::Scheme::symmetric, 8));
          },
          node.op);
  }
  fat::StudentNetwork student() const {
    fat::StudentOptions how;
    how.round_biases = false;
    how.batch = 4;
    const std::size_t size = model.input_extent().size();
    return {
        model, grids,
        [this, size](std::size_t n, std::span<float> to) { std::copy_n(images.data() + n * size, size, to.begin()); },
        how, ranges};
  }
};

/// |found - wanted| / |wanted| in the Euclidean norm.
template <class Found>
double distance(const Found& found, const double* wanted) {
  double error = 0.0, size = 0.0;
  for (std::size_t i = 0; i != found.size(); ++i) {
    const double d = static_cast<double>(found[i]) - wanted[i];
    error += d * d;
    size += wanted[i] * wanted[i];
  }
  return std::sqrt(error / size);
}

/// Rows in the student's order, activations before weights; the reference has them behind its 29 weight channels.
std::vector<double> reordered(const fat::array<double>& rows, std::size_t count) {
  std::vector<double> to(rows.begin(), rows.end());
  for (auto row = to.begin(); row != to.end(); row += static_cast<std::ptrdiff_t>(count))
    std::rotate(row, row + 29, row + static_cast<std::ptrdiff_t>(count));
  return to;
}

void expect_training(fat::Scheme scheme, const std::string& prefix) {
  const Run run{scheme};
  auto student = run.student();
  const std::vector<std::size_t> samples{0, 1, 2, 3};
  const auto teacher = vector("z_teacher");
  const auto table = reals(prefix + "_traj");
  const auto losses = reals(prefix + "_loss");
  const std::size_t count = table.shape(1);
  const auto trajectory = reordered(table, count);
  BOOST_TEST_REQUIRE(student.parameters().size() == count);
  const fat::Adam adam;
  auto state = adam.start(student.parameters());
  std::vector<float> slope(teacher.size());
  for (std::size_t step = 0; step != table.shape(0); ++step) {
    const auto outputs = student.forward(samples);
    const double loss = fat::BatchRmse{}.evaluate(
        fat::Outputs<float>{outputs, {teacher.data(), teacher.size()}, samples.size(), {}}, std::span{slope});
    if (step == 0) BOOST_TEST(distance(outputs, reals(prefix + "_z0").data()) < 1e-5);
    BOOST_TEST(loss == losses[step], boost::test_tools::tolerance(step == 0 ? 1e-4 : 1e-2));
    student.backward(slope);
    if (step == 0) BOOST_TEST(distance(student.gradients(), reordered(reals(prefix + "_grad0"), count).data()) < 3e-5);
    adam.step(state, student.parameters(), student.gradients(), 1e-2);
    student.project();
    // Float sums flip a few codes in later steps, which moves the factors on from there a little.
    BOOST_TEST(distance(student.parameters(), trajectory.data() + step * count) < (step == 0 ? 1e-4 : 5e-3));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(symmetric_training, *fat::test::needs_golden(file)) {
  expect_training(fat::Scheme::symmetric, "sym");
}
BOOST_AUTO_TEST_CASE(asymmetric_training, *fat::test::needs_golden(file)) {
  expect_training(fat::Scheme::asymmetric, "asym");
}

BOOST_AUTO_TEST_SUITE_END()
