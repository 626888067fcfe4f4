"""Writes extremes.json: runs of PyTorch's optimizers on gradients near the ends of f32 and f64.

Use: python extremes.py > extremes.json

One parameter starts at 1. Its first gradient is `first`, all later ones are `later`. Only gradients
are used whose squares, as PyTorch takes them, stay finite.
"""

import json
import platform

import torch

torch.set_num_threads(1)

STEPS = 20


def run(dtype, optimizer, config, first, later, build):
    x = torch.tensor([1.0], dtype=dtype, requires_grad=True)
    method = build([x])
    points = []
    for step in range(STEPS):
        x.grad = torch.tensor([first if step == 0 else later], dtype=dtype)
        method.step()
        points.append(x.item())
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "optimizer": optimizer,
        "config": config,
        "first": first,
        "later": later,
        "points": points,
    }


def runs():
    adam = lambda p: torch.optim.Adam(p, lr=0.1, foreach=False)
    amsgrad = lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True, foreach=False)
    without_epsilon = lambda p: torch.optim.Adam(p, lr=0.1, eps=0.0, foreach=False)
    sgd = lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, foreach=False)
    rate = {"learning_rate": 0.1}
    for first, later in [(1e19, 1.0), (1e20, 1.0), (-1e20, 1e10), (1e-20, 1e-20), (1e-38, 1.0)]:
        yield run(torch.float32, "adam", rate, first, later, adam)
        yield run(torch.float32, "adam", rate | {"amsgrad": True}, first, later, amsgrad)
    for first, later in [(1e100, 1.0), (1e154, 1.0), (1e-150, 1e-150)]:
        yield run(torch.float64, "adam", rate, first, later, adam)
    for first, later in [(1e-150, 1e-150), (1e-100, -1e-101)]:
        yield run(torch.float64, "adam", rate | {"epsilon": 0.0}, first, later, without_epsilon)
    momentum = {"learning_rate": 1e-3, "momentum": 0.9}
    for dtype, first in [(torch.float32, 1e37), (torch.float32, 1e-40), (torch.float64, 1e306)]:
        yield run(dtype, "sgd", momentum, first, -first, sgd)


print(json.dumps({
    "versions": {"torch": torch.__version__, "python": platform.python_version()},
    "runs": list(runs()),
}))
