"""Writes mgh.json: SciPy's L-BFGS-B on the 18 problems of Moré, Garbow & Hillstrom (1981).

Gradients are complex-step derivatives of formulas transcribed apart from those in tests/second_order/mgh.rs,
which the test compares with at one point each. Run from this folder:
    python mgh.py
"""

import json

import numpy as np
import scipy
from scipy.optimize import minimize

I = np.arange  # noqa: E741


def helical(x):
    theta = np.arctan(x[1] / x[0]) / (2 * np.pi) + (0.5 if x[0].real < 0 else 0)
    return [10 * (x[2] - 10 * theta), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]]


def biggs(x):
    t = 0.1 * I(1, 14)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


def gaussian(x):
    y = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989]
    t = (8 - I(1, 16)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - np.array(y + y[-2::-1])


def powell_bad(x):
    return [1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001]


def box(x):
    t = 0.1 * I(1, 11)
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def variably(x):
    s = (I(1, len(x) + 1) * (x - 1)).sum()
    return np.concatenate([x - 1, [s, s * s]])


def watson(x):
    n = len(x)
    t = (I(1, 30) / 29)[:, None]
    slope = (I(1, n) * x[1:] * t ** I(n - 1)).sum(1)
    value = (x * t ** I(n)).sum(1)
    return np.concatenate([slope - value**2 - 1, [x[0], x[1] - x[0] ** 2 - 1]])


def penalty1(x):
    return np.concatenate([np.sqrt(1e-5) * (x - 1), [(x * x).sum() - 0.25]])


def penalty2(x):
    n = len(x)
    a = np.sqrt(1e-5)
    e = np.exp(x / 10)
    y = np.exp(I(2, n + 1) / 10) + np.exp(I(1, n) / 10)
    return np.concatenate([[x[0] - 0.2], a * (e[1:] + e[:-1] - y), a * (e[1:] - np.exp(-0.1)), [(I(n, 0, -1) * x * x).sum() - 1]])


def brown_bad(x):
    return [x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2]


def brown_dennis(x):
    t = I(1, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def gulf(x):
    t = I(1, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    distance = y - x[1]
    distance = distance * np.sign(distance.real)
    return np.exp(-(distance ** x[2]) / x[0]) - t


def trigonometric(x):
    n = len(x)
    return n - np.cos(x).sum() + I(1, n + 1) * (1 - np.cos(x)) - np.sin(x)


def rosenbrock(x):
    return np.concatenate([10 * (x[1::2] - x[::2] ** 2), 1 - x[::2]])


def powell_singular(x):
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    return np.concatenate([a + 10 * b, np.sqrt(5) * (c - d), (b - 2 * c) ** 2, np.sqrt(10) * (a - d) ** 2])


def beale(x):
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** I(1, 4))


def wood(x):
    return [10 * (x[1] - x[0] ** 2), 1 - x[0], np.sqrt(90) * (x[3] - x[2] ** 2), 1 - x[2], np.sqrt(10) * (x[1] + x[3] - 2), (x[1] - x[3]) / np.sqrt(10)]


def chebyquad(x):
    n = len(x)
    z = 2 * x - 1
    before, now, out = np.ones_like(z), z, []
    for i in range(1, n + 1):
        out.append(now.mean() - (-1 / (i * i - 1) if i % 2 == 0 else 0))
        before, now = now, 2 * z * now - before
    return out


PROBLEMS = [
    ("Helical valley", helical, [-1, 0, 0]),
    ("Biggs EXP6", biggs, [1, 2, 1, 1, 1, 1]),
    ("Gaussian", gaussian, [0.4, 1, 0]),
    ("Powell badly scaled", powell_bad, [0, 1]),
    ("Box three-dimensional", box, [0, 10, 20]),
    ("Variably dimensioned", variably, [1 - j / 10 for j in range(1, 11)]),
    ("Watson", watson, [0] * 6),
    ("Penalty I", penalty1, list(range(1, 11))),
    ("Penalty II", penalty2, [0.5] * 10),
    ("Brown badly scaled", brown_bad, [1, 1]),
    ("Brown and Dennis", brown_dennis, [25, 5, -5, -1]),
    ("Gulf research", gulf, [5, 2.5, 0.15]),
    ("Trigonometric", trigonometric, [0.1] * 10),
    ("Extended Rosenbrock", rosenbrock, [-1.2, 1] * 5),
    ("Extended Powell singular", powell_singular, [3, -1, 0, 1] * 3),
    ("Beale", beale, [1, 1]),
    ("Wood", wood, [-3, -1, -3, -1]),
    ("Chebyquad", chebyquad, [j / 9 for j in range(1, 9)]),
]


def with_gradient(residuals):
    def loss(x):
        return (np.asarray(residuals(x)) ** 2).sum()

    def both(x):
        gradient = np.empty(len(x))
        for i in range(len(x)):
            z = np.array(x, dtype=complex)
            z[i] += 1e-30j
            gradient[i] = loss(z).imag / 1e-30
        return loss(np.array(x, dtype=complex)).real, gradient

    return both


out = []
for name, residuals, start in PROBLEMS:
    start = np.array(start, dtype=float)
    f = with_gradient(residuals)
    result = minimize(f, start, jac=True, method="L-BFGS-B", options={"maxcor": 10, "ftol": 1e-30, "gtol": 1e-8, "maxiter": 20000, "maxfun": 20000})
    x = start + 0.01 * np.cos(I(len(start)))
    loss, gradient = f(x)
    out.append({"name": name, "x": x.tolist(), "loss": loss, "gradient": gradient.tolist(), "iterations": int(result.nit), "evaluations": int(result.nfev), "minimum": float(result.fun)})
    print(name, result.nit, result.nfev, result.fun)
with open("mgh.json", "w") as file:
    json.dump({"scipy": scipy.__version__, "numpy": np.__version__, "problems": out}, file, indent=1)
    file.write("\n")
