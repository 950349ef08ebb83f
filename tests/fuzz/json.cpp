// Fuzz target: The JSON text of a graph.
#include <fat/io/model_json.hpp>
#include <fat/model/extents.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Any input gives a result or a fat::error; another exception or a fault is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto* const text = reinterpret_cast<const char*>(data);
    const nlohmann::json json = nlohmann::json::parse(text, text + size, nullptr, false);
    if (!json.is_discarded() && json.is_object()) fat::validate(fat::graph_from_json(json));
  } catch (const fat::error&) {
  }
  return 0;
}
