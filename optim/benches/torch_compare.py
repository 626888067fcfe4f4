"""Prints the rows of `cargo bench -p optim` for PyTorch's optimizers.

Use: python torch_compare.py [threads] [first-order|lbfgs|all] [number of parameters ...]
"""

import sys
import time

import torch

threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
part = sys.argv[2] if len(sys.argv) > 2 else "all"
SIZES = [int(size) for size in sys.argv[3:]] or [1_000_000, 10_000_000, 100_000_000]
HISTORY = 10
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


FIRST_ORDER = [
    ("SGD", 3, lambda p, **how: torch.optim.SGD(p, lr=1e-2, **how)),
    ("SGD momentum", 5, lambda p, **how: torch.optim.SGD(p, lr=1e-2, momentum=0.9, **how)),
    ("Adam", 7, lambda p, **how: torch.optim.Adam(p, **how)),
    ("AdamW", 7, lambda p, **how: torch.optim.AdamW(p, **how)),
    ("NadamW", 7, lambda p, **how: torch.optim.NAdam(p, decoupled_weight_decay=True, weight_decay=1e-2, **how)),
]


def best_time(d, step):
    step()
    times = []
    for _ in range(max(6, min(300, 300_000_000 // d))):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def first_order(label, shapes):
    parameters = [(2 * torch.rand(shape) - 1).requires_grad_() for shape in shapes]
    for parameter in parameters:
        parameter.grad = 0.1 * parameter.detach()
    d = sum(parameter.numel() for parameter in parameters)
    for name, vectors, build in FIRST_ORDER:
        # Not every method has a fused form.
        fused = best_time(d, build(parameters, fused=True).step) if name != "NadamW" else float("nan")
        foreach = best_time(d, build(parameters, foreach=True).step) if d <= 10_000_000 else float("nan")
        size = 4 * vectors
        print(f"| {label} | {name} | {1e3 * fused:.3f} | {size} | {size * d / fused / 1e9:.1f} | {1e3 * foreach:.3f} |", flush=True)


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


print(f"torch {torch.__version__}, {threads} threads, f32; best of several steps", flush=True)
if part != "lbfgs":
    print("| model | optimizer | fused ms | B/parameter | GB/s | foreach ms |")
    print("|---|---|---|---|---|---|")
    first_order("ResNet-20, 65 tensors", resnet20())
    for d in SIZES:
        first_order(f"{d // 1_000_000} M, 1 tensor", [(d,)])
if part != "first-order":
    print("| parameters | iteration ms | evaluations | iteration of fixed step ms | two-loop ms |")
    print("|---|---|---|---|---|")
    for d in SIZES:
        wolfe, evaluations = iteration(d, "strong_wolfe")
        fixed, _ = iteration(d, None)
        print(f"| {d // 1_000_000} M | {1e3 * wolfe:.2f} | {evaluations:.1f} | {1e3 * fixed:.2f} | {1e3 * two_loop(d):.2f} |", flush=True)
