"""Writes first_order.json: parameters along runs of PyTorch's first-order optimizers, in f64.

Use: python first_order.py > first_order.json

The problems are in problems.py. An optimizer's entry `config` is the configuration of the Rust
optimizer in JSON.
"""

import json
import platform

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR, StepLR

from problems import RECORDED, run

SGD_RATE = {"quadratic": 1e-3, "rosenbrock": 2e-4, "logistic": 0.1, "mlp": 0.1}
ADAM_RATE = {"quadratic": 0.05, "rosenbrock": 0.02, "logistic": 0.05, "mlp": 0.02}

SGD = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
    {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
]
ADAM = [
    {},
    {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "weight_decay_kind": "decoupled"},
    {"amsgrad": True, "beta2": 0.9},
    {"amsgrad": True, "beta2": 0.9, "weight_decay": 0.1, "weight_decay_kind": "decoupled"},
]
GROUPS = [{"parameters": ["*bias"], "learning_rate_factor": 0.5, "weight_decay": 0.0}]


def build(kind, config, parameters):
    config = dict(config)
    rate = config.pop("learning_rate")
    decay = config.get("weight_decay", 0.0)
    groups = [{"params": []}]
    for group in config.pop("groups", []):
        groups.append({
            "params": [],
            "lr": rate * group["learning_rate_factor"],
            "weight_decay": group["weight_decay"],
        })
    for name, parameter in parameters.items():
        in_group = len(groups) > 1 and name.endswith("bias")
        groups[int(in_group)]["params"].append(parameter)
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=rate, foreach=False, **config)
    decoupled = config.pop("weight_decay_kind", "coupled") == "decoupled"
    method = torch.optim.AdamW if decoupled else torch.optim.Adam
    return method(
        groups,
        lr=rate,
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)),
        eps=config.get("epsilon", 1e-8),
        weight_decay=decay,
        amsgrad=config.get("amsgrad", False),
        foreach=False,
    )


def runs():
    for problem in SGD_RATE:
        for settings in SGD:
            yield run(problem, "sgd", {"learning_rate": SGD_RATE[problem], **settings}, build)
        for settings in ADAM:
            yield run(problem, "adam", {"learning_rate": ADAM_RATE[problem], **settings}, build)
    for problem in ("logistic", "mlp"):
        settings = {"weight_decay": 0.1, "groups": GROUPS}
        yield run(problem, "sgd", {"learning_rate": SGD_RATE[problem], "momentum": 0.9, **settings}, build)
        settings["weight_decay_kind"] = "decoupled"
        yield run(problem, "adam", {"learning_rate": ADAM_RATE[problem], **settings}, build)


def rates(schedule, scheduler):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = scheduler(optimizer)
    factors = []
    for _ in range(24):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return {"schedule": schedule, "factors": factors}


def schedules():
    step = {"kind": "step", "every": 5, "factor": 0.3}
    cosine = {"kind": "cosine", "steps": 23, "final_factor": 0.05}
    shorter = {"kind": "cosine", "steps": 18, "final_factor": 0.0}
    yield rates(step, lambda o: StepLR(o, 5, 0.3))
    yield rates(cosine, lambda o: CosineAnnealingLR(o, 23, 0.05))
    yield rates(
        {"kind": "warm-up", "steps": 6, "start_factor": 0.1, "then": shorter},
        lambda o: SequentialLR(o, [LinearLR(o, 0.1, 1.0, 6), CosineAnnealingLR(o, 18)], [6]),
    )
    yield rates(
        {"kind": "sequence", "first": step, "steps": 12, "then": step},
        lambda o: SequentialLR(o, [StepLR(o, 5, 0.3), StepLR(o, 5, 0.3)], [12]),
    )
    # PyTorch's cycle of n steps reaches its last factor at step n - 1, and its peak at step
    # pct_start * n - 1.
    yield rates(
        {"kind": "one-cycle", "warm_up": 6, "steps": 23, "start_factor": 0.04, "final_factor": 4e-6},
        lambda o: OneCycleLR(o, 1.0, 24, pct_start=7 / 24, cycle_momentum=False),
    )


print(json.dumps({
    "versions": {"torch": torch.__version__, "python": platform.python_version()},
    "recorded": RECORDED,
    "runs": list(runs()),
    "schedules": list(schedules()),
}))
