"""Times the authors' algorithm in PyTorch on Fashion-MNIST, for comparison with `bench-runner ablation as-shipped`.

Written from the description in docs/arms.md. Prints seconds for loading and per optimizer, and writes the curves for
`bench-runner import`.

Use: python as_shipped_baseline.py FOLDER [seeds] [epochs] [threads] [models] [curves.csv]

FOLDER holds the four IDX files, gzipped; models are `linear,mlp` or one of them.
"""

import gzip
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from write_import import Runs

folder = Path(sys.argv[1])
seeds = [0, 1, 2, 42][: int(sys.argv[2]) if len(sys.argv) > 2 else 4]
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 8
torch.set_num_threads(int(sys.argv[4]) if len(sys.argv) > 4 else 2)
wanted = sys.argv[5].split(",") if len(sys.argv) > 5 else ["linear", "mlp"]
BATCH = 512


def idx(name, header):
    return np.frombuffer(gzip.open(folder / name).read(), np.uint8, offset=header)


def split(part):
    images = idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 784)
    labels = idx(f"{part}-labels-idx1-ubyte.gz", 8)
    return TensorDataset(torch.tensor(images) / 255.0, torch.tensor(labels, dtype=torch.long))


def mlp():
    layers = [nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)]
    return nn.Sequential(*layers)


def linear():
    return nn.Linear(784, 10)


def lbfgs(parameters):
    return torch.optim.LBFGS(
        parameters, lr=1, history_size=10, max_iter=20, max_eval=4, line_search_fn="strong_wolfe"
    )


def train(name, build, seed):
    torch.manual_seed(seed)
    model = build()
    adam = torch.optim.Adam(model.parameters())
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    second = lbfgs(model.parameters())
    loss_of = nn.CrossEntropyLoss()
    loader = DataLoader(train_set, batch_size=BATCH, shuffle=True, drop_last=True)
    previous = float("inf")
    problem = f"{'linear' if build is linear else 'mlp'}-fashion-mnist"
    evaluations, started = 0, time.perf_counter()
    for epoch in range(epochs):
        total = 0.0
        for images, labels in loader:
            first = {"adam": adam, "sgd": sgd, "adam+sgd": adam if epoch < epochs // 2 else sgd}.get(name)
            if name == "fuse-pv":
                first = None if epoch >= 3 and previous < 2.0 else adam
            if first is None:

                def closure():
                    nonlocal evaluations
                    evaluations += 1
                    second.zero_grad()
                    loss = loss_of(model(images), labels)
                    loss.backward()
                    return loss

                second.step(closure)
                loss = closure()
            else:
                first.zero_grad()
                loss = loss_of(model(images), labels)
                loss.backward()
                first.step()
                evaluations += 1
            previous = loss.item()
            total += previous
        model.eval()
        with torch.no_grad():
            images, labels = test_set[:500]
            accuracy = (model(images).argmax(1) == labels).float().mean().item()
        logged = total / (len(loader) + 1)
        more = {"optimizer": name, "epoch": epoch + 1, "accuracy": accuracy, "seconds": time.perf_counter() - started}
        curves.point(problem, seed, evaluations, logged, **more)
    return logged, accuracy


curves = Runs()
started = time.perf_counter()
train_set, test_set = split("train"), split("t10k")
print(f"loading {time.perf_counter() - started:.1f} s")
everything = started
for title, build in [(title, build) for title, build in [("linear", linear), ("mlp", mlp)] if title in wanted]:
    for name in ["adam", "adam+sgd", "sgd", "lbfgs", "fuse-pv"]:
        started = time.perf_counter()
        results = [train(name, build, seed) for seed in seeds]
        seconds = time.perf_counter() - started
        losses, accuracies = zip(*results)
        print(f"{title:6} {name:9} {seconds:7.1f} s  loss {np.mean(losses):.4f}  accuracy {np.mean(accuracies):.4f}")
print(f"all {time.perf_counter() - everything:.1f} s, {len(seeds)} seeds, {epochs} epochs, torch {torch.__version__}")
if len(sys.argv) > 6:
    curves.write(sys.argv[6])
