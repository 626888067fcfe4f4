"""Times the rows of the benchmarks first_order and lbfgs in PyTorch, and prints them in the same form.

Use: python torch_compare.py first-order|lbfgs [LARGEST], with a Python that has torch, pytorch_optimizer,
schedulefree and prodigyopt; OMP_NUM_THREADS sets the threads. Ways: fused and foreach are torch.optim's; reference
is the authors' code or pytorch_optimizer's, where torch.optim lacks the method.
"""

import functools
import sys
import time

import torch
from prodigyopt import Prodigy
from pytorch_optimizer import SOAP, Lion, ScalableShampoo
from schedulefree import AdamWScheduleFree

part = sys.argv[1]
LARGEST = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000_000
SIZES = [size for size in (1_000_000, 10_000_000, 100_000_000) if size <= LARGEST]
HISTORY = 10


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


def gpt_mini():
    width, shapes = 128, [(256, 128), (64, 128)]
    for _ in range(4):
        shapes += [(width,)] * 4
        for inputs, outputs in [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]:
            shapes += [(inputs, outputs), (outputs,)]
    return shapes + [(width,), (width,)]


def schedule_free(tensors):
    method = AdamWScheduleFree(tensors)
    method.train()
    return method


NADAMW = functools.partial(torch.optim.NAdam, decoupled_weight_decay=True, weight_decay=1e-2)
WAYS = {
    "SGD": {way: functools.partial(torch.optim.SGD, lr=1e-2, **{way: True}) for way in ("fused", "foreach")},
    "SGD momentum": {
        way: functools.partial(torch.optim.SGD, lr=1e-2, momentum=0.9, **{way: True}) for way in ("fused", "foreach")
    },
    "Adam": {way: functools.partial(torch.optim.Adam, **{way: True}) for way in ("fused", "foreach")},
    "AdamW": {way: functools.partial(torch.optim.AdamW, **{way: True}) for way in ("fused", "foreach")},
    "NadamW": {"foreach": functools.partial(NADAMW, foreach=True)},
    "Lion": {"reference": Lion},
    "Schedule-Free AdamW": {"reference": schedule_free},
    "Prodigy": {"reference": Prodigy},
}


def parameters(shapes):
    parameters = [(2 * torch.rand(shape) - 1).requires_grad_() for shape in shapes]
    for parameter in parameters:
        parameter.grad = 0.1 * parameter.detach()
    return parameters


def row(name, measure, way, seconds):
    print(f"{name}\t{measure}\t{way}\t{1e3 * seconds:.4f}", flush=True)


def best_time(d, step):
    step()
    times = []
    for _ in range(max(6, min(300, 300_000_000 // d))):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def elementwise(label, shapes):
    for name, ways in WAYS.items():
        for way, build in ways.items():
            tensors = parameters(shapes)
            d = sum(tensor.numel() for tensor in tensors)
            # At 100 M, foreach's copies do not fit beside the rest.
            if way == "fused" or d <= 10_000_000:
                row(f"{label}, {name}", "update", way, best_time(d, build(tensors).step))


def muon(tensors):
    # PyTorch's takes matrices alone, so that convolutions are flattened here as they are in ours.
    flat = parameters([(t.shape[0], t.numel() // t.shape[0]) for t in tensors if t.ndim >= 2])
    rest = torch.optim.AdamW([t for t in tensors if t.ndim < 2], foreach=True)
    steps = [torch.optim.Muon(flat).step, rest.step]
    return lambda: [step() for step in steps]


def on_matrices(label, shapes):
    """The mean time of an update over ten, the shortest of three turns after a first."""
    methods = {
        "Muon": muon,
        "SOAP": lambda tensors: SOAP(tensors).step,
        "Shampoo": lambda tensors: ScalableShampoo(
            tensors, start_preconditioning_step=1, preconditioning_compute_steps=10, block_size=1024
        ).step,
    }
    for name, build in methods.items():
        step, turns = build(parameters(shapes)), []
        for _ in range(4):
            start = time.perf_counter()
            for _ in range(10):
                step()
            turns.append((time.perf_counter() - start) / 10)
        row(f"{label}, {name}", "update", "reference", min(turns[1:]))


class Quadratic:
    """The problem of benches/lbfgs.rs as a closure; `time` is what was spent in it."""

    def __init__(self, d):
        self.x = torch.ones(d).requires_grad_()
        self.eigenvalues = 100 ** ((torch.arange(d) * 0.618034) % 1)
        self.time, self.evaluations = 0.0, 0

    def __call__(self):
        start = time.perf_counter()
        with torch.no_grad():
            self.x.grad = self.eigenvalues * self.x
            loss = 0.5 * self.x.grad.dot(self.x)
        self.time += time.perf_counter() - start
        self.evaluations += 1
        return loss


def iteration(d, line_search):
    """The shortest time of an iteration, the closure's excluded, and evaluations of one."""
    problem = Quadratic(d)
    settings = dict(lr=1.0 if line_search else 1e-3, max_iter=HISTORY, history_size=HISTORY, line_search_fn=line_search)
    lbfgs = torch.optim.LBFGS([problem.x], tolerance_grad=0, tolerance_change=0, **settings)
    best = (float("inf"), 0)
    for step in range(max(3, min(8, 80_000_000 // d))):
        before = lbfgs.state[problem.x].get("n_iter", 0)
        problem.time, problem.evaluations = 0.0, 0
        start = time.perf_counter()
        lbfgs.step(problem)
        elapsed = time.perf_counter() - start - problem.time
        iterations = lbfgs.state[problem.x]["n_iter"] - before
        if step > 0:
            best = min(best, (elapsed / iterations, problem.evaluations / iterations))
    return best


def two_loop(d):
    """The shortest time of the two-loop recursion alone (Nocedal & Wright 2006, algorithm 7.4)."""
    s, y = [[torch.rand(d) for _ in range(HISTORY)] for _ in range(2)]
    rho = [1 / a.dot(b) for a, b in zip(s, y)]
    gradient = torch.rand(d)

    def direction():
        q = gradient.neg()
        alphas = []
        for a, b, r in zip(reversed(s), reversed(y), reversed(rho)):
            alphas.append(a.dot(q) * r)
            q.add_(b, alpha=-alphas[-1].item())
        q.mul_(0.5)
        for a, b, r, alpha in zip(s, y, rho, reversed(alphas)):
            q.add_(a, alpha=(alpha - b.dot(q) * r).item())

    direction()
    times = []
    for _ in range(max(6, min(50, 200_000_000 // d))):
        start = time.perf_counter()
        direction()
        times.append(time.perf_counter() - start)
    return min(times)


if part == "first-order":
    for label, shapes in [("ResNet-20, 65 tensors", resnet20())] + [
        (f"{d // 1_000_000} M, 1 tensor", [(d,)]) for d in SIZES
    ]:
        elementwise(label, shapes)
    on_matrices("ResNet-20, 65 tensors", resnet20())
    on_matrices("GPT mini, 52 tensors", gpt_mini())
else:
    for d in SIZES:
        (wolfe, evaluations), direction = iteration(d, "strong_wolfe"), two_loop(d)
        for history in ("f32", "bf16"):
            name = f"{d // 1_000_000} M, {history} history"
            row(name, "iteration", "torch", wolfe)
            row(name, "evaluations", "torch", evaluations / 1e3)
            row(name, "direction", "two-loop", direction)
