"""Writes vision.json: what PyTorch and torchvision compute for the image classifiers.

Weights and images are not stored: both sides fill them by one formula, see `noise`. All values are of
double precision. Run with: python models/tests/golden/vision.py
"""

import json
import pathlib

import numpy as np
import torch
import torchvision
from torch.nn import functional as F

from torch_vision import DenseNet, LeNet, ResNet


def noise(stream, count):
    """Pseudo-random numbers on [-1, 1): the fractional part of a large sine."""
    waves = np.sin(np.arange(count) * 12.9898 + stream * 78.233) * 43758.5453
    return 2 * (waves - np.floor(waves)) - 1


def fill(model):
    """Sets parameters and buffers, the k-th in the order of the names from stream k."""
    tensors = {n: t for n, t in model.state_dict().items() if "num_batches" not in n}
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


def case(name, model, batch, channels, size):
    model = model.double()
    with torch.no_grad():
        fill(model)
    shape = (batch, channels, size, size)
    images = torch.from_numpy(noise(0, int(np.prod(shape)))).reshape(shape)
    labels = torch.arange(batch) % 3
    model.eval()
    evaluated = model(images)
    model.train()
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    buffers = {n: b for n, b in model.named_buffers() if "num_batches" not in n}
    return {
        "name": name,
        "images": shape,
        "evaluated": summary(evaluated),
        "logits": summary(logits),
        "loss": loss.item(),
        "gradients": {n: summary(p.grad) for n, p in model.named_parameters()},
        "buffers": {n: summary(b) for n, b in buffers.items()},
    }


def main():
    torch.set_num_threads(1)
    cases = [
        case("resnet-8-narrow", ResNet(8, 4, 1), 5, 1, 8),
        case("resnet-20", ResNet(20), 4, 3, 32),
        case("resnet-18", torchvision.models.resnet18(), 4, 3, 64),
        case("resnet-50", torchvision.models.resnet50(), 4, 3, 64),
        case("densenet-10", DenseNet(10, growth=4), 3, 3, 16),
        case("densenet-13-bottleneck", DenseNet(13, growth=4, bottleneck=True), 3, 3, 16),
        case("lenet-16", LeNet(16), 5, 1, 16),
        case("lenet-28", LeNet(28), 5, 1, 28),
        case("lenet-32", LeNet(32, 3), 5, 3, 32),
    ]
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    path = pathlib.Path(__file__).with_name("vision.json")
    lines = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n')
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
