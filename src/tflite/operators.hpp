// The operator codes of the TensorFlow Lite format that this library knows.
#ifndef FAT_SRC_TFLITE_OPERATORS_HPP_INCLUDED
#define FAT_SRC_TFLITE_OPERATORS_HPP_INCLUDED

#include <fat/model/quantized_model.hpp>

#include <array>
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

/// A release of the runtime: major, minor, patch.
using Release = std::array<int, 3>;

/// The first release that knows a version of an operator, of the versions that the exporter writes.
inline Release first_release(OperatorCode code, std::int32_t version) {
  switch (code) {
    case OperatorCode::conv_2d:
      return version >= 6 ? Release{2, 9, 0} : version >= 2 ? Release{1, 14, 0} : Release{1, 5, 0};
    case OperatorCode::fully_connected:
      return version >= 12 ? Release{2, 17, 0} : version >= 3 ? Release{1, 14, 0} : Release{1, 5, 0};
    case OperatorCode::relu:
      return version >= 2 ? Release{2, 1, 0} : Release{1, 5, 0};
    case OperatorCode::relu_n1_to_1:
    case OperatorCode::reshape:
      return {1, 5, 0};
    case OperatorCode::resize_bilinear:
      return version >= 3 ? Release{2, 2, 0} : version >= 2 ? Release{1, 14, 0} : Release{1, 7, 0};
    case OperatorCode::resize_nearest_neighbor:
      return version >= 3 ? Release{2, 3, 0} : version >= 2 ? Release{1, 14, 0} : Release{1, 13, 1};
    case OperatorCode::mean:
      return version >= 2 ? Release{1, 14, 0} : Release{1, 6, 0};
    case OperatorCode::padv2:
      return version >= 2 ? Release{1, 14, 0} : Release{1, 9, 0};
    case OperatorCode::quantize:
    case OperatorCode::dequantize:
    case OperatorCode::logistic:
      return {1, 14, 0};
    case OperatorCode::hard_swish:
      return {1, 15, 0};
    case OperatorCode::relu_0_to_1:
      return {2, 10, 0};
    default:
      return version >= 2 ? Release{1, 14, 0} : Release{1, 5, 0};
  }
}

/// The least real of an int8 activation whose lowest code is left out (symmetric, -127..127): how a file states that.
inline float narrow_from_minimum(const ActivationEncoding& encoding) {
  return encoding.step * static_cast<float>(encoding.code_min + 1 - encoding.zero_point);
}

}  // namespace fat::inline FAT_ABI::tflite

#endif
