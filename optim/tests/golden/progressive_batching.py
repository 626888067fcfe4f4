"""Writes progressive_batching.json: L-BFGS on batches that grow by the inner-product test, in f64.

Written from the formulas of Bollapragada et al., arXiv 1802.05374, section 2.1, with a dense inverse
Hessian and the gradient of each sample, of which optim has neither. The samples are repeated in
tests/second_order/progressive_batching.rs. A step is x - lr·Hg, the first one x - lr·min(1, 1/‖g‖₁)·g; pairs have both
gradients from the new batch, which begins where the last one ended. A test that asks for
more than all samples asks for all here. What every other one asks for is the same if the number that is
rounded up changes by 2e-6 of itself. A run ends with the first batch of all samples. Run from this folder:
    python progressive_batching.py
"""

import json

import numpy as np

D, SAMPLES, STEPS, MEMORY = 5, 2000, 60, 5
i = np.arange(SAMPLES)[:, None].astype(float)
k = np.arange(D)[None, :].astype(float)
ROWS = np.sin((i * 31 + k * 17) * 0.618) * (1 + k)
ERRORS = np.sin((i[:, 0] * 7919) * 12.9898)
TARGETS = ROWS.sum(axis=1) + ERRORS


def gradients(loss, rows, targets, x):
    """The gradient of each sample."""
    z = rows @ x
    if loss == "least-squares":
        return (z - targets)[:, None] * rows
    sign = np.sign(targets)
    return (-sign / (1 + np.exp(sign * z)))[:, None] * rows


def inverse(pairs):
    """The inverse Hessian of the pairs, oldest first."""
    h = np.eye(D)
    if pairs:
        s, y = pairs[-1]
        h *= s @ y / (y @ y)
    for s, y in pairs:
        rho = 1 / (s @ y)
        v = np.eye(D) - rho * np.outer(y, s)
        h = v.T @ h @ v + rho * np.outer(s, s)
    return h


def run(loss, first, theta, lr):
    x, pairs, last = np.zeros(D), [], None
    start, n, wanted = 0, first, None
    steps = []
    for step in range(STEPS):
        batch = (start + np.arange(n)) % SAMPLES
        each = gradients(loss, ROWS[batch], TARGETS[batch], x)
        g = each.mean(axis=0)
        if last is not None:
            y = g - gradients(loss, ROWS[batch], TARGETS[batch], last).mean(axis=0)
            s = x - last
            assert s @ y > 1e-8 * np.linalg.norm(s) * np.linalg.norm(y)
            pairs = (pairs + [(s, y)])[-MEMORY:]
        h = inverse(pairs)
        p = h @ g
        products = each @ (h @ p)
        needed = np.var(products, ddof=1) / (theta**2 * (p @ p) ** 2)
        failed, needed = needed > n, min(needed, SAMPLES)
        low, high = needed * (1 - 2e-6), needed * (1 + 2e-6)
        assert high < n or needed == SAMPLES or low > n and np.ceil(low) == np.ceil(high)
        if failed:
            wanted = max(wanted or 0, int(np.ceil(needed)))
        steps.append({"samples": n, "wanted": wanted, "failed": bool(failed), "x": x.tolist()})
        if n == SAMPLES:
            break
        start = (start + n) % SAMPLES
        n = max(n, wanted or 0)
        scale = min(1, 1 / np.abs(g).sum()) if step == 0 else 1
        last, x = x, x - lr * scale * p
    return steps


RUNS = [
    dict(loss="least-squares", first=20, theta=0.9, lr=0.1),
    dict(loss="least-squares", first=5, theta=2.0, lr=0.05),
    dict(loss="logistic", first=10, theta=2.0, lr=0.05),
    dict(loss="logistic", first=50, theta=0.9, lr=0.1),
]
runs = []
for setting in RUNS:
    steps = run(**setting)
    print(setting, [step["samples"] for step in steps])
    runs.append({**setting, "steps": steps})
with open("progressive_batching.json", "w") as file:
    json.dump({"numpy": np.__version__, "runs": runs}, file)
    file.write("\n")
