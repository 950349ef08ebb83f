// TensorFile: a verified TensorFlow Lite file and its tensors; what the importer reads operators from.
#ifndef FAT_SRC_TFLITE_TENSOR_FILE_HPP_INCLUDED
#define FAT_SRC_TFLITE_TENSOR_FILE_HPP_INCLUDED

#include "schema_generated.h"

#include <fat/io/tflite.hpp>
#include <fat/model/quantized_model.hpp>

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "operators.hpp"

namespace fat::inline FAT_ABI::tflite {

namespace schema = ::fat::tflite_schema;
using schema::TensorType;

// One tensor of the file: a constant with its bytes, or a value of the graph.
struct Source {
  const schema::Tensor* tensor = nullptr;
  std::string name;
  Shape shape;
  std::span<const std::uint8_t> bytes;
  std::vector<float> step;
  std::vector<std::int32_t> zero_point;
  std::size_t channel_axis = 0;
  bool constant() const { return !bytes.empty(); }
  TensorType type() const { return tensor->type(); }
  bool integer() const { return type() == TensorType::INT8 || type() == TensorType::UINT8; }
};

template <class T>
T load_element(std::span<const std::uint8_t> bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

// Every error names the file. The file's bytes must outlive the object.
class TensorFile {
 public:
  TensorFile(std::span<const char> file, std::string_view name);
  // Whether the input or what an operator makes are integers.
  bool quantized() const;

 protected:
  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    if (!ok) [[unlikely]]
      fail(file_name_, ": ", parts...);
  }

  const Source& source(std::int32_t index) const;
  // The constant as floats: stored so, as float16, or as integers with steps.
  array<float> floats(const Source& item) const;
  std::vector<std::int64_t> integers(const Source& item) const;
  Extent extent_of(const Source& item) const;
  void check_extent(const Source& item, const Extent& found) const;
  // None for a tensor of floats.
  std::optional<ActivationEncoding> encoding_of(const Source& item) const;
  OperatorCode operator_code(const schema::Operator& op) const;
  // The text of a metadata entry, or nothing.
  std::optional<std::string_view> metadata(std::string_view name) const;

  std::string_view file_name_;
  const schema::SubGraph* graph_ = nullptr;
  std::vector<Source> sources_;

 private:
  void read_tensors();
  void read_encoding(Source& item) const;

  const flatbuffers::Vector<flatbuffers::Offset<schema::OperatorCode>>* codes_ = nullptr;
  const flatbuffers::Vector<flatbuffers::Offset<schema::Buffer>>* buffers_ = nullptr;
  const flatbuffers::Vector<flatbuffers::Offset<schema::Metadata>>* metadata_ = nullptr;
};

}  // namespace fat::inline FAT_ABI::tflite

#endif
