"""Writes sls.json: parameters along runs of the authors' SGD with a stochastic Armijo search, in f64.

The code is github.com/IssamLaradji/sls, commit 1934653ed85bd5c0e427b63a9f0df5ab53ac28de; give its folder.
The problems are in problems.py. An entry `config` is the configuration of the Rust optimizer in JSON.
`lengths` are the step lengths after the recorded steps, and `forwards` the evaluations of the loss. Runs
that end where the gradient is below 1e-3 are left out: near a minimum rounding decides their searches.
Run from this folder:
    python sls.py FOLDER_OF_SLS
"""

import json
import sys

import torch

from problems import PROBLEMS, RECORDED, values_of

sys.path.insert(0, sys.argv[1])
from sls import Sls  # noqa: E402


def options(config):
    reset = config["reset"]
    options = {"init_step_size": config["learning_rate"], "c": config["c"], "beta_b": config["shrink"]}
    if reset == "keep":
        return options | {"reset_option": 0}
    if reset == "initial":
        return options | {"reset_option": 2}
    grow = reset["grow"]
    return options | {"reset_option": 1, "gamma": grow["factor"], "n_batches_per_epoch": grow["steps"]}


def run(problem, config):
    values, loss = PROBLEMS[problem]()
    parameters = {name: value.clone().requires_grad_() for name, value in values.items()}
    optimizer = Sls(list(parameters.values()), **options(config))
    losses, points, lengths, forwards = [], {}, [], []
    for step in range(1, max(RECORDED) + 1):
        optimizer.zero_grad()
        value = optimizer.step(lambda: loss(parameters))
        if step in RECORDED:
            losses.append(value.item())
            points[step] = values_of(parameters)
            lengths.append(optimizer.state["step_size"])
            forwards.append(optimizer.state["n_forwards"])
    if torch.cat([parameter.grad.flatten() for parameter in parameters.values()]).norm() < 1e-3:
        return None
    return {
        "problem": problem,
        "optimizer": "sls",
        "config": config,
        "losses": losses,
        "points": points,
        "lengths": lengths,
        "forwards": forwards,
    }


RESETS = ["keep", {"grow": {"factor": 2.0, "steps": 500}}, {"grow": {"factor": 2.0, "steps": 1}}, "initial"]
SETTINGS = [dict(learning_rate=1.0, c=0.1, shrink=0.9), dict(learning_rate=4.0, c=0.5, shrink=0.5)]
runs = []
for problem in PROBLEMS:
    for setting in SETTINGS:
        for reset in RESETS:
            made = run(problem, {**setting, "reset": reset})
            print(problem, setting, reset, made and (made["losses"][-1], made["lengths"][-1], made["forwards"][-1]))
            runs += [made] if made else []
with open("sls.json", "w") as file:
    json.dump({"torch": torch.__version__, "runs": runs}, file)
    file.write("\n")
