// Decoding of protobuf messages.
#include "proto.hpp"

#include <fat/io/half.hpp>

#include <google/protobuf/io/coded_stream.h>

#include <bit>
#include <cstring>

namespace fat::inline FAT_ABI::onnx {

static_assert(std::endian::native == std::endian::little, "raw tensor data is little-endian");

std::int64_t count(const Integers& dims, std::string_view where) {
  std::int64_t product = 1;
  for (const std::int64_t extent : dims) {
    expects(extent >= 0 && extent <= most_elements, where, " has extent ", extent, "; the file is damaged");
    product *= extent;
    expects(product <= most_elements, where, " has more than ", most_elements, " elements; use a smaller model");
  }
  return product;
}

namespace {

using ::onnx::TensorProto;

template <class From, class To>
void copy_raw(const std::string& raw, std::size_t size, std::string_view where, std::vector<To>& to) {
  expects(raw.size() == size * sizeof(From), where, " needs ", size * sizeof(From), " bytes, it has ", raw.size(),
          "; the file is damaged");
  to.resize(size);
  for (std::size_t i = 0; i != size; ++i) {
    From value;
    std::memcpy(&value, raw.data() + i * sizeof(From), sizeof(From));
    to[i] = static_cast<To>(value);
  }
}

template <class Field, class To>
void copy_field(const Field& field, std::size_t size, std::string_view where, std::vector<To>& to) {
  expects(static_cast<std::size_t>(field.size()) == size, where, " needs ", size, " values, it has ", field.size(),
          "; the file is damaged");
  to.reserve(size);
  for (const auto value : field) to.push_back(static_cast<To>(value));
}

/// Sixteen-bit reals: in raw_data, or one in each int32.
template <class Convert>
void copy_halves(const TensorProto& tensor, std::size_t size, std::string_view where, Convert convert,
                 std::vector<float>& to) {
  std::vector<std::uint16_t> bits;
  if (tensor.has_raw_data())
    copy_raw<std::uint16_t>(tensor.raw_data(), size, where, bits);
  else
    copy_field(tensor.int32_data(), size, where, bits);
  to.reserve(size);
  for (const std::uint16_t each : bits) to.push_back(convert(each));
}

template <class From>
void copy_integers(const TensorProto& tensor, std::size_t size, std::string_view where, Integers& to) {
  if (tensor.has_raw_data())
    copy_raw<From>(tensor.raw_data(), size, where, to);
  else if constexpr (sizeof(From) == 8)
    copy_field(tensor.int64_data(), size, where, to);
  else
    copy_field(tensor.int32_data(), size, where, to);
}

}  // namespace

Constant decode(const TensorProto& tensor, std::string_view file) {
  const std::string where = std::string{file} + ": tensor '" + tensor.name() + "'";
  Constant result;
  result.dims.assign(tensor.dims().begin(), tensor.dims().end());
  result.type = tensor.data_type();
  expects(tensor.data_location() != TensorProto::EXTERNAL, where,
          " keeps its data in another file, which a model in memory cannot have; load it by its path, or save it with "
          "its data inside");
  const auto size = static_cast<std::size_t>(count(result.dims, where));
  result.integral = true;
  switch (tensor.data_type()) {
    case TensorProto::FLOAT:
      result.integral = false;
      if (tensor.has_raw_data())
        copy_raw<float>(tensor.raw_data(), size, where, result.reals);
      else
        copy_field(tensor.float_data(), size, where, result.reals);
      break;
    case TensorProto::DOUBLE:
      result.integral = false;
      if (tensor.has_raw_data())
        copy_raw<double>(tensor.raw_data(), size, where, result.reals);
      else
        copy_field(tensor.double_data(), size, where, result.reals);
      break;
    case TensorProto::FLOAT16:
      result.integral = false;
      copy_halves(tensor, size, where, half_to_float, result.reals);
      break;
    case TensorProto::BFLOAT16:
      result.integral = false;
      copy_halves(tensor, size, where, bfloat_to_float, result.reals);
      break;
    case TensorProto::INT64:
      copy_integers<std::int64_t>(tensor, size, where, result.integers);
      break;
    case TensorProto::INT32:
      copy_integers<std::int32_t>(tensor, size, where, result.integers);
      break;
    case TensorProto::INT16:
      copy_integers<std::int16_t>(tensor, size, where, result.integers);
      break;
    case TensorProto::UINT16:
      copy_integers<std::uint16_t>(tensor, size, where, result.integers);
      break;
    case TensorProto::INT8:
      copy_integers<std::int8_t>(tensor, size, where, result.integers);
      break;
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      copy_integers<std::uint8_t>(tensor, size, where, result.integers);
      break;
    default:
      fail(where, " has elements of type ", tensor.data_type(), ", which is not supported; convert the model to float");
  }
  return result;
}

::onnx::ModelProto parse(std::string_view file, std::string_view name) {
  ::onnx::ModelProto model;
  expects(file.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()), name,
          ": an ONNX file has at most 2 GiB; use a smaller model");
  expects(model.ParseFromArray(file.data(), static_cast<int>(file.size())) && model.has_graph(), name,
          ": not an ONNX model, or truncated; export or copy it again");
  const std::int64_t version = operator_set(model);
  expects(version >= 7 && version <= 28, name, ": operator set ", version, " is outside 7 to 28; convert the model");
  return model;
}

std::int64_t operator_set(const ::onnx::ModelProto& model) {
  for (const auto& each : model.opset_import())
    if (each.domain().empty() || each.domain() == "ai.onnx") return each.version();
  return 1;
}

const ::onnx::AttributeProto* Attributes::find(std::string_view name) const {
  for (const auto& each : node_.attribute())
    if (each.name() == name) return &each;
  return nullptr;
}

std::int64_t Attributes::integer(std::string_view name, std::int64_t otherwise) const {
  const auto* const found = find(name);
  return found == nullptr ? otherwise : found->i();
}

float Attributes::real(std::string_view name, float otherwise) const {
  const auto* const found = find(name);
  return found == nullptr ? otherwise : found->f();
}

std::string Attributes::text(std::string_view name, std::string_view otherwise) const {
  const auto* const found = find(name);
  return found == nullptr ? std::string{otherwise} : found->s();
}

Integers Attributes::integers(std::string_view name, const Integers& otherwise) const {
  const auto* const found = find(name);
  return found == nullptr ? otherwise : Integers(found->ints().begin(), found->ints().end());
}

std::vector<float> Attributes::reals(std::string_view name) const {
  const auto* const found = find(name);
  return found == nullptr ? std::vector<float>{} : std::vector<float>(found->floats().begin(), found->floats().end());
}

const std::string& name_of(const ::onnx::NodeProto& node) {
  return !node.name().empty() || node.output().empty() ? node.name() : node.output(0);
}

std::string label(const ::onnx::NodeProto& node) { return node.op_type() + " '" + name_of(node) + "'"; }

}  // namespace fat::inline FAT_ABI::onnx
