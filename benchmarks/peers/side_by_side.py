"""Runs a benchmark program and a peer in turn and gives the median of the ratios of their times."""
import pathlib
import statistics
import subprocess
import time

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build" / "benchmarks"

# Seconds after which the threads of the other side have stopped to look out for work, which takes processors from this one.
REST = 0.1


class Ours:
    """A program started with --serve: runs its work as often as it is told."""

    def __init__(self, program, *arguments):
        command = [str(program), "--serve", *map(str, arguments)]
        if not pathlib.Path(program).exists():
            raise SystemExit(f"{program}: no such program; build the target `benchmarks` first, or name its folder with --build")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{program}: did not start; see what it wrote above")

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


def in_turn(works, rounds, runs, clock):
    """Times of one run of each work, round after round. A work is called with a number of runs and gives the seconds of one,
    on the wall (clock 0) and of all processors (clock 1)."""
    for work in works:
        work(runs)
    times = [[] for _ in works]
    for turn in range(rounds):  # who goes first changes, so that a drift of the clock favours nobody
        order = range(len(works)) if turn % 2 == 0 else reversed(range(len(works)))
        for at in order:
            if clock == 0:
                time.sleep(REST)
                works[at](1)
            times[at].append(works[at](runs)[clock])
    return times


def ratio(times, others):
    """The median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(times, others))


def compare(ours, peer, rounds, runs, threads):
    """Median times of one run of each, and the median of ours / peer over the rounds.

    With one thread the processor's time counts, which other programs on the machine disturb least; else the wall's.
    """
    mine, theirs = in_turn([ours.seconds, lambda n: seconds(peer, n)], rounds, runs, 1 if threads == 1 else 0)
    return statistics.median(mine), statistics.median(theirs), ratio(mine, theirs)
