// The operator codes of the TensorFlow Lite format that this library knows.
#ifndef FAT_SRC_TFLITE_OPERATORS_HPP_INCLUDED
#define FAT_SRC_TFLITE_OPERATORS_HPP_INCLUDED

#include <fat/model/quantized_model.hpp>

#include <cstdint>
#include <string_view>

namespace fat::inline FAT_ABI::tflite {

enum class OperatorCode : std::int32_t {
  add = 0,
  average_pool_2d = 1,
  concatenation = 2,
  conv_2d = 3,
  depthwise_conv_2d = 4,
  dequantize = 6,
  fully_connected = 9,
  logistic = 14,
  max_pool_2d = 17,
  mul = 18,
  relu = 19,
  relu_n1_to_1 = 20,
  relu6 = 21,
  reshape = 22,
  resize_bilinear = 23,
  softmax = 25,
  pad = 34,
  mean = 40,
  sub = 41,
  squeeze = 43,
  padv2 = 60,
  resize_nearest_neighbor = 97,
  quantize = 114,
  hard_swish = 117,
  relu_0_to_1 = 152,
};

/// Codes from 127 on do not fit the format's older field, which then holds this.
inline constexpr std::int32_t largest_old_code = 127;

inline std::string_view operator_name(OperatorCode code) {
  switch (code) {
    case OperatorCode::add:
      return "ADD";
    case OperatorCode::average_pool_2d:
      return "AVERAGE_POOL_2D";
    case OperatorCode::concatenation:
      return "CONCATENATION";
    case OperatorCode::conv_2d:
      return "CONV_2D";
    case OperatorCode::depthwise_conv_2d:
      return "DEPTHWISE_CONV_2D";
    case OperatorCode::dequantize:
      return "DEQUANTIZE";
    case OperatorCode::fully_connected:
      return "FULLY_CONNECTED";
    case OperatorCode::logistic:
      return "LOGISTIC";
    case OperatorCode::max_pool_2d:
      return "MAX_POOL_2D";
    case OperatorCode::mul:
      return "MUL";
    case OperatorCode::relu:
      return "RELU";
    case OperatorCode::relu_n1_to_1:
      return "RELU_N1_TO_1";
    case OperatorCode::relu6:
      return "RELU6";
    case OperatorCode::reshape:
      return "RESHAPE";
    case OperatorCode::resize_bilinear:
      return "RESIZE_BILINEAR";
    case OperatorCode::softmax:
      return "SOFTMAX";
    case OperatorCode::pad:
      return "PAD";
    case OperatorCode::mean:
      return "MEAN";
    case OperatorCode::sub:
      return "SUB";
    case OperatorCode::squeeze:
      return "SQUEEZE";
    case OperatorCode::padv2:
      return "PADV2";
    case OperatorCode::resize_nearest_neighbor:
      return "RESIZE_NEAREST_NEIGHBOR";
    case OperatorCode::quantize:
      return "QUANTIZE";
    case OperatorCode::hard_swish:
      return "HARD_SWISH";
    case OperatorCode::relu_0_to_1:
      return "RELU_0_TO_1";
  }
  return "unknown operator";
}

/// The least real of an int8 activation whose lowest code is left out (symmetric, -127..127): how a file states that.
inline float narrow_from_minimum(const ActivationEncoding& encoding) {
  return encoding.step * static_cast<float>(encoding.code_min + 1 - encoding.zero_point);
}

}  // namespace fat::inline FAT_ABI::tflite

#endif
