// The tensors of a TensorFlow Lite file: checked, with their bytes, steps and zero points.
#include "tensor_file.hpp"

#include <fat/io/half.hpp>

#include <cmath>
#include <cstring>

namespace fat::inline FAT_ABI::tflite {
namespace {

// An element of a list of 64-bit integers, which a file may place at any multiple of four bytes.
std::int64_t element(const flatbuffers::Vector<std::int64_t>& list, std::size_t i) {
  std::int64_t value = 0;
  std::memcpy(&value, list.Data() + i * sizeof value, sizeof value);
  return flatbuffers::EndianScalar(value);
}

std::size_t bytes_per_element(TensorType type) {
  switch (type) {
    case TensorType::FLOAT32:
    case TensorType::INT32:
      return 4;
    case TensorType::FLOAT16:
    case TensorType::INT16:
      return 2;
    case TensorType::INT64:
      return 8;
    case TensorType::UINT8:
    case TensorType::INT8:
    case TensorType::BOOL:
      return 1;
  }
  return 0;
}

}  // namespace

TensorFile::TensorFile(std::span<const char> file, std::string_view name) : file_name_(name) {
  flatbuffers::Verifier verifier{reinterpret_cast<const std::uint8_t*>(file.data()), file.size(), 64, 10'000'000};
  require(file.size() >= 8 && schema::ModelBufferHasIdentifier(file.data()),
          "not a TensorFlow Lite file; check the path");
  require(schema::VerifyModelBuffer(verifier), "truncated or damaged; copy the file again");
  const schema::Model* model = schema::GetModel(file.data());
  require(model->version() == 3, "has schema version ", model->version(), ", 3 is supported");
  require(model->subgraphs() != nullptr && model->subgraphs()->size() == 1 && model->operator_codes() != nullptr &&
              model->buffers() != nullptr,
          "does not hold exactly one graph with operators and buffers");
  codes_ = model->operator_codes();
  buffers_ = model->buffers();
  metadata_ = model->metadata();
  graph_ = model->subgraphs()->Get(0);
  require(graph_->tensors() != nullptr && graph_->operators() != nullptr && graph_->inputs() != nullptr &&
              graph_->outputs() != nullptr,
          "the graph has no tensors, operators, inputs or outputs");
  require(graph_->inputs()->size() == 1, "has ", graph_->inputs()->size(),
          " inputs; one is supported: export it with the one that is wanted");
  require(graph_->outputs()->size() == 1, "has ", graph_->outputs()->size(),
          " outputs; one is supported: export it with the one that is wanted");
  read_tensors();
}

bool TensorFile::quantized() const {
  if (source(graph_->inputs()->Get(0)).integer()) return true;
  for (const schema::Operator* op : *graph_->operators()) {
    const bool reads_constant = op->inputs() != nullptr && op->inputs()->size() != 0 && op->inputs()->Get(0) >= 0 &&
                                source(op->inputs()->Get(0)).constant();
    const bool of_constant = reads_constant && operator_code(*op) == OperatorCode::quantize;  // stored weights
    if (op->outputs() == nullptr || of_constant) continue;
    for (const std::int32_t made : *op->outputs())
      if (source(made).integer() && !source(made).constant()) return true;
  }
  return false;
}

void TensorFile::read_tensors() {
  constexpr std::size_t most_elements = std::size_t{1} << 31;
  sources_.reserve(graph_->tensors()->size());
  for (const schema::Tensor* tensor : *graph_->tensors()) {
    Source item;
    item.tensor = tensor;
    if (tensor->name() != nullptr) item.name = tensor->name()->str();
    if (item.name.empty()) item.name = "tensor " + std::to_string(sources_.size());
    if (tensor->shape() != nullptr) {
      require(tensor->shape()->size() <= Shape::max_rank, "tensor '", item.name, "' has rank ",
              tensor->shape()->size());
      for (const std::int32_t extent : *tensor->shape()) {
        require(extent >= 0, "tensor '", item.name, "' has an extent of ", extent);
        item.shape.push_back(static_cast<std::size_t>(extent));
      }
    }
    require(item.shape.elements() <= most_elements, "tensor '", item.name, "' has ", item.shape.elements(),
            " elements");
    require(tensor->buffer() < buffers_->size(), "tensor '", item.name, "' names a missing buffer");
    if (const auto* data = buffers_->Get(tensor->buffer())->data(); data != nullptr && data->size() != 0) {
      item.bytes = {data->data(), data->size()};
      const std::size_t width = bytes_per_element(item.type());
      require(width != 0 && item.bytes.size() == item.shape.elements() * width, "tensor '", item.name, "' of shape ",
              item.shape, " has ", item.bytes.size(), " bytes");
    }
    read_encoding(item);
    sources_.push_back(std::move(item));
  }
}

void TensorFile::read_encoding(Source& item) const {
  const schema::QuantizationParameters* encoding = item.tensor->quantization();
  if (encoding == nullptr || encoding->scale() == nullptr || encoding->scale()->size() == 0) return;
  const std::size_t count = encoding->scale()->size();
  const bool has_points = encoding->zero_point() != nullptr && encoding->zero_point()->size() != 0;
  require(!has_points || encoding->zero_point()->size() == count || encoding->zero_point()->size() == 1, "tensor '",
          item.name, "' has ", count, " steps and another number of zero points");
  for (unsigned i = 0; i != count; ++i) {
    const float step = encoding->scale()->Get(i);
    const std::int64_t point =
        has_points ? element(*encoding->zero_point(), encoding->zero_point()->size() == 1 ? 0 : i) : 0;
    require(std::isfinite(step) && step > 0.0F, "tensor '", item.name, "' has a step of ", step,
            "; it must be positive");
    require(point >= -32768 && point <= 32767, "tensor '", item.name, "' has a zero point of ", point);
    item.step.push_back(step);
    item.zero_point.push_back(static_cast<std::int32_t>(point));
  }
  if (count == 1) return;
  const std::int32_t axis = encoding->quantized_dimension();
  require(axis >= 0 && static_cast<std::size_t>(axis) < item.shape.rank() &&
              item.shape[static_cast<std::size_t>(axis)] == count,
          "tensor '", item.name, "' of shape ", item.shape, " has ", count, " steps along axis ", axis);
  item.channel_axis = static_cast<std::size_t>(axis);
}

const Source& TensorFile::source(std::int32_t index) const {
  require(index >= 0 && static_cast<std::size_t>(index) < sources_.size(), "an operator reads tensor ", index,
          ", which does not exist");
  return sources_[static_cast<std::size_t>(index)];
}

array<float> TensorFile::floats(const Source& item) const {
  require(item.constant(), "tensor '", item.name, "' must be a constant");
  array<float> result{item.shape};
  std::size_t inner = 1;
  for (std::size_t axis = item.channel_axis + 1; axis < item.shape.rank(); ++axis) inner *= item.shape[axis];
  const auto decode = [&](auto element) {
    using Code = decltype(element);
    require(!item.step.empty(), "tensor '", item.name, "' holds integers without a step");
    for (std::size_t i = 0; i != result.size(); ++i) {
      const std::size_t channel = item.step.size() == 1 ? 0 : i / inner % item.step.size();
      result[i] = item.step[channel] *
                  static_cast<float>(std::int64_t{load_element<Code>(item.bytes, i)} - item.zero_point[channel]);
    }
  };
  switch (item.type()) {
    case TensorType::FLOAT32:
      std::memcpy(result.data(), item.bytes.data(), item.bytes.size());
      break;
    case TensorType::FLOAT16:
      for (std::size_t i = 0; i != result.size(); ++i)
        result[i] = half_to_float(load_element<std::uint16_t>(item.bytes, i));
      break;
    case TensorType::INT8:
      decode(std::int8_t{});
      break;
    case TensorType::UINT8:
      decode(std::uint8_t{});
      break;
    case TensorType::INT32:
      decode(std::int32_t{});
      break;
    default:
      require(false, "tensor '", item.name, "' has an element type that no weight can have");
  }
  for (const float value : result)
    require(std::isfinite(value), "tensor '", item.name, "' holds NaN or infinity; repair the model");
  return result;
}

std::vector<std::int64_t> TensorFile::integers(const Source& item) const {
  require(item.constant() && (item.type() == TensorType::INT32 || item.type() == TensorType::INT64), "tensor '",
          item.name, "' must be a constant of integers");
  std::vector<std::int64_t> result(item.shape.elements());
  for (std::size_t i = 0; i != result.size(); ++i)
    result[i] = item.type() == TensorType::INT32 ? load_element<std::int32_t>(item.bytes, i)
                                                 : load_element<std::int64_t>(item.bytes, i);
  return result;
}

Extent TensorFile::extent_of(const Source& item) const {
  const Shape& shape = item.shape;
  require(shape.rank() == 4 || shape.rank() == 2, "tensor '", item.name, "' has shape ", shape,
          "; [batch,height,width,channels] or [batch,channels] is supported");
  require(shape.elements() != 0, "tensor '", item.name, "' has no elements");
  if (shape.rank() == 2) return {.channels = shape[1], .vector = true};
  return {shape[1], shape[2], shape[3], false};
}

void TensorFile::check_extent(const Source& item, const Extent& found) const {
  if (item.shape.rank() != 4 && item.shape.rank() != 2) return;
  require(extent_of(item) == found || item.shape.elements() == found.size(), "tensor '", item.name, "' claims shape ",
          item.shape, ", its operator makes ", found.height, " x ", found.width, " x ", found.channels);
}

std::optional<ActivationEncoding> TensorFile::encoding_of(const Source& item) const {
  if (!item.integer()) return std::nullopt;
  require(item.step.size() == 1, "activation '", item.name, "' has ", item.step.size(), " steps; one is needed");
  const bool is_signed = item.type() == TensorType::INT8;
  ActivationEncoding encoding{.step = item.step[0],
                              .zero_point = item.zero_point[0],
                              .code_min = is_signed ? -128 : 0,
                              .code_max = is_signed ? 127 : 255};
  require(encoding.zero_point >= encoding.code_min && encoding.zero_point <= encoding.code_max, "activation '",
          item.name, "' has a zero point of ", encoding.zero_point, " outside its codes");
  // A narrower range of codes is stated by the range of reals, where the file has one.
  const auto* quantization = item.tensor->quantization();
  if (quantization->min() != nullptr && quantization->min()->size() == 1 &&
      narrow_from_minimum(encoding) == quantization->min()->Get(0))
    encoding.code_min += 1;
  encoding.symmetric = encoding.zero_point == 0 && encoding.code_min == -127;
  return encoding;
}

std::optional<std::string_view> TensorFile::metadata(std::string_view name) const {
  if (metadata_ == nullptr) return std::nullopt;
  for (const schema::Metadata* const entry : *metadata_) {
    if (entry->name() == nullptr || entry->name()->string_view() != name || entry->buffer() >= buffers_->size())
      continue;
    const auto* const bytes = buffers_->Get(entry->buffer())->data();
    if (bytes == nullptr) return std::string_view{};
    return std::string_view{reinterpret_cast<const char*>(bytes->data()), bytes->size()};
  }
  return std::nullopt;
}

OperatorCode TensorFile::operator_code(const schema::Operator& op) const {
  require(op.opcode_index() < codes_->size(), "an operator has no operator code");
  const schema::OperatorCode* code = codes_->Get(op.opcode_index());
  return static_cast<OperatorCode>(std::max(code->builtin_code(), std::int32_t{code->deprecated_builtin_code()}));
}

}  // namespace fat::inline FAT_ABI::tflite
