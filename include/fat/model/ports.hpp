// Ports: the inputs and outputs of a network as its file has them, beside the values that hold them.
#ifndef FAT_MODEL_PORTS_HPP_INCLUDED
#define FAT_MODEL_PORTS_HPP_INCLUDED

#include <fat/model/model.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

inline std::vector<Port> ports_of(const Model& model, const std::vector<Port>& stated, ValueId value) {
  if (!stated.empty()) return stated;
  const Extent& e = model.extent(value);
  Port port{model.values[value].name, {1, e.channels}, 0, false};
  if (!e.vector && model.channels_first) port.dims = {1, e.channels, e.height, e.width};
  if (!e.vector && !model.channels_first) port.dims = {1, e.height, e.width, e.channels};
  port.channels_first = !e.vector && model.channels_first;
  return {port};
}

}  // namespace detail

/// Every input of the model's file, in its order.
inline std::vector<Port> input_ports(const Model& model) { return detail::ports_of(model, model.inputs, model.input); }
/// Every output of the model's file, in its order.
inline std::vector<Port> output_ports(const Model& model) {
  return detail::ports_of(model, model.outputs, model.output);
}

/// Calls f(place in the value, place in the file's tensor) for every element of one sample.
template <class F>
void for_each_place(const Port& port, F&& f) {
  if (!port.channels_first) {
    for (std::size_t i = 0; i != port.size(); ++i) f(port.offset + i, i);
    return;
  }
  const std::size_t channels = port.dims[1], area = port.dims[2] * port.dims[3];
  for (std::size_t at = 0; at != area; ++at)
    for (std::size_t c = 0; c != channels; ++c) f(port.offset + at * channels + c, c * area + at);
}

}  // namespace fat::inline FAT_ABI

#endif
