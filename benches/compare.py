#!/usr/bin/env python3
"""Runs `cargo bench --bench reference` beside other libraries and a C program, and prints the ratios as Markdown.

The programs of the others are not part of this repository: PEERS is a folder with `run.sh`, `fused.c`, `w1_gram.py` and
so on, each of which prints JSON lines {work, impl, dtype, threads, min_s, median_s}. An interpreter is given for each
environment that there is; what has none is left out, and the report says so.

    benches/compare.py PEERS --jax PYTHON --torch PYTHON --gpflow PYTHON --kernax PYTHON --only w1,c > report.md

Order: rounds of ours and C in turn; ours, the others, ours again; rounds of ours with one and with two threads and C with two.
Ratios are of figures from one of these three phases: medians over its runs, of medians over repetitions. Everything of one
thread is pinned to core 0.
"""
import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS, C = "mercer", "c_fused"

# (part, environment, modules that it has to have, program, arguments)
PEERS = [
    (part, environment, modules, program, (impl, *rest))
    for part, program, rest, impls in [
        ("w1", "w1_gram.py", (), ["numpy", "sklearn", "jax_vmap", "jax_gemm", "gpjax", "tinygp", "torch", "torch_compile", "gpytorch", "gpflow"]),
        ("w2", "w2_grad.py", (), ["jax_vmap", "jax_gemm", "gpjax", "tinygp", "torch", "torch_compile", "gpytorch", "gpflow"]),
        ("w3", "w3_batch.py", (), ["jax_kernax", "jax_vmap", "jax_gemm", "gpjax", "torch", "torch_compile", "gpytorch", "gpflow"]),
        ("w4", "w4_matvec.py", ("20000",), ["numpy", "jax", "torch", "gpytorch", "pykeops"]),
        ("w5", "w5_lml.py", (), ["jax", "torch", "gpytorch", "gpflow", "gpjax", "tinygp", "sklearn"]),
        ("w6", "w6_svgp.py", (), ["jax", "torch", "torch_compile", "gpytorch", "gpflow", "gpjax"]),
    ]
    for impl in impls
    for environment, modules in [{
        "numpy": ("jax", ["numpy", "scipy", "numexpr"]), "sklearn": ("jax", ["sklearn"]), "gpjax": ("jax", ["gpjax"]),
        "tinygp": ("jax", ["tinygp"]), "torch": ("torch", ["torch"]), "torch_compile": ("torch", ["torch"]),
        "gpytorch": ("torch", ["gpytorch"]), "pykeops": ("torch", ["pykeops"]), "gpflow": ("gpflow", ["gpflow"]),
    }.get(impl, ("jax", ["jax"]))]
]
# What our program calls the rows of each part, and those of them that the C program has too.
NOTEBOOK = ["pair 1D", "pair ND", "gram 1D", "gram ND", "cross (", "batch250"]
FILTERS = {"w1": ["W1_"], "w2": ["W2_"], "w3": ["W3_"], "w4": ["W4_"], "w5": ["W5_"], "w6": ["W6_", "W8_"], "nb": NOTEBOOK, "dispatch": ["dispatch_", "pairwise_"]}
BESIDE_C = {"w1": ["W1_gram_rbf_n", "W1_gram_matern52_n"], "w3": ["W3_rbf_distinct"], "w4": ["W4_"]}
TITLES = {"w1": "Gram matrices and cross-covariances", "w2": "Value and gradient of Σ W ∘ K, n = 2000 (D = 4 where not said)",
          "w3": "250 Gram matrices of 100 points", "w4": "K·v", "w5": "Evidence of an exact process and its gradient", "w6": "Sparse process: a training step, 10,000 predictions", "nb": "Kernax notebook"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path, help="the folder of the programs of the others")
    for environment, what in [("jax", "numpy, scikit-learn, JAX, GPJax and tinygp"), ("torch", "PyTorch and GPyTorch"), ("gpflow", "GPflow"), ("kernax", "Kernax")]:
        parser.add_argument(f"--{environment}", metavar="PYTHON", help=f"an interpreter with {what}")
    parser.add_argument("--only", default="w1,w2,w3,w4,w5,w6,nb,dispatch,c,2", help="parts of %(default)s (`c`: beside the C program; `2`: with two threads)")
    parser.add_argument("--impls", help="only these implementations of the others, as in jax_gemm,torch")
    parser.add_argument("--filter", action="append", default=[], help="only rows of ours whose names contain this, and ratios of them")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours and C take turns (default %(default)s)")
    parser.add_argument("--budget", type=int, default=100, help="milliseconds for a row of ours (default %(default)s)")
    parser.add_argument("--largest", type=int, default=4000, help="points of the largest Gram matrices of ours (default %(default)s)")
    parser.add_argument("--limit", type=int, default=900, help="seconds for one program (default %(default)s)")
    parser.add_argument("--out", type=Path, help="collects the JSON lines here (default: a new temporary file)")
    parser.add_argument("--report", action="store_true", help="measures nothing: prints the tables of what is in the file of --out")
    parser.add_argument("--level", choices=["avx512", "avx2"], default="avx512", help="the widest instruction set of all programs, if the machine has it (default %(default)s)")
    parser.add_argument("--cc", default="gcc", help="the C compiler (default %(default)s)")
    parser.add_argument("--ours", type=Path, help="our program, built (default: cargo builds it)")
    return parser.parse_args()


def note(text):
    print(text, file=sys.stderr, flush=True)


class Session:
    """Runs programs and collects what they print."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.out = options.out or Path(tempfile.mkstemp(prefix="compare-", suffix=".jsonl")[1])
        # Ratios are only formed of figures of one phase: beside C ("c"), beside the others ("peers"), with threads ("threads").
        self.rows, self.skipped, self.phase, self.load = [], [], None, os.getloadavg()

    def keep(self, row, run):
        row.update(run=run, phase=self.phase)
        self.rows.append(row)
        with self.out.open("a") as out:
            out.write(json.dumps(row) + "\n")

    def skip(self, what, why):
        note(f"  without {what}: {why}")
        self.skipped.append(f"{what}: {why}")

    def run(self, what, command, env=None):
        """The program's output, or None if it failed, which the report says."""
        note(f"{what}: {shlex.join(map(str, command))}")
        if self.options.level == "avx2":
            env = dict({"MKL_ENABLE_INSTRUCTIONS": "AVX2"}, **(env or {}))
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", LIMIT=str(self.options.limit), OUT=str(self.scratch / "lines.jsonl"), **(env or {}))
        try:
            done = subprocess.run([str(part) for part in command], env=env, cwd=self.scratch, timeout=2 * self.options.limit, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            self.skip(what, str(error))
            return None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            why = "took too long" if done.returncode == 124 else f"exit status {done.returncode}"
            self.skip(what, f"{why}: {last[:200]}")
        return done.stdout

    def lines(self, what, command, env=None):
        for line in (self.run(what, command, env) or "").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if "error" in row:
                self.skip(f"{row['impl']} at {row['work']} {row['dtype']}", row["error"])
            elif "work" in row:
                self.keep(row, what)

    def ours(self, program, filters, threads, what):
        pin = ["taskset", "-c", "0"] if threads == 1 else []
        self.lines(what, [*pin, program, "--bench", "--threads", threads, "--budget", self.options.budget, "--largest", self.options.largest, "--level", self.options.level, *filters])

    def c(self, programs, threads, what):
        pin = ["taskset", "-c", "0"] if threads == 1 else []
        for program in programs:
            self.lines(what, [*pin, program], {"OMP_NUM_THREADS": str(threads)})

    def peer(self, environment):
        """How a program of the others begins: `run.sh` sets the flags of XLA, so that what is added goes behind it."""
        python = getattr(self.options, environment)
        if self.options.level != "avx2":
            return [self.options.peers / "run.sh", 1, python]
        inner = 'XLA_FLAGS="$XLA_FLAGS --xla_cpu_max_isa=AVX2" exec "$@"'
        return [self.options.peers / "run.sh", 1, "/bin/sh", "-c", inner, "sh", python]

    def notebook(self):
        out = self.scratch / "notebook.json"
        if self.run("kernax", [*self.peer("kernax"), self.options.peers / "bench_kernax.py", "nb", out]) is None or not out.exists():
            return
        for row in json.loads(out.read_text())["rows"]:
            # Other ways to call the same thing are told after a comma: "pair ND, plain jax.jit(kernel as arg)".
            work, _, how = row["name"].partition(", ")
            impl = f"kernax, {how}" if how else "kernax"
            if "error" in row:
                self.skip(f"{impl} at {work}", row["error"])
            else:
                self.keep({"work": work, "impl": impl, "dtype": "f64", "threads": 1, "min_s": row["min_us"] * 1e-6, "median_s": row["median_us"] * 1e-6}, "kernax")


def build_ours():
    """The path of the executable that cargo makes of benches/reference.rs."""
    command = ["cargo", "bench", "--bench", "reference", "--no-run", "--message-format=json"]
    note(shlex.join(command))
    built = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "reference" and message.get("executable"):
            return Path(message["executable"])
    sys.exit("cargo has built no executable of the bench `reference`")


def build_c(session):
    programs = []
    machine = ["-march=x86-64-v3"] if session.options.level == "avx2" else ["-march=native", "-mprefer-vector-width=512"]
    for dtype, flags in [("f64", []), ("f32", ["-DT=float", '-DDT="f32"', "-DEXP=expf", "-DSQRT=sqrtf"])]:
        program = session.scratch / f"fused_{dtype}"
        command = [session.options.cc, "-O3", *machine, "-ffast-math", "-fopenmp", *flags, session.options.peers / "fused.c", "-o", program, "-lm"]
        if session.run(f"C, {dtype}", command) is not None and program.exists():
            programs.append(program)
    return programs


def usable(session, environment, modules, found={}):
    """Whether there is an interpreter that can import the modules."""
    python = getattr(session.options, environment)
    if python is None:
        return "no interpreter is given for it"
    for module in modules:
        if (python, module) not in found:
            try:
                test = subprocess.run([python, "-c", f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"], check=False, capture_output=True)
                found[python, module] = test.returncode == 0
            except OSError:
                found[python, module] = False
        if not found[python, module]:
            return f"{python} has no module {module}"
    return None


class Table:
    """The figures, and ratios of them."""

    def __init__(self, rows):
        runs = defaultdict(list)
        for row in rows:
            runs[row["work"], row["dtype"], row["threads"], row["impl"]].append((row["median_s"], row["min_s"]))
        self.figures = {key: (statistics.median(m for m, _ in all), min(m for _, m in all)) for key, all in runs.items()}

    def works(self, wanted, threads=1):
        return list(dict.fromkeys((work, dtype) for work, dtype, t, _ in self.figures if t == threads and wanted(work)))

    def of(self, work, dtype, threads, impl):
        return self.figures.get((work, dtype, threads, impl))

    def best(self, work, dtype, threads, wanted):
        """The fastest of some implementations, by median: its name and figures."""
        all = [(figures, impl) for (w, d, t, impl), figures in self.figures.items() if (w, d, t) == (work, dtype, threads) and wanted(impl)]
        return min(all, default=None)


def is_ours(impl):
    return impl.startswith(OURS)


def time(seconds):
    for unit, scale in [("s", 1), ("ms", 1e-3), ("µs", 1e-6)]:
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def times(figures):
    return f"{time(figures[0])} ({time(figures[1])})"


def table(title, header, rows):
    if rows:
        print(f"\n## {title}\n\n| " + " | ".join(header) + " |\n|" + "---|" * len(header))
        for row in rows:
            print("| " + " | ".join(row) + " |")


def ratio(a, b):
    """By medians, and by minima in brackets."""
    return f"{a[0] / b[0]:.2f} ({a[1] / b[1]:.2f})"


def bar_beside_c(work, dtype):
    """What ours over C should not exceed."""
    if work.startswith("W1_gram"):
        n = int(work.split("_n")[1].split("_")[0])
        if dtype == "f64":
            return 0.9
        return 0.7 if n >= 2000 else 0.85 if n >= 500 else 1.0
    return 1.0


def bar_beside_others(work, dtype):
    """What the time of the fastest other over ours should reach; None where nothing is asked."""
    n = int(work.split("_n")[1].split("_")[0]) if "_n" in work else None
    if work.startswith("W1_cross") and n == 2000 and work.endswith("_D4"):
        return 2.0 if "composite" in work else 1.6 if "periodic" in work else 1.8
    if work.startswith("W1_gram") and work.endswith("_D4") and ("periodic" in work or "composite" in work):
        return 2.0 if n == 2000 or (n == 500 and dtype == "f64") else None
    if work.startswith("W2_"):
        return 4.0 if any(name in work for name in ["ard", "matern52", "composite"]) and work.endswith("_hyp") else None
    if work.startswith("W3_"):
        return 1.5
    if work.startswith("W6_") and dtype == "f64":
        return {"M20": 4.0, "M81": 2.5}.get(inducing(work), 2.2)
    if work.startswith("W8_"):
        return 3.0
    return 2.0 if work.startswith("W4_") else None


def inducing(work):
    return next(part for part in work.split("_") if part.startswith("M") and part[1:].isdigit())


def beside(found, bar, least):
    """A ratio with its bar, and a mark where it misses it."""
    if bar is None:
        return found
    missed = float(found.split()[0]) < bar if least else float(found.split()[0]) > bar
    return f"{found}; {'≥' if least else '≤'} {bar}{', MISSED' if missed else ''}"


def against_c(figures, wanted):
    rows = []
    for work, dtype in figures.works(wanted):
        ours = figures.of(work, dtype, 1, OURS)
        c = figures.best(work, dtype, 1, lambda impl: impl.startswith(C) and "fresh" not in impl)
        if ours and c:
            rows.append([work, dtype, times(ours), times(c[0]), c[1], beside(ratio(ours, c[0]), bar_beside_c(work, dtype), False)])
    return rows


def against_peers(figures, wanted):
    rows = []
    for work, dtype in figures.works(wanted):
        ours = figures.of(work, dtype, 1, OURS)
        peer = figures.best(work, dtype, 1, lambda impl: not is_ours(impl) and not impl.startswith(C))
        if ours and peer:
            fresh = figures.of(work, dtype, 1, "mercer_fresh_out")
            rows.append([work, dtype, times(ours), times(fresh) if fresh else "", peer[1], times(peer[0]), beside(ratio(peer[0], ours), bar_beside_others(work, dtype), True)])
    return rows


def of_steps(figures):
    """Steps with another likelihood, another q or in single precision, beside those of the same size without; evidence beside a factor."""
    rows = []
    for work, dtype in figures.works(lambda work: work.startswith("W6_")):
        base = work.removesuffix("_bernoulli").removesuffix("_diagonal")
        if work != base:
            bar, beside_it = (1.6 if inducing(work) == "M20" else 1.25), figures.of(base, dtype, 1, OURS)
        elif dtype == "f32":
            bar, beside_it = {"M20": 0.65, "M512": 0.55}.get(inducing(work), 0.6), figures.of(base, "f64", 1, OURS)
        else:
            continue
        ours = figures.of(work, dtype, 1, OURS)
        if ours and beside_it:
            rows.append([work, dtype, times(ours), times(beside_it), beside(ratio(ours, beside_it), bar, False)])
    for work, dtype in figures.works(lambda work: work.startswith("W5_lml_grad_")):
        ours, factor = figures.of(work, dtype, 1, OURS), figures.of(work.replace("lml_grad", "llt"), dtype, 1, "faer")
        if ours and factor:
            rows.append([work, dtype, times(ours), times(factor), beside(ratio(ours, factor), 3.6, False)])
    return rows


def of_dispatch(figures, rows):
    """Our program times the forms of one expression in turn, and says what the others are of the first."""
    ratios = defaultdict(list)
    for row in rows:
        ratios[row["work"]].append(row.get("of_first"))
    out = []
    for work, dtype in figures.works(lambda work: work.startswith(("dispatch_static_", "pairwise_static_"))):
        forms = [ratios[work.replace("_static_", f"_{form}_", 1)] for form in ["boxed", "boxed_nodes", "by_hand"]]
        if all(form and None not in form for form in forms):
            boxed, nodes, by_hand = map(statistics.median, forms)
            name = work.replace("_static", "", 1)
            out.append([name, time(figures.of(work, dtype, 1, OURS)[0]), f"{boxed:.3f}", f"{nodes:.3f}", f"{1 / by_hand:.3f}"])
    return out


def of_threads(figures, wanted):
    rows = []
    for work, dtype in figures.works(wanted, 2):
        one, two = figures.of(work, dtype, 1, OURS), figures.of(work, dtype, 2, OURS)
        c = figures.best(work, dtype, 2, lambda impl: impl.startswith(C) and "fresh" not in impl)
        if one and two:
            rows.append([work, dtype, times(one), times(two), ratio(one, two), ratio(two, c[0]) if c else ""])
    return rows


def version(command):
    try:
        return subprocess.run(command, text=True, capture_output=True, check=False).stdout.strip().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def head(session, options):
    try:
        lines = subprocess.run(["lscpu"], text=True, capture_output=True, check=False, env=dict(os.environ, LC_ALL="C")).stdout.splitlines()
    except OSError:
        lines = []
    cpu = dict((part.strip() for part in line.split(":", 1)) for line in lines if ":" in line)
    widest = next((name for name in ["avx512f", "avx2", "neon", "asimd"] if name in cpu.get("Flags", "").split()), "unknown vectors")
    print("# Comparison\n")
    print(f"- Machine: {cpu.get('Model name', platform.processor())} (family {cpu.get('CPU family', '?')}, model {cpu.get('Model', '?')}), {os.cpu_count()} cores, {widest}, L2 {cpu.get('L2 cache', '?')}, L3 {cpu.get('L3 cache', '?')}")
    print(f"- Compilers: {version(['rustc', '--version'])}; {version([options.cc, '--version'])}")
    print(f"- Command: `{shlex.join(['benches/compare.py', *sys.argv[1:]])}`")
    print(f"- Load before and after: {session.load[0]:.2f}, {os.getloadavg()[0]:.2f}")
    print("- Cells: median over the runs of medians (least of all); ratios: of medians (of minima).")
    print("- The lines behind this: `" + str(session.out) + "`")


def measure(session, options, only):
    parts = [part for part in FILTERS if part in only]
    program = options.ours.resolve() if options.ours else build_ours()
    filters = options.filter or [name for part in parts for name in FILTERS[part]]
    chosen = [part for part in BESIDE_C if part in only] or list(BESIDE_C)
    beside_c = options.filter or [name for part in chosen for name in BESIDE_C[part]]
    c = build_c(session) if "c" in only else []

    session.phase = "c"
    for turn in range(options.rounds if c else 0):
        session.ours(program, beside_c, 1, f"ours, turn {turn + 1}")
        session.c(c, 1, f"C, turn {turn + 1}")
    session.phase = "peers"
    if parts:
        session.ours(program, filters, 1, "ours, before the others")
        others(session, options, only)
        session.ours(program, filters, 1, "ours, after the others")
    session.phase = "threads"
    for turn in range(options.rounds if "2" in only else 0):
        session.ours(program, beside_c, 1, f"ours with one thread, turn {turn + 1}")
        session.ours(program, beside_c, 2, f"ours with two threads, turn {turn + 1}")
        session.c(c, 2, f"C with two threads, turn {turn + 1}")


def others(session, options, only):
    impls = options.impls.split(",") if options.impls else None
    for part, environment, modules, name, rest in PEERS:
        if part not in only or (impls and rest[0] not in impls):
            continue
        why = usable(session, environment, modules)
        if why:
            session.skip(f"{rest[0]} ({name})", why)
        else:
            session.lines(rest[0], [*session.peer(environment), options.peers / name, *rest])
    if "nb" in only and (not impls or "kernax" in impls):
        why = usable(session, "kernax", ["kernax"])
        if why:
            session.skip("kernax", why)
        else:
            session.notebook()


def report(session, options, only):
    head(session, options)
    beside_c, figures, threads = (Table(row for row in session.rows if row["phase"] == phase) for phase in ["c", "peers", "threads"])
    wanted = lambda work: not options.filter or any(name in work for name in options.filter)
    header = ["work", "", "ours", "C", "C's better variant", "ours / C"]
    table("Beside C, one thread", header, against_c(beside_c, wanted))
    header = ["work", "", "ours", "ours, fresh memory", "fastest other", "its time", "its time / ours"]
    for part, title in TITLES.items():
        of_part = lambda work: wanted(work) and any(work.startswith(name) for name in FILTERS[part])
        table(f"{title}, one thread", header, against_peers(figures, of_part))
    table("Steps of sparse processes, and evidence", ["work", "", "time", "Gaussian with q in full, in `f64`, or a Cholesky factor", "ratio"], of_steps(figures))
    table("Dispatch", ["work", "type known", "boxed / known", "boxed at every node / known", "known / by hand"], of_dispatch(figures, session.rows))
    table("Two threads", ["work", "", "one thread", "two threads", "gain", "ours / C with two"], of_threads(threads, wanted))
    if session.skipped:
        print("\n## Left out\n")
        for line in dict.fromkeys(session.skipped):
            print(f"- {line}")


def main():
    options = arguments()
    options.peers = options.peers.resolve()
    for environment in ["jax", "torch", "gpflow", "kernax"]:
        python = getattr(options, environment)
        if python and os.sep in python:
            # The folder changes, and the links of an environment must stay as they are.
            setattr(options, environment, os.path.abspath(python))
    if options.out:
        options.out = options.out.resolve()
    if options.report and not options.out:
        sys.exit("--report needs --out")
    only = set(options.only.split(","))
    unknown = only - set(FILTERS) - {"c", "2"}
    if unknown:
        sys.exit(f"unknown part(s): {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as scratch:
        session = Session(options, Path(scratch))
        if options.report:
            session.rows = [json.loads(line) for line in options.out.read_text().splitlines()]
        else:
            measure(session, options, only)
        report(session, options, only)


if __name__ == "__main__":
    main()
