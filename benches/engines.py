#!/usr/bin/env python3
"""The Markov engine beside celerite2 and tinygp: `benches/engines.py PEERS BENCH PYTHON [N …]`.

PEERS is a program that takes `celerite|celerite_jax|tinygp N matern32|sho|sum3 ll|grad` and prints a line of JSON with
`min_s`; BENCH is the bench `engines`, from `cargo bench --bench engines --no-run`; PYTHON has the peers installed. All run on
one core, in turn, three times each; least times are compared. Kernels a, b, c: Matérn 3/2, an oscillator, and the sum of
Matérn 3/2 and two oscillators.
"""
import json
import os
import subprocess
import sys

NAMES = {"a": "matern32", "b": "sho", "c": "sum3"}
BARS = {("a", "ll"): 0.45, ("b", "ll"): 0.45, ("c", "ll"): 0.6, ("a", "grad"): 0.45, ("b", "grad"): 0.45, ("c", "grad"): 0.8}


def run(words):
    env = dict(os.environ, XLA_FLAGS="--xla_cpu_multi_thread_eigen=false", OMP_NUM_THREADS="1", CAP="4")
    done = subprocess.run(["taskset", "-c", "1", *words], capture_output=True, text=True, env=env, timeout=300)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    peers, bench, python = sys.argv[1:4]
    sizes = [int(n) for n in sys.argv[4:]] or [20_000, 200_000, 936_001]
    print("| kernel | n | task | ours, ms | celerite2 | celerite2.jax | tinygp | ours / fastest | bar |")
    print("|---|---|---|---|---|---|---|---|---|")
    for letter, name in NAMES.items():
        for n in sizes:
            ours, others = [], {}
            for _ in range(3):
                ours.append(run([bench, "row", letter, str(n)])["seconds"])
                for impl in ("celerite", "celerite_jax", "tinygp"):
                    for task in ("ll", "grad"):
                        if impl == "celerite" and task == "grad":
                            continue
                        # A gradient of tinygp takes too long to be waited for at every size.
                        if impl == "tinygp" and task == "grad" and n > 20_000:
                            continue
                        try:
                            found = run([python, peers, impl, str(n), name, task])["min_s"]
                        except (subprocess.TimeoutExpired, IndexError, json.JSONDecodeError):
                            continue
                        key = (impl, task)
                        others[key] = min(found, others.get(key, found))
            for place, task in enumerate(("ll", "grad")):
                best = min(row[place] for row in ours)
                times = [others.get((impl, task)) for impl in ("celerite", "celerite_jax", "tinygp")]
                texts = [f"{1e3 * time:.1f}" if time else "" for time in times]
                beside = [time for time in times if time] if task == "ll" else [times[1]]
                ratio = best / min(time for time in beside if time) if any(beside) else float("nan")
                print(f"| {letter} | {n} | {task} | {1e3 * best:.1f} | {' | '.join(texts)} | {ratio:.2f} | {BARS[letter, task]} |", flush=True)
            predict, density = min(row[2] for row in ours), min(row[0] for row in ours)
            print(f"| {letter} | {n} | means, variances | {1e3 * predict:.1f} | | | | {predict / density:.2f} x density | 4 |", flush=True)


if __name__ == "__main__":
    main()
