#!/usr/bin/env python3
"""What each step of the pipeline gains on images it has not seen: one row a pipeline, printed in Markdown.

    benchmarks/accuracy/folds.py [--fat build/fat] [--data ../shared/data] [--threads 2] [--models "A;B"] [--ways "A;B"] [--seeds 0,1]

100 images calibrate; the 400 evaluation images, sorted by name, lie in four folds: trained without labels on three, measured on the
fourth, all four pooled. Logits stay float. A pipeline is one line in WAYS: settings of the program benchmarks/finetune_accuracy.
"""
import os
import time

import support

UNTRAINED, THRESHOLDS = "train=none", "train=activations+weights"
BIASES, EVERYTHING = THRESHOLDS + "+biases", THRESHOLDS + "+biases+factors"
CHOSEN = "correct=learned train=activations+biases rate=0.001"
STEPS = {
    "scalar": {
        "nothing": UNTRAINED,
        "rescale": f"rescale=depthwise {UNTRAINED}",
        "rescale, thresholds": f"rescale=depthwise {THRESHOLDS}",
        "rescale, thresholds, biases": f"rescale=depthwise {BIASES}",
        "rescale, thresholds, biases, factors": f"rescale=depthwise {EVERYTHING}",
        "rescale, factors": "rescale=depthwise train=factors",
        "rescale, bias correction": f"rescale=depthwise correct=nearest {UNTRAINED}",
        "balance": f"rescale=balance {UNTRAINED}",
        "balance, bias correction": f"rescale=balance correct=nearest {UNTRAINED}",
        "equalize": f"rescale=equalize {UNTRAINED}",
        "all": f"rescale=auto {CHOSEN}",
    },
    "per-channel": {
        "nothing": UNTRAINED,
        "rescale": f"rescale=depthwise {UNTRAINED}",
        "balance": f"rescale=balance {UNTRAINED}",
        "equalize": f"rescale=equalize {UNTRAINED}",
        "thresholds": THRESHOLDS,
        "thresholds, biases": BIASES,
        "thresholds, biases, factors": EVERYTHING,
        "all": f"rescale=auto {CHOSEN}",
    },
}
WAYS = {f"{granularity}, {scheme}: {step}": f"granularity={granularity} scheme={scheme} {settings}"
        for granularity, steps in STEPS.items() for scheme in ("symmetric", "asymmetric") for step, settings in steps.items()}


def measure(program, model, data, *settings):
    """The line over all folds as words (top-1, agreement, RMSE before; the same after; ratio), and the seconds of the run."""
    begin = time.monotonic()
    lines = support.run(program, model, data, *settings).splitlines()
    return lines[-1].split()[1:], time.monotonic() - begin


def main():
    parser = support.parser(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", default="0", help="numbers separated by commas; their figures are pooled")
    parser.add_argument("--models", help="names separated by semicolons; all of them unless given")
    parser.add_argument("--ways", help="names separated by semicolons; all of them unless given")
    arguments = parser.parse_args()
    models = support.chosen(arguments.models, support.MODELS, "--models")
    ways = support.chosen(arguments.ways, WAYS, "--ways")
    program = os.path.join(os.path.dirname(arguments.fat), "benchmarks", "finetune_accuracy")
    files = {model: os.path.join(arguments.data, support.MODELS[model][0]) for model in models}
    support.demand(program, *files.values())
    print("| network | one step for each, activations: steps | top-1 | agreement | logit RMSE | seconds |")
    print("|---|---|---|---|---|---|")
    for model in models:
        for way in ways:
            found, seconds = measure(program, files[model], os.path.join(arguments.data, "imagenet"), *WAYS[way].split(),
                                     f"threads={arguments.threads}", f"seeds={arguments.seeds}")
            top1, agreement, rmse = found[3:6]
            print(f"| {model} | {way} | {top1} | {agreement} | {rmse} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
