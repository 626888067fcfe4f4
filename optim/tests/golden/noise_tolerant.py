"""Writes noise_tolerant.json: trajectories of the authors' noise-tolerant L-BFGS in f64.

The code is ntqn.py of github.com/hjmshi/noise-tolerant-bfgs, commit
ab4b2a6dfb89fc61889921b66278925855cb0e70; give its folder. The problems are repeated in
tests/second_order/noise_tolerant.rs. Their gradients at the start are at most 1 in sum, so that a first step
length of 1 is that of both. Errors are smooth waves, so that rounding does not grow beyond use. Each
run is made a second time with the coordinates in reverse order, and the difference is recorded as
"spread". Run from this folder:
    python noise_tolerant.py FOLDER_OF_NTQN
"""

import json
import sys

import numpy as np

np.float = float  # removed from NumPy since the code was written
sys.path.insert(0, sys.argv[1])
from ntqn import bfgs_e  # noqa: E402


def quadratic(d):
    scale = np.array([100 ** (i / (d - 1)) for i in range(d)])
    center = np.array([1.0 + 0.1 * i for i in range(d)])
    f = lambda x: 1e-4 * (0.5 * scale * (x - center) ** 2).sum()
    return f, lambda x: 1e-4 * scale * (x - center), np.zeros(d)


def rosenbrock(d):
    def f(x):
        return 1e-4 * (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    def g(x):
        a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
        out = np.zeros(d)
        out[:-1] -= 400 * x[:-1] * a + 2 * b
        out[1:] += 200 * a
        return 1e-4 * out

    return f, g, np.array([-1.2, 1.0] * (d // 2))


def log_cosh(d):
    scale = np.array([100 ** (i / (d - 1)) for i in range(d)])
    center = np.array([1.0 + 0.1 * i for i in range(d)])
    f = lambda x: 1e-3 * (scale * np.log(np.cosh(x - center))).sum()
    return f, lambda x: 1e-3 * scale * np.tanh(x - center), np.zeros(d)


PROBLEMS = {"quadratic": quadratic, "log-cosh": log_cosh, "rosenbrock": rosenbrock}
# Bounds of the errors, and the errors themselves: of the loss, wave·sin(20·x₁); of the gradient's
# components, wave·cos(20·xᵢ).
SETTINGS = [
    dict(problem="quadratic", d=20, loss=0.0, gradient=0.0, wave=0.0, history_size=10),
    dict(problem="quadratic", d=20, loss=1e-6, gradient=1e-5, wave=0.0, history_size=5),
    dict(problem="quadratic", d=20, loss=1e-5, gradient=1e-4, wave=1e-5, history_size=10),
    dict(problem="log-cosh", d=12, loss=0.0, gradient=0.0, wave=0.0, history_size=10),
    dict(problem="log-cosh", d=12, loss=1e-5, gradient=1e-5, wave=0.0, history_size=10),
    dict(problem="log-cosh", d=12, loss=1e-5, gradient=1e-4, wave=1e-5, history_size=5),
    dict(problem="rosenbrock", d=6, loss=0.0, gradient=0.0, wave=0.0, history_size=10),
    dict(problem="rosenbrock", d=6, loss=1e-6, gradient=1e-5, wave=0.0, history_size=10),
    dict(problem="rosenbrock", d=6, loss=1e-5, gradient=1e-4, wave=1e-5, history_size=3),
]


def run(setting, reverse):
    f, g, x0 = PROBLEMS[setting["problem"]](setting["d"])
    wave = setting["wave"]
    order = slice(None, None, -1) if reverse else slice(None)
    loss = lambda x: f(x[order]) + wave * np.sin(20 * x[order][0])
    gradient = lambda x: (g(x[order]) + wave * np.cos(20 * x[order]))[order]
    path = []
    options = dict(max_iter=61, max_feval=10**9, max_geval=10**9, terminate=0, display=0)
    options["qn_hist_size"] = setting["history_size"]
    start = x0[order].copy()
    callback = lambda x: path.append(x[order].copy())
    *_, results = bfgs_e(loss, gradient, start, setting["loss"], setting["gradient"], callback, options)
    return path[1:], results["alphas"][1:61], results["betas"][1:61]


runs = []
for setting in SETTINGS:
    path, alphas, betas = run(setting, False)
    other, _, _ = run(setting, True)
    steps = []
    spread = 0.0
    for i, (x, y) in enumerate(zip(path, other)):
        spread = max(spread, np.linalg.norm(x - y) / np.linalg.norm(x))
        step = {"alpha": float(alphas[i]), "beta": float(betas[i]), "spread": float(f"{spread:.1e}")}
        if (i + 1) % 5 == 0:
            step["x"] = x.tolist()
        steps.append(step)
    split = int((alphas != betas).sum())
    print(setting, "split:", split, "failed:", int((alphas == 0).sum()), int((betas == 0).sum()), "spread:", [s["spread"] for s in steps][::12])
    runs.append({**setting, "steps": steps})
with open("noise_tolerant.json", "w") as file:
    json.dump({"numpy": np.__version__, "runs": runs}, file)
    file.write("\n")
