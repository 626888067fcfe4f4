"""What the generators of golden values share: weights and inputs by formula, and the cases they write.

Weights and inputs are not stored: both sides fill them by one formula, see `noise`. All values are of
double precision.
"""

import json
import pathlib

import numpy as np
import torch
from torch.nn import functional as F


def noise(stream, count):
    """Pseudo-random numbers on [-1, 1): the fractional part of a large sine."""
    waves = np.sin(np.arange(count) * 12.9898 + stream * 78.233) * 43758.5453
    return 2 * (waves - np.floor(waves)) - 1


def images(*shape):
    return torch.from_numpy(noise(0, int(np.prod(shape)))).reshape(shape)


def integers(step, below, *shape):
    """Multiples of `step`, modulo `below`."""
    return (torch.arange(int(np.prod(shape))) * step % below).reshape(shape)


def fill(model):
    """Sets parameters and buffers, the k-th in the order of the names from stream k.

    A language model's head is left out, as it shares its weight with the embedding.
    """
    tensors = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point() and name != "lm_head.weight"
    }
    for k, name in enumerate(sorted(tensors)):
        tensor = tensors[name]
        values = noise(k + 1, tensor.numel())
        if tensor.dim() > 1:
            values *= (3 / tensor[0].numel()) ** 0.5
        elif name.endswith(("running_var", "weight")):
            values = 1 + 0.3 * values
        else:
            values *= 0.2
        tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))


def summary(tensor):
    """A tensor's shape, its projection on noise, its largest magnitude and some of its elements."""
    values = tensor.detach().double().flatten().numpy()
    step = max(1, len(values) // 4)
    return {
        "shape": list(tensor.shape),
        "projection": float(values @ noise(0, len(values))),
        "largest": float(np.abs(values).max()),
        "every": step,
        "elements": values[::step].tolist(),
    }


def case(name, model, input, targets, forward=lambda model, input: model(input)):
    """Logits in evaluation and training mode, and the loss with its gradients."""
    model = model.double()
    with torch.no_grad():
        fill(model)
    model.eval()
    evaluated = forward(model, input)
    model.train()
    logits = forward(model, input)
    loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten())
    loss.backward()
    buffers = {n: b for n, b in model.named_buffers() if "running" in n}
    return {
        "name": name,
        "input": list(input.shape),
        "evaluated": summary(evaluated),
        "logits": summary(logits),
        "loss": loss.item(),
        "gradients": {n: summary(p.grad) for n, p in model.named_parameters()},
        "buffers": {n: summary(b) for n, b in buffers.items()},
    }


def write(file, versions, cases):
    path = pathlib.Path(__file__).with_name(file)
    versions = {module.__name__: module.__version__ for module in versions}
    lines = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n')
    print(f"{path.name}: {path.stat().st_size} bytes")
