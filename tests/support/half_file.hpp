// A small TensorFlow Lite file with float16 constants, as converters write them.
#ifndef FAT_TESTS_SUPPORT_HALF_FILE_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_HALF_FILE_HPP_INCLUDED

#include "tflite/schema_generated.h"

#include <cstdint>
#include <string>
#include <vector>

namespace fat::test {

/// FULLY_CONNECTED of 2 inputs and 2 outputs, then ADD of a constant. The constants are float16, each behind a
/// DEQUANTIZE where `converted`.
inline std::string half_file(bool converted) {
  namespace schema = ::fat::tflite_schema;
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<schema::Buffer>> buffers{schema::CreateBuffer(builder)};
  std::vector<flatbuffers::Offset<schema::Tensor>> tensors;
  std::vector<flatbuffers::Offset<schema::Operator>> operators;
  const auto tensor = [&](const std::vector<std::int32_t>& shape, schema::TensorType type, std::uint32_t buffer) {
    tensors.push_back(schema::CreateTensor(builder, builder.CreateVector(shape), type, buffer,
                                           builder.CreateString("t" + std::to_string(tensors.size()))));
    return static_cast<std::int32_t>(tensors.size() - 1);
  };
  const auto constant = [&](const std::vector<std::int32_t>& shape, const std::vector<std::uint16_t>& halves) {
    buffers.push_back(schema::CreateBuffer(
        builder, builder.CreateVector(reinterpret_cast<const std::uint8_t*>(halves.data()), 2 * halves.size())));
    const std::int32_t stored =
        tensor(shape, schema::TensorType::FLOAT16, static_cast<std::uint32_t>(buffers.size() - 1));
    if (!converted) return stored;
    const std::int32_t floats = tensor(shape, schema::TensorType::FLOAT32, 0);
    operators.push_back(
        schema::CreateOperator(builder, 0, builder.CreateVector({stored}), builder.CreateVector({floats})));
    return floats;
  };
  const std::int32_t input = tensor({1, 2}, schema::TensorType::FLOAT32, 0);
  const std::int32_t weights = constant({2, 2}, {0x3C00, 0x3800, 0xC000, 0x3400});
  const std::int32_t bias = constant({2}, {0x3800, 0xB000});
  const std::int32_t added = constant({2}, {0x4200, 0x4400});
  const std::int32_t product = tensor({1, 2}, schema::TensorType::FLOAT32, 0);
  const std::int32_t sum = tensor({1, 2}, schema::TensorType::FLOAT32, 0);
  const auto dense = schema::CreateFullyConnectedOptions(builder);
  operators.push_back(schema::CreateOperator(builder, 1, builder.CreateVector({input, weights, bias}),
                                             builder.CreateVector({product}),
                                             schema::BuiltinOptions::FullyConnectedOptions, dense.Union()));
  const auto addition = schema::CreateAddOptions(builder);
  operators.push_back(schema::CreateOperator(builder, 2, builder.CreateVector({product, added}),
                                             builder.CreateVector({sum}), schema::BuiltinOptions::AddOptions,
                                             addition.Union()));
  std::vector<flatbuffers::Offset<schema::OperatorCode>> codes;
  for (const std::int8_t code : {std::int8_t{6}, std::int8_t{9}, std::int8_t{0}})
    codes.push_back(schema::CreateOperatorCode(builder, code, 0, 1, code));
  const auto graph = schema::CreateSubGraph(builder, builder.CreateVector(tensors), builder.CreateVector({input}),
                                            builder.CreateVector({sum}), builder.CreateVector(operators),
                                            builder.CreateString("main"));
  schema::FinishModelBuffer(builder,
                            schema::CreateModel(builder, 3, builder.CreateVector(codes), builder.CreateVector({graph}),
                                                builder.CreateString("halves"), builder.CreateVector(buffers)));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

}  // namespace fat::test

#endif
