"""What the scripts here share: their options, and running the program `fat`."""
import argparse
import os
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def parser(description):
    """A command line with --fat and --data."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--fat", default=os.path.join(PROJECT, "build", "fat"), help="the program")
    made.add_argument("--data", default=os.environ.get("FAT_DATA_DIR") or os.path.join(PROJECT, "..", "shared", "data"),
                      help="folder with models/ and imagenet/")
    return made


def run(fat, *words):
    """Runs the program; ends the script with its message where it fails."""
    command = [fat, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {' '.join(command)} gave exit code {done.returncode}:\n{done.stderr}")
