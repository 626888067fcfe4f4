"""Prints the rows of `cargo bench -p optim --bench first_order` for PyTorch's fused and foreach optimizers.

Use: python torch_compare.py [threads] [largest number of parameters]
"""

import sys
import time

import torch

threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
largest = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000_000
torch.set_num_threads(threads)


def resnet20():
    shapes = []

    def convolution(source, target, kernel):
        shapes.extend([(target, source, kernel, kernel), (target,), (target,)])

    convolution(3, 16, 3)
    for source, target in [(16, 16), (16, 32), (32, 64)]:
        convolution(source, target, 3)
        for _ in range(5):
            convolution(target, target, 3)
        if source != target:
            convolution(source, target, 1)
    return shapes + [(10, 64), (10,)]


OPTIMIZERS = [
    ("SGD", 3, lambda p, **how: torch.optim.SGD(p, lr=1e-2, **how)),
    ("SGD momentum", 5, lambda p, **how: torch.optim.SGD(p, lr=1e-2, momentum=0.9, **how)),
    ("Adam", 7, lambda p, **how: torch.optim.Adam(p, **how)),
    ("AdamW", 7, lambda p, **how: torch.optim.AdamW(p, **how)),
]


def best_time(d, step):
    step()
    times = []
    for _ in range(max(6, min(300, 300_000_000 // d))):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def report(label, shapes):
    parameters = [(2 * torch.rand(shape) - 1).requires_grad_() for shape in shapes]
    for parameter in parameters:
        parameter.grad = 0.1 * parameter.detach()
    d = sum(parameter.numel() for parameter in parameters)
    for name, vectors, build in OPTIMIZERS:
        fused = best_time(d, build(parameters, fused=True).step)
        foreach = best_time(d, build(parameters, foreach=True).step) if d <= 10_000_000 else float("nan")
        size = 4 * vectors
        print(f"| {label} | {name} | {1e3 * fused:.3f} | {size} | {size * d / fused / 1e9:.1f} | {1e3 * foreach:.3f} |", flush=True)


print(f"torch {torch.__version__}, {threads} threads, f32; best of several steps")
print("| model | optimizer | fused ms | B/parameter | GB/s | foreach ms |")
print("|---|---|---|---|---|---|")
report("ResNet-20, 65 tensors", resnet20())
for d in [1_000_000, 10_000_000, 100_000_000]:
    if d <= largest:
        report(f"{d // 1_000_000} M, 1 tensor", [(d,)])
