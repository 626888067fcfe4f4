"""Writes first_order.json: parameters along runs of PyTorch's first-order optimizers, in f64.

Use: python first_order.py > first_order.json

Each problem is given by a formula, which tests/first_order.rs repeats with Candle. An optimizer's
entry `config` is the configuration of the Rust optimizer in JSON.
"""

import json
import platform

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR, StepLR

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

RECORDED = [1, 2, 5, 20, 40, 60]


def wave(rows, columns, frequency, phase):
    """A matrix of sines, sin(frequency * k + phase) for element k in row-major order."""
    return torch.sin(frequency * torch.arange(rows * columns, dtype=torch.float64) + phase).reshape(rows, columns)


def quadratic():
    x = torch.ones(5)
    scale = torch.tensor([1.0, 3.0, 10.0, 30.0, 100.0])
    center = torch.tensor([0.0, -1.0, 2.0, -3.0, 4.0])
    return {"x": x}, lambda p: 0.5 * (scale * (p["x"] - center) ** 2).sum()


def rosenbrock():
    x = torch.tensor([-1.2, 1.0, -1.2, 1.0])

    def loss(p):
        head, tail = p["x"][:-1], p["x"][1:]
        return (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum()

    return {"x": x}, loss


def logistic():
    inputs = wave(12, 3, 1.7, 0.3)
    labels = torch.tensor([[float(i % 3 == 0)] for i in range(12)])

    def loss(p):
        logit = inputs @ p["weight"] + p["bias"]
        return (torch.log(1 + torch.exp(logit)) - labels * logit).mean()

    return {"weight": wave(3, 1, 0.9, 0.1), "bias": torch.tensor([0.25])}, loss


def mlp():
    inputs = wave(8, 3, 1.1, 0.2)
    targets = wave(8, 2, 0.7, 0.5)
    parameters = {
        "fc1.weight": wave(3, 4, 0.8, 0.4),
        "fc1.bias": torch.tensor([0.1, -0.1, 0.2, -0.2]),
        "fc2.weight": wave(4, 2, 0.6, 0.9),
        "fc2.bias": torch.tensor([0.05, -0.05]),
    }

    def loss(p):
        hidden = torch.tanh(inputs @ p["fc1.weight"] + p["fc1.bias"])
        return ((hidden @ p["fc2.weight"] + p["fc2.bias"] - targets) ** 2).mean()

    return parameters, loss


PROBLEMS = {"quadratic": quadratic, "rosenbrock": rosenbrock, "logistic": logistic, "mlp": mlp}
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


def run(problem, kind, config):
    values, loss = PROBLEMS[problem]()
    parameters = {name: value.clone().requires_grad_() for name, value in values.items()}
    optimizer = build(kind, config, parameters)
    losses, points = [], {}
    for step in range(1, max(RECORDED) + 1):
        optimizer.zero_grad()
        value = loss(parameters)
        value.backward()
        optimizer.step()
        if step in RECORDED:
            losses.append(value.item())
            points[step] = {name: p.detach().flatten().tolist() for name, p in parameters.items()}
    return {"problem": problem, "optimizer": kind, "config": config, "losses": losses, "points": points}


def runs():
    for problem in PROBLEMS:
        for settings in SGD:
            yield run(problem, "sgd", {"learning_rate": SGD_RATE[problem], **settings})
        for settings in ADAM:
            yield run(problem, "adam", {"learning_rate": ADAM_RATE[problem], **settings})
    for problem in ("logistic", "mlp"):
        settings = {"weight_decay": 0.1, "groups": GROUPS}
        yield run(problem, "sgd", {"learning_rate": SGD_RATE[problem], "momentum": 0.9, **settings})
        settings["weight_decay_kind"] = "decoupled"
        yield run(problem, "adam", {"learning_rate": ADAM_RATE[problem], **settings})


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


print(json.dumps({
    "versions": {"torch": torch.__version__, "python": platform.python_version()},
    "recorded": RECORDED,
    "runs": list(runs()),
    "schedules": list(schedules()),
}))
