// fat run: raw tensors through any model, by the names that its file has.
#include "executor.hpp"
#include "printable.hpp"

#include <fat/io/npz.hpp>
#include <fat/model/encodings.hpp>
#include <fat/model/ports.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string_view>

namespace cli {
namespace {

/// The shape of a batch of one port.
fat::Shape batch_shape(const fat::Port& port, std::size_t batch) {
  fat::Shape shape;
  for (std::size_t i = 0; i != port.dims.size(); ++i) shape.push_back(i == 0 ? port.dims[i] * batch : port.dims[i]);
  return shape;
}

std::string names_of(const std::vector<fat::Port>& ports) {
  std::string text;
  for (const fat::Port& port : ports) text += (text.empty() ? "'" : ", '") + port.name + "'";
  return text;
}

/// The arrays that --input names: NAME=FILE.npy, FILE.npy for the only input, FILE.npz by the names in it.
std::map<std::string, fat::NpyArray> named_arrays(const Settings& settings, const std::vector<fat::Port>& ports) {
  std::map<std::string, fat::NpyArray> arrays;
  const auto put = [&](const std::string& file, const std::string& name, fat::NpyArray array) {
    const bool known = std::any_of(ports.begin(), ports.end(), [&](const fat::Port& p) { return p.name == name; });
    fat::expects(known, file, ": '", std::string_view{name}, "' is no input of ", settings.model, "; it has ",
                 std::string_view{names_of(ports)});
    fat::expects(arrays.emplace(name, std::move(array)).second, file, ": input '", std::string_view{name},
                 "' is given twice");
  };
  for (const std::string& given : settings.inputs) {
    const std::size_t equals = given.find('=');
    const bool named = equals != std::string::npos && extension_of(given) == ".npy" && !file_exists(given);
    const std::string file = named ? given.substr(equals + 1) : given;
    if (extension_of(file) == ".npz") {
      for (auto& [name, array] : fat::read_npz(file)) put(file, name, std::move(array));
    } else if (named) {
      put(file, given.substr(0, equals), fat::read_npy(file));
    } else {
      fat::expects(ports.size() == 1, settings.model, ": has the inputs ", std::string_view{names_of(ports)},
                   "; give each as --input NAME=FILE.npy, or all in one .npz");
      put(file, ports[0].name, fat::read_npy(file));
    }
  }
  for (const fat::Port& port : ports)
    fat::expects(arrays.contains(port.name), settings.model, ": input '", std::string_view{port.name},
                 "' is missing; give --input ", std::string_view{port.name}, "=FILE.npy");
  return arrays;
}

/// Samples of all inputs, in the order in which the model stores them.
std::vector<float> read_inputs(const Settings& settings, const fat::Model& model, std::size_t& batch) {
  const std::vector<fat::Port> ports = fat::input_ports(model);
  const std::map<std::string, fat::NpyArray> arrays = named_arrays(settings, ports);
  std::vector<float> samples;
  batch = 0;
  for (const fat::Port& port : ports) {
    const fat::NpyArray& file = arrays.at(port.name);
    const std::string& source = settings.inputs.front();
    const std::size_t count = port.size() == 0 ? 0 : file.size() / port.size();
    const fat::Shape wanted = batch_shape(port, count);
    fat::Shape single;
    for (std::size_t axis = 1; axis != wanted.rank(); ++axis) single.push_back(wanted[axis]);
    fat::expects(count != 0 && (file.shape == wanted || (count == 1 && port.dims[0] == 1 && file.shape == single)),
                 source, ": has shape ", file.shape, "; ", settings.model, " takes N x ", single);
    fat::expects(batch == 0 || batch == count, source, ": input '", std::string_view{port.name}, "' has ", count,
                 " samples, another has ", batch);
    if (batch == 0) samples.resize(count * model.input_extent().size());
    batch = count;
    const fat::array<float> values = fat::finite_values(file, source);
    for (std::size_t i = 0; i != batch; ++i)
      fat::for_each_place(port, [&](std::size_t stored, std::size_t there) {
        samples[i * model.input_extent().size() + stored] = values[i * port.size() + there];
      });
  }
  return samples;
}

/// What is written: the outputs, or the one tensor that was asked for.
std::vector<fat::Port> chosen_ports(const Settings& settings, const fat::Model& model, fat::ValueId& value) {
  value = model.output;
  if (settings.tensor.empty()) return fat::output_ports(model);
  for (value = 0; value != model.values.size(); ++value)
    if (model.values[value].name == settings.tensor) return fat::detail::ports_of(model, {}, value);
  fat::fail(settings.model, ": has no tensor '", std::string_view{settings.tensor}, "'; `fat inspect` lists them");
}

template <class T>
fat::NpyArray codes_of(const fat::Shape& shape, const std::vector<float>& reals, const fat::Grid<float>& grid) {
  fat::array<T> codes{shape};
  for (std::size_t i = 0; i != codes.size(); ++i) codes[i] = static_cast<T>(fat::quantize_one(reals[i], grid));
  return fat::NpyArray{codes};
}

}  // namespace

int run(const Settings& settings) {
  const std::string& path = settings.outputs.front();
  const std::string extension = extension_of(path);
  fat::expects(extension == ".npy" || extension == ".npz", path, ": `fat run` writes .npy and .npz files; name one");
  LoadedModel loaded = load_model(settings.model, settings.reading);
  choose_requantization(loaded, settings);
  const fat::Model& model = loaded.graph();
  fat::ValueId value = 0;
  const std::vector<fat::Port> ports = chosen_ports(settings, model, value);
  fat::expects(ports.size() == 1 || extension == ".npz", settings.model, ": has the outputs ",
               std::string_view{names_of(ports)}, "; write a .npz file");
  if (settings.codes)
    fat::expects(loaded.quantized && loaded.quantized->activations[value], settings.model, ": tensor '",
                 std::string_view{model.values[value].name}, "' is float and has no codes; leave --codes out");
  std::size_t batch = 0;
  const std::vector<float> samples = read_inputs(settings, model, batch);
  Executor executor{loaded, settings.simulate, settings.options.threads};
  const std::size_t size = model.extent(value).size(), in = model.input_extent().size();
  std::vector<float> values(batch * size);
  if (value == model.output)
    executor.run(samples, batch, values);
  else
    for (std::size_t i = 0; i != batch; ++i) {
      const std::vector<float> one = executor.values(std::span{samples}.subspan(i * in, in))[value];
      std::copy(one.begin(), one.end(), values.begin() + static_cast<std::ptrdiff_t>(i * size));
    }
  fat::NpyArrays arrays;
  for (const fat::Port& port : ports) {
    std::vector<float> result(batch * port.size());
    for (std::size_t i = 0; i != batch; ++i)
      fat::for_each_place(port, [&](std::size_t stored, std::size_t there) {
        result[i * port.size() + there] = values[i * size + stored];
      });
    const fat::Shape shape = batch_shape(port, batch);
    if (!settings.codes) {
      arrays.insert_or_assign(port.name, fat::NpyArray{shape, result.data()});
    } else {
      const fat::ActivationEncoding& encoding = *loaded.quantized->activations[value];
      arrays.insert_or_assign(port.name, encoding.is_signed()
                                             ? codes_of<std::int8_t>(shape, result, fat::grid_of(encoding))
                                             : codes_of<std::uint8_t>(shape, result, fat::grid_of(encoding)));
    }
  }
  if (extension == ".npz")
    fat::write_npz(path, arrays);
  else
    fat::write_npy(path, arrays.begin()->second);
  std::printf("wrote %s: tensor %s of %zu images\n", printable(path).c_str(), printable(names_of(ports)).c_str(),
              batch);
  return 0;
}

}  // namespace cli
