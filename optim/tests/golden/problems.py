"""The problems of first_order.py and rivals.py, and the record of an optimizer's run on one, in f64.

tests/first_order/golden.rs repeats each formula with Candle.
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


def square(reverse=False):
    """A layer whose gradients are square matrices of full rank, and a tensor of three dimensions; in
    reverse, with its sums over samples taken from the last one on."""
    inputs = torch.tanh(2 * wave(9, 4, 1.2, 1.7))
    targets = torch.tanh(3 * wave(9, 4, 1.3, 2.6))
    if reverse:
        inputs, targets = inputs.flip(0), targets.flip(0)
    parameters = {
        "weight": torch.tanh(2 * wave(4, 4, 2.7, 0.5)),
        "bias": torch.tensor([0.1, -0.1, 0.2, -0.2]),
        "cube": torch.tanh(2 * wave(2, 4, 1.9, 0.7)).reshape(2, 2, 2),
    }

    def loss(p):
        output = torch.tanh(inputs @ p["weight"] + p["bias"])
        fit = ((output - targets) ** 2).mean()
        cube = p["cube"]
        return fit + 0.1 * (torch.exp(cube) - 2 * cube**3 + cube**4).mean()

    return parameters, loss


PROBLEMS = {"quadratic": quadratic, "rosenbrock": rosenbrock, "logistic": logistic, "mlp": mlp, "square": square}


def values_of(parameters):
    return {name: parameter.detach().flatten().tolist() for name, parameter in parameters.items()}


def run(problem, kind, config, build):
    """The run of an optimizer: losses and parameters at recorded steps, an average if it has one, and
    the steps before it switched, if it did."""
    values, loss = PROBLEMS[problem]()
    parameters = {name: value.clone().requires_grad_() for name, value in values.items()}
    optimizer = build(kind, config, parameters)
    losses, points, averages, switched_after = [], {}, {}, None
    for step in range(1, max(RECORDED) + 1):
        optimizer.zero_grad()
        value = loss(parameters)
        value.backward()
        optimizer.step()
        # SWATS keeps the name of the method that acts.
        groups = getattr(optimizer, "param_groups", [{}])
        if switched_after is None and groups[0].get("phase") == "sgd":
            switched_after = step
        if step in RECORDED:
            losses.append(value.item())
            points[step] = values_of(parameters)
            # Schedule-Free methods change the parameters between where they train and the average.
            if hasattr(optimizer, "eval"):
                optimizer.eval()
                averages[step] = values_of(parameters)
                optimizer.train()
    record = {"problem": problem, "optimizer": kind, "config": config, "losses": losses, "points": points}
    extra = {"averages": averages} if averages else {}
    return record | extra | ({"switched_after": switched_after} if switched_after else {})
