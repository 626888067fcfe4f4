"""Writes a table of runs for `bench-runner import`: run it, and copy the class into your own training script.

    python3 bench-runner/scripts/write_import.py runs.csv
    bench-runner import runs.csv --label momentum --into quick
"""
import csv, random, sys, time

class Runs:
    """Measurements of runs, one row each; `more` is any other column of docs/importing.md."""

    def __init__(self):
        self.rows = []

    def point(self, problem, seed, evaluations, loss, **more):
        self.rows.append({"problem": problem, "seed": seed, "evaluations": evaluations, "loss": loss, **more})

    def write(self, path):
        names = {name: None for row in self.rows for name in row}
        with open(path, "w", newline="") as file:
            table = csv.DictWriter(file, names, lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)

def main(path):
    """Momentum on the two-dimensional Rosenbrock function, from its standard start and two starts near it."""
    runs = Runs()
    for seed in range(3):
        draw = random.Random(seed)
        x, y = (start + (0.1 * draw.gauss(0, 1) if seed else 0) for start in (-1.2, 1.0))
        vx = vy = seconds = 0.0
        for evaluations in range(601):
            if evaluations % 10 == 0:  # measuring is not training: it is neither counted nor timed
                runs.point("rosenbrock-2d", seed, evaluations, (1 - x) ** 2 + 100 * (y - x * x) ** 2, seconds=seconds)
            start = time.perf_counter()
            vx = 0.9 * vx - 2e-4 * (-2 * (1 - x) - 400 * x * (y - x * x))
            vy = 0.9 * vy - 2e-4 * (200 * (y - x * x))
            x, y, seconds = x + vx, y + vy, seconds + time.perf_counter() - start
    runs.write(path)

if __name__ == "__main__": main(sys.argv[1])
