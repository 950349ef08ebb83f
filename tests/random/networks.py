#!/usr/bin/env python3
"""Random networks, through every way of running them.

For each seed generator.py draws a network, and
  * `fat run` in float is compared with ONNX Runtime (optimizations off): 2e-4 of the largest output, 5e-3 with normalizations, which
    divide by spreads that may be small; once as the program reads it by itself, once with every shape given and --strict;
  * networks of one input are quantized with options drawn by the seed. Every kernel set and number of threads gives the engine's bits, and
    so do the C header (compiled with gcc, codes) and the .onnx file read again, where that is supported. The simulation, the .onnx file in
    ONNX Runtime and the .tflite file in LiteRT's reference kernels are within two steps of the output and a quarter of its size (root
    mean square): layers may differ by one code (docs/interop.md, docs/integer_engine.md), which those behind them amplify.
A difference beyond its bound is a failure, with the command that repeats it. What is refused with a message is counted, and a failure
where it is more than the shares at the end; any other way of ending is a failure. Exit code 77: skipped, because the packages could not
be installed; 1: failures.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
from environment import restart_in_environment  # noqa: E402

PACKAGES = ["numpy", "onnx", "onnxruntime", "ai-edge-litert"]


class Wrong(Exception):
    """A difference beyond its bound, or an end that is no answer."""


class Trial:
    """One seed in a folder of its own."""

    def __init__(self, options, seed, folder):
        from generator import Network
        self.fat, self.seed, self.folder = options.build / "fat", seed, folder
        self.network = Network(seed)
        self.results = collections.Counter()

    def command(self, *words, **environment):
        """Runs `fat`. Gives nothing, or its message where it refuses."""
        done = subprocess.run([str(self.fat), *map(str, words)], capture_output=True, text=True, env={**os.environ, **environment}, timeout=60)
        last = (done.stderr.strip().splitlines() or [""])[-1]
        if done.returncode == 0:
            return None
        if done.returncode != 1 or not last:
            raise Wrong(f"fat {words[0]} ended with {done.returncode}: {last}")
        return last.replace(str(self.folder) + "/", "")

    def outputs(self, model, *words, to="y.npz", **environment):
        """Outputs of `fat run` by name, or the message."""
        import numpy as np
        refused = self.command("run", self.folder / model, "--input", self.folder / "x.npz", "-o", self.folder / to, *words, **environment)
        return refused if refused else dict(np.load(self.folder / to))

    def float_network(self):
        import numpy as np
        import onnx
        network = self.network
        if network.right is None:
            self.results["not drawn: ONNX Runtime takes the layers, but not the whole"] += 1
            return False
        onnx.save(network.model, self.folder / "net.onnx")
        sample = network.samples(1)[0]
        np.savez(self.folder / "x.npz", **sample)
        shapes = [f"--shape={name}={','.join(map(str, value.shape))}" for name, value in sample.items()]
        for words in (["--strict", *shapes], []):
            made = self.outputs("net.onnx", *words)
            if isinstance(made, str):
                if "not supported" not in made and "too many weights" not in made:
                    raise Wrong("refused: " + made)
                self.results["float refused"] += 1
                self.results["refused: " + made.split(": ", 1)[-1]] += 1
                return False
            if set(made) != set(network.right):
                raise Wrong(f"the outputs are {sorted(made)}, not {sorted(network.right)}")
            for name, value in network.right.items():
                if made[name].shape != value.shape:
                    raise Wrong(f"{name} has shape {made[name].shape}, not {value.shape}")
                bound = (5e-3 if network.loose else 2e-4) * max(float(np.abs(value).max()), 1e-3)
                off = float(np.abs(made[name].astype(np.float64) - value).max())
                if not off <= bound:
                    raise Wrong(f"{name} differs from ONNX Runtime by {off:.3g}, bound {bound:.3g}")
        self.results["float equal"] += 1
        return True


    def options(self):
        """Options of `fat quantize`, drawn by the seed."""
        import numpy as np
        rng = np.random.default_rng([1, self.seed])
        pick = lambda *things: str(things[int(rng.integers(len(things)))])
        words = ["--batch", "4", "--epochs", "1", "--rescale", pick(*["none"] * 6, "auto", "equalize"), "--finetune", pick(*["none"] * 9, "thresholds"),
                 "--rounding", pick(*["nearest"] * 6, "sum", "learned"), "--bias-correction", pick("off", "off", "on", "auto"),
                 "--threads", "1", "--seed", str(self.seed)]
        for option, things in (("--bits", [8, 8, 8, 4, 6, 2, 3]), ("--activation-bits", [8, 8, 8, 8, 7, 5, 4]), ("--scheme", ["asymmetric", "symmetric"]),
                               ("--weight-scheme", ["symmetric", "symmetric", "symmetric", "asymmetric"]),
                               ("--granularity", ["per-channel", "scalar"]), ("--observer", ["minmax", "percentile", "mse", "entropy"]),
                               ("--requantize", ["half-up", "half-up", "half-even", "tflite"])):
            if rng.random() < 0.5:
                words += [option, pick(*things)]
        return words

    def quantized_network(self):
        import numpy as np
        network = self.network
        if len(network.inputs) != 1:
            self.results["not quantized: several inputs"] += 1
            return False
        (self.folder / "images").mkdir(exist_ok=True)
        for i, sample in enumerate(network.samples(6)):
            np.save(self.folder / "images" / f"{i}.npy", sample[network.inputs[0]])
        for path in self.folder.glob("q.*"):
            path.unlink()
        self.words = self.options()
        refused = self.command("quantize", self.folder / "net.onnx", "--images", self.folder / "images", "-o", self.folder / "q.npz", *self.words)
        if refused:
            self.results["quantize refused: " + refused] += 1
            return False
        self.engine = self.expected("q.npz")
        table = subprocess.run([str(self.fat), "inspect", str(self.folder / "q.npz")], capture_output=True, text=True).stdout
        self.steps = {found[0]: float(found[1]) for found in re.findall(r" (\S+) +[0-9x]+ +(\S+) +-?\d+ +-?\d+\.\.", table)}
        if set(self.engine) != set(network.right):
            raise Wrong(f"the outputs of q.npz are {sorted(self.engine)}, not {sorted(network.right)}")
        self.results["quantized"] += 1
        return True

    def expected(self, model, *words, **environment):
        made = self.outputs(model, *words, **environment)
        if isinstance(made, str):
            raise Wrong(f"{model} is refused: {made} ({' '.join(self.words)})")
        return made

    def same(self, what, made):
        """Bit for bit what the engine makes."""
        for name, value in self.engine.items():
            if name not in made or made[name].shape != value.shape or (made[name] != value).any():
                raise Wrong(f"{what} differs from the engine ({' '.join(self.words)})")
        self.results[what + " equal"] += 1

    def near(self, what, made):
        """The deviation from the engine's output beyond two of its steps, in parts of its size: layers differ by one code, and those
        behind them make more of it."""
        import numpy as np
        for name, value in self.engine.items():
            if made[name].shape != value.shape:
                raise Wrong(f"{what}: {name} has shape {made[name].shape}, not {value.shape}")
            off = np.abs(made[name].astype(np.float64) - value)
            off = np.maximum(off - 2 * self.steps.get(name, 0.0), 0.0)
            share = float(np.sqrt((off ** 2).mean()) / max(np.sqrt((value.astype(np.float64) ** 2).mean()), 1e-6))
            self.results[f"{what}: {'equal' if share == 0 else 'below ' + str(2.0 ** int(np.ceil(np.log2(share))))}"] += 1
            if share > 0.25:
                raise Wrong(f"{what} differs from the engine by {share:.3g} of the output ({' '.join(self.words)})")

    def ways_of_running(self):
        self.near("simulation", self.expected("q.npz", "--simulate"))
        listed = self.outputs("q.npz", FAT_KERNEL="none of them")
        for kernels in re.split(", ", listed.partition("it has ")[2]) if isinstance(listed, str) and "it has " in listed else []:
            self.same("kernels", self.expected("q.npz", "--threads", "1", FAT_KERNEL=kernels))
        self.same("two threads", self.expected("q.npz", "--threads", "2"))

    def written_files(self):
        for extension in ("onnx", "tflite", "h"):
            refused = self.command("convert", self.folder / "q.npz", "-o", self.folder / f"q.{extension}")
            if refused:
                self.results[f"{extension} refused: {refused}"] += 1
                continue
            self.results[f"{extension} written"] += 1
            getattr(self, extension)()

    def onnx(self):
        try:
            made = self.network.run(str(self.folder / "q.onnx"), self.network.samples(1)[0])
        except Exception as problem:
            raise Wrong(f"ONNX Runtime refuses q.onnx: {problem} ({' '.join(self.words)})") from problem
        if set(made) != set(self.engine):
            raise Wrong(f"q.onnx has the outputs {sorted(made)}")
        self.near("ONNX Runtime", made)
        again = self.outputs("q.onnx")
        if isinstance(again, str):
            self.results["onnx not read again: " + again] += 1
        else:
            self.same("onnx read again", again)

    def tflite(self):
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
        try:
            interpreter = Interpreter(str(self.folder / "q.tflite"), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as problem:
            raise Wrong(f"LiteRT refuses q.tflite: {problem}") from problem
        taken, made = interpreter.get_input_details(), interpreter.get_output_details()
        (value, *others), (name, *more) = self.network.samples(1)[0].values(), self.engine
        if others or more or len(taken) != 1 or len(made) != 1 or value.size != np.prod(taken[0]["shape"]):
            self.results["LiteRT not compared: several inputs, outputs or rows"] += 1
            return
        value = channels_last(value).reshape(taken[0]["shape"])
        step, zero = taken[0]["quantization"]
        if taken[0]["dtype"] != np.float32:
            limits = np.iinfo(taken[0]["dtype"])
            value = np.clip(np.floor(value / step + 0.5) + zero, limits.min, limits.max).astype(taken[0]["dtype"])
        interpreter.set_tensor(taken[0]["index"], value)
        interpreter.invoke()
        result = interpreter.get_tensor(made[0]["index"])
        if made[0]["dtype"] != np.float32:
            step, zero = made[0]["quantization"]
            result = (result.astype(np.float64) - zero) * step
        self.near("LiteRT", {name: self.as_in_file(result, self.engine[name])})
        again = self.outputs("q.tflite", **{}) if value.ndim != 4 else None
        if isinstance(again, str):
            self.results["tflite not read again: " + again] += 1

    @staticmethod
    def as_in_file(stored, like):
        """Elements as a runtime stores them, in the order of the ONNX file: images there may be channels first."""
        import numpy as np
        flat = np.asarray(stored, np.float64).reshape(-1)
        plain = flat.reshape(like.shape)
        if like.ndim != 4:
            return plain
        n, c, h, w = like.shape
        turned = flat.reshape(n, h, w, c).transpose(0, 3, 1, 2)
        return min(plain, turned, key=lambda each: np.abs(each - like).max())

    def h(self):
        import numpy as np
        codes = self.outputs("q.npz", "--codes", to="codes.npz")
        inputs = self.outputs("q.npz", "--codes", "--tensor", self.network.inputs[0], to="in.npz")
        if isinstance(codes, str) or isinstance(inputs, str) or len(codes) != 1:
            self.results["C not compared: float or several outputs"] += 1
            return
        (given,), (right,) = inputs.values(), codes.values()
        text = ", ".join(str(int(v)) for v in channels_last(given).reshape(-1))
        kind = lambda array: f"{array.dtype}_t"
        (self.folder / "main.c").write_text(f"""#include "q.h"
#include <stdio.h>
int main(void) {{
  static const {kind(given)} input[] = {{{text}}};
  static {kind(right)} output[{right.size}];
  for (int row = 0; row < {right.size} / Q_OUTPUT_SIZE; ++row) q_run(input + row * Q_INPUT_SIZE, output + row * Q_OUTPUT_SIZE);
  for (int i = 0; i < {right.size}; ++i) printf("%d\\n", output[i]);
  return 0;
}}
""")
        compiled = subprocess.run(["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main"], cwd=self.folder,
                                  capture_output=True, text=True)
        if compiled.returncode != 0:
            raise Wrong("gcc refuses q.h: " + compiled.stderr.splitlines()[0])
        made = subprocess.run([str(self.folder / "main")], capture_output=True, text=True, check=True).stdout.split()
        if (self.as_in_file([int(v) for v in made], right.astype(np.float64)) != right).any():
            raise Wrong(f"C differs from the engine ({' '.join(self.words)})")
        self.results["C equal"] += 1


def channels_last(array):
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def one_seed(options, seed):
    with tempfile.TemporaryDirectory() as folder:
        try:
            trial = Trial(options, seed, Path(options.keep or folder))
            if trial.float_network() and not options.float_only:
                if trial.quantized_network():
                    trial.ways_of_running()
                    trial.written_files()
            return seed, trial.results, None, trial.network.stages
        except Exception as problem:  # what a runtime says of a file of ours counts too
            return seed, trial.results, str(problem) or repr(problem), trial.network.stages


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, required=True, help="build folder with the program fat")
    arguments.add_argument("--first", type=int, default=0, help="first seed")
    arguments.add_argument("--count", type=int, default=1, help="how many seeds")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count(), help="seeds at a time")
    arguments.add_argument("--keep", type=Path, help="write the files of one seed here, and keep them")
    arguments.add_argument("--float-only", action="store_true", help="do not quantize")
    arguments.add_argument("--in-environment", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    options.build = options.build.resolve()
    if not options.in_environment:
        restart_in_environment("random.networks", options.build / "random-networks-venv", PACKAGES)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    results, failed = collections.Counter(), 0
    general = lambda message: re.sub(r"(?:\b\d+(?: ?[x.,] ?\d+)*|\[[\d,]*\])", "N", re.sub(r"'[^']*'", "'...'", message))
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for seed, counts, problem, stages in pool.map(one_seed, [options] * options.count, range(options.first, options.first + options.count), chunksize=4):
            for name, number in counts.items():
                results[general(name) if "refused" in name or "not read" in name else name] += number
            if problem:
                failed += 1
                print(f"seed {seed} ({' '.join(stages)}): {problem}\n  {sys.argv[0]} --build {options.build} --first {seed} --keep FOLDER", flush=True)
    for name, number in sorted(results.items()):
        print(f"{number:6} {name}")
    print(f"{options.count} networks, {failed} failed")
    if options.count >= 100 and not options.float_only:
        answered = sum(number for name, number in results.items() if name.startswith("quantize refused"))
        for many, what in ((results["float refused"] > 0.02 * options.count, "not read"), (answered > 0.1 * options.count, "not quantized"),
                           (results["quantized"] < 0.4 * options.count, "left out")):
            if many:
                failed += 1
                print(f"too many networks are {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
