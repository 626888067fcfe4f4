"""Writes physics.json: losses and gradients of physics-informed networks by PyTorch's nested automatic
differentiation, in double precision.

Run with: python models/tests/golden/physics.py
"""

import math

import numpy as np
import torch

from values import write

GRID_X, GRID_T = 7, 5


def uniform(stream, count):
    """Pseudo-random numbers on [-1, 1) by integer arithmetic, so that both sides have the same bits."""
    x = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(1000 * stream)) * np.uint64(2654435761)
    x %= np.uint64(2**32)
    x ^= x >> np.uint64(15)
    x = x * np.uint64(0x2C1B3C6D) % np.uint64(2**32)
    x ^= x >> np.uint64(12)
    return x.astype(np.float64) / 2**31 - 1


class Network:
    def __init__(self, width, depth, activation, features):
        self.activation, self.features = activation, features
        sizes = [2 if features == "plain" else 1 + 2 * features] + [width] * depth + [1]
        shapes = {}
        for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:]), 1):
            shapes[f"fc{layer}.weight"] = (outputs, inputs)
            shapes[f"fc{layer}.bias"] = (outputs,)
        self.layers = len(sizes) - 1
        self.parameters = {}
        for stream, name in enumerate(sorted(shapes), 1):
            shape = shapes[name]
            scale = (3 / shape[1]) ** 0.5 if len(shape) == 2 else 0.2
            values = scale * uniform(stream, math.prod(shape))
            self.parameters[name] = torch.from_numpy(values).reshape(shape).requires_grad_()

    def __call__(self, x, t, length):
        if self.features == "plain":
            a = torch.stack([x, t], 1)
        else:
            waves = [2 * math.pi * k / length * x for k in range(1, self.features + 1)]
            a = torch.stack([t] + [f(w) for w in waves for f in (torch.cos, torch.sin)], 1)
        for layer in range(1, self.layers + 1):
            weight, bias = (self.parameters[f"fc{layer}.{part}"] for part in ("weight", "bias"))
            a = a @ weight.T + bias
            if layer < self.layers:
                a = self.activation(a)
        return a[:, 0]


def derivative(u, by):
    return torch.autograd.grad(u.sum(), by, create_graph=True)[0]


def bell(x):
    return torch.exp(-((x - math.pi) ** 2) / (2 * (math.pi / 4) ** 2))


# Each equation: domain, residual from (u, x, t), start, ends, ansatz from (n, x, t).
PERIODIC, UNIT, SYMMETRIC = (0, 2 * math.pi), (0, 1), (-1, 1)
ZERO = (0.0, 0.0)


def wave_start(x):
    return torch.sin(math.pi * x) + torch.sin(5 * math.pi * x) / 2


EQUATIONS = {
    "convection": dict(
        x=PERIODIC,
        residual=lambda u, x, t: derivative(u, t) + 40 * derivative(u, x),
        start=torch.sin, ends="periodic",
        ansatz=lambda n, x, t: torch.sin(x) + t * n,
    ),
    "reaction": dict(
        x=PERIODIC,
        residual=lambda u, x, t: derivative(u, t) - 5 * u * (1 - u),
        start=bell, ends="periodic",
        ansatz=lambda n, x, t: bell(x) + t * n,
    ),
    "wave": dict(
        x=UNIT,
        residual=lambda u, x, t: derivative(derivative(u, t), t) - 4 * derivative(derivative(u, x), x),
        start=wave_start, velocity=True, ends=ZERO,
        ansatz=lambda n, x, t: wave_start(x) + t**2 * x * (1 - x) * n,
    ),
    "reaction-diffusion": dict(
        x=PERIODIC,
        residual=lambda u, x, t: derivative(u, t) - 3 * derivative(derivative(u, x), x) - 5 * u * (1 - u),
        start=bell, ends="periodic",
        ansatz=lambda n, x, t: bell(x) + t * n,
    ),
    "burgers": dict(
        x=SYMMETRIC,
        residual=lambda u, x, t: derivative(u, t) + u * derivative(u, x)
        - 0.01 / math.pi * derivative(derivative(u, x), x),
        start=lambda x: -torch.sin(math.pi * x), ends=ZERO,
        ansatz=lambda n, x, t: -torch.sin(math.pi * x) + t * (1 - x**2) * n,
    ),
    "allen-cahn": dict(
        x=SYMMETRIC,
        residual=lambda u, x, t: derivative(u, t) - 0.001 * derivative(derivative(u, x), x) - 5 * (u - u**3),
        start=lambda x: x**2 * torch.cos(math.pi * x), ends=(-1.0, -1.0),
        ansatz=lambda n, x, t: x**2 * torch.cos(math.pi * x) + t * (1 - x**2) * n,
    ),
    "heat": dict(
        x=UNIT,
        residual=lambda u, x, t: derivative(u, t) - 0.4 * derivative(derivative(u, x), x),
        start=lambda x: torch.sin(math.pi * x), ends=ZERO,
        ansatz=lambda n, x, t: torch.sin(math.pi * x) + t * x * (1 - x) * n,
    ),
    "poisson": dict(
        x=UNIT,
        residual=lambda u, x, t: derivative(derivative(u, x), x) + derivative(derivative(u, t), t)
        + 2 * math.pi**2 * torch.sin(math.pi * x) * torch.sin(math.pi * t),
        start=torch.zeros_like, top=True, ends=ZERO,
        ansatz=lambda n, x, t: x * (1 - x) * t * (1 - t) * n,
    ),
}


def case(equation, width=6, depth=2, activation="tanh", features="plain", hard=False):
    activations = {"tanh": torch.tanh, "sine": torch.sin, "gelu": torch.nn.functional.gelu}
    network = Network(width, depth, activations[activation], features)
    settings = EQUATIONS[equation]
    low, high = settings["x"]
    line = torch.linspace(low, high, GRID_X, dtype=torch.float64)
    times = torch.linspace(0, 1, GRID_T, dtype=torch.float64)

    def u(x, t):
        n = network(x, t, high - low)
        return settings["ansatz"](n, x, t) if hard else n

    x, t = (grid.flatten().requires_grad_() for grid in torch.meshgrid(line[1:-1], times[1:], indexing="ij"))
    parts = {"residual": settings["residual"](u(x, t), x, t)}
    at = torch.full_like
    if not hard:
        begin = at(line, 0).requires_grad_()
        parts["bottom" if "top" in settings else "initial"] = u(line, begin) - settings["start"](line)
        if "velocity" in settings:
            parts["initial_velocity"] = derivative(u(line, begin), begin)
        if "top" in settings:
            parts["top"] = u(line, at(line, 1))
    left, right = u(at(times, low), times), u(at(times, high), times)
    if settings["ends"] != "periodic":
        if not hard:
            parts["left"], parts["right"] = (e - v for e, v in zip((left, right), settings["ends"]))
    elif features == "plain":
        parts["periodic"] = left - right
    squares = {name: part.square().mean() for name, part in parts.items()}
    sum(squares.values()).backward()
    return {
        "equation": equation,
        "network": {
            "width": width, "depth": depth, "activation": activation,
            "features": {"kind": "plain"} if features == "plain"
            else {"kind": "periodic", "harmonics": features},
        },
        "hard_constraints": hard,
        "parts": {name: square.item() for name, square in squares.items()},
        "gradients": {name: p.grad.flatten().tolist() for name, p in network.parameters.items()},
    }


def main():
    torch.set_num_threads(1)
    cases = [case(equation, hard=hard) for equation in EQUATIONS for hard in (False, True)]
    for activation in ("sine", "gelu"):
        cases += [case(equation, activation=activation) for equation in ("convection", "wave")]
    cases += [case(equation, features=2, hard=hard) for equation, hard in [("convection", True), ("wave", False)]]
    cases += [case("burgers", width=19, depth=3), case("wave", width=3, depth=7), case("heat", width=1, depth=1)]
    write("physics.json", [torch, np], cases)


if __name__ == "__main__":
    main()
