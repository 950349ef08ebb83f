// Everything a host uses: the core, tensors of xtensor where it is installed, transforms, training, kernels and models.
#ifndef FAT_FAT_HPP_INCLUDED
#define FAT_FAT_HPP_INCLUDED

#include <fat/core.hpp>
#include <fat/kernel/gemm.hpp>
#include <fat/kernel/requantize.hpp>
#include <fat/model/quantize_model.hpp>
#include <fat/train/adam.hpp>
#include <fat/train/checkpoint.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/minimize.hpp>
#include <fat/train/schedule.hpp>
#include <fat/train/sgd.hpp>
#include <fat/transform/balance.hpp>
#include <fat/transform/bias_correction.hpp>
#include <fat/transform/equalize.hpp>
#include <fat/transform/fold_batch_norm.hpp>
#include <fat/transform/rescale_depthwise.hpp>
#include <fat/transform/round.hpp>

#if __has_include(<xtensor/xtensor.hpp>)
#include <fat/adapt/xtensor.hpp>
#endif

#endif
