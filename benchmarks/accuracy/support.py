"""What the scripts here share: their options, and running the program `fat`."""
import argparse
import os
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# name: (file below the data folder, options of `fat quantize` that belong to the network)
MODELS = {
    "MobileNetV2": ("models/mobilenet_v2_1.0_224.onnx", ["--class-offset", "1"]),
    "MobileNetV1-0.25": ("models/mobilenet_v1_0.25_224.onnx", []),
}


def parser(description):
    """A command line with --fat and --data."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--fat", default=os.path.join(PROJECT, "build", "fat"), help="the program")
    made.add_argument("--data", default=os.environ.get("FAT_DATA_DIR") or os.path.join(PROJECT, "..", "shared", "data"),
                      help="folder with models/ and imagenet/")
    return made


def stop(message):
    """Ends the script with one line."""
    sys.exit(f"{os.path.basename(sys.argv[0])}: {message}")


def demand(*paths):
    """Stops where one of these is not there."""
    for path in paths:
        if not os.path.exists(path):
            stop(f"{path} is absent; run ./make.sh build, or set --fat, --data or FAT_DATA_DIR")


def chosen(names, known, option):
    """The names of a semicolon-separated option, each of them checked; all where the option was not given."""
    names = list(known) if names is None else names.split(";")
    for name in names:
        if name not in known:
            stop(f"{option}: '{name}' is unknown; use some of: {'; '.join(known)}")
    return names


def run(program, *words):
    """Runs a program and returns what it prints; ends the script with its message where it fails."""
    command = [program, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        stop(f"{' '.join(command)} gave exit code {done.returncode}:\n{done.stderr}")
    return done.stdout
