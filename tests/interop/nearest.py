#!/usr/bin/env python3
"""Nearest resizes beside ONNX Runtime and LiteRT, pixel for pixel.

Draws extents up to 64 and modes, and compares
  * `fat run` on a float ONNX file with the mode's definition, in whole numbers: no pixel may differ;
  * ONNX Runtime on that file with the definition: it computes places in float, so places just on the border of two pixels may fall to the
    other side; no other pixel may differ;
  * the .onnx file that `fat quantize` writes, in ONNX Runtime: no pixel may differ, but where no mode of the format avoids such places;
  * the .tflite file, in LiteRT's reference kernels: no pixel may differ, or nothing is written.
Exit code 77: skipped, because the packages could not be installed or the data are absent; 1: a target was missed.
"""
import math
import subprocess
import sys
from fractions import Fraction

from environment import run_comparisons

COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")
MODES = {"floor": math.floor, "ceil": math.ceil, "round_prefer_floor": lambda x: math.ceil(x - Fraction(1, 2)),
         "round_prefer_ceil": lambda x: math.floor(x + Fraction(1, 2))}


def place(i, size, out, coordinates):
    """Where output coordinate i falls in the input, exactly."""
    if coordinates == "asymmetric":
        return Fraction(i * size, out)
    if coordinates == "align_corners":
        return Fraction(i * (size - 1), out - 1) if out > 1 else Fraction(0)
    if coordinates == "pytorch_half_pixel" and out == 1:
        return Fraction(0)
    return Fraction((2 * i + 1) * size, 2 * out) - Fraction(1, 2)


def on_border(x, mode):
    """Whether the smallest error of the place may give another pixel."""
    return (2 * x).denominator == 1 if mode.startswith("round") else x.denominator == 1


def compare(options, folder, failures):
    import numpy as np
    import onnx
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    fat, rng = options.build / "fat", np.random.default_rng(1)
    helper = onnx.helper
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3

    def fat_command(*words):
        done = subprocess.run([str(fat), *map(str, words)], capture_output=True, text=True)
        return done.returncode, done.stderr

    pixels = bordering = exported = moved = refused = 0
    (folder / "images").mkdir()
    for _ in range(300):
        size, out = (int(n) for n in rng.integers(1, 65, 2))
        coordinates, mode = COORDINATES[rng.integers(len(COORDINATES))], list(MODES)[rng.integers(4)]
        places = [place(i, size, out, coordinates) for i in range(out)]
        defined = np.array([min(max(MODES[mode](x), 0), size - 1) for x in places])
        graph = helper.make_graph(
            [helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="nearest", coordinate_transformation_mode=coordinates, nearest_mode=mode)],
            "nearest", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 1, size])],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)], [onnx.numpy_helper.from_array(np.array([1, 1, 1, out], np.int64), "s")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), folder / "nearest.onnx")
        # A ramp up to 255 is exact in codes of step 1; pixel p is worth p.
        image = np.arange(size, dtype=np.float32).reshape(1, 1, 1, size)
        np.save(folder / "x.npy", image)
        np.save(folder / "images" / "0.npy", np.where(image == size - 1, np.float32(255), image)[0])
        name = f"{size} to {out}, {coordinates}, {mode}"
        code, text = fat_command("run", folder / "nearest.onnx", "--input", folder / "x.npy", "-o", folder / "y.npy")
        failures.expect(code == 0 and (np.load(folder / "y.npy").ravel() == defined).all(), f"{name}: fat takes other pixels {text}")
        theirs = onnxruntime.InferenceSession(str(folder / "nearest.onnx"), quiet).run(None, {"x": image})[0].ravel()
        differ = theirs != defined
        pixels, bordering = pixels + out, bordering + int(differ.sum())
        failures.expect(all(on_border(x, mode) for x, each in zip(places, differ) if each), f"{name}: ONNX Runtime takes other pixels")
        outputs = [folder / "q.onnx", folder / "q.tflite"]
        for path in outputs:
            path.unlink(missing_ok=True)
        for path in outputs:
            code, text = fat_command("quantize", folder / "nearest.onnx", "--images", folder / "images", "-o", path, "--rescale", "none", "--finetune", "none")
            failures.expect(code == 0 or "which no mode of the format takes" in text, f"{name}: {text}")
        exported += 1
        written = onnxruntime.InferenceSession(str(outputs[0]), quiet).run(None, {"x": image})[0].ravel()
        moved += int((np.rint(written) != defined).any())
        if not outputs[1].exists():
            refused += 1
            continue
        lite = Interpreter(str(outputs[1]), num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        lite.allocate_tensors()
        entry, end = lite.get_input_details()[0], lite.get_output_details()[0]
        step, zero = entry["quantization"]
        lite.set_tensor(entry["index"], (np.rint(image / step) + zero).astype(np.int8).reshape(entry["shape"]))
        lite.invoke()
        found = (lite.get_tensor(end["index"]).astype(np.float32) - zero) * step
        failures.expect((np.rint(found.ravel()) == defined).all(), f"{name}: LiteRT takes other pixels of the exported file")
    failures.expect(bordering <= 0.01 * pixels and moved <= 0.02 * exported, "ONNX Runtime differs too often")
    lines = [f"ONNX Runtime and the definition: {bordering} of {pixels} pixels differ, each on the border of two",
             f"exported .onnx files with another pixel in ONNX Runtime: {moved} of {exported}; .tflite files refused: {refused}, the others equal"]
    print("\n".join(lines))
    return lines


if __name__ == "__main__":
    sys.exit(run_comparisons("interop.nearest", __doc__, ["onnx", "onnxruntime", "ai-edge-litert", "numpy"], compare))
