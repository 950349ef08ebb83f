#!/usr/bin/python3
"""Float forward of MobileNetV2 beside torch.jit (python3-torch): same weights, same images, in turn.

First the outputs are compared, then each line gives both times and the median ratio (at most 1.2 is wanted).
  benchmarks/peers/forward.py [--build build/benchmarks] [--rounds 15]
"""
import argparse
import pathlib
import tempfile

import numpy
import torch

import mobilenet_v2
import side_by_side


class Network(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.layers = mobilenet_v2.layers()
        self.parts = torch.nn.ModuleList()
        for (kind, _, inputs, outputs, kernel, stride, _), values in zip(self.layers, mobilenet_v2.weights(folder / "weights.f32")):
            if values is None:
                self.parts.append(torch.nn.Identity())
                continue
            groups = inputs if kind == "depthwise" else 1
            if kind == "dense":
                part = torch.nn.Linear(inputs, outputs)
                values = (values[0][:, :, 0, 0], values[1])
            else:
                part = torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
            part.weight.data, part.bias.data = map(torch.tensor, values)
            self.parts.append(part)

    def forward(self, x):
        made = []
        for (kind, source, _, _, _, _, clamped), part in zip(self.layers, self.parts):
            if kind == "add":
                y = made[source[0]] + made[source[1]]
            elif kind == "pool":
                y = made[source].mean((2, 3))
            else:
                y = part(x if source < 0 else made[source])
            made.append(torch.nn.functional.relu6(y) if clamped else y)
        return made[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=side_by_side.BUILD)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("float forward, MobileNetV2 224x224       ours ms   torch jit ms   ratio")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for batch in (1, 16):
            with tempfile.TemporaryDirectory() as name, torch.no_grad():
                folder = pathlib.Path(name)
                with side_by_side.Ours(options.build / "forward", folder, batch, threads) as ours:
                    images = numpy.fromfile(folder / "input.f32", numpy.float32).reshape(batch, 224, 224, 3)
                    wanted = numpy.fromfile(folder / "output.f32", numpy.float32).reshape(batch, 1000)
                    x = torch.tensor(images.transpose(0, 3, 1, 2).copy())
                    network = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(Network(folder).eval(), x)))
                    for _ in range(3):
                        y = network(x).numpy()
                    error = abs(y - wanted).max() / abs(wanted).max()
                    if error > 1e-4:
                        raise SystemExit(f"outputs differ by {error:.1e} of the largest: the networks are not the same")
                    mine, theirs, ratio = side_by_side.compare(ours, lambda: network(x), options.rounds, max(1, 16 // batch), threads)
            print(f"batch {batch:2d}, {threads} thread{'s' if threads > 1 else ' '}                    "
                  f"{1000 * mine / batch:8.2f} {1000 * theirs / batch:14.2f} {ratio:7.2f}", flush=True)


if __name__ == "__main__":
    main()
