#!/usr/bin/env python3
"""Files made by TensorFlow's converter, run here and by LiteRT, code for code.

The networks of the data folder and one of further operators are built in TensorFlow, quantized by its converter (weights per channel and
per tensor; int8, uint8 and float inputs and outputs) and compared on real images:
  * LiteRT's reference kernels with the reference kernels here: every tensor, no code may differ;
  * LiteRT with XNNPACK with the integer engine (`fat run`): output codes, top-1.
Exit code 77: skipped, because TensorFlow could not be installed or the data are absent; 1: a target was missed.
"""
import sys

from environment import run_comparisons


def compare(options, folder, failures):
    from converted import compare_all

    return compare_all(options, folder, failures)


if __name__ == "__main__":
    sys.exit(run_comparisons("interop.converter", __doc__, ["onnx", "tensorflow-cpu", "ai-edge-litert", "numpy"], compare))
