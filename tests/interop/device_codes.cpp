// device_codes: every code of a quantized network on given inputs, by the reference kernels, with the rounding of the
// requantization chosen; and the files of the embedded demo network.
//   device_codes run MODEL INPUTS.npy single|litert OUT.npz   codes of every tensor by name, NHWC, int8 or uint8
// single: one rounding, halves up, everywhere: the integer engine. litert: what LiteRT's reference kernels do, which is
// one rounding in FULLY_CONNECTED and two in every other operator.
//   device_codes demo FOLDER IMAGES                           demo.npz, demo.onnx, demo.tflite, demo_input.npy
#include <demo/demo.hpp>
#include <fat/io/npz.hpp>
#include <fat/io/onnx.hpp>
#include <fat/io/quantized_npz.hpp>
#include <fat/io/tflite.hpp>
#include <fat/kernel/reference/convolution.hpp>
#include <fat/kernel/reference/elementwise.hpp>
#include <fat/kernel/reference/pool.hpp>
#include <fat/kernel/reference/softmax.hpp>
#include <fat/model/integer_layer.hpp>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using Codes = std::vector<std::int32_t>;

/// One image at a time, in codes as the file counts them. Pools and softmax have arithmetic of their own.
template <class Rounding, class DenseRounding>
class DeviceNetwork {
 public:
  explicit DeviceNetwork(const fat::QuantizedModel& model) : model_(model) {}

  std::vector<Codes> run(const float* image) {
    std::vector<Codes> values(model_.graph.values.size());
    values_ = &values;
    const fat::ActivationEncoding& first = encoding(model_.graph.input);
    Codes& input = values[model_.graph.input];
    input.resize(model_.graph.input_extent().size());
    for (std::size_t i = 0; i != input.size(); ++i) input[i] = fat::quantize_one(image[i], fat::grid_of(first));
    for (std::size_t n = 0; n != model_.graph.nodes.size(); ++n) {
      node_ = &model_.graph.nodes[n];
      weights_ = model_.weights[n] ? &*model_.weights[n] : nullptr;
      y_ = encoding(node_->output);
      low_ = y_.code_min, high_ = y_.code_max;
      y().resize(out().size());
      std::visit([this](const auto& op) { layer(op); }, node_->op);
    }
    return values;
  }

 private:
  const fat::ActivationEncoding& encoding(fat::ValueId value) const {
    fat::expects(model_.activations[value].has_value(), "device_codes: '",
                 std::string_view{model_.graph.values[value].name}, "' is float");
    return *model_.activations[value];
  }
  const fat::ActivationEncoding& x_encoding(std::size_t i = 0) const { return encoding(node_->inputs[i]); }
  double step(std::size_t i = 0) const { return static_cast<double>(x_encoding(i).step); }
  double out_step() const { return static_cast<double>(y_.step); }
  const Codes& x(std::size_t i = 0) const { return (*values_)[node_->inputs[i]]; }
  Codes& y() { return (*values_)[node_->output]; }
  const fat::Extent& in(std::size_t i = 0) const { return model_.graph.extent(node_->inputs[i]); }
  const fat::Extent& out() const { return model_.graph.extent(node_->output); }

  /// The fused activation in codes: halves away from zero, as the fixed ranges of the format are made.
  void clamp_to(const fat::Clamp& clamp) {
    const auto code = [&](float real) {
      return std::clamp(y_.zero_point + std::round(static_cast<double>(real) / out_step()), -1e6, 1e6);
    };
    low_ = std::max(low_, static_cast<std::int32_t>(code(clamp.low)));
    high_ = std::min(high_, static_cast<std::int32_t>(code(clamp.high)));
  }
  fat::RequantizeStage regrid(std::size_t i) const {
    return {fat::FixedPointMultiplier::from_real(step(i) / out_step()), x_encoding(i).zero_point, y_.zero_point, low_,
            high_};
  }

  template <class Sums, class Policy = Rounding>
  void product(const fat::Clamp& clamp, const fat::Geometry& g, Sums sums_of, Policy policy = {}) {
    fat::expects(weights_ != nullptr, "device_codes: layer '", std::string_view{node_->name}, "' is float");
    clamp_to(clamp);
    std::vector<fat::FixedPointMultiplier> multipliers;
    std::vector<std::int32_t> zeros, sums(g.rows() * g.out_channels);
    for (std::size_t c = 0; c != g.out_channels; ++c) {
      multipliers.push_back(
          fat::FixedPointMultiplier::from_real(step() * static_cast<double>(weights_->channel_step(c)) / out_step()));
      zeros.push_back(weights_->channel_zero_point(c));
    }
    sums_of(x().data(), x_encoding().zero_point, weights_->codes.data(), zeros.data(), weights_->bias.data(), g,
            sums.data());
    fat::reference::finish(sums.data(), g.rows(), g.out_channels,
                           {multipliers.data(), false, y_.zero_point, low_, high_}, y().data(), policy);
  }
  void layer(const fat::Convolution& op) {
    fat::Geometry g = fat::detail::geometry(op.window, in(), out());
    g.groups = op.groups;
    product(op.clamp, g, fat::reference::convolution<std::int32_t>);
  }
  void layer(const fat::DepthwiseConvolution& op) {
    product(op.clamp, fat::detail::geometry(op.window, in(), out()), fat::reference::depthwise<std::int32_t>);
  }
  void layer(const fat::Dense& op) {
    fat::Geometry g;
    g.in_channels = in().size(), g.out_channels = out().channels;
    product(op.clamp, g, fat::reference::convolution<std::int32_t>, DenseRounding{});
  }
  void layer(const fat::Add& op) {
    clamp_to(op.clamp);
    fat::AddStage s = fat::AddStage::from_steps(step(0), step(1), out_step());
    s.a_zero = x_encoding(0).zero_point, s.b_zero = x_encoding(1).zero_point, s.zero_out = y_.zero_point, s.low = low_,
    s.high = high_;
    fat::reference::add(x(0).data(), x(1).data(), x(0).size(), x(1).size(), s, y().data(), Rounding{});
  }
  void layer(const fat::Multiply& op) {
    clamp_to(op.clamp);
    const fat::MultiplyStage s{fat::FixedPointMultiplier::from_real(step(0) * step(1) / out_step()),
                               x_encoding(0).zero_point,
                               x_encoding(1).zero_point,
                               y_.zero_point,
                               low_,
                               high_};
    fat::reference::multiply(x(0).data(), x(1).data(), x(0).size(), x(1).size(), s, y().data(), Rounding{});
  }
  void layer(const fat::ClampLayer& op) {
    clamp_to(op.clamp);
    fat::reference::requantize(x().data(), x().size(), regrid(0), y().data(), Rounding{});
  }
  void layer(const fat::Pool& op) {
    const fat::Geometry g = fat::detail::geometry(op.window, in(), out());
    if (op.kind == fat::Pool::Kind::max)
      fat::reference::max_pool(x().data(), g, low_, high_, y().data());
    else
      fat::reference::average_pool(x().data(), g, op.count_padding, x_encoding().zero_point, low_, high_, y().data());
  }
  void layer(const fat::GlobalAveragePool&) {
    fat::reference::mean(x().data(), in().height * in().width, in().channels, regrid(0), y().data(), Rounding{});
  }
  void layer(const fat::Softmax&) {
    const fat::SoftmaxStage stage = fat::SoftmaxStage::from_step(step());
    for (std::size_t at = 0; at != x().size(); at += out().channels)
      fat::reference::softmax(x().data() + at, out().channels, stage, low_, y().data() + at);
  }
  void layer(const fat::Reshape& op) {
    fat::expects(!op.channels_first || in().height * in().width == 1 || in().channels == 1,
                 "device_codes: a reshape that permutes");
    fat::reference::requantize(x().data(), x().size(), regrid(0), y().data(), Rounding{});
  }
  template <class Other>
  void layer(const Other&) {
    fat::fail("device_codes: ", fat::kind_name(node_->op), " '", std::string_view{node_->name}, "' is not covered");
  }

  const fat::QuantizedModel& model_;
  std::vector<Codes>* values_ = nullptr;
  const fat::Node* node_ = nullptr;
  const fat::WeightEncoding* weights_ = nullptr;
  fat::ActivationEncoding y_;
  std::int32_t low_ = 0, high_ = 0;
};

fat::QuantizedModel load(const std::string& path) {
  if (path.ends_with(".onnx")) return fat::onnx::load_quantized(path);
  if (path.ends_with(".tflite")) return fat::tflite::load_quantized(path);
  return fat::read_quantized(path);
}

template <class Rounding, class DenseRounding>
void run(const std::string& path, const std::string& inputs, const std::string& result) {
  const fat::QuantizedModel model = load(path);
  const fat::array<float> images = fat::read_npy(inputs).as<float>();
  const std::size_t size = model.graph.input_extent().size(), count = images.size() / size;
  fat::expects(count != 0 && count * size == images.size(), inputs, ": holds ", images.size(), " values, images have ",
               size);
  DeviceNetwork<Rounding, DenseRounding> network{model};
  std::vector<std::vector<std::uint8_t>> all(model.graph.values.size());
  for (std::size_t i = 0; i != count; ++i) {
    const std::vector<Codes> values = network.run(images.data() + i * size);
    for (std::size_t v = 0; v != values.size(); ++v)
      for (const std::int32_t code : values[v]) all[v].push_back(static_cast<std::uint8_t>(code));
  }
  fat::NpyArrays arrays;
  for (std::size_t v = 0; v != all.size(); ++v) {
    const fat::Extent& e = model.graph.values[v].extent;
    const fat::Shape shape =
        e.vector ? fat::Shape{count, e.channels} : fat::Shape{count, e.height, e.width, e.channels};
    std::string name = model.graph.values[v].name;
    std::replace(name.begin(), name.end(), '/', '|');
    if (model.activations[v]->is_signed())
      arrays[name] = fat::NpyArray{shape, reinterpret_cast<const std::int8_t*>(all[v].data())};
    else
      arrays[name] = fat::NpyArray{shape, all[v].data()};
  }
  fat::write_npz(result, arrays);
}

void write_demo(const std::string& folder, std::size_t count) {
  const demo::PictureSource calibration{demo::calibration_stream, 100}, pictures{demo::evaluation_stream, count};
  const fat::QuantizedModel model = fat::quantize_model(demo::demo_model(), calibration);
  fat::write_quantized(folder + "/demo.npz", model);
  fat::onnx::save(model, folder + "/demo.onnx");
  fat::tflite::save(model, folder + "/demo.tflite");
  const fat::Extent& e = model.graph.input_extent();
  fat::array<float> input{fat::Shape{count, e.height, e.width, e.channels}};
  for (std::size_t i = 0; i != count; ++i) pictures.load(i, std::span{input.data() + i * e.size(), e.size()});
  fat::write_npy(folder + "/demo_input.npy", fat::NpyArray{input});
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> w{words + 1, words + count};
  try {
    if (w.size() == 5 && w[0] == "run" && w[3] == "single")
      return run<fat::SingleRounding, fat::SingleRounding>(w[1], w[2], w[4]), 0;
    if (w.size() == 5 && w[0] == "run" && w[3] == "litert")
      return run<fat::DoubleRounding, fat::SingleRounding>(w[1], w[2], w[4]), 0;
    if (w.size() == 3 && w[0] == "demo") return write_demo(w[1], std::stoul(w[2])), 0;
    std::fprintf(
        stderr, "usage: device_codes run MODEL INPUTS.npy single|litert OUT.npz, or device_codes demo FOLDER IMAGES\n");
    return 2;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "device_codes: %s\n", problem.what());
    return 1;
  }
}
