#!/usr/bin/env python3
"""Measures what quantization costs on real models and prints the table of the README in Markdown.

    benchmarks/accuracy/post_training.py [--fat build/fat] [--data ../shared/data] [--threads 2] [--models "A;B"] [--ways "A;B"]

Every row is one run of `fat quantize` on the calibration images, measured on the evaluation images. A new pipeline is one
line in WAYS, a new network one line in support.MODELS. Only Python's standard library is needed.
"""
import json
import os
import tempfile
import time

import support

PLAIN = ["--quality", "fast", "--bias-correction", "off", "--rescale", "none"]

# name: options of `fat quantize`
WAYS = {
    "scalar, symmetric": ["--granularity", "scalar", "--scheme", "symmetric", *PLAIN],
    "scalar, asymmetric": ["--granularity", "scalar", "--scheme", "asymmetric", *PLAIN],
    "per-channel, symmetric": ["--granularity", "per-channel", "--scheme", "symmetric", *PLAIN],
    "per-channel, asymmetric": ["--granularity", "per-channel", "--scheme", "asymmetric", *PLAIN],
}

# What can be added to plain quantization, one after another; trained, where it is, on the calibration images alone.
CORRECTED = ["--rescale", "auto", "--bias-correction", "auto", "--rounding", "learned"]
PIPELINES = {
    "rescale": ["--quality", "fast", "--bias-correction", "off", "--rescale", "depthwise"],
    "equalize": ["--quality", "fast", "--bias-correction", "off", "--rescale", "equalize"],
    "rescale, bias correction": ["--quality", "fast", "--rescale", "depthwise", "--bias-correction", "on"],
    "balance": ["--quality", "fast", "--bias-correction", "off", "--rescale", "balance"],
    "balance, bias correction": ["--quality", "fast", "--rescale", "balance", "--bias-correction", "on"],
    "balance, bias correction, learned rounding": ["--rescale", "balance", "--bias-correction", "on", "--rounding", "learned",
                                                   "--finetune", "none"],
    "auto, bias correction, learned rounding": [*CORRECTED, "--finetune", "none"],
    "auto, bias correction, learned rounding, thresholds": [*CORRECTED, "--finetune", "thresholds"],
    "rescale, thresholds": ["--quality", "fast", "--bias-correction", "off", "--rescale", "depthwise", "--finetune", "thresholds"],
    "rescale, thresholds and factors": ["--quality", "fast", "--bias-correction", "off", "--rescale", "depthwise", "--finetune", "both"],
    "all": [*CORRECTED, "--finetune", "both"],
}
BASES = {name: options[:4] for name, options in WAYS.items()}
PIPELINE_WAYS = {f"{base}: {name}": [*options, *steps] for base, options in BASES.items() for name, steps in PIPELINES.items()}


def measure(arguments, model, way):
    """One `fat quantize`: its figures, the seconds of the whole run and its peak memory in MiB."""
    file, of_model = support.MODELS[model]
    images = os.path.join(arguments.data, "imagenet")
    with tempfile.TemporaryDirectory() as folder:
        figures = os.path.join(folder, "figures.json")
        words = ["quantize", os.path.join(arguments.data, file),
                 "--images", os.path.join(images, "calibration"), "--evaluate", os.path.join(images, "evaluation"),
                 "--labels", os.path.join(images, "labels.txt"), *of_model, *{**WAYS, **PIPELINE_WAYS}[way],
                 "--threads", str(arguments.threads), "--json", figures, "-o", os.path.join(folder, "model.npz")]
        begin = time.monotonic()
        support.run(arguments.fat, *words)
        seconds = time.monotonic() - begin
        with open(figures) as file:
            return json.load(file), seconds


def main():
    parser = support.parser(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", help="names separated by semicolons; all of them unless given")
    parser.add_argument("--ways", help="names separated by semicolons; the four plain ones unless given")
    parser.add_argument("--pipelines", action="store_true", help="the plain ways and every pipeline on top of each")
    arguments = parser.parse_args()
    models = support.chosen(arguments.models, support.MODELS, "--models")
    every = {**WAYS, **PIPELINE_WAYS}
    ways = support.chosen(arguments.ways, every, "--ways") if arguments.ways or arguments.pipelines else list(WAYS)
    support.demand(arguments.fat, *(os.path.join(arguments.data, support.MODELS[model][0]) for model in models))
    print("| network | weights, activations | top-1 | float top-1 | agreement | logit RMSE | SQNR dB | seconds: evaluation, all "
          "| peak MiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for model in models:
        for way in ways:
            figures, seconds = measure(arguments, model, way)
            q = figures["quantized"]
            print(f"| {model} | {way} | {q['top1']:.4f} | {figures['float']['top1']:.4f} | {q['agreement']:.4f} | "
                  f"{q['logit_rmse']:.3f} | {q['sqnr_db']:.1f} | {figures['seconds']['evaluate']:.0f}, {seconds:.0f} | "
                  f"{figures['peak_rss_mib']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
