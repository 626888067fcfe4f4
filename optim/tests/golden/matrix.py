"""Writes matrix.json: parameters along runs of methods on matrices in their authors' form, in f64.

Use: python matrix.py > matrix.json

The references are PyTorch's Muon, whose products are taken in f64 rather than bf16 here, and
pytorch-optimizer's SOAP, whose QR is taken in f64 rather than f32, and its ScalableShampoo with the
size of RMSProp's step and without blocks. The problems are in problems.py. An optimizer's entry `config` is the configuration of the Rust
optimizer in JSON.
"""

import json
import platform
from importlib.metadata import version
from unittest import mock

import torch

from problems import PROBLEMS, RECORDED, run, square
from pytorch_optimizer import SOAP, ScalableShampoo
from pytorch_optimizer.optimizer.utils.graft import LayerWiseGrafting


PROBLEMS["square, reversed"] = lambda: square(reverse=True)


class Together:
    """Several optimizers as one; inside a step, `type` is read as f64."""

    def __init__(self, optimizers, type):
        self.optimizers, self.type = optimizers, type

    def zero_grad(self):
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        with mock.patch.object(torch, self.type, torch.float64):
            for optimizer in self.optimizers:
                optimizer.step()


def muon(config, parameters):
    matrices = {
        name: parameter for name, parameter in parameters.items()
        if parameter.ndim >= 2 and name not in config.get("excluded", [])
    }
    others = [parameter for name, parameter in parameters.items() if name not in matrices]
    scales = {"original": "original", "match-adamw": "match_rms_adamw", "spectral": "spectral_unclamped"}
    method = torch.optim.Muon(
        matrices.values(),
        lr=config["learning_rate"],
        momentum=config.get("momentum", 0.95),
        nesterov=config.get("nesterov", True),
        weight_decay=config.get("weight_decay", 0.0),
        ns_steps=config.get("iterations", 5),
        adjust_lr_fn=scales[config.get("rate_scale", "original")],
    )
    adam = config["adam"]
    rest = torch.optim.AdamW(others, lr=adam["learning_rate"], weight_decay=0.0, foreach=False)
    return Together([method, rest], "bfloat16")


def soap(config, parameters):
    method = SOAP(
        parameters.values(),
        lr=config["learning_rate"],
        betas=(config.get("beta1", 0.95), config.get("beta2", 0.95)),
        shampoo_beta=config.get("preconditioner_beta"),
        weight_decay=config.get("weight_decay", 1e-2),
        precondition_frequency=config.get("frequency", 10),
        max_precondition_dim=config.get("largest_dimension", 10_000),
        precondition_1d=config.get("precondition_vectors", False),
        correct_bias=config.get("bias_correction", True),
        eps=config.get("epsilon", 1e-8),
    )
    return Together([method], "float32")


def shampoo(config, parameters):
    return ScalableShampoo(
        parameters.values(),
        lr=config["learning_rate"],
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)),
        weight_decay=config.get("weight_decay", 0.0),
        decoupled_weight_decay=True,
        start_preconditioning_step=config.get("start", 25),
        preconditioning_compute_steps=config.get("frequency", 20),
        block_size=1024,
        no_preconditioning_for_layers_with_dim_gt=config.get("largest_dimension", 8192),
        shape_interpretation=False,
        graft_type=LayerWiseGrafting.RMSPROP,
        nesterov=config.get("nesterov", True),
        diagonal_eps=config.get("epsilon", 1e-10),
        matrix_eps=config.get("matrix_epsilon", 1e-6),
        use_svd=True,
    )


SHAMPOO_SETTINGS = [
    {"matrix_epsilon": 1e-3},
    {"start": 3, "frequency": 2, "beta1": 0.5, "beta2": 0.9, "nesterov": False, "weight_decay": 0.2, "epsilon": 1e-6},
    {"start": 1, "frequency": 1, "beta2": 0.99, "matrix_epsilon": 1e-4, "largest_dimension": 3},
]
ADAM = {"learning_rate": 0.02}
MUON = [
    {},
    {"nesterov": False, "momentum": 0.8, "weight_decay": 0.5, "rate_scale": "match-adamw"},
    {"iterations": 3, "rate_scale": "spectral"},
]


SOAP_SETTINGS = [
    {},
    {"frequency": 3, "weight_decay": 0.2, "beta1": 0.9, "beta2": 0.99, "preconditioner_beta": 0.9},
    {"frequency": 1, "bias_correction": False, "largest_dimension": 3},
]


def difference(found, expected):
    """The largest relative difference of parameters at the recorded steps."""
    return max(
        abs(x - y) / max(abs(y), 1e-3)
        for step, point in expected["points"].items()
        for name, values in point.items()
        for x, y in zip(found["points"][step][name], values)
    )


def runs():
    for settings in SOAP_SETTINGS:
        build = lambda _, config, parameters: soap(config, parameters)
        yield run("square", "soap", {"learning_rate": 0.01, **settings, "epsilon": 1e-2}, build)
        # The first gradient moves nothing, so that the second one is the same, and in the bases that were
        # made of it is diagonal. What rounding leaves beside the diagonal, 10⁻¹⁷, is divided by no more
        # than epsilon: at the default of 10⁻⁸ the reference is as far from itself, with its sums in
        # another order, as "spread" says.
        config = {"learning_rate": 0.01, **settings}
        record = run("square", "soap", config, build)
        other = run("square, reversed", "soap", config, build)
        yield record | {"spread": difference(other, record)}
    for settings in SHAMPOO_SETTINGS:
        config = {"learning_rate": 0.002, **settings}
        yield run("square", "shampoo", config, lambda _, config, parameters: shampoo(config, parameters))
    for problem in ("logistic", "mlp"):
        for settings in MUON:
            config = {"learning_rate": 0.02, "adam": ADAM, **settings}
            yield run(problem, "muon", config, lambda _, config, parameters: muon(config, parameters))
    config = {"learning_rate": 0.02, "adam": ADAM, "excluded": ["fc2.weight"]}
    yield run("mlp", "muon", config, lambda _, config, parameters: muon(config, parameters))


PACKAGES = ["torch", "pytorch-optimizer"]
print(json.dumps({
    "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    "recorded": RECORDED,
    "runs": list(runs()),
}))
