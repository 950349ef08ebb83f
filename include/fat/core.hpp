// The part of the library that needs nothing but a compiler: tensors, policies, quantizers, observers, gradients,
// transforms, and the reference kernels on codes.
#ifndef FAT_CORE_HPP_INCLUDED
#define FAT_CORE_HPP_INCLUDED

#include <fat/adapt/span.hpp>
#include <fat/core/array.hpp>
#include <fat/core/span_tensor.hpp>
#include <fat/core/tensor.hpp>
#include <fat/gradient/adjustable_threshold.hpp>
#include <fat/gradient/pointwise_scale.hpp>
#include <fat/kernel/reference/convolution.hpp>
#include <fat/kernel/reference/elementwise.hpp>
#include <fat/kernel/reference/gemm.hpp>
#include <fat/kernel/reference/hard_swish.hpp>
#include <fat/kernel/reference/pool.hpp>
#include <fat/kernel/reference/resize.hpp>
#include <fat/kernel/reference/softmax.hpp>
#include <fat/observe/observe.hpp>
#include <fat/quantizer/bias.hpp>
#include <fat/quantizer/dequantize.hpp>
#include <fat/quantizer/fake_quantize.hpp>
#include <fat/quantizer/quantize.hpp>
#include <fat/transform/balance.hpp>
#include <fat/transform/bias_correction.hpp>
#include <fat/transform/equalize.hpp>
#include <fat/transform/fold_batch_norm.hpp>
#include <fat/transform/rescale_depthwise.hpp>
#include <fat/transform/round.hpp>

#endif
