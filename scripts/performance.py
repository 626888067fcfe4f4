"""Times models and optim beside PyTorch in turns, for the tables of reports/performance.md, and whole runs.

Use: python scripts/performance.py [--rounds N] [--only BENCHMARK …] [--rows TEXT] [--largest N] [--beside TEXT], on an
otherwise idle machine, with a Python that has torch (and pytorch_optimizer, schedulefree and prodigyopt for first_order). For
runs, DATASETS and HF_ENDPOINT name staged data (docs/data.md). Then
`UPDATE_DOCS=1 cargo test -p bench-report --test docs` writes the tables.

In each round every benchmark runs once on each side, one right after the other, the sides in alternating order.
What is timed again replaces what was there. Writes to reports/reference/performance:

measurements.tsv  every number: benchmark, round, side (ours or theirs), row, measure, way, value
machines.toml     for each benchmark its day, the load when it began, the machine, the versions and the threads
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "reports" / "reference" / "performance"
COLUMNS = ["benchmark", "round", "side", "row", "measure", "way", "value"]
THREADS = "2"
# Candle's own pool has one thread, as in bench-runner: the kernels of models and optim run on rayon's.
ENVIRONMENT = os.environ | {
    "RAYON_NUM_THREADS": THREADS,
    "CANDLE_NUM_THREADS": "1",
    "OMP_NUM_THREADS": THREADS,
    "MKL_NUM_THREADS": THREADS,
}
# A benchmark's package, its comparison, if there is one, and that one's arguments; or its own.
BENCHMARKS = {
    "vision": ("models", "models/benches/torch_compare.py", ["vision"]),
    "language": ("models", "models/benches/torch_compare.py", ["language"]),
    "physics": ("models", "models/benches/torch_physics.py", []),
    "first_order": ("optim", "optim/benches/torch_compare.py", ["first-order"]),
    "lbfgs": ("optim", "optim/benches/torch_compare.py", ["lbfgs"]),
    "runs": ("bench-runner", None, ["quick", "as-shipped-small", "bench-runner/benches/gpt-mini.toml"]),
}


def program(package, benchmark):
    """Builds a benchmark and gives its path."""
    command = ["cargo", "bench", "-q", "-p", package, "--bench", benchmark, "--profile", "dev", "--no-run"]
    lines = subprocess.run(
        command + ["--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    built = [json.loads(line) for line in lines.splitlines()]
    # The programs of a package are built with its benchmark.
    return next(each["executable"] for each in built if each.get("target", {}).get("name") == benchmark)


def numbers(command):
    """The lines that a program prints, as rows of (row, measure, way, value)."""
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT).stdout
    return [line.split("\t") for line in lines.splitlines() if line.count("\t") == 3]


def measure(benchmark, options):
    """All numbers of a benchmark; memory is taken of one row and way at a time, in processes of their own."""
    package, script, arguments = BENCHMARKS[benchmark]
    ours = [program(package, benchmark)]
    theirs = [sys.executable, script, *arguments]
    suites = [name for name in arguments if options.rows in name]
    chosen = {"models": [options.rows], "optim": [str(options.largest)]}.get(package, suites)
    if not chosen:
        return []
    found = []

    def run(round, side, command):
        print(f"{time.strftime('%H:%M:%S')} {benchmark}, round {round}, {side}", file=sys.stderr, flush=True)
        return [[benchmark, round, side, *line] for line in numbers(command)]

    for round in range(1, options.rounds + 1):
        sides = [("ours", ours), ("theirs", theirs)] if script else [("ours", ours)]
        for side, command in sides if round % 2 else reversed(sides):
            found += run(round, side, command + chosen)
    alone = [line for line in found if line[1] == 1 and line[4] == "memory" and line[5] != "compiled"]
    found = [line for line in found if line[4] != "memory"]
    for _, _, side, row, _, way, _ in alone:
        command = ours + [row] if side == "ours" else theirs + [row, way]
        found += [line for line in run(1, side, command) if line[3:6] == [row, "memory", way]]
    return found


def first(path, key):
    """The value of the first line `key: value` of a file of Linux's."""
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return "unknown"


def machine():
    import torch

    rustc = subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {
        "processor": first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": f"{round(int(first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20)} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "rust": rustc.split()[1],
        "torch": torch.__version__,
        "threads": int(THREADS),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--rows", default="", help="only rows of models, or suites of runs, that contain this text")
    parser.add_argument("--largest", type=int, default=100_000_000, help="the most parameters in rows of optim")
    parser.add_argument("--beside", default="", help="keep these times beside those that are there, as BENCHMARK_TEXT")
    options = parser.parse_args()
    for benchmark in options.only:
        program(BENCHMARKS[benchmark][0], benchmark)
    here = machine()
    OUT.mkdir(parents=True, exist_ok=True)
    table, about = OUT / "measurements.tsv", OUT / "machines.toml"
    kept, measured = [], {}
    if about.exists():
        measured = tomllib.loads(about.read_text())
        kept = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    for benchmark in options.only:
        began = {"day": time.strftime("%Y-%m-%d"), "load": round(os.getloadavg()[0], 2)}
        name = "_".join(filter(None, [benchmark, options.beside]))
        found = [[name, *line[1:]] for line in measure(benchmark, options)]
        if not found:
            continue
        timed = {line[3] for line in found}
        # Rows of one table are of one machine.
        moved = here.items() - measured.get(name, here).items()
        kept = [line for line in kept if line[0] != name or not (moved or line[3] in timed)] + found
        measured[name] = began | here
        table.write_text("".join("\t".join(map(str, line)) + "\n" for line in [COLUMNS, *kept]))
        about.write_text("\n".join(described(name, there) for name, there in measured.items()))


def described(name, values):
    """A table of TOML."""
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


if __name__ == "__main__":
    main()
