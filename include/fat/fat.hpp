// Everything a host uses: the core, tensors of xtensor where it is installed, transforms, training, kernels and models.
#ifndef FAT_FAT_HPP_INCLUDED
#define FAT_FAT_HPP_INCLUDED

#include <fat/core.hpp>
#include <fat/kernel/gemm.hpp>
#include <fat/kernel/requantize.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>
#include <fat/train/adam.hpp>
#include <fat/train/checkpoint.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/minimize.hpp>
#include <fat/train/plan.hpp>
#include <fat/train/schedule.hpp>
#include <fat/train/sgd.hpp>

#if __has_include(<xtensor/xtensor.hpp>)
#include <fat/adapt/xtensor.hpp>
#endif

#endif
