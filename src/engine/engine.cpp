// The compiled engine: everything of it in one file, so that its users compile a header of declarations.
#include <fat/engine.hpp>

#include <fat/io/quantized_npz.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/ports.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>

namespace fat::inline FAT_ABI {

namespace {

/// Images are stored channels last whatever their file has, and are given so.
std::vector<EnginePort> described(const std::vector<Port>& ports, const std::optional<ActivationEncoding>& encoding) {
  std::vector<EnginePort> list;
  for (const Port& port : ports) {
    EnginePort each{port.name, port.dims, 0.0F, 0, false, port.size()};
    if (port.channels_first) each.dims = {port.dims[0], port.dims[2], port.dims[3], port.dims[1]};
    if (encoding) each.scale = encoding->step, each.zero_point = encoding->zero_point, each.is_signed = encoding->is_signed();
    list.push_back(std::move(each));
  }
  return list;
}

const Port& port_named(const std::vector<Port>& ports, std::string_view name, const char* what) {
  for (const Port& port : ports)
    if (port.name == name) return port;
  std::string known;
  for (const Port& port : ports) known += (known.empty() ? "'" : ", '") + port.name + "'";
  fail("engine: '", name, "' is no ", what, "; they are ", std::string_view{known});
}

}  // namespace

struct Engine::Impl {
  explicit Impl(const QuantizedModel& model)
      : prepared(std::make_shared<const PreparedModel>(
            model, IntegerOptions{.threads = std::clamp(std::thread::hardware_concurrency(), 1U, 16U)})),
        input_ports(fat::input_ports(model.graph)),
        output_ports(fat::output_ports(model.graph)),
        inputs(described(input_ports, model.activations[model.graph.input])),
        outputs(described(output_ports, model.activations[model.graph.output])) {}
  std::shared_ptr<const PreparedModel> prepared;
  std::vector<Port> input_ports, output_ports;
  std::vector<EnginePort> inputs, outputs;
};

struct Engine::Session::Impl {
  Impl(std::shared_ptr<const Engine::Impl> of, std::size_t threads)
      : engine(std::move(of)),
        model(engine->prepared, threads),
        sample(engine->prepared->graph.input_extent().size()),
        result(engine->prepared->graph.output_extent().size()) {}

  const Model& graph() const { return engine->prepared->graph; }
  /// Samples that inputs and outputs are for. Errors: no whole sample, another number of outputs.
  std::size_t samples(std::size_t inputs, std::size_t outputs) const {
    const std::size_t in = sample.size(), out = result.size(), count = inputs / in;
    expects(count != 0 && inputs % in == 0 && outputs == count * out, "engine: ", inputs, " inputs and room for ",
            outputs, " outputs; a sample has ", in, " and ", out);
    return count;
  }
  template <class In, class Out>
  void run(std::span<const In> inputs, std::span<Out> outputs) {
    model.run(inputs, samples(inputs.size(), outputs.size()), outputs);
  }
  void run_pixels(std::span<const std::uint8_t> pixels, std::span<float> outputs) {
    const std::size_t count = samples(pixels.size(), outputs.size()), channels = graph().input_extent().channels;
    expects(engine->inputs.size() == 1 && !graph().input_extent().vector, "engine: pixels are for networks of images");
    const auto& how = graph().preprocessing;
    expects(!how || channels <= 3, "engine: preprocessing is for 1 to 3 channels, the network has ", channels);
    for (std::size_t s = 0; s != count; ++s) {
      const std::uint8_t* const from = pixels.data() + s * sample.size();
      if (how)
        for (std::size_t i = 0; i != sample.size(); i += channels)
          for (std::size_t c = 0; c != channels; ++c) {
            const std::size_t source = how->bgr ? channels - 1 - c : c;
            sample[i + c] = static_cast<float>(from[i + source]) * how->scale[c] + how->offset[c];
          }
      else
        std::copy_n(from, sample.size(), sample.begin());
      model.run(std::span<const float>{sample}, 1, outputs.subspan(s * result.size(), result.size()));
    }
  }

  std::shared_ptr<const Engine::Impl> engine;
  IntegerModel model;
  std::vector<float> sample, result;
};

Engine::Engine(const std::string& path) : impl_(std::make_shared<const Impl>(read_quantized(path))) {}
Engine::Engine(std::span<const std::byte> npz)
    : impl_(std::make_shared<const Impl>(quantized_from_arrays(
          parse_npz({reinterpret_cast<const char*>(npz.data()), npz.size()}, "engine: the model in memory"),
          "engine: the model in memory"))) {}
Engine::Engine(const QuantizedModel& model) : impl_(std::make_shared<const Impl>(model)) {}

const std::vector<EnginePort>& Engine::inputs() const noexcept { return impl_->inputs; }
const std::vector<EnginePort>& Engine::outputs() const noexcept { return impl_->outputs; }
Engine::Session Engine::session(const SessionOptions& options) const {
  return Session{std::make_unique<Session::Impl>(impl_, options.threads)};
}
Engine::Session Engine::session() const { return session(SessionOptions{}); }

Engine::Session::Session(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Engine::Session::Session(Session&&) noexcept = default;
Engine::Session& Engine::Session::operator=(Session&&) noexcept = default;
Engine::Session::~Session() = default;

void Engine::Session::operator()(std::span<const std::uint8_t> rgb_nhwc, std::span<float> outputs) {
  impl_->run_pixels(rgb_nhwc, outputs);
}
void Engine::Session::operator()(std::span<const float> inputs, std::span<float> outputs) { impl_->run(inputs, outputs); }
void Engine::Session::codes(std::span<const std::uint8_t> inputs, std::span<std::uint8_t> outputs) {
  impl_->run(inputs, outputs);
}
void Engine::Session::codes(std::span<const std::int8_t> inputs, std::span<std::int8_t> outputs) {
  impl_->run(inputs, outputs);
}
void Engine::Session::codes(std::span<const std::uint8_t> inputs, std::span<std::int8_t> outputs) {
  impl_->run(inputs, outputs);
}
void Engine::Session::codes(std::span<const std::int8_t> inputs, std::span<std::uint8_t> outputs) {
  impl_->run(inputs, outputs);
}
void Engine::Session::codes(std::span<const std::uint8_t> inputs, std::span<float> outputs) {
  impl_->run(inputs, outputs);
}
void Engine::Session::codes(std::span<const std::int8_t> inputs, std::span<float> outputs) { impl_->run(inputs, outputs); }

std::span<float> Engine::Session::input(std::string_view name) {
  const Port& port = port_named(impl_->engine->input_ports, name, "input");
  return std::span{impl_->sample}.subspan(port.offset, port.size());
}
std::span<const float> Engine::Session::output(std::string_view name) const {
  const Port& port = port_named(impl_->engine->output_ports, name, "output");
  return std::span<const float>{impl_->result}.subspan(port.offset, port.size());
}
void Engine::Session::run() { impl_->run(std::span<const float>{impl_->sample}, std::span{impl_->result}); }

}  // namespace fat::inline FAT_ABI
