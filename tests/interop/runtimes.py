#!/usr/bin/env python3
"""Exported files in ONNX Runtime and LiteRT beside this library, code for code.

Quantizes real networks with `fat quantize`, writes .npz, .onnx and .tflite, and compares
  * LiteRT's reference kernels with the reference kernels here (two roundings; one in FULLY_CONNECTED): every tensor, no code may differ;
  * LiteRT's reference kernels with the integer engine under --requantize tflite: whole networks, no output code may differ;
  * LiteRT's built-in kernels and XNNPACK with the integer engine: every layer on the same input codes, output codes, top-1;
  * ONNX Runtime with the integer engine: every layer, fused as in the whole network, on the same input codes (at most 0.1 % of the
    codes may differ, by one), output codes, top-1; with session.x64quantprecision 0 and 1;
  * models made by onnxruntime.quantization.quantize_static, run by `fat run`, with ONNX Runtime.
Inputs are put on the input's grid first, so that no runtime's rounding of the input itself is measured.
Exit code 77: skipped, because the packages could not be installed or the data are absent; 1: a target was missed.
"""
import sys

from environment import run_comparisons


def compare(options, folder, failures):
    from comparison import compare_all

    return compare_all(options, folder, failures)


if __name__ == "__main__":
    sys.exit(run_comparisons("interop.runtimes", __doc__, ["onnx", "onnxruntime", "ai-edge-litert", "numpy", "pillow"], compare))
