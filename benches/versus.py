#!/usr/bin/env python3
"""Is NEW slower than OLD? Compares two builds of one bench, row by row, by the processor's time.

    cargo bench --bench gram --no-run        # prints the path of the program; build it from both states of the source
    benches/versus.py OLD NEW [--rounds 10] [--filter TEXT] [--core 0]

The two run in turn, pinned to one core, and each row keeps its least time: what else the machine does only adds to a time.
Rows that came out more than 10 % slower are measured a second time, by themselves. NEW is not slower if the geometric
mean over the rows is within 3 %, and no row was 10 % slower both times; the exit status says so. Both programs have to
know MERCER_BENCH_CLOCK (benches/common/mod.rs).
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MEAN, ROW = 1.03, 1.10


def run(program, core, pattern, seconds):
    """Least nanoseconds per iteration of each row, in one run of a bench."""
    with tempfile.TemporaryDirectory() as home:
        command = [program, "--bench", "--noplot", "--sample-size", "10", "--nresamples", "1001"]
        command += ["--warm-up-time", str(seconds / 2), "--measurement-time", str(seconds)] + ([pattern] if pattern else [])
        environment = {**os.environ, "CRITERION_HOME": home, "MERCER_BENCH_CLOCK": "cpu", "RAYON_NUM_THREADS": "1"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
        )
        if done.returncode:
            sys.exit(f"{program} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        least = {}
        for sample in Path(home).glob("**/new/sample.json"):
            name = json.loads((sample.parent / "benchmark.json").read_text())["full_id"]
            found = json.loads(sample.read_text())
            least[name] = min(time / count for time, count in zip(found["times"], found["iters"]))
        return least


def measure(programs, rounds, core, pattern, seconds):
    """Least times of the rows of both programs, which run in turn; each is the first in every other round."""
    best = [{}, {}]
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            for name, time in run(programs[which], core, pattern, seconds).items():
                best[which][name] = min(time, best[which].get(name, math.inf))
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="the program of the state to compare with")
    parser.add_argument("new", help="the program of the new state")
    parser.add_argument("--rounds", type=int, default=10, help="how often each runs; at least ten (default: 10)")
    parser.add_argument("--filter", default="", help="only the rows whose names this regular expression finds")
    parser.add_argument("--core", type=int, default=0, help="the core that both are pinned to (default: 0)")
    parser.add_argument("--seconds", type=float, default=0.05, help="how long a row is sampled in a round (default: 0.05)")
    options = parser.parse_args()
    if options.rounds < 10:
        parser.error("--rounds must be at least 10: fewer say little on a machine that others use too")
    programs = (options.old, options.new)
    old, new = measure(programs, options.rounds, options.core, options.filter, options.seconds)
    rows = sorted(old.keys() & new.keys())
    if not rows:
        sys.exit("the two programs have no row in common")
    for name in sorted(old.keys() ^ new.keys()):
        print(f"only in {'OLD' if name in old else 'NEW'}: {name}")
    ratios = {name: new[name] / old[name] for name in rows}
    print(f"{'OLD':>12} {'NEW':>12}  NEW/OLD")
    for name in rows:
        print(f"{old[name]:>10.0f}ns {new[name]:>10.0f}ns  {ratios[name]:7.3f}  {name}")
    again = [name for name in rows if ratios[name] > ROW]
    slow = []
    if again:
        pattern = "^(" + "|".join(map(re.escape, again)) + ")$"
        old, new = measure(programs, options.rounds, options.core, pattern, options.seconds)
        for name in again:
            second = new[name] / old[name]
            print(f"measured again: {ratios[name]:.3f}, then {second:.3f}  {name}")
            slow += [name] if second > ROW else []
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    slower = mean > MEAN or slow
    print(f"geometric mean of {len(rows)} rows: {mean:.4f}; rows 10 % slower twice: {len(slow)}")
    print("slower" if slower else "not slower")
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
