"""Writes lbfgs.json: trajectories of torch.optim.LBFGS in f64 on problems given by formulas.

The problems are repeated in tests/second_order/lbfgs_golden.rs. Rounding grows along a trajectory, by a factor
that depends on the problem: so each run is made a second time with the coordinates in reverse
order, which changes nothing but the order of sums, and the difference is recorded as "spread".
Run from this folder:
    python lbfgs.py
"""

import importlib
import json
import math

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
MODULE = importlib.import_module("torch.optim.lbfgs")
STRONG_WOLFE = MODULE._strong_wolfe


def ordered(values, reverse):
    """The values as a variable, and a view of it in the values' own order."""
    x = torch.tensor(values[::-1] if reverse else values).requires_grad_()
    return x, (lambda: x.flip(0)) if reverse else (lambda: x)


# Each problem: parameters, loss, and the flat parameters in the order of the Rust test.
def quadratic(reverse):
    d = 20
    scale = torch.tensor([100 ** (i / (d - 1)) for i in range(d)])
    center = torch.tensor([1.0 + 0.1 * i for i in range(d)])
    x, view = ordered([0.0] * d, reverse)
    if reverse:
        scale, center = scale.flip(0), center.flip(0)
    return [x], lambda: 0.5 * (scale * (x - center) ** 2).sum(), view


def rosenbrock(reverse):
    x, view = ordered([-1.2, 1.0] * 3, reverse)
    return [x], lambda: (100 * (view()[1:] - view()[:-1] ** 2) ** 2 + (1 - view()[:-1]) ** 2).sum(), view


def features(samples, count):
    return torch.tensor([[math.sin(1.0 + i * count + 1.7 * j * (i + 1)) for j in range(count)] for i in range(samples)])


def logistic(reverse):
    a = features(40, 6)
    sign = torch.tensor([1.0 if math.sin(0.9 * i * i) > 0 else -1.0 for i in range(40)])
    w, view = ordered([0.0] * 6, reverse)
    if reverse:
        a = a.flip(1)
    return [w], lambda: torch.log1p(torch.exp(-sign * (a @ w))).mean() + 0.5e-3 * (w * w).sum(), view


def mlp(reverse):
    a = features(30, 3)
    target = torch.tensor([[math.cos(0.5 * i)] for i in range(30)])
    shapes = {"1.bias": (1, 5), "1.weight": (3, 5), "2.bias": (1, 1), "2.weight": (5, 1)}
    p = {}
    for k, (name, shape) in enumerate(shapes.items()):
        n = shape[0] * shape[1]
        values = [0.5 * math.sin(2.3 * i + k + 1.0) for i in range(n)]
        p[name] = torch.tensor(values).reshape(shape).requires_grad_()
    def loss():
        hidden = torch.tanh(a @ p["1.weight"] + p["1.bias"])
        return ((hidden @ p["2.weight"] + p["2.bias"] - target) ** 2).mean()
    parameters = list(p.values())
    view = lambda: torch.cat([q.flatten() for q in parameters])
    return parameters[::-1] if reverse else parameters, loss, view


PROBLEMS = {"quadratic": quadratic, "rosenbrock": rosenbrock, "logistic": logistic, "mlp": mlp}
SETTINGS = [
    dict(line_search_fn="strong_wolfe", max_iter=5, history_size=10),
    dict(line_search_fn="strong_wolfe", max_iter=20, max_eval=4, history_size=10),
    dict(line_search_fn="strong_wolfe", max_iter=1, max_eval=3, history_size=3),
    dict(line_search_fn="strong_wolfe", max_iter=20, max_eval=4, history_size=10, before_2_6=True),
    dict(line_search_fn="strong_wolfe", max_iter=7, max_eval=12, history_size=100, lr=0.5),
    dict(line_search_fn=None, max_iter=5, history_size=5, lr=0.2),
    dict(line_search_fn=None, max_iter=20, max_eval=7, history_size=100, lr=0.1),
]


def run(problem, settings, reverse):
    parameters, loss, view = PROBLEMS[problem](reverse)
    arguments = {"tolerance_grad": 1e-9, "tolerance_change": 1e-14, "lr": 1.0, **settings}
    before_2_6 = arguments.pop("before_2_6", False)
    optimizer = torch.optim.LBFGS(parameters, **arguments)

    def search(*args, max_ls=25, **kwargs):
        # PyTorch before 2.6 did not pass max_ls.
        return STRONG_WOLFE(*args, max_ls=25 if before_2_6 else max_ls, **kwargs)

    MODULE._strong_wolfe = search

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    state = optimizer.state[parameters[0]]
    steps = []
    while state.get("n_iter", 0) < 60 and len(steps) < 60:
        done = state.get("n_iter", 0)
        before = optimizer.step(closure).item()
        x = view().detach().tolist()
        steps.append({"loss": before, "evaluations": state["func_evals"], "iterations": state.get("n_iter", 0), "x": x})
        if state.get("n_iter", 0) == done:
            break
    return {"problem": problem, "before_2_6": before_2_6, **arguments, "steps": steps}


def norm(x):
    return math.sqrt(sum(v * v for v in x))


def with_spread(problem, settings):
    result = run(problem, settings, reverse=False)
    spread = 0.0
    for i, (step, other) in enumerate(zip(result["steps"], run(problem, settings, reverse=True)["steps"])):
        difference = norm([a - b for a, b in zip(step["x"], other["x"])]) / norm(step["x"])
        spread = max(spread, difference)
        step["spread"] = float(f"{spread:.1e}")
        if (i + 1) % 10 and i + 1 < len(result["steps"]):
            del step["x"]
    return result


runs = [with_spread(problem, settings) for problem in PROBLEMS for settings in SETTINGS]
with open("lbfgs.json", "w") as file:
    json.dump({"torch": torch.__version__, "runs": runs}, file)
    file.write("\n")
