"""Runs a benchmark program and a peer in turn and gives the median of the ratios of their times."""
import pathlib
import statistics
import subprocess
import time

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build" / "benchmarks"


class Ours:
    """A program started with --serve: runs its work as often as it is told."""

    def __init__(self, program, *arguments):
        command = [str(program), "--serve", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{program}: did not start; build the target `benchmarks` first")

    def seconds(self, runs):
        """Of one run: on the wall, and of all processors together."""
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def seconds(work, runs):
    wall, busy = time.perf_counter(), time.process_time()
    for _ in range(runs):
        work()
    return (time.perf_counter() - wall) / runs, (time.process_time() - busy) / runs


def compare(ours, peer, rounds, runs, threads):
    """Median times of one run of each, and the median of ours / peer over the rounds.

    With one thread the processor's time counts, which other programs on the machine disturb least; else the wall's.
    """
    clock = 1 if threads == 1 else 0
    ours.seconds(runs), seconds(peer, runs)
    pairs = []
    for turn in range(rounds):  # who goes first changes, so that a drift of the clock favours nobody
        if turn % 2 == 0:
            mine, theirs = ours.seconds(runs), seconds(peer, runs)
        else:
            theirs = seconds(peer, runs)
            mine = ours.seconds(runs)
        pairs.append((mine[clock], theirs[clock]))
    mine, theirs = (statistics.median(each) for each in zip(*pairs))
    return mine, theirs, statistics.median(a / b for a, b in pairs)
