// The part of the library that needs nothing but a compiler: tensors, policies, quantizers, observers, gradients.
#ifndef FAT_CORE_HPP_INCLUDED
#define FAT_CORE_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/core/span_tensor.hpp>
#include <fat/core/tensor.hpp>
#include <fat/gradient/adjustable_threshold.hpp>
#include <fat/gradient/pointwise_scale.hpp>
#include <fat/observe/observe.hpp>
#include <fat/quantizer/bias.hpp>
#include <fat/quantizer/dequantize.hpp>
#include <fat/quantizer/fake_quantize.hpp>
#include <fat/quantizer/quantize.hpp>

#endif
