"""What the comparisons with other runtimes share: a virtual environment of their own, skipping, and counting missed targets."""
import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def skip(test, reason):
    """Ends the test with the exit code that means skipped."""
    print(f"SKIPPED {test}: {reason}", flush=True)
    sys.exit(77)


def restart_in_environment(test, folder, packages):
    """Makes a virtual environment, installs the packages, and runs the calling script again in it."""
    python = folder / "bin" / "python"
    marker = folder / "complete"
    if not marker.exists():
        try:
            venv.create(folder, with_pip=True, clear=True)
            done = subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], capture_output=True, text=True, timeout=900)
        except (OSError, subprocess.SubprocessError) as problem:
            skip(test, f"no virtual environment: {problem}")
        if done.returncode != 0:
            skip(test, "the runtimes cannot be installed: " + done.stderr.strip().splitlines()[-1])
        marker.touch()
    os.execv(python, [str(python), *sys.argv, "--in-environment"])


class Failures:
    """The targets that were missed."""

    def __init__(self):
        self.messages = []

    def expect(self, ok, message):
        if not ok:
            self.messages.append(message)
            print("  MISSED:", message, flush=True)


def run_comparisons(test, description, packages, compare):
    """The command line of a test. `compare` is called with the options, a folder for files and the failures, and gives lines of
    Markdown. Returns the exit code."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=Path, required=True, help="build folder with the program fat")
    arguments.add_argument("--device-codes", type=Path, required=True, help="the program device_codes")
    arguments.add_argument("--data", type=Path, default=Path(os.environ.get("FAT_DATA_DIR", PROJECT.parent / "shared" / "data")))
    arguments.add_argument("--images", type=int, default=4, help="images to compare on")
    arguments.add_argument("--markdown", type=Path, help="write the table here")
    arguments.add_argument("--in-environment", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if not options.in_environment:
        restart_in_environment(test, options.build.resolve() / (test.replace(".", "-") + "-venv"), packages)
    if not (options.data / "models").is_dir():
        skip(test, f"{options.data} is absent")
    failures = Failures()
    with tempfile.TemporaryDirectory() as folder:
        text = compare(options, Path(folder), failures)
    if options.markdown:
        options.markdown.write_text("\n".join(text))
    print("all targets met" if not failures.messages else f"{len(failures.messages)} targets missed")
    return 1 if failures.messages else 0
