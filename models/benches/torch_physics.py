"""Times the rows of the benchmark physics in PyTorch, and prints them in the same form: one evaluation (loss and
gradient) of a physics-informed network with 10,000 points, the shortest of several.

Use: python models/benches/torch_physics.py [ROW [WAY]], with a Python that has torch; OMP_NUM_THREADS sets the
threads. Ways: nested, derivatives by the inputs through torch.autograd.grad with create_graph, as everywhere in
practice; forward, value and derivatives carried through the layers by tensor operations, then one backward pass;
compiled, the same through torch.compile, which does not take nested derivatives. The memory is by how much the
process grows; it is to be read from a run whose arguments leave one row and way.
"""

import math
import pathlib
import sys
import time

import torch
from torch import nn

RUNS = 8
ROW = sys.argv[1] if len(sys.argv) > 1 else ""
WAY = sys.argv[2] if len(sys.argv) > 2 else ""


def resident(key):
    """A size of this process in MiB: resident now (VmRSS) or at most (VmHWM)."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024


def network(width, dtype):
    sizes = [2, width, width, width, 1]
    return nn.ModuleList(nn.Linear(i, o, dtype=dtype) for i, o in zip(sizes, sizes[1:]))


def value(layers, x, t):
    a = torch.stack([x, t], 1)
    for layer in layers[:-1]:
        a = torch.tanh(layer(a))
    return layers[-1](a)[:, 0]


def derivative(u, by):
    return torch.autograd.grad(u.sum(), by, create_graph=True)[0]


def nested_jet(layers, x, t, order):
    x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
    u = value(layers, x, t)
    u_x, u_t = torch.autograd.grad(u.sum(), [x, t], create_graph=True)
    if order == 1:
        return u_x, u_t
    return derivative(u_x, x), derivative(u_t, t)


def forward_jet(layers, x, t, order):
    a = torch.stack([x, t], 1)
    slopes = [torch.zeros_like(a), torch.zeros_like(a)]
    slopes[0][:, 0] = 1
    slopes[1][:, 1] = 1
    curvatures = [torch.zeros_like(a), torch.zeros_like(a)]
    for layer in layers[:-1]:
        a = torch.tanh(layer(a))
        first = 1 - a * a
        z = [slope @ layer.weight.T for slope in slopes]
        if order == 2:
            second = -2 * a * first
            z_2 = [curvature @ layer.weight.T for curvature in curvatures]
            curvatures = [second * s * s + first * c for s, c in zip(z, z_2)]
        slopes = [first * s for s in z]
    weight = layers[-1].weight[0]
    return [d @ weight for d in (slopes if order == 1 else curvatures)]


def loss(layers, points, order, jet):
    """The terms of the reference: Rathore et al. 2024, arXiv 2402.01868."""
    (x, t), (start_x, start_t), (times, left, right) = points
    d_x, d_t = jet(layers, x, t, order)
    sides = value(layers, left, times), value(layers, right, times)
    if order == 1:
        u = value(layers, start_x, start_t)
        terms = [d_t + 40 * d_x, u - torch.sin(start_x), sides[0] - sides[1]]
    else:
        start = torch.sin(math.pi * start_x) + torch.sin(5 * math.pi * start_x) / 2
        begin = start_t.detach().requires_grad_()
        u = value(layers, start_x, begin)
        terms = [d_t - 4 * d_x, u - start, derivative(u, begin), *sides]
    return sum(term.square().mean() for term in terms)


def compiled_loss(layers, points, order):
    """The forward way; as the graph may hold no differentiation, it carries u_t of the start as well."""
    (x, t), (start_x, start_t), (times, left, right) = points
    d_x, d_t = forward_jet(layers, x, t, order)
    sides = value(layers, left, times), value(layers, right, times)
    u = value(layers, start_x, start_t)
    if order == 1:
        terms = [d_t + 40 * d_x, u - torch.sin(start_x), sides[0] - sides[1]]
    else:
        start = torch.sin(math.pi * start_x) + torch.sin(5 * math.pi * start_x) / 2
        terms = [d_t - 4 * d_x, u - start, forward_jet(layers, start_x, start_t, 1)[1], *sides]
    return sum(term.square().mean() for term in terms)


def sample(order, dtype):
    """10,000 points of the inner grid, the start and both ends."""
    high = 2 * math.pi if order == 1 else 1
    torch.manual_seed(0)
    line, times = torch.linspace(0, high, 257, dtype=dtype), torch.linspace(0, 1, 101, dtype=dtype)
    grid = torch.cartesian_prod(line[1:-1], times[1:])
    inner = grid[torch.randperm(len(grid))[:10_000]]
    ends = torch.zeros_like(times), torch.full_like(times, high)
    return (inner[:, 0], inner[:, 1]), (line, torch.zeros_like(line)), (times, *ends)


def shortest(evaluate, layers):
    """Milliseconds of the shortest run after a first."""
    evaluate().backward()
    seconds = math.inf
    for _ in range(RUNS):
        layers.zero_grad()
        start = time.perf_counter()
        evaluate().backward()
        seconds = min(seconds, time.perf_counter() - start)
    return 1e3 * seconds


def main():
    for width in (50, 200):
        for dtype, letters in ((torch.float32, "f32"), (torch.float64, "f64")):
            for order, equation in ((1, "convection"), (2, "wave")):
                row = f"{equation} {width} {letters}"
                if ROW not in row:
                    continue
                layers, points = network(width, dtype), sample(order, dtype)
                ways = {
                    "nested": lambda: loss(layers, points, order, nested_jet),
                    "forward": lambda: loss(layers, points, order, forward_jet),
                    "compiled": lambda: torch.compile(compiled_loss)(layers, points, order),
                }
                for way, evaluate in ways.items():
                    if WAY and way != WAY:
                        continue
                    before = resident("VmRSS")
                    milliseconds = shortest(evaluate, layers)
                    memory = resident("VmHWM") - before
                    print(f"{row}\tevaluation\t{way}\t{milliseconds:.4f}")
                    print(f"{row}\tmemory\t{way}\t{memory:.4f}", flush=True)


if __name__ == "__main__":
    main()
