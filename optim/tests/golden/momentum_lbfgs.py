"""Writes momentum_lbfgs.json: trajectories of the authors' mL-BFGS in f64.

The code is opt/lbfgs.py of github.com/yuehniu/mL-BFGS, commit 7aef5bef11c8f4fd310ee9c98db5768e14a79666;
give its folder. It adds a constant, epsilon, to denominators, which the paper does not: it is set to
0. The problem is repeated in tests/second_order/momentum_lbfgs.rs. Run from this folder:
    python momentum_lbfgs.py FOLDER_OF_LBFGS
"""

import json
import sys

import torch

sys.path.insert(0, sys.argv[1])
import lbfgs  # noqa: E402

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
lbfgs.epsilon = 0.0

D = 20
SCALE = torch.tensor([100 ** (i / (D - 1)) for i in range(D)])
CENTER = torch.tensor([1.0 + 0.1 * i for i in range(D)])
SETTINGS = [
    dict(lr=0.01, momentum=0.9, weight_decay=0.0, mm_p=0.9, mm_g=0.99, update_freq=5, hist_sz=4, damping=0.2, kl_clip=0.005),
    dict(lr=0.05, momentum=0.5, weight_decay=0.0, mm_p=0.5, mm_g=0.5, update_freq=3, hist_sz=10, damping=0.1, kl_clip=1e9),
    dict(lr=0.02, momentum=0.9, weight_decay=1e-4, mm_p=0.8, mm_g=0.8, update_freq=1, hist_sz=3, damping=0.2, kl_clip=0.1),
]


def run(setting):
    x = torch.zeros(D, requires_grad=True)
    optimizer = lbfgs.LBFGSOptimizer([x], rho_min=1e-12, **setting)
    optimizer.tao_ub = 1.5  # above 1, where the code's value replaces y by s
    path = []
    for step in range(80):
        optimizer.zero_grad()
        # Curved both ways: some pairs have negative curvature, and are damped.
        loss = (0.01 * SCALE * (x - CENTER) ** 2 + 0.1 * torch.cos(3 * x)).sum()
        loss.backward()
        optimizer.step()
        path.append((loss.item(), x.detach().tolist()))
    print(setting, "loss", path[-1][0], "pairs", len(optimizer.hist_dp))
    steps = [{"loss": loss, "x": x if (i + 1) % 5 == 0 else None} for i, (loss, x) in enumerate(path)]
    return {**setting, "steps": steps}


runs = [run(setting) for setting in SETTINGS]
with open("momentum_lbfgs.json", "w") as file:
    json.dump({"torch": torch.__version__, "runs": runs}, file)
    file.write("\n")
