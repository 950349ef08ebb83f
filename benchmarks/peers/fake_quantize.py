#!/usr/bin/python3
"""Fake quantization and its backward pass beside PyTorch's learnable one (python3-torch) and beside a copy: the tensors of
benchmarks/fake_quantize.cpp, in turn, on one thread.

First the results are compared, then each line gives the times, ours over torch's (backward: gradients of x, scales and zero
points), and the speed of the matching stream of memory (forward: memcpy; backward: the sum of two tensors) that ours
reaches (at least 0.8 is wanted).
  benchmarks/peers/fake_quantize.py [--build build/benchmarks] [--rounds 15] [--only dram]
"""
import argparse
import contextlib
import pathlib
import statistics
import subprocess
import tempfile

import numpy
import torch

import side_by_side

LOW, HIGH = 0, 255  # with negative zero points the backward pass of PyTorch 1.13 over a tensor takes the next code


def forward(x, _, scale, zero):
    if len(scale) == 1:
        return lambda: [torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero, LOW, HIGH, 1.0)]
    return lambda: [torch._fake_quantize_learnable_per_channel_affine(x, scale, zero, 1, LOW, HIGH, 1.0)]


def backward(x, dy, scale, zero):
    if len(scale) == 1:
        return lambda: torch.ops.aten._fake_quantize_learnable_per_tensor_affine_backward(dy, x, scale, zero, LOW, HIGH, 1.0)
    return lambda: torch.ops.aten._fake_quantize_learnable_per_channel_affine_backward(dy, x, scale, zero, 1, LOW, HIGH, 1.0)


def expect_same(found, made, sums):
    """Reals beside a boundary may round to the other side, so that single elements differ."""
    different = numpy.mean(abs(found - made[0].numpy().ravel()) > 1e-5)
    if different > 1e-3:
        raise SystemExit(f"{different:.1%} of the elements differ: the passes are not the same")
    for mine, theirs in zip(sums, (each.numpy() for each in made[1:])):
        error = abs(mine - theirs).max() / abs(theirs).max()
        if error > 0.02:
            raise SystemExit(f"a sum differs by {error:.1e} of the largest: the passes are not the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=side_by_side.BUILD)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", help="tensors of this name alone: cache, weights or dram")
    options = parser.parse_args()
    torch.set_num_threads(1)
    program = options.build / "fake_quantize"
    shapes = [line.split() for line in subprocess.run([program, "--shapes"], check=True, capture_output=True, text=True).stdout.splitlines()]
    print(f"fake quantization, 1 thread       ours ms   torch {torch.__version__} ms   ours/torch   share of the stream")
    for name, axis, *extents in shapes:
        if options.only not in (None, name):
            continue
        parts = tuple(map(int, extents))
        runs = max(1, 2**23 // (parts[0] * parts[1] * parts[2]))
        for work, stream in ((forward, "memcpy"), (backward, "add3")):
            with contextlib.ExitStack() as stack:
                folders = [pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
                ours, other = (stack.enter_context(side_by_side.Ours(program, folder, what, *extents))
                               for folder, what in zip(folders, (work.__name__, stream)))
                x, dy, out = (numpy.fromfile(folders[0] / f"{each}.f32", numpy.float32) for each in ("x", "dy", "out"))
                scale, zero, *sums = numpy.fromfile(folders[0] / "grids.f32", numpy.float32).reshape(-1, 4).T.copy()
                call = work(*(torch.tensor(each).reshape(parts) for each in (x, dy)), torch.tensor(scale), torch.tensor(zero))
                with torch.no_grad():
                    expect_same(out, call(), sums)
                    mine, theirs, copied = side_by_side.in_turn(
                        [ours.seconds, lambda n: side_by_side.seconds(call, n), other.seconds], options.rounds, runs, 1)
            print(f"{work.__name__:8s} {name:8s} {axis:8s} {1000 * statistics.median(mine):13.3f} {1000 * statistics.median(theirs):18.3f} "
                  f"{side_by_side.ratio(mine, theirs):12.3f} {side_by_side.ratio(copied, mine):15.2f}", flush=True)


if __name__ == "__main__":
    main()
