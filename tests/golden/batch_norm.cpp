// Batch-norm folding against the reference vectors, as a generic algorithm and on a Model.
#include <fat/model/forward.hpp>
#include <fat/model/simplify.hpp>

#include <support/golden.hpp>

#include <boost/test/unit_test.hpp>

namespace {

/// A layer that knows nothing of Model, in double.
struct Layer {
  std::size_t groups = 1;
  fat::array<double> w;
  fat::array<double> b;
  fat::array<double>& weights() { return w; }
  fat::array<double>& bias() { return b; }
};
struct Norm {
  fat::array<double> values[4];
  double eps = 0;
  const fat::array<double>& gamma() const { return values[0]; }
  const fat::array<double>& beta() const { return values[1]; }
  const fat::array<double>& mean() const { return values[2]; }
  const fat::array<double>& variance() const { return values[3]; }
  double epsilon() const { return eps; }
};

Norm norm_of(const std::string& name) {
  const auto& file = fat::test::golden("05_bn_fold.npz");
  const auto get = [&](const char* part) { return file.at(name + part).as<double>(); };
  return {{get("_gamma"), get("_beta"), get("_mean"), get("_var")}, file.at("eps").as<double>()[0]};
}

void check_close(const fat::array<double>& got, const fat::array<double>& expected, double tolerance) {
  BOOST_REQUIRE_EQUAL(got.size(), expected.size());
  for (std::size_t at = 0; at != got.size(); ++at) BOOST_TEST(std::abs(got[at] - expected[at]) <= tolerance);
}

fat::array<float> narrow(const fat::array<double>& from) { return {from.shape(), {from.begin(), from.end()}}; }

/// [outer][a][b] to [outer][b][a]
fat::array<float> swap_inner(const fat::array<double>& from, std::size_t outer, std::size_t a, std::size_t b,
                             const fat::Shape& shape) {
  fat::array<float> to{shape};
  for (std::size_t o = 0; o != outer; ++o)
    for (std::size_t i = 0; i != a; ++i)
      for (std::size_t j = 0; j != b; ++j) to[(o * b + j) * a + i] = static_cast<float>(from[(o * a + i) * b + j]);
  return to;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(golden_batch_norm)

BOOST_AUTO_TEST_CASE(any_layer, *fat::test::needs_golden("05_bn_fold.npz")) {
  const auto& file = fat::test::golden("05_bn_fold.npz");
  for (const std::string name : {"conv", "dw", "dense"}) {
    const auto w = file.at(name + "_w").as<double>();
    for (const bool with_bias : {true, false}) {
      auto b = file.at(name + "_b").as<double>();
      if (!with_bias) b = fat::array<double>{b.shape(), 0.0};
      Layer layer{name == "dw" ? w.shape(0) : 1, w, b};
      fat::fold_batch_norm(layer, norm_of(name));
      check_close(layer.w, file.at(name + "_wf").as<double>(), 1e-10);
      check_close(layer.b, file.at(name + (with_bias ? "_bf" : "_bf_nobias")).as<double>(), 1e-10);
    }
  }
}

BOOST_AUTO_TEST_CASE(on_a_model, *fat::test::needs_golden("05_bn_fold.npz")) {
  const auto& file = fat::test::golden("05_bn_fold.npz");
  for (const std::string name : {"conv", "dw", "dense"}) {
    const auto get = [&](const char* part) { return file.at(name + part).as<double>(); };
    const auto x = get("_x");
    const auto w = get("_w");
    const auto y = get("_y");
    const bool image = name != "dense";
    const std::size_t batch = x.shape(0), channels = x.shape(1), side = image ? x.shape(2) : 1;
    const std::size_t outs = y.shape(1), out_side = image ? y.shape(2) : 1;
    fat::Model model;
    model.input = model.add_value("x", {side, side, channels, !image});
    const auto between = model.add_value("affine", {});
    model.output = model.add_value("y", {});
    const fat::Window window{{3, 3}, name == "conv" ? fat::Pair{2, 2} : fat::Pair{}, {}, {1, 1, 1, 1}};
    if (name == "conv")
      model.nodes.push_back(
          {"affine",
           fat::Convolution{window, 1, {}, swap_inner(w, outs, channels, 9, {outs, 3, 3, channels}), narrow(get("_b"))},
           {model.input},
           between});
    else if (name == "dw")
      model.nodes.push_back(
          {"affine",
           fat::DepthwiseConvolution{window, 1, {}, swap_inner(w, 1, outs, 9, {1, 3, 3, outs}), narrow(get("_b"))},
           {model.input},
           between});
    else
      model.nodes.push_back({"affine", fat::Dense{{}, narrow(w), narrow(get("_b"))}, {model.input}, between});
    const Norm norm = norm_of(name);
    model.nodes.push_back({"norm",
                           fat::BatchNormalization{narrow(norm.values[0]), narrow(norm.values[1]),
                                                   narrow(norm.values[2]), narrow(norm.values[3]), norm.eps},
                           {between},
                           model.output});
    fat::infer_extents(model);

    const auto nhwc = swap_inner(x, batch, channels, side * side, {x.size()});
    const auto expected = swap_inner(y, batch, outs, out_side * out_side, {y.size()});
    const auto check = [&] {
      fat::array<float> got{{y.size()}};
      fat::FloatRunner{model}.run({nhwc.data(), nhwc.size()}, batch, {got.data(), got.size()});
      float largest = 0;
      for (const float each : expected) largest = std::max(largest, std::abs(each));
      for (std::size_t at = 0; at != got.size(); ++at) BOOST_TEST(std::abs(got[at] - expected[at]) <= 1e-6F * largest);
    };
    check();
    fat::fold_batch_norm(model);
    BOOST_TEST(model.nodes.size() == 1U);
    BOOST_TEST(model.values.size() == 2U);
    check();
  }
}

BOOST_AUTO_TEST_SUITE_END()
