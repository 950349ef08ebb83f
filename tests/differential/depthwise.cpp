// Depthwise layers on every kernel of this processor against the specification, over ragged extents and all paddings.
#include <fat/model/integer/prepare.hpp>

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <random>
#include <vector>

namespace {

struct Case {
  std::size_t height, width, channels, kernel, stride, pad_top, pad_left, dilation;
};

std::vector<std::uint8_t> run(const Case& c, const fat::Extent& out, const std::vector<std::uint8_t>& x,
                              const fat::WeightEncoding& weights, const fat::ActivationEncoding& from,
                              const fat::ActivationEncoding& to, const fat::kernel::Kernels& kernels) {
  fat::Model model;
  model.input = model.add_value("x", {c.height, c.width, c.channels});
  model.output = model.add_value("y", out);
  fat::DepthwiseConvolution op;
  op.window = {{c.kernel, c.kernel},
               {c.stride, c.stride},
               {c.dilation, c.dilation},
               {c.pad_top, c.pad_left, c.kernel, c.kernel}};
  model.nodes.push_back({"layer", op, {model.input}, model.output});
  const auto prepared = fat::integer_layer(model, model.nodes[0], {from, to}, &weights, kernels);
  const fat::IntegerLayer& layer = *prepared;
  std::vector<std::uint8_t> y(out.size() + 8, 77), bytes(layer.scratch_bytes());
  std::vector<std::int32_t> words(layer.scratch_words());
  const std::uint8_t* inputs[] = {x.data()};
  for (std::size_t part = 0; part != layer.parts(); ++part)
    layer.run(inputs, y.data(), part, bytes.data(), words.data());
  return y;
}

std::vector<std::uint8_t> expected(const Case& c, const fat::Extent& out, const std::vector<std::uint8_t>& x,
                                   const fat::WeightEncoding& w, const fat::ActivationEncoding& from,
                                   const fat::ActivationEncoding& to) {
  const fat::Window window{
      {c.kernel, c.kernel}, {c.stride, c.stride}, {c.dilation, c.dilation}, {c.pad_top, c.pad_left, 0, 0}};
  const fat::Geometry g = fat::detail::geometry(window, {c.height, c.width, c.channels}, out);
  std::vector<std::int32_t> zeros, sums(out.size());
  std::vector<fat::FixedPointMultiplier> multipliers;
  for (std::size_t k = 0; k != c.channels; ++k) {
    zeros.push_back(w.channel_zero_point(k));
    multipliers.push_back(fat::FixedPointMultiplier::from_real(
        static_cast<double>(from.step) * static_cast<double>(w.channel_step(k)) / static_cast<double>(to.step)));
  }
  fat::reference::depthwise(x.data(), from.zero_point, w.codes.data(), zeros.data(), w.bias.data(), g, sums.data());
  std::vector<std::uint8_t> y(out.size() + 8, 77);
  fat::reference::finish(sums.data(), out.height * out.width, c.channels,
                         fat::OutputStage{multipliers.data(), false, to.zero_point, to.code_min, to.code_max},
                         y.data());
  return y;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(differential_depthwise)

BOOST_AUTO_TEST_CASE(depthwise_layers_match_the_specification_on_every_kernel) {
  std::mt19937 random{5};
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<Case> cases;
  for (const std::size_t channels :
       {1U, 4U, 12U, 16U, 20U, 32U, 36U, 48U, 64U, 68U, 80U, 96U, 100U, 128U, 144U, 176U, 33U, 65U})
    for (const std::size_t stride : {1U, 2U})
      for (int repeat = 0; repeat != 6; ++repeat)
        cases.push_back({3 + below(6), 3 + below(14), channels, 3, stride, below(2), below(2), 1});
  for (const std::size_t channels : {8U, 16U, 24U, 40U, 72U})  // rows cut in 2, 4 and 8 segments
    for (const std::size_t stride : {1U, 2U})
      for (std::size_t pad = 0; pad != 3; ++pad)
        cases.push_back({3 + below(4), stride * (std::size_t{8} << below(3)) + 1 - pad, channels, 3, stride, below(2), pad, 1});
  cases.push_back({9, 8, 64, 5, 1, 2, 2, 1});
  cases.push_back({9, 8, 64, 3, 1, 1, 1, 2});
  cases.push_back({9, 9, 64, 3, 3, 1, 1, 1});
  std::size_t compared = 0;
  for (const Case& c : cases) {
    const std::size_t reach = (c.kernel - 1) * c.dilation + 1;
    // as many outputs as keep at least one tap inside, so that windows hang over the right and lower edges too
    const fat::Extent out{(c.height + c.pad_top + 1 - std::min(reach, c.height + c.pad_top)) / c.stride + 1,
                          (c.width + c.pad_left + 1 - std::min(reach, c.width + c.pad_left)) / c.stride + 1,
                          c.channels};
    std::vector<std::uint8_t> x(c.height * c.width * c.channels);
    for (auto& code : x) code = static_cast<std::uint8_t>(random());
    const bool asymmetric = below(4) == 0;
    fat::WeightEncoding w;
    w.codes = fat::array<std::int8_t>{fat::Shape{1, c.kernel, c.kernel, c.channels}};
    for (auto& code : w.codes) code = static_cast<std::int8_t>(below(256));
    w.bias = fat::array<std::int32_t>{fat::Shape{c.channels}};
    for (std::size_t k = 0; k != c.channels; ++k) {
      w.bias[k] = static_cast<std::int32_t>(below(20001)) - 10000;
      w.step.push_back(0.002F + 0.0001F * static_cast<float>(below(100)));
      if (below(8) == 0) {  // a channel with hardly any weight, all bias: a multiplier far below 2^-22
        w.step.back() = 1e-7F * static_cast<float>(1 + below(50));
        w.bias[k] = static_cast<std::int32_t>(below(400000000)) - 200000000;
      }
      if (below(60) == 0) {  // multipliers of 1/4 and more, sums so small that not every code is a bound
        w.step.back() = std::ldexp(3.0F + static_cast<float>(below(4)), static_cast<int>(below(5)));
        w.bias[k] = static_cast<std::int32_t>(below(101)) - 50;
        for (std::size_t t = 0; t != c.kernel * c.kernel; ++t)
          w.codes[t * c.channels + k] = static_cast<std::int8_t>(static_cast<int>(below(3)) - 1);
      }
      w.zero_point.push_back(asymmetric ? static_cast<std::int32_t>(below(256)) - 128 : 0);
    }
    const fat::ActivationEncoding from{0.05F, static_cast<std::int32_t>(below(256)), 0, 255, 8, false};
    const auto low = static_cast<std::int32_t>(below(100));
    const fat::ActivationEncoding to{0.4F + 0.01F * static_cast<float>(below(100)),
                                     below(2) == 0 ? 0 : static_cast<std::int32_t>(below(256)),
                                     low,
                                     low + 100,
                                     8,
                                     false};
    const auto wanted = expected(c, out, x, w, from, to);
    for (const fat::kernel::Kernels* kernels : fat::kernel::available()) {
      const auto found = run(c, out, x, w, from, to, *kernels);
      BOOST_TEST_INFO(kernels->name << " " << c.height << "x" << c.width << "x" << c.channels << " kernel " << c.kernel
                                    << " stride " << c.stride);
      BOOST_TEST(found == wanted);
      compared += found.size();
    }
  }
  BOOST_TEST(compared > 100000U);
}

BOOST_AUTO_TEST_SUITE_END()
