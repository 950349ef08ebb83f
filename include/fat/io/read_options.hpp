// ReadOptions: what a user says about a model file that the file leaves open.
#ifndef FAT_IO_READ_OPTIONS_HPP_INCLUDED
#define FAT_IO_READ_OPTIONS_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fat::inline FAT_ABI {

struct ReadOptions {
  /// Shapes of inputs by name, batch included; what the file fixes must agree.
  std::map<std::string, std::vector<std::int64_t>> shapes{};
  /// Tensors that become the outputs; empty: those of the file.
  std::vector<std::string> end_at{};
  /// An operator that cannot be read is an error; else the network ends before it.
  bool strict = false;

  bool operator==(const ReadOptions&) const = default;
};

}  // namespace fat::inline FAT_ABI

#endif
