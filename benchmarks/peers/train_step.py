#!/usr/bin/python3
"""The training step of benchmarks/train_step.cpp in PyTorch: MobileNetV2 at 224x224 with learnable fake quantization.

Needs PyTorch (Debian: python3-torch). Weights are random: only the shapes matter.
  peers/train_step.py [--batch 16] [--threads 1] [--repeat 5] [--json FILE]
Rows: float forward, float forward + backward, and the whole step: per-tensor learnable fake quantization of every
activation, per-channel of every weight, root mean square loss against a teacher, Adam over all scales.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn


class Quantized(nn.Module):
    """Convolution or dense layer, clamp, and learnable fake quantization of weights and output."""

    def __init__(self, layer, clamp, quantized):
        super().__init__()
        self.layer, self.clamp, self.quantized = layer, clamp, quantized
        for parameter in layer.parameters():
            parameter.requires_grad_(not quantized)
        if not quantized:
            return
        channels = layer.weight.shape[0]
        largest = layer.weight.detach().flatten(1).abs().amax(1)
        self.weight_scale = nn.Parameter(largest / 127)
        self.register_buffer("weight_zero", torch.zeros(channels))
        self.scale = nn.Parameter(torch.tensor([6 / 255.0 if clamp else 8 / 127.0]))
        self.register_buffer("zero", torch.zeros(1))
        self.low = 0 if clamp else -127
        self.high = 255 if clamp else 127

    def forward(self, x):
        layer = self.layer
        weight = layer.weight
        if self.quantized:
            weight = torch._fake_quantize_learnable_per_channel_affine(
                weight, self.weight_scale, self.weight_zero, 0, -127, 127, 1.0)
        if isinstance(layer, nn.Linear):
            y = nn.functional.linear(x, weight, layer.bias)
        else:
            y = nn.functional.conv2d(x, weight, layer.bias, layer.stride, layer.padding, 1, layer.groups)
        if self.clamp:
            y = nn.functional.relu6(y)
        return fake(y, self) if self.quantized else y


def fake(y, holder):
    return torch._fake_quantize_learnable_per_tensor_affine(y, holder.scale, holder.zero, holder.low, holder.high, 1.0)


class Sum(nn.Module):
    def __init__(self, body, quantized):
        super().__init__()
        self.body, self.quantized = body, quantized
        self.scale = nn.Parameter(torch.tensor([8 / 127.0]))
        self.register_buffer("zero", torch.zeros(1))
        self.low, self.high = -127, 127

    def forward(self, x):
        y = x + self.body(x)
        return fake(y, self) if self.quantized else y


def mobilenet_v2(quantized):
    def conv(inputs, outputs, kernel=1, stride=1, groups=1, clamp=True):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        return Quantized(layer, clamp, quantized)

    layers, inputs = [conv(3, 32, 3, 2)], 32
    for expansion, outputs, count, first_stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                                    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for index in range(count):
            stride = first_stride if index == 0 else 1
            hidden = inputs * expansion
            block = [] if expansion == 1 else [conv(inputs, hidden)]
            block += [conv(hidden, hidden, 3, stride, hidden), conv(hidden, outputs, clamp=False)]
            body = nn.Sequential(*block)
            layers.append(Sum(body, quantized) if stride == 1 and inputs == outputs else body)
            inputs = outputs
    layers += [conv(inputs, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Quantized(nn.Linear(1280, 1001), False, quantized)]
    return nn.Sequential(*layers)


def median(work, repeat):
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    images = torch.rand(options.batch, 3, 224, 224) * 2 - 1
    plain, student = mobilenet_v2(False), mobilenet_v2(True)
    if options.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
        plain, student = (n.to(memory_format=torch.channels_last) for n in (plain, student))
    with torch.no_grad():
        teacher = plain(images)
    trained = [p for p in student.parameters() if p.requires_grad]
    adam = torch.optim.Adam(trained, lr=1e-6)

    def loss(network):
        return ((network(images) - teacher) ** 2).sum().div(options.batch).add(1e-9).sqrt()

    def forward():
        with torch.no_grad():
            plain(images)

    def both():
        plain.zero_grad()
        loss(plain).backward()

    def step():
        adam.zero_grad()
        loss(student).backward()
        adam.step()

    figures = {}
    for name, work in [("float_forward", forward), ("float_forward_backward", both), ("train_step", step)]:
        key = f"torch/{name}/mobilenet_v2/batch:{options.batch}/threads:{options.threads}"
        figures[key] = 1000 * median(work, options.repeat) / options.batch
        print(f"{key:70s} {figures[key]:8.2f} ms per image", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()
