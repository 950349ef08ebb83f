// fat run: raw tensors through any model.
#include "executor.hpp"
#include "printable.hpp"

#include <fat/io/npy.hpp>
#include <fat/model/encodings.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace cli {
namespace {

/// The shape of a batch of values as the model's file lays them out.
fat::Shape file_shape(const fat::Extent& e, std::size_t batch, bool channels_first) {
  if (e.vector) return {batch, e.channels};
  return channels_first ? fat::Shape{batch, e.channels, e.height, e.width}
                        : fat::Shape{batch, e.height, e.width, e.channels};
}

/// Calls f(place in NHWC order, place in the file's order) for every value of one image.
template <class Function>
void for_each_place(const fat::Extent& e, bool channels_first, Function f) {
  const std::size_t area = e.height * e.width;
  for (std::size_t at = 0; at != area; ++at)
    for (std::size_t c = 0; c != e.channels; ++c)
      f(at * e.channels + c, channels_first ? c * area + at : at * e.channels + c);
}

/// One image or a batch; what does not fit is an error that says what would.
std::vector<float> read_input(const Settings& settings, const fat::Model& model, std::size_t& batch) {
  const fat::NpyArray file = fat::read_npy(settings.input);
  const fat::Extent& e = model.input_extent();
  const bool first = model.channels_first && !e.vector;
  batch = e.size() == 0 ? 0 : file.size() / e.size();
  const fat::Shape wanted = file_shape(e, batch, first);
  fat::Shape single;
  for (std::size_t axis = 1; axis != wanted.rank(); ++axis) single.push_back(wanted[axis]);
  fat::expects(batch != 0 && (file.shape == wanted || (batch == 1 && file.shape == single)), settings.input,
               ": has shape ", file.shape, "; ", settings.model, " takes N x ", single);
  const fat::array<float> values = fat::finite_values(file, settings.input);
  std::vector<float> images(values.size());
  for (std::size_t i = 0; i != batch; ++i)
    for_each_place(e, first, [&](std::size_t nhwc, std::size_t there) {
      images[i * e.size() + nhwc] = values[i * e.size() + there];
    });
  return images;
}

fat::ValueId chosen_value(const Settings& settings, const fat::Model& model) {
  if (settings.tensor.empty()) return model.output;
  for (fat::ValueId value = 0; value != model.values.size(); ++value)
    if (model.values[value].name == settings.tensor) return value;
  fat::fail(settings.model, ": has no tensor '", std::string_view{settings.tensor}, "'; `fat inspect` lists them");
}

template <class T>
void write_codes(const std::string& path, const fat::Shape& shape, const std::vector<float>& reals,
                 const fat::Grid<float>& grid) {
  fat::array<T> codes{shape};
  for (std::size_t i = 0; i != codes.size(); ++i) codes[i] = static_cast<T>(fat::quantize_one(reals[i], grid));
  fat::write_npy(path, fat::NpyArray{codes});
}

}  // namespace

int run(const Settings& settings) {
  const std::string& path = settings.outputs.front();
  fat::expects(extension_of(path) == ".npy", path, ": `fat run` writes .npy files; name one");
  LoadedModel loaded = load_model(settings.model);
  choose_requantization(loaded, settings);
  const fat::Model& model = loaded.graph();
  const fat::ValueId value = chosen_value(settings, model);
  if (settings.codes)
    fat::expects(loaded.quantized && loaded.quantized->activations[value], settings.model, ": tensor '",
                 std::string_view{model.values[value].name}, "' is float and has no codes; leave --codes out");
  std::size_t batch = 0;
  const std::vector<float> images = read_input(settings, model, batch);
  Executor executor{loaded, settings.simulate, settings.options.threads};
  const fat::Extent& e = model.extent(value);
  const bool first = model.channels_first && !e.vector;
  std::vector<float> result(batch * e.size());
  std::vector<float> outputs(batch * model.output_extent().size());
  if (value == model.output) executor.run(images, batch, outputs);
  for (std::size_t i = 0; i != batch; ++i) {
    const std::size_t size = model.input_extent().size();
    const std::vector<float> one =
        value == model.output ? std::vector<float>(outputs.begin() + static_cast<std::ptrdiff_t>(i * e.size()),
                                                   outputs.begin() + static_cast<std::ptrdiff_t>((i + 1) * e.size()))
                              : executor.values(std::span{images}.subspan(i * size, size))[value];
    for_each_place(e, first, [&](std::size_t nhwc, std::size_t there) { result[i * e.size() + there] = one[nhwc]; });
  }
  const fat::Shape shape = file_shape(e, batch, first);
  if (!settings.codes) {
    fat::write_npy(path, fat::NpyArray{shape, result.data()});
  } else {
    const fat::ActivationEncoding& encoding = *loaded.quantized->activations[value];
    if (encoding.is_signed())
      write_codes<std::int8_t>(path, shape, result, fat::grid_of(encoding));
    else
      write_codes<std::uint8_t>(path, shape, result, fat::grid_of(encoding));
  }
  std::printf("wrote %s: tensor '%s' of %zu images\n", printable(path).c_str(),
              printable(model.values[value].name).c_str(), batch);
  return 0;
}

}  // namespace cli
