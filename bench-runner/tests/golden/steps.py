"""Runs the authors' algorithm in PyTorch, as docs/arms.md describes it, and records the loss of every step.

Written to steps.json, which tests/steps.rs compares with the `as-shipped` arm. Both sides read the embedded
digits, in the order of the file, and make first weights and the order of batches by the formulas below.

Use: python steps.py        needs torch, pyarrow
"""

import json
import math
from pathlib import Path

import pyarrow.parquet
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
BATCH, SAMPLES, WARM_UP_EPOCHS = 128, 1792, 3
STEPS_PER_EPOCH = SAMPLES // BATCH

table = pyarrow.parquet.read_table(HERE.parent.parent / "assets" / "digits.parquet")
pixels = torch.tensor([list(image) for image in table["image"].to_pylist()], dtype=torch.float64) / 16.0
labels = torch.tensor(table["label"].to_pylist())


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def mlp():
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)]
    return nn.Sequential(nn.Flatten(), *layers)


def cnn():
    """For 16x16 images: the digits with every pixel doubled both ways."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def first_weights(model):
    """Parameter p's value i: sin(12.9898 i + 78.233 (p + 1)) / sqrt(fan in), fan in as for its layer's weights."""
    fan_in = 1
    for p, parameter in enumerate(model.parameters()):
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
        i = torch.arange(parameter.numel(), dtype=torch.float64)
        values = torch.sin(12.9898 * i + 78.233 * (p + 1)) / math.sqrt(fan_in)
        parameter.data = values.reshape(parameter.shape).to(parameter.dtype)


def batch(step):
    """Sample i of step t: (1009 (128 t + i)) mod 1792, which visits every sample once in an epoch."""
    return torch.tensor([1009 * (BATCH * step + i) % SAMPLES for i in range(BATCH)])


def train(build, name, images, dtype, steps):
    model = build().to(dtype)
    first_weights(model)
    adam = torch.optim.Adam(model.parameters())
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    second = torch.optim.LBFGS(
        model.parameters(), lr=1, history_size=10, max_iter=20, max_eval=4, line_search_fn="strong_wolfe"
    )
    loss_of = nn.CrossEntropyLoss()
    previous, losses = float("inf"), []
    for step in range(steps):
        inputs, targets = images[batch(step)].to(dtype), labels[batch(step)]
        first = {"adam": adam, "sgd": sgd}.get(name)
        if name == "fuse-pv":
            first = None if step // STEPS_PER_EPOCH >= WARM_UP_EPOCHS and previous < 2.0 else adam
        if first is None:

            def closure():
                second.zero_grad()
                loss = loss_of(model(inputs), targets)
                loss.backward()
                return loss

            second.step(closure)
            loss = closure()
        else:
            first.zero_grad()
            loss = loss_of(model(inputs), targets)
            loss.backward()
            first.step()
        previous = loss.item()
        losses.append(previous)
    return losses


torch.set_num_threads(1)
flat = pixels.reshape(-1, 1, 8, 8)
doubled = flat.repeat_interleave(2, 2).repeat_interleave(2, 3)
curves = []
for model, build, images in [("linear", linear, flat), ("mlp", mlp, flat), ("cnn", cnn, doubled)]:
    for optimizer in ["adam", "sgd", "lbfgs", "fuse-pv"]:
        runs = [("f64", torch.float64, 200)]
        if optimizer in ("adam", "sgd"):
            runs.append(("f32", torch.float32, 50))
        for dtype, torch_dtype, steps in runs:
            losses = train(build, optimizer, images, torch_dtype, steps)
            curves.append({"model": model, "optimizer": optimizer, "dtype": dtype, "losses": losses})
            print(model, optimizer, dtype, losses[0], losses[-1])
(HERE / "steps.json").write_text(json.dumps({"torch": torch.__version__, "curves": curves}) + "\n")
