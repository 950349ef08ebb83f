#!/usr/bin/env python3
"""What including the library costs a compiler: user time of -fsyntax-only, the quickest of several runs.

core.hpp may cost at most twice what the standard headers cost that any numeric program includes, fat.hpp at most one and a
half times what xtensor's own headers cost that its adaptors include, engine.hpp at most twice string, vector and span. Exits with 1 when it costs more.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
STANDARD = ["array", "span", "cmath", "algorithm", "vector"]
HOST = ["string", "vector", "span"]


def third_party_tensor_headers():
    found = []
    for header in sorted((ROOT / "include/fat/adapt").glob("*.hpp")):
        found += re.findall(r"^ *# *include <(xt[^>]*)>", header.read_text(), re.MULTILINE)
    return sorted(set(found))


def user_seconds(command):
    before = os.times().children_user
    subprocess.run(command, check=True)
    return os.times().children_user - before


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--include", action="append", default=[], help="another folder with headers")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()

    cases = {"standard": STANDARD, "core.hpp": ["fat/core.hpp"], "host": HOST, "engine.hpp": ["fat/engine.hpp"]}
    tensor_headers = third_party_tensor_headers()
    if tensor_headers:
        cases |= {"xtensor": tensor_headers, "fat.hpp": ["fat/fat.hpp"]}
    flags = ["-std=c++20", "-fsyntax-only", f"-I{ROOT / 'include'}"] + [f"-I{folder}" for folder in arguments.include]

    best = dict.fromkeys(cases, float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        for name, headers in cases.items():
            source = pathlib.Path(folder) / f"{name}.cpp"
            source.write_text("".join(f"#include <{header}>\n" for header in headers))
        for _ in range(arguments.runs):  # interleaved, so that a busy moment hits all of them
            for name in cases:
                command = [arguments.compiler, *flags, str(pathlib.Path(folder) / f"{name}.cpp")]
                best[name] = min(best[name], user_seconds(command))

    for name, seconds in best.items():
        print(f"{name:10} {1000 * seconds:6.0f} ms")
    failed = False
    for name, base, limit in [("core.hpp", "standard", 2.0), ("engine.hpp", "host", 2.0), ("fat.hpp", "xtensor", 1.5)]:
        if name in best:
            ratio = best[name] / best[base]
            failed |= ratio > limit
            print(f"{name} costs {ratio:.2f} x {base}, at most {limit:.1f} x: {'too much' if ratio > limit else 'fine'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
