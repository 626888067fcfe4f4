"""What damped Newton steps do after Adam on a small physics-informed network, in f64.

Rathore et al. (arXiv 2402.01868, theorem 8.5): after enough first-order steps, damped Newton steps
w -= 5/6 (H + gamma I)^-1 g with gamma = mu lower the loss by a factor of at least 2/3 each, whatever the condition
number, where the loss obeys a Polyak-Lojasiewicz inequality with mu and can reach 0. Here mu is that inequality's
ratio |g|^2 / 2L at the switch. H is the Hessian, or Gauss and Newton's part of it, which has no negative eigenvalue.

Convection u_t + speed u_x = 0; 3 layers of 10, 261 parameters, 60 residual points and 35 of conditions, which the
network can fit. Prints for each speed the smallest and the largest eigenvalue of the Hessian at the switch, mu, and
the loss at the switch and after each of eight steps.

Run with a Python that has torch: python scripts/newton_after_adam.py [ADAM_STEPS]
"""

import math
import sys

import torch
from torch.func import grad, hessian, jacrev

torch.set_default_dtype(torch.float64)
SPEEDS = [1.0, 2.0, 5.0, 10.0, 20.0]
SIZES = [2, 10, 10, 10, 1]
STEPS = 8


class Network:
    """The residuals, each over the root of how many there are, so that the loss is their sum of squares."""

    def __init__(self, speed, seed):
        generator = torch.Generator().manual_seed(seed)
        self.speed = speed
        self.start, self.shapes = [], []
        for inputs, outputs in zip(SIZES, SIZES[1:]):
            deviation = math.sqrt(2 / (inputs + outputs))
            self.start += [torch.randn(outputs, inputs, generator=generator) * deviation, torch.zeros(outputs)]
        self.shapes = [part.shape for part in self.start]
        self.start = torch.cat([part.reshape(-1) for part in self.start])
        self.inner = torch.rand(60, 2, generator=generator) * torch.tensor([2 * math.pi, 1.0])
        x, t = torch.linspace(0, 2 * math.pi, 15), torch.linspace(0, 1, 10)
        self.initial = torch.stack([x, 0 * x], 1)
        self.edges = [torch.stack([0 * t + edge, t], 1) for edge in (0, 2 * math.pi)]

    def jet(self, w, points):
        """u, u_x and u_t."""
        parts = torch.split(w, [shape.numel() for shape in self.shapes])
        parts = [part.view(shape) for part, shape in zip(parts, self.shapes)]
        u, x, t = points, torch.zeros_like(points), torch.zeros_like(points)
        x[:, 0], t[:, 1] = 1, 1
        for index in range(0, len(parts), 2):
            weight, bias = parts[index : index + 2]
            u, x, t = u @ weight.T + bias, x @ weight.T, t @ weight.T
            if index < len(parts) - 2:
                u = torch.tanh(u)
                x, t = (1 - u * u) * x, (1 - u * u) * t
        return u[:, 0], x[:, 0], t[:, 0]

    def residuals(self, w):
        _, x, t = self.jet(w, self.inner)
        left, right = (self.jet(w, edge)[0] for edge in self.edges)
        initial = self.jet(w, self.initial)[0] - torch.sin(self.initial[:, 0])
        parts = [t + self.speed * x, initial, left - right]
        return torch.cat([part / math.sqrt(len(part)) for part in parts])

    def loss(self, w):
        return self.residuals(w).pow(2).sum()


def adam(network, steps):
    """Adam whose learning rate falls from 1e-2 to 1e-5 as a cosine."""
    w, gradient = network.start, grad(network.loss)
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for k in range(1, steps + 1):
        g = gradient(w)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = 0.5e-2 * (1 + math.cos(math.pi * k / steps)) + 1e-5
        w = w - rate * (m / (1 - 0.9**k)) / ((v / (1 - 0.999**k)).sqrt() + 1e-8)
    return w


def newton(network, w, curvature, mu):
    losses = [network.loss(w).item()]
    for _ in range(STEPS):
        damped = curvature(w) + mu * torch.eye(len(w))
        w = w - 5 / 6 * torch.linalg.solve(damped, grad(network.loss)(w))
        losses.append(network.loss(w).item())
    return losses


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    print(f"torch {torch.__version__}, {steps} steps of Adam, seed 0")
    for speed in SPEEDS:
        network = Network(speed, 0)
        w = adam(network, steps)
        g, exact = grad(network.loss)(w), hessian(network.loss)
        mu = (g @ g / (2 * network.loss(w))).item()
        eigenvalues = torch.linalg.eigvalsh(exact(w))

        def gauss_newton(w):
            jacobian = jacrev(network.residuals)(w)
            return 2 * jacobian.T @ jacobian

        print(f"speed {speed:g}: eigenvalues {eigenvalues[0]:.1e} to {eigenvalues[-1]:.1e}, mu {mu:.1e}")
        for name, curvature in (("Hessian", exact), ("Gauss-Newton", gauss_newton)):
            losses = newton(network, w, curvature, mu)
            factor = (losses[-1] / losses[0]) ** (1 / STEPS)
            shown = " ".join(f"{loss:.1e}" for loss in losses)
            print(f"  {name:<13} {shown}   factor a step {factor:.2f}")


main()
