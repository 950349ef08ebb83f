#!/usr/bin/env python3
"""Exported files in ONNX Runtime and LiteRT beside this library, code for code.

Quantizes real networks with `fat quantize`, writes .npz, .onnx and .tflite, and compares
  * LiteRT's reference kernels with the reference kernels here (two roundings; one in FULLY_CONNECTED): every tensor, no code may differ;
  * LiteRT's built-in kernels and XNNPACK with the integer engine: output codes, top-1;
  * ONNX Runtime with the integer engine: every layer on the same input codes (at most 0.1 % of the codes may differ, by one),
    output codes, top-1; with session.x64quantprecision 0 and 1;
  * models made by onnxruntime.quantization.quantize_static, run by `fat run`, with ONNX Runtime.
Inputs are put on the input's grid first, so that no runtime's rounding of the input itself is measured.
Exit code 77: skipped, because the packages could not be installed or the data are absent; 1: a target was missed.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PACKAGES = ["onnx", "onnxruntime", "ai-edge-litert", "numpy"]
PROJECT = Path(__file__).resolve().parents[2]


def skip(reason):
    print(f"SKIPPED interop.runtimes: {reason}", flush=True)
    sys.exit(77)


def restart_in_environment(build):
    """Makes a virtual environment in the build folder, installs the runtimes, and runs this script in it."""
    folder = build / "interop-venv"
    python = folder / "bin" / "python"
    marker = folder / "complete"
    if not marker.exists():
        try:
            venv.create(folder, with_pip=True, clear=True)
            done = subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], capture_output=True, text=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as problem:
            skip(f"no virtual environment: {problem}")
        if done.returncode != 0:
            skip("the runtimes cannot be installed: " + done.stderr.strip().splitlines()[-1])
        marker.touch()
    os.execv(python, [str(python), *sys.argv, "--in-environment"])


class Failures:
    def __init__(self):
        self.messages = []

    def expect(self, ok, message):
        if not ok:
            self.messages.append(message)
            print("  MISSED:", message, flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, required=True, help="build folder with the program fat")
    arguments.add_argument("--device-codes", type=Path, required=True, help="the program device_codes")
    arguments.add_argument("--data", type=Path, default=Path(os.environ.get("FAT_DATA_DIR", PROJECT.parent / "shared" / "data")))
    arguments.add_argument("--images", type=int, default=4, help="images to compare on")
    arguments.add_argument("--markdown", type=Path, help="write the table here")
    arguments.add_argument("--in-environment", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if not options.in_environment:
        restart_in_environment(options.build.resolve())
    from comparison import compare_all

    if not (options.data / "models").is_dir():
        skip(f"{options.data} is absent")
    failures = Failures()
    with tempfile.TemporaryDirectory() as folder:
        compare_all(options, Path(folder), failures)
    print("all targets met" if not failures.messages else f"{len(failures.messages)} targets missed")
    return 1 if failures.messages else 0


if __name__ == "__main__":
    sys.exit(main())
