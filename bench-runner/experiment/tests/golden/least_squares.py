"""Losses and gradients of least-squares problems by PyTorch, for tests/least_squares.rs and the tests of the room
least_squares: networks in f64 on Halton's points by SciPy, scikit-learn's digits, images of curves by NumPy.

    python least_squares.py > least_squares.json    (needs torch, scipy and scikit-learn)
"""

import json

import numpy as np
import scipy
import sklearn
import torch
from scipy.stats import qmc
from sklearn.datasets import load_digits

SIDE = 16


def franke(u):
    x, y = u[:, 0], u[:, 1]
    return (
        0.75 * np.exp(-((9 * x - 2) ** 2) / 4 - (9 * y - 2) ** 2 / 4)
        + 0.75 * np.exp(-((9 * x + 1) ** 2) / 49 - (9 * y + 1) / 10)
        + 0.5 * np.exp(-((9 * x - 7) ** 2) / 4 - (9 * y - 3) ** 2 / 4)
        - 0.2 * np.exp(-((9 * x - 4) ** 2) - (9 * y - 7) ** 2)
    )


def friedman(u):
    return 10 * np.sin(np.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2 + 10 * u[:, 3] + 5 * u[:, 4]


FUNCTIONS = {
    "runge": (1, lambda u: 1 / (1 + 25 * (2 * u[:, 0] - 1) ** 2)),
    "sine": (1, lambda u: np.sin(4 * np.pi * u[:, 0])),
    "franke": (2, franke),
    "friedman": (5, friedman),
}


def mlp(widths):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [(f"fc{i + 1}", torch.nn.Linear(a, b, dtype=torch.float64))]
        if i + 2 < len(widths):
            layers += [(f"tanh{i + 1}", torch.nn.Tanh())]
    network = torch.nn.Sequential()
    for name, layer in layers:
        network.add_module(name, layer)
    return network


def fill(network):
    """Sets the k-th number of all parameters, sorted by name, to sin(k + 1) / 2."""
    named = sorted(network.named_parameters())
    k = 0
    with torch.no_grad():
        for _, parameter in named:
            values = torch.arange(k, k + parameter.numel(), dtype=torch.float64)
            parameter.copy_((torch.sin(values + 1) / 2).reshape(parameter.shape))
            k += parameter.numel()
    return [parameter for _, parameter in named]


def loss(network, inputs, targets):
    return ((network(inputs) - targets) ** 2).sum() / (2 * len(inputs))


def regression(name, hidden, samples):
    dimension, function = FUNCTIONS[name]
    u = qmc.Halton(dimension, scramble=False).random(samples + 1)[1:]
    y = function(u)
    y = (y - y.mean()) / y.std()
    network = mlp([dimension, *hidden, 1])
    parameters = fill(network)
    value = loss(network, torch.tensor(2 * u - 1), torch.tensor(y)[:, None])
    value.backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in parameters])
    k = torch.arange(len(gradient), dtype=torch.float64)
    return {
        "function": name,
        "hidden": hidden,
        "samples": samples,
        "loss": value.item(),
        "norm": gradient.norm().item(),
        "slope": (gradient @ torch.cos(k)).item(),
    }


def digits(hidden, code):
    """The mean over all 1797 digits, training and test."""
    images = torch.tensor(load_digits().data / 16)
    network = torch.nn.Sequential()
    network.add_module("encoder", mlp([64, *hidden, code]))
    network.add_module("decoder", mlp([code, *reversed(hidden), 64]))
    fill(network)
    return {"hidden": hidden, "code": code, "loss": loss(network, images, images).item()}


def curve(points):
    a, b, c = np.array(points)
    t = np.linspace(0, 1, 48)[:, None]
    dots = SIDE * ((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)
    centres = np.stack(np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5), axis=-1)
    distances = np.linalg.norm(centres[:, :, None, :] - dots, axis=-1).min(axis=-1)
    return {"points": points, "image": np.exp(-(distances**2) / (2 * 0.7**2)).flatten().tolist()}


print(
    json.dumps(
        {
            "versions": {p.__name__: p.__version__ for p in (torch, scipy, sklearn, np)},
            "regression": [regression(name, [7, 5], 50) for name in FUNCTIONS] + [regression("franke", [6], 33)],
            "digits": digits([12, 8], 5),
            "curves": [
                curve([[0.1, 0.2], [0.5, 0.9], [0.8, 0.3]]),
                curve([[0.9, 0.9], [0.1, 0.5], [0.6, 0.15]]),
            ],
        }
    )
)
