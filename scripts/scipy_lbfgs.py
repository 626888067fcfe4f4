"""Evaluations that SciPy's L-BFGS-B needs on the test functions, beside those of optim's L-BFGS, and how many
evaluations a second it makes on Rosenbrock's function.

    cargo bench -p bench-experiment --bench functions -- --counts > counts.jsonl
    cargo build --release -p bench-functions --example evaluate
    python scripts/scipy_lbfgs.py counts.jsonl target/release/examples/evaluate

Needs numpy and scipy. Both methods keep ten pairs, have no tolerances and at most 10,000 evaluations; they start
at the same point and evaluate the same Rust functions, SciPy through a pipe. Counted are the evaluations until the
value is first at most the target.
"""

import json
import os
import subprocess
import sys
import time

# Threads of its own would only wait for each other in so few dimensions.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy
from scipy.optimize import minimize, rosen, rosen_der

MOST = 10_000
OPTIONS = {"maxcor": 10, "maxiter": MOST, "maxfun": MOST, "ftol": 0.0, "gtol": 0.0}
# Ratios beyond this, either way, are listed.
OUTLIER = 2.0


class Reached(Exception):
    pass


def evaluations(program, row):
    """SciPy's evaluations to the target, or None, and the lowest value it saw."""
    command = [program, row["set"], row["function"], str(row["dimension"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def numbers():
            return np.array([float(number) for number in process.stdout.readline().split()])

        start = numbers()[1:]
        count, lowest = 0, np.inf

        def evaluate(x):
            nonlocal count, lowest
            count += 1
            process.stdin.write(" ".join(map(repr, x.tolist())) + "\n")
            process.stdin.flush()
            line = numbers()
            lowest = min(lowest, line[0])
            if line[0] <= row["target"]:
                raise Reached
            return line[0], line[1:]

        try:
            minimize(evaluate, start, jac=True, method="L-BFGS-B", options=OPTIONS)
            reached = None
        except Reached:
            reached = count
        process.stdin.close()
    return reached, lowest


def speed(seconds=2.0):
    """Evaluations a second of processor time on Rosenbrock's function in two dimensions."""
    count, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        count += minimize(rosen, [-1.2, 1.0], jac=rosen_der, method="L-BFGS-B").nfev
    return count / (time.process_time() - begun)


def main(counts, program):
    print(f"SciPy {scipy.__version__}: {speed():.0f} evaluations a second on Rosenbrock's function in 2-D\n")
    sets, outliers = {}, []
    with open(counts) as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        theirs, lowest = evaluations(program, row)
        ours = row["evaluations"]
        sets.setdefault(row["set"], []).append((ours, theirs))
        ratio = ours / theirs if ours and theirs else None
        if (ours is None) != (theirs is None) or (ratio and not 1 / OUTLIER <= ratio <= OUTLIER):
            outliers.append((row, theirs, lowest))
    print("| set | problems | both reach | optim alone | SciPy alone | median of optim / SciPy | quartiles |")
    print("|---|---|---|---|---|---|---|")
    for name, pairs in sets.items():
        ratios = [a / b for a, b in pairs if a and b]
        low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75]) if ratios else [np.nan] * 3
        alone = [sum(bool(p[i]) and not p[1 - i] for p in pairs) for i in (0, 1)]
        print(f"| {name} | {len(pairs)} | {len(ratios)} | {alone[0]} | {alone[1]} | {median:.2f} | {low:.2f} to {high:.2f} |")
    print("\n| set | function | d | optim | SciPy | lowest above the target: optim | SciPy |")
    print("|---|---|---|---|---|---|---|")
    for row, theirs, lowest in outliers:
        sides = [(row["evaluations"], row["lowest"]), (theirs, lowest)]
        shown = [str(count) if count else "–" for count, _ in sides]
        above = ["" if count else f"{value - row['target']:.1e}" for count, value in sides]
        cells = [row["set"], row["function"], str(row["dimension"]), *shown, *above]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
