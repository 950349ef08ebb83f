#!/usr/bin/env python3
"""How far the integer kernels are from the float simulation of the same quantized MobileNetV2, end to end.

    benchmarks/accuracy/integers.py [--fat build/fat] [--data ../shared/data] [--seeds 10] [--calibration 80]

Every seed draws other calibration images; both ways of running the result are measured on the evaluation images. One
image of 400 is 0.25 points of top-1, and ties of 8-bit logits fall either way, so the mean over the seeds is what says
whether the integers are biased.
"""
import json
import os
import tempfile
from statistics import mean, stdev

import support


def main():
    parser = support.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--calibration", type=int, default=80, help="images drawn by each seed")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        support.stop("--seeds: give at least 2")
    model = os.path.join(arguments.data, "models", "mobilenet_v2_1.0_224.onnx")
    images = os.path.join(arguments.data, "imagenet")
    support.demand(arguments.fat, model, images)

    def run(*words):
        support.run(arguments.fat, *words)

    print("| activations | top-1, integers less simulation: mean, deviation, largest | agreement, mean | logit RMSE, integers | simulation |")
    print("|---|---|---|---|---|")
    for scheme in ("symmetric", "asymmetric"):
        top1, agreement, rmse = [], [], {"integers": [], "simulation": []}
        for seed in range(1, arguments.seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                int8, figures = os.path.join(folder, "model.npz"), os.path.join(folder, "figures.json")
                run("quantize", model, "--images", os.path.join(images, "calibration"), "--calibration", arguments.calibration,
                    "--seed", seed, "--scheme", scheme, "--quality", "fast", "--rescale", "none", "--bias-correction", "off", "-o", int8)
                found = {}
                for way, option in (("integers", []), ("simulation", ["--simulate"])):
                    run("evaluate", int8, "--images", os.path.join(images, "evaluation"), "--labels", os.path.join(images, "labels.txt"),
                        "--class-offset", 1, "--reference", model, "--json", figures, *option)
                    with open(figures) as file:
                        found[way] = json.load(file)["quantized"]
                    rmse[way].append(found[way]["logit_rmse"])
            top1.append(found["integers"]["top1"] - found["simulation"]["top1"])
            agreement.append(found["integers"]["agreement"] - found["simulation"]["agreement"])
        print(f"| {scheme} | {mean(top1):+.4f}, {stdev(top1):.4f}, {max(top1, key=abs):+.4f} | {mean(agreement):+.4f} | "
              f"{mean(rmse['integers']):.4f} | {mean(rmse['simulation']):.4f} |", flush=True)


if __name__ == "__main__":
    main()
