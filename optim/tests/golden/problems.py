"""The problems of first_order.py and rivals.py, and the record of an optimizer's run on one, in f64.

tests/first_order_golden.rs repeats each formula with Candle.
"""

import torch

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


def values_of(parameters):
    return {name: parameter.detach().flatten().tolist() for name, parameter in parameters.items()}


def run(problem, kind, config, build):
    """The run of an optimizer: losses and parameters at recorded steps, and an average if it has one."""
    values, loss = PROBLEMS[problem]()
    parameters = {name: value.clone().requires_grad_() for name, value in values.items()}
    optimizer = build(kind, config, parameters)
    losses, points, averages = [], {}, {}
    for step in range(1, max(RECORDED) + 1):
        optimizer.zero_grad()
        value = loss(parameters)
        value.backward()
        optimizer.step()
        if step in RECORDED:
            losses.append(value.item())
            points[step] = values_of(parameters)
            # Schedule-Free methods change the parameters between where they train and the average.
            if hasattr(optimizer, "eval"):
                optimizer.eval()
                averages[step] = values_of(parameters)
                optimizer.train()
    record = {"problem": problem, "optimizer": kind, "config": config, "losses": losses, "points": points}
    return record | ({"averages": averages} if averages else {})
