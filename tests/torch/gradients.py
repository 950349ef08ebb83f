#!/usr/bin/python3
"""Gradients of every operator of a Model, and of fake quantization with trained thresholds, beside those of PyTorch.

The program torch_gradients computes outputs and gradients on fixed numbers; here the same is written with PyTorch's
operators and differentiated by autograd: operators in float64, so that the difference is the rounding of our float32;
fake quantization with PyTorch's own operators, which know float32 alone, and the chain rule from scale and zero point to
our factors left to autograd.
  gradients.py PROGRAM
Exit code 77: skipped, because there is no PyTorch; 1: a gradient differs.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TEST = "differential.torch_gradients"
DEBIAN = "/usr/bin/python3"  # python3-torch is a package of this one

try:
    import numpy
    import torch
    import torch.nn.functional as F
except ImportError:
    if os.path.realpath(sys.executable) != os.path.realpath(DEBIAN) and os.path.exists(DEBIAN):
        os.execv(DEBIAN, [DEBIAN, "-B", *sys.argv])
    print(f"SKIPPED {TEST}: PyTorch is absent (Debian: python3-torch)", flush=True)
    sys.exit(77)

# Of the largest element of an array, whose terms are float32 numbers, each rounded to 6e-8 of itself.
TOLERANCE = 2e-6


def channels_first(values, extent):
    """An image [height, width, channels] as [1, channels, height, width], in memory too: PyTorch 1.13 differentiates
    batch_norm on permuted memory wrongly."""
    return values.reshape(extent).permute(2, 0, 1)[None].contiguous()


def padded(x, case, value=0.0):
    top, left, bottom, right = case["padding"]
    return F.pad(x, (left, right, top, bottom), value=value)


def convolution(x, case, w, b):
    height, width = case["kernel"]
    w = w.reshape(case["out"][2], height, width, -1).permute(0, 3, 1, 2)
    return F.conv2d(padded(x[0], case), w, b, case["stride"], 0, case["dilation"], case["groups"])


def depthwise(x, case, w, b):
    height, width = case["kernel"]
    w = w.reshape(height, width, case["out"][2]).permute(2, 0, 1)[:, None]
    return F.conv2d(padded(x[0], case), w, b, case["stride"], 0, case["dilation"], case["in"][0][2])


def dense(x, case, w, b):
    row = x[0].permute(0, 2, 3, 1).reshape(1, -1)
    return F.linear(row, w.reshape(case["out"][2], -1), b)[:, :, None, None]


def batch_normalization(x, case):
    mean, variance, gamma, beta = (torch.tensor(case[key], dtype=torch.float64) for key in ("mean", "variance", "gamma", "beta"))
    return F.batch_norm(x[0], mean, variance, gamma, beta, False, 0.0, case["epsilon"])


def max_pool(x, case):
    return F.max_pool2d(padded(x[0], case, -float("inf")), case["kernel"], case["stride"], 0, case["dilation"])


def average_pool(x, case):
    def sums(values):
        return F.avg_pool2d(padded(values, case), case["kernel"], case["stride"], divisor_override=1)

    taps = case["kernel"][0] * case["kernel"][1]
    return sums(x[0]) / (taps if case["counted"] else sums(torch.ones_like(x[0])))


def reshape(x, case):
    if case["channels_first"]:
        height, width, channels = case["out"]
        return x[0].reshape(1, channels, height, width)
    return channels_first(x[0].permute(0, 2, 3, 1).reshape(-1), case["out"])


def resize(x, case):
    size, lattice = case["out"][:2], case["lattice"]
    if not case["nearest"] and lattice != "asymmetric":  # both half-pixel lattices are the same beyond an output of one pixel
        return F.interpolate(x[0], size, mode="bilinear", align_corners=lattice == "align_corners")
    if case["nearest"] and lattice == "asymmetric":
        return F.interpolate(x[0], size, mode="nearest")
    # The others are no modes of PyTorch: here is what ONNX says of them, as one matrix for each axis.
    rows, columns = (resize_matrix(before, after, case["nearest"], lattice) for before, after in zip(x[0].shape[2:], size))
    return torch.einsum("rh,nchw,sw->ncrs", rows, x[0], columns)


def resize_matrix(before, after, nearest, lattice):
    """https://onnx.ai/onnx/operators/onnx__Resize.html, nearest_mode round_prefer_floor."""
    matrix = torch.zeros(after, before, dtype=torch.float64)
    for i in range(after):
        at = {"half_pixel": (i + 0.5) * before / after - 0.5, "pytorch_half_pixel": (i + 0.5) * before / after - 0.5,
              "asymmetric": i * before / after, "align_corners": i * (before - 1) / (after - 1)}[lattice]
        if nearest:
            matrix[i, min(max(int(numpy.ceil(at - 0.5)), 0), before - 1)] = 1
            continue
        at = min(max(at, 0.0), before - 1.0)
        low = min(int(at), before - 2)
        matrix[i, low] += 1 - (at - low)
        matrix[i, low + 1] += at - low
    return matrix


OPERATORS = {
    "convolution": convolution,
    "depthwise": depthwise,
    "dense": dense,
    "batch_normalization": batch_normalization,
    "add": lambda x, case: x[0] + x[1],
    "multiply": lambda x, case: x[0] * x[1],
    "concat": lambda x, case: torch.cat(x, dim=(2, 3, 1)[case["axis"]]),
    "max_pool": max_pool,
    "average_pool": average_pool,
    "global_average_pool": lambda x, case: F.adaptive_avg_pool2d(x[0], 1),
    "pad": lambda x, case: padded(x[0], case, case["value"]),
    "reshape": reshape,
    "resize": resize,
    "softmax": lambda x, case: F.softmax(x[0], dim=1),
    "clamp": lambda x, case: x[0],
    "hard_swish": lambda x, case: F.hardswish(x[0]),
    "hard_sigmoid": lambda x, case: torch.clamp(case["slope"] * x[0] + case["intercept"], 0.0, 1.0),
    "sigmoid": lambda x, case: torch.sigmoid(x[0]),
}


def of_operator(case, arrays):
    """Output and gradients of an operator, by the names that the program gives them."""
    def leaf(name):
        return torch.tensor(arrays[name], dtype=torch.float64, requires_grad=True)

    inputs = [leaf(f"x{i}") for i in range(len(case["in"]))]
    weighted = [leaf("w"), leaf("b")] if "w" in arrays else []
    y = OPERATORS[case["op"]]([channels_first(x, extent) for x, extent in zip(inputs, case["in"])], case, *weighted)
    if "low" in case or "high" in case:
        y = torch.clamp(y, case.get("low"), case.get("high"))
    y = y[0].permute(1, 2, 0).reshape(-1)
    y.backward(torch.tensor(arrays["dy"], dtype=torch.float64))
    made = {"y": y, **{f"dx{i}": x.grad for i, x in enumerate(inputs)}}
    if weighted:
        made["dw"], made["db"] = (each.grad for each in weighted)
    return made


def learnable(x, scale, zero, case):
    """PyTorch's learnable fake quantization: gradients of x, scale and zero point."""
    if "axis" in case:
        return torch._fake_quantize_learnable_per_channel_affine(x, scale, zero, case["axis"], case["low"], case["high"], 1.0)
    return torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero, case["low"], case["high"], 1.0)


def fixed(x, scale, zero, case):
    """PyTorch's fake quantization with fixed parameters: the gradient of x."""
    zero = torch.clamp(torch.round(zero.detach()), case["low"], case["high"]).to(torch.int32)
    if "axis" in case:
        return torch.fake_quantize_per_channel_affine(x, scale.detach(), zero, case["axis"], case["low"], case["high"])
    return torch.fake_quantize_per_tensor_affine(x, scale.detach(), zero, case["low"], case["high"])


def of_threshold(case, arrays):
    """Fake quantization whose scale and zero point follow from the factors, and the same with fixed parameters."""
    x = torch.tensor(arrays["x0"]).reshape(case["shape"]).requires_grad_()
    dy = torch.tensor(arrays["dy"]).reshape(case["shape"])
    factors = torch.tensor(arrays["factors"], requires_grad=True)
    low, high = torch.tensor(case["ranges"]).T
    origin = 0.0
    if case["op"] == "symmetric_threshold":
        scale = factors * torch.maximum(low.abs(), high.abs()) / case["steps"]
        zero = torch.zeros_like(scale)
    else:
        if len(factors) == len(low):  # the left limit is held at 0
            left, width = torch.zeros_like(low), factors * high
        else:
            left_factor, width_factor = factors.reshape(2, -1)
            left, width = low + left_factor * (high - low), width_factor * (high - low)
        scale = width / case["steps"]
        if case["op"] == "offset_threshold":
            origin, zero = left, torch.full_like(low, case["low"])
        else:
            zero = case["low"] - left / scale
            # A zero point that is clipped to a code does not move with the limits. PyTorch passes its gradient on as if it did;
            # ours is that of the zero point that is used.
            zero = torch.where((zero < case["low"]) | (zero > case["high"]), zero.detach(), zero)
    y = learnable(x - origin, scale, zero, case) + origin
    y.backward(dy)
    made = {"y": y, "dx0": x.grad, "dfactors": factors.grad}
    if case["op"] == "offset_threshold":
        return [made]
    again = x.detach().clone().requires_grad_()
    z = fixed(again, scale, zero, case)
    z.backward(dy)
    return [made, {"y": z, "dx0": again.grad}]


def check_clipped_zero_point():
    """The one known difference, which docs/gradients.md tells: a message where PyTorch has changed."""
    zero = torch.tensor([-10.0], requires_grad=True)
    learnable(torch.tensor([-1.0]), torch.tensor([0.1]), zero, {"low": 0, "high": 255}).backward(torch.tensor([1.0]))
    return [] if zero.grad.item() != 0 else ["PyTorch's gradient of a clipped zero point is 0; docs/gradients.md says it is not"]


def of_pointwise(case, arrays):
    w = torch.tensor(arrays["x0"]).reshape(case["shape"]).requires_grad_()
    factors = torch.tensor(arrays["factors"]).reshape(case["shape"]).requires_grad_()
    scale = torch.tensor(case["scales"])
    y = fixed(w * torch.clamp(factors, 0.75, 1.25), scale, torch.zeros_like(scale), case)
    y.backward(torch.tensor(arrays["dy"]).reshape(case["shape"]))
    return [{"y": y, "dx0": w.grad, "dfactors": factors.grad}]


def differences(name, made, arrays):
    """Messages on what is not what PyTorch makes of it, and the largest difference."""
    problems, largest = [], 0.0
    for key, wanted in made.items():
        wanted, found = wanted.detach().reshape(-1).double().numpy(), arrays[key].astype(numpy.float64)
        if found.shape != wanted.shape or not numpy.isfinite(wanted).all():
            problems.append(f"{name}: {key} has {found.size} elements, PyTorch's has {wanted.size}, finite: {numpy.isfinite(wanted).all()}")
            continue
        error = abs(found - wanted).max() / max(abs(wanted).max(), 1e-30)
        largest = max(largest, error)
        if not error <= TOLERANCE:
            problems.append(f"{name}: {key} differs by {error:.1e} of its largest element")
    return problems, largest


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        cases = json.loads((Path(folder) / "cases.json").read_text())
        with numpy.load(Path(folder) / "arrays.npz") as file:
            everything = dict(file)
    problems, worst = check_clipped_zero_point(), {}
    for number, case in enumerate(cases):
        arrays = {key.split("/", 1)[1]: value for key, value in everything.items() if key.startswith(f"{number}/")}
        if case["op"] in OPERATORS:
            made = [of_operator(case, arrays)]
        else:
            made = of_pointwise(case, arrays) if case["op"] == "pointwise" else of_threshold(case, arrays)
        for each in made:
            if not each.keys() >= {key for key in arrays if key[0] == "d" and key != "dy"} - {"dfactors"}:
                problems.append(f"{case['op']} {number}: not every gradient was compared")
            found, largest = differences(f"{case['op']} {number}", each, arrays)
            problems += found
            worst[case["op"]] = max(worst.get(case["op"], 0.0), largest)
    for name in sorted(OPERATORS.keys() - worst.keys()):
        problems.append(f"{name}: no case")
    for name, error in worst.items():
        print(f"{name:22s} {error:.1e}")
    print("\n".join(problems) or f"{len(cases)} cases: outputs and gradients are those of PyTorch {torch.__version__}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
