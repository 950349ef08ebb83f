// One integer convolution as every library sees it: bytes in, bytes out, the same weights, one scale.
#ifndef FAT_BENCHMARKS_SUPPORT_INTEGER_CONVOLUTION_HPP_INCLUDED
#define FAT_BENCHMARKS_SUPPORT_INTEGER_CONVOLUTION_HPP_INCLUDED

#include <fat/model/integer/prepare.hpp>

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <variant>
#include <vector>

#if defined(FAT_HAVE_DNNL)
#include <dlfcn.h>
#include <dnnl.hpp>
#endif
#if defined(FAT_HAVE_XNNPACK)
#include <xnnpack.h>
#endif

namespace benchmarks {

/// A convolution on an image of random bytes with random weights in [-127, 127]: out = clamp(round(sum * scale), 0,
/// 255).
struct IntegerConvolution {
  fat::Extent in, out;
  fat::Window window;
  bool depthwise = false;
  std::vector<std::uint8_t> x;
  fat::array<std::int8_t> w;  // [out, kernel, kernel, in], depthwise [1, kernel, kernel, out]
  float scale = 1.0F;

  IntegerConvolution(const fat::Extent& from, const fat::Extent& to, const fat::Window& how, bool each_channel)
      : in(from), out(to), window(how), depthwise(each_channel), x(from.size() + 64) {
    std::mt19937 random{3};
    for (auto& code : x) code = static_cast<std::uint8_t>(random() >> 24U);
    const std::size_t taps = how.kernel.height * how.kernel.width;
    w = fat::array<std::int8_t>{depthwise
                                    ? fat::Shape{1, how.kernel.height, how.kernel.width, to.channels}
                                    : fat::Shape{to.channels, how.kernel.height, how.kernel.width, from.channels}};
    for (auto& code : w) code = static_cast<std::int8_t>(static_cast<int>(random() % 255U) - 127);
    scale = 127.0F / (147.0F * 73.6F * std::sqrt(static_cast<float>(depthwise ? taps : taps * from.channels)));
  }
  double operations() const {
    return 2.0 * static_cast<double>(out.height * out.width) * static_cast<double>(w.size());
  }
};

/// Ours: the layer that an IntegerModel runs, with the micro-kernels given.
class OurConvolution {
 public:
  OurConvolution(const IntegerConvolution& c, const fat::kernel::Kernels& kernels) : input_(c.x) {
    fat::Model model;
    model.input = model.add_value("x", c.in);
    model.output = model.add_value("y", c.out);
    fat::Node node{"layer", {}, {model.input}, model.output};
    if (c.depthwise) {
      fat::DepthwiseConvolution op;
      op.window = c.window;
      node.op = op;
    } else {
      fat::Convolution op;
      op.window = c.window;
      node.op = op;
    }
    model.nodes.push_back(node);
    fat::ActivationEncoding x{1.0F, 0, 0, 255, 8, false}, y{1.0F / c.scale, 0, 0, 255, 8, false};
    fat::WeightEncoding weights{c.w, {1.0F}, {0}, 8, fat::array<std::int32_t>{fat::Shape{c.out.channels}}};
    layer_ = fat::integer_layer(model, model.nodes[0], {x, y}, &weights, kernels);
    output.resize(c.out.size() + 64);
    bytes_.resize(layer_->scratch_bytes());
    words_.resize(layer_->scratch_words());
  }
  void operator()() {
    const std::uint8_t* inputs[] = {input_.data()};
    for (std::size_t part = 0; part != layer_->parts(); ++part)
      layer_->run(inputs, output.data(), part, bytes_.data(), words_.data());
  }
  std::vector<std::uint8_t> output;

 private:
  std::vector<std::uint8_t> input_;
  std::unique_ptr<fat::IntegerLayer> layer_;
  fat::aligned_vector<std::uint8_t> bytes_;
  fat::aligned_vector<std::int32_t> words_;
};

#if defined(FAT_HAVE_DNNL)
/// oneDNN, u8 x s8. Destination u8, or s32 (the bare sums).
class OneDnnConvolution {
 public:
  OneDnnConvolution(const IntegerConvolution& c, bool sums) : input_(c.x) {
    hold_to_one_thread();
    using namespace dnnl;
    const auto size = [](std::size_t n) { return static_cast<memory::dim>(n); };
    const memory::dim kh = size(c.window.kernel.height), kw = size(c.window.kernel.width);
    const memory::dims from{1, size(c.in.channels), size(c.in.height), size(c.in.width)};
    const memory::dims to{1, size(c.out.channels), size(c.out.height), size(c.out.width)};
    const memory::dims filter = c.depthwise ? memory::dims{size(c.out.channels), 1, 1, kh, kw}
                                            : memory::dims{size(c.out.channels), size(c.in.channels), kh, kw};
    const auto type = sums ? memory::data_type::s32 : memory::data_type::u8;
    const memory::desc x{from, memory::data_type::u8, memory::format_tag::nhwc}, y{to, type, memory::format_tag::nhwc};
    const memory::desc plain{filter, memory::data_type::s8,
                             c.depthwise ? memory::format_tag::hwigo : memory::format_tag::ohwi};
    const memory::desc any{filter, memory::data_type::s8, memory::format_tag::any};
    primitive_attr attributes;
    if (!sums) attributes.set_output_scales(0, {c.scale});
    const auto& p = c.window.padding;
    const convolution_forward::primitive_desc description{{prop_kind::forward_inference,
                                                           algorithm::convolution_direct,
                                                           x,
                                                           any,
                                                           y,
                                                           {size(c.window.stride.height), size(c.window.stride.width)},
                                                           {size(p.top), size(p.left)},
                                                           {size(p.bottom), size(p.right)}},
                                                          attributes,
                                                          engine_};
    weights_ = memory{description.weights_desc(), engine_};
    memory given{plain, engine_, const_cast<std::int8_t*>(c.w.data())};
    reorder{given, weights_}.execute(stream_, given, weights_);
    output.resize(c.out.size() * (sums ? 4 : 1));
    x_ = memory{x, engine_, input_.data()};
    y_ = memory{y, engine_, output.data()};
    run_ = convolution_forward{description};
  }
  void operator()() {
    run_.execute(stream_, {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, y_}});
    stream_.wait();
  }
  std::vector<std::uint8_t> output;

 private:
  /// The library's own threads come from OpenMP, which reads its environment before main.
  static void hold_to_one_thread() {
    if (void* const found = dlsym(RTLD_DEFAULT, "omp_set_num_threads")) reinterpret_cast<void (*)(int)>(found)(1);
  }
  std::vector<std::uint8_t> input_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::memory x_, y_, weights_;
  dnnl::convolution_forward run_;
};
#endif

#if defined(FAT_HAVE_XNNPACK)
/// XNNPACK, s8 x s8: the codes lowered by 128.
class XnnpackConvolution {
 public:
  explicit XnnpackConvolution(const IntegerConvolution& c)
      : input_(c.x.size() + XNN_EXTRA_BYTES), output(c.out.size() + XNN_EXTRA_BYTES) {
    for (std::size_t i = 0; i != c.x.size(); ++i) input_[i] = static_cast<std::int8_t>(c.x[i] - 128);
    const auto n = [](std::size_t value) { return static_cast<std::uint32_t>(value); };
    const auto& p = c.window.padding;
    const std::size_t groups = c.depthwise ? c.out.channels : 1;
    const bool good =
        xnn_initialize(nullptr) == xnn_status_success &&
        xnn_create_convolution2d_nhwc_qs8(n(p.top), n(p.right), n(p.bottom), n(p.left), n(c.window.kernel.height),
                                          n(c.window.kernel.width), n(c.window.stride.height), n(c.window.stride.width),
                                          1, 1, n(groups), c.in.channels / groups, c.out.channels / groups,
                                          c.in.channels, c.out.channels, -128, 1.0F, 1.0F, c.w.data(), nullptr, -128,
                                          1.0F / c.scale, -128, 127, c.depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0U,
                                          &run_) == xnn_status_success &&
        xnn_setup_convolution2d_nhwc_qs8(run_, 1, c.in.height, c.in.width, input_.data(),
                                         reinterpret_cast<std::int8_t*>(output.data()), nullptr) == xnn_status_success;
    if (!good) fat::fail("XNNPACK refuses this convolution");
  }
  XnnpackConvolution(const XnnpackConvolution&) = delete;
  XnnpackConvolution& operator=(const XnnpackConvolution&) = delete;
  ~XnnpackConvolution() { xnn_delete_operator(run_); }
  void operator()() { xnn_run_operator(run_, nullptr); }

 private:
  std::vector<std::int8_t> input_;
  xnn_operator_t run_ = nullptr;

 public:
  std::vector<std::uint8_t> output;  // lowered by 128
};
#endif

/// The specification's sums, and how far a library's codes are from them.
class Expected {
 public:
  explicit Expected(const IntegerConvolution& c) : sums(c.out.size()), scale_(c.scale) {
    fat::Geometry g = fat::detail::geometry(c.window, c.in, c.out);
    const std::vector<std::int32_t> zeros(c.out.channels);
    if (c.depthwise)
      fat::reference::depthwise(c.x.data(), 0, c.w.data(), zeros.data(), zeros.data(), g, sums.data());
    else
      fat::reference::convolution(c.x.data(), 0, c.w.data(), zeros.data(), zeros.data(), g, sums.data());
  }
  /// Share of the codes that differ by more than one; `lowered`: the codes are signed.
  double wrong(const std::vector<std::uint8_t>& codes, bool lowered) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i != sums.size(); ++i) {
      const double real =
          std::clamp(std::nearbyint(static_cast<double>(sums[i]) * static_cast<double>(scale_)), 0.0, 255.0);
      const int code = lowered ? static_cast<std::int8_t>(codes[i]) + 128 : codes[i];
      count += std::abs(code - real) > 1.0 ? 1U : 0U;
    }
    return static_cast<double>(count) / static_cast<double>(sums.size());
  }
  double wrong_sums(const std::int32_t* found) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i != sums.size(); ++i) count += found[i] != sums[i] ? 1U : 0U;
    return static_cast<double>(count) / static_cast<double>(sums.size());
  }
  std::vector<std::int32_t> sums;

 private:
  float scale_;
};

}  // namespace benchmarks

#endif
