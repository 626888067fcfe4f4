"""Golden values of the test functions, from code that others wrote.

Writes bbob.json and values.json beside this file. Needs Python 3.11 and

    pip install scipy==1.17.1 coco-experiment==2.8.2 benchmarkfcns==3.1.0 jaxvlse==0.1.3 jax==0.6.2
    pip install numpy==2.4.6 ioh==0.4.2

(in this order: benchmarkfcns asks for an older numpy than it needs), R (4.2.2), and checkouts of
github.com/GrattonToint/S2MPJ, the CUTEst collection in Python, and
github.com/jlmelville/funconstrain, the problems of Moré, Garbow & Hillstrom in R:

    python generate.py PATH_TO_S2MPJ PATH_TO_FUNCONSTRAIN

What differs between the packages and the publications, and is therefore left out: S2MPJ's
ARGTRIGLS multiplies the sine too, BROYDNBDLS has cubes in its band, BOX3 starts elsewhere, HELIX
and SCHMVETT write pi with nine digits (the latter is compared to 1e-6), SINQUAD lacks its squares
(SINQUAD2 has them), WATSON with 31 variables disagrees with its formula.

The points are not stored: both sides compute them from integers (`point` here, `point` in
tests/golden.rs), and every step is exact or correctly rounded.
"""

import importlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.optimize import minimize, rosen, rosen_der

HERE = Path(__file__).parent
MASK = (1 << 64) - 1


def mix(number):
    """The finalizer of SplitMix64."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def point(dimension, key, low, high):
    """A pseudo-random point between two whole numbers, with three decimals."""
    span = (high - low) * 1000 + 1
    draws = [mix((key * 1_000_003 + i) * 0x9E3779B97F4A7C15 & MASK) for i in range(dimension)]
    return np.array([low + draw % span / 1000 for draw in draws])


def bbob():
    import cocoex
    import ioh

    instances = {2: 1, 3: 2, 5: 3, 10: 5, 20: 15, 40: 77}
    points = 18
    worst = 0.0
    groups = []
    for dimension, instance in instances.items():
        suite = cocoex.Suite("bbob", f"instances: {instance}", f"dimensions: {dimension}")
        for problem in suite:
            number = problem.id_function
            other = ioh.get_problem(number, instance, dimension, ioh.ProblemClass.BBOB)
            values = []
            for key in range(1, points + 1):
                x = point(dimension, key, -6, 6)
                values.append(problem(x))
                worst = max(worst, abs(values[-1] - other(x)) / abs(values[-1]))
            groups.append({
                "function": f"f{number}",
                "dimension": dimension,
                "instance": instance,
                "minimum": other.optimum.y,
                "values": values,
            })
    assert worst < 1e-11, worst
    return {
        "sources": {
            "values": f"coco-experiment {version('coco-experiment')}, module cocoex",
            "minimum": f"ioh {version('ioh')}",
            "largest relative difference of the two values": worst,
        },
        "low": -6,
        "high": 6,
        "groups": groups,
    }


class Cutest:
    """A problem of S2MPJ: value, gradient and start."""

    def __init__(self, name, *arguments):
        self.problem = getattr(importlib.import_module(name), name)(*arguments)
        self.start = np.asarray(self.problem.x0, dtype=float).ravel()
        self.dimension = len(self.start)

    def __call__(self, x):
        value, gradient = self.problem.fgx(np.asarray(x, dtype=float).reshape(-1, 1))
        return float(value), np.asarray(gradient).ravel()


class Funconstrain:
    """A problem of funconstrain: value, gradient and start, from one R process."""

    process = None
    server = """
        for (file in list.files("R", "^([0-9]|validate).*[.]R$", full.names = TRUE)) source(file)
        input <- file("stdin", "r")
        show <- function(numbers) { cat(sprintf("%.17g", numbers), "\\n"); flush(stdout()) }
        while (length(line <- readLines(input, 1)) > 0) {
          part <- strsplit(line, ";")[[1]]
          problem <- eval(parse(text = part[1]))
          if (part[2] == "start") {
            show(if (is.function(problem$x0)) problem$x0(as.integer(part[3])) else problem$x0)
          } else {
            x <- as.numeric(strsplit(part[3], ",")[[1]])
            show(c(problem$fn(x), problem$gr(x)))
          }
        }
    """

    @classmethod
    def begin(cls, checkout):
        pipe = subprocess.PIPE
        cls.process = subprocess.Popen(
            ["Rscript", "-e", cls.server], cwd=checkout, stdin=pipe, stdout=pipe, text=True
        )

    def __init__(self, call, dimension):
        self.call, self.dimension = call, dimension
        self.start = self.ask("start", str(dimension))

    def ask(self, *parts):
        print(";".join([self.call, *parts]), file=self.process.stdin, flush=True)
        return np.array([float(number) for number in self.process.stdout.readline().split()])

    def __call__(self, x):
        answer = self.ask("evaluate", ",".join(repr(float(number)) for number in x))
        return float(answer[0]), answer[1:]


class Plain:
    """A function of another package: value, perhaps gradient, no start."""

    def __init__(self, dimension, value, gradient=None):
        self.dimension, self.value, self.gradient, self.start = dimension, value, gradient, None

    def __call__(self, x):
        return float(self.value(x)), None if self.gradient is None else self.gradient(x)


class Pairs(Plain):
    """The sum of a function over blocks of variables, with its gradient."""

    def __init__(self, dimension, block, function):
        blocks = lambda x: [function(part) for part in x.reshape(-1, block)]
        super().__init__(
            dimension,
            lambda x: sum(value for value, _ in blocks(x)),
            lambda x: np.concatenate([gradient for _, gradient in blocks(x)]),
        )


def vlse(name, dimension):
    """A function of jaxvlse, the library of Surjanovic and Bingham in JAX, with JAX's gradient."""
    import jax
    import vlse as library

    jax.config.update("jax_enable_x64", True)
    function = getattr(library, name)
    # Functions of one dimension take no argument.
    function = function() if hasattr(function, "d") else function(d=dimension)
    value = lambda x: function(x).reshape(())
    return Plain(
        dimension,
        lambda x: value(jax.numpy.asarray(x)),
        lambda x: np.asarray(jax.grad(value)(jax.numpy.asarray(x))),
    )


def benchmarkfcns(name, dimension):
    import benchmarkfcns as library

    function = getattr(library, name)
    return Plain(dimension, lambda x: np.asarray(function(x.reshape(1, -1))).item())


def cases():
    """(function, its set, package, the package's function, low, high), a row per dimension."""
    for name, function, dimensions, low, high in [
        ("ackley", "Ackley", [2, 7], -5, 5),
        ("beale", "Beale", [2], -3, 3),
        ("booth", "Booth", [2], -10, 10),
        ("goldstein-price", "GoldsteinPrice", [2], -2, 2),
        ("rastrigin", "Rastrigin", [2, 7], -5, 5),
        ("styblinski-tang", "StyblinskiTang", [2, 7], -5, 5),
    ]:
        for dimension in dimensions:
            yield name, "classic", "jaxvlse", vlse(function, dimension), low, high
    yield "himmelblau", "classic", "benchmarkfcns", benchmarkfcns("himmelblau", 2), -5, 5
    for dimension in [2, 7]:
        yield "rosenbrock", "classic", "scipy", Plain(dimension, rosen, rosen_der), -2, 2

    for name, call, dimensions, low, high, problem, arguments in [
        ("helical-valley", "helical()", [3], -3, 3, None, []),
        ("biggs-exp6", "biggs_exp6(m=13)", [6], 0, 6, "BIGGS6", [()]),
        ("gaussian", "gauss()", [3], -1, 2, "GAUSSIAN", [()]),
        ("powell-badly-scaled", "powell_bs()", [2], -1, 9, "POWELLBSLS", [()]),
        ("box-3d", "box_3d(m=10)", [3], 0, 20, None, []),
        ("variably-dimensioned", "var_dim()", [10, 33], -2, 2, "VARDIM", [(10,), (33,)]),
        ("watson", "watson()", [6, 9, 12, 31], -1, 1, "WATSON", [(12,)]),
        ("penalty-1", "penalty_1()", [4, 10, 33], -2, 2, "PENALTY1", [(4,), (10,), (33,)]),
        ("penalty-2", "penalty_2()", [4, 10, 50], -2, 2, "PENALTY2", [(4,), (10,), (50,)]),
        ("brown-badly-scaled", "brown_bs()", [2], -9, 9, "BROWNBS", [()]),
        ("brown-dennis", "brown_den(m=20)", [4], -9, 25, "BROWNDEN", [()]),
        ("gulf", "gulf(m=99)", [3], 0, 1, "GULF", [()]),
        ("trigonometric", "trigon()", [10, 33], -2, 2, None, []),
        ("extended-rosenbrock", "ex_rosen()", [10, 34], -2, 2, None, []),
        ("extended-powell", "ex_powell()", [4, 12, 32], -3, 3, "POWELLSG", [(4,), (12,), (32,)]),
        ("beale", "beale()", [2], -3, 3, "BEALE", [()]),
        ("wood", "wood()", [4], -3, 3, "WOODS", [(1,)]),
        ("chebyquad", "chebyquad()", [2, 3, 4, 5, 6, 7, 8, 9, 10], 0, 1, "CHEBYQAD", [(8,), (10,)]),
    ]:
        for dimension in dimensions:
            yield name, "mgh", FUNCONSTRAIN, Funconstrain(call, dimension), low, high
        for argument in arguments:
            yield name, "mgh", S2MPJ, Cutest(problem, *argument), low, high

    for name, function, low, high in [
        ("dixon-price", "DixonPrice", -3, 3),
        ("griewank", "Griewank", -20, 20),
        ("levy", "Levy", -10, 10),
        ("michalewicz", "Michalewicz", 0, 3),
        ("perm", "Perm0", -1, 2),
        ("sum-squares", "SumSquares", -5, 5),
        ("different-powers", "SumPowers", -1, 1),
        ("trid", "Trid", -9, 9),
        ("zakharov", "Zakharov", -5, 10),
    ]:
        for dimension in [2, 11, 29]:
            yield name, "scalable", "jaxvlse", vlse(function, dimension), low, high
    for name, function, low, high in [
        ("brown", "brown", -1, 2),
        ("qing", "qing", -9, 9),
        ("salomon", "salomon", -9, 9),
    ]:
        for dimension in [2, 11, 29]:
            yield name, "scalable", "benchmarkfcns", benchmarkfcns(function, dimension), low, high
    for name, problem, arguments, low, high in [
        ("arwhead", "ARWHEAD", [(2,), (29,)], -2, 2),
        ("bdqrtic", "BDQRTIC", [(5,), (6,), (29,)], -2, 2),
        ("broyden-tridiagonal", "BROYDN3DLS", [(29,)], -2, 2),
        ("cosine", "COSINE", [(2,), (29,)], -2, 2),
        ("cragg-levy", "CRAGGLVY", [(1,), (14,)], -1, 2),
        ("discrete-boundary", "MOREBV", [(29,)], -2, 2),
        ("dixmaana", "DIXMAANA1", [(10,)], -2, 2),
        ("dixmaanl", "DIXMAANL", [(10,)], -2, 2),
        ("dqrtic", "DQRTIC", [(29,)], -2, 2),
        ("edensch", "EDENSCH", [(29,)], -2, 2),
        ("engval1", "ENGVAL1", [(2,), (29,)], -2, 2),
        ("extended-wood", "WOODS", [(7,)], -3, 3),
        ("freudenstein-roth", "FREUROTH", [(2,), (29,)], -5, 5),
        ("genrose", "GENROSE", [(29,)], -2, 2),
        ("liarwhd", "LIARWHD", [(29,)], -2, 2),
        ("nondia", "NONDIA", [(29,)], -2, 2),
        ("nondquar", "NONDQUAR", [(30,)], -2, 2),
        ("power", "POWER", [(29,)], -2, 2),
        ("qing", "QING", [(29,)], -9, 9),
        ("schmidt-vetters", "SCHMVETT", [(3,), (29,)], -2, 2),
        ("sinquad", "SINQUAD2", [(5,), (29,)], -2, 2),
        ("toint-gaussian", "TOINTGSS", [(29,)], -2, 2),
        ("tquartic", "TQUARTIC", [(29,)], -2, 2),
        ("tridia", "TRIDIA", [(29,)], -2, 2),
    ]:
        for argument in arguments:
            yield name, "scalable", S2MPJ, Cutest(problem, *argument), low, high
    for name, call in [
        ("broyden-banded", "broyden_band()"),
        ("broyden-tridiagonal", "broyden_tri()"),
        ("discrete-boundary", "disc_bv()"),
    ]:
        for dimension in [2, 29]:
            yield name, "scalable", FUNCONSTRAIN, Funconstrain(call, dimension), -2, 2
    cube = Cutest("CUBE", 2)
    for dimension in [2, 30]:
        yield "white-holst", "scalable", S2MPJ, Pairs(dimension, 2, cube), -2, 2


def values():
    """Values at three points, the gradient's product with a fourth, the value at the start."""
    rows = []
    for name, room, source, function, low, high in cases():
        dimension = function.dimension
        row = {
            "function": name,
            "set": room,
            "dimension": dimension,
            "source": source,
            "low": low,
            "high": high,
            "values": [],
            "slopes": [],
            "tolerance": 1e-6 if name == "schmidt-vetters" else 1e-10,
        }
        direction = point(dimension, 1000, -1, 1)
        for key in range(1, 4):
            value, gradient = function(point(dimension, key, low, high))
            row["values"].append(value)
            if gradient is not None:
                row["slopes"].append(float(gradient @ direction))
        # funconstrain's start of Brown and Dennis has a sign wrong.
        if function.start is not None and (name, source) != ("brown-dennis", FUNCONSTRAIN):
            row["start"] = function(function.start)[0]
        rows.append(row)
    return rows


def minima():
    """Where SciPy's BFGS ends on funconstrain's problems."""
    rows = []
    for name, room, source, function, _, _ in cases():
        if room != "mgh" or source != FUNCONSTRAIN or function.dimension > 12:
            continue
        options = {"maxiter": 100_000, "gtol": 1e-12}
        x = function.start
        # Restarts, because BFGS stops early on Watson's function of 12 variables.
        for _ in range(20):
            best = minimize(function, x, jac=True, method="BFGS", options=options)
            x = best.x
        row = {"function": name, "dimension": function.dimension}
        rows.append(row | {"value": best.fun, "x": best.x.tolist()})
    return rows


def commit(checkout):
    command = ["git", "-C", checkout, "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(s2mpj, funconstrain):
    sys.path[:0] = [s2mpj, f"{s2mpj}/python_problems"]
    Funconstrain.begin(funconstrain)
    packages = ["numpy", "scipy", "jax", "jaxvlse", "benchmarkfcns"]
    sources = {name: version(name) for name in packages}
    sources |= {S2MPJ: commit(s2mpj), FUNCONSTRAIN: commit(funconstrain)}
    write("bbob.json", bbob())
    write("values.json", {"sources": sources, "values": values(), "minima": minima()})


def write(name, content):
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    (HERE / name).write_text(text + "\n")


S2MPJ, FUNCONSTRAIN = "S2MPJ", "funconstrain"

if __name__ == "__main__":
    main(*sys.argv[1:])
