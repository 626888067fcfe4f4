"""Writes rivals.json: parameters along runs of today's optimizers in their authors' form, in f64.

Use: python rivals.py > rivals.json

The references are PyTorch, Optax, lion-pytorch, schedulefree, prodigyopt and pytorch-optimizer. The
problems are in problems.py. An optimizer's entry `config` is the configuration of the Rust
optimizer in JSON.
"""

import contextlib
import io
import json
import platform
from importlib.metadata import version

import jax
import optax
import torch

from lion_pytorch import Lion
from problems import RECORDED, run
from prodigyopt import Prodigy
from pytorch_optimizer import SWATS
from schedulefree import AdamWScheduleFree

jax.config.update("jax_enable_x64", True)


class Optax:
    """A gradient transformation of Optax behind the interface of a PyTorch optimizer."""

    def __init__(self, parameters, transformation):
        self.parameters, self.transformation = list(parameters.values()), transformation
        self.state = transformation.init(self.arrays(self.parameters))

    @staticmethod
    def arrays(tensors):
        return [jax.numpy.asarray(tensor.detach().numpy()) for tensor in tensors]

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        gradients = self.arrays([parameter.grad for parameter in self.parameters])
        values = self.arrays(self.parameters)
        updates, self.state = self.transformation.update(gradients, self.state, values)
        with torch.no_grad():
            for parameter, update in zip(self.parameters, updates):
                parameter.add_(torch.tensor(jax.device_get(update)))


def grouped(parameters, config):
    """PyTorch's parameter groups, with those of `config` for parameters whose names end in bias."""
    groups = [{"params": []}]
    for group in config.get("groups", []):
        rate = config["learning_rate"] * group["learning_rate_factor"]
        groups.append({"params": [], "lr": rate, "weight_decay": group["weight_decay"]})
    for name, parameter in parameters.items():
        groups[int(len(groups) > 1 and name.endswith("bias"))]["params"].append(parameter)
    return groups


def lion(config, parameters):
    return Lion(
        grouped(parameters, config),
        lr=config["learning_rate"],
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.99)),
        weight_decay=config.get("weight_decay", 0.0),
    )


def lion_of_optax(config, parameters):
    return Optax(parameters, optax.lion(
        config["learning_rate"],
        b1=config.get("beta1", 0.9),
        b2=config.get("beta2", 0.99),
        weight_decay=config.get("weight_decay", 0.0),
    ))


def nadamw(config, parameters):
    look_ahead = config.get("look_ahead", {"growing": 0.004})
    settings = {"eps": config.get("epsilon", 1e-8), "weight_decay": config.get("weight_decay", 1e-2)}
    if look_ahead == "constant":
        beta1, beta2 = config.get("beta1", 0.9), config.get("beta2", 0.999)
        return Optax(parameters, optax.nadamw(config["learning_rate"], b1=beta1, b2=beta2, **settings))
    return torch.optim.NAdam(
        grouped(parameters, config),
        lr=config["learning_rate"],
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)),
        momentum_decay=look_ahead["growing"],
        decoupled_weight_decay=True,
        foreach=False,
        **settings,
    )


def schedule_free_adamw(config, parameters):
    schedule = config.get("schedule", {"steps": 0})
    optimizer = AdamWScheduleFree(
        grouped(parameters, config),
        lr=config["learning_rate"],
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)),
        eps=config.get("epsilon", 1e-8),
        weight_decay=config.get("weight_decay", 0.0),
        warmup_steps=schedule["steps"] + 1,
        r=config.get("step_power", 0.0),
        weight_lr_power=config.get("rate_power", 2.0),
        foreach=False,
    )
    optimizer.train()
    return optimizer


def prodigy(config, parameters):
    return Prodigy(
        parameters.values(),
        lr=config["learning_rate"],
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)),
        beta3=config.get("beta3"),
        eps=config.get("epsilon", 1e-8),
        weight_decay=config.get("weight_decay", 0.0),
        use_bias_correction=config.get("bias_correction", False),
        safeguard_warmup=config.get("safeguard_warmup", False),
        d0=config.get("d0", 1e-6),
        d_coef=config.get("d_coef", 1.0),
        growth_rate=config.get("growth_rate", float("inf")),
    )


def swats(config, parameters):
    # The reference's one number is Adam's epsilon and the relative tolerance; its absolute one is
    # that of allclose. It judges parameter by parameter: problems have one.
    assert len(parameters) == 1 and config["epsilon"] == config["relative_tolerance"] and config["tolerance"] == 1e-8
    return SWATS(
        parameters.values(),
        lr=config["learning_rate"],
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)),
        weight_decay=config.get("weight_decay", 0.0),
        eps=config["epsilon"],
        foreach=False,
    )


def tolerance(value):
    return {"epsilon": value, "tolerance": 1e-8, "relative_tolerance": value}


GROUPS = [{"parameters": ["*bias"], "learning_rate_factor": 0.5, "weight_decay": 0.0}]
WARM_UP = {"kind": "warm-up", "steps": 9, "start_factor": 0.1, "then": {"kind": "constant"}}
# At 0.02 on the network, PyTorch's NAdam itself multiplies a rounding error by 10⁵ in 45 steps.
ADAM_RATE = {"quadratic": 0.05, "rosenbrock": 0.02, "logistic": 0.05, "mlp": 0.01}
LION_RATE = {"quadratic": 0.02, "rosenbrock": 2e-3, "logistic": 0.02, "mlp": 5e-3}

PRODIGY_RATE = {"quadratic": 1.0, "rosenbrock": 0.1, "logistic": 1.0, "mlp": 1.0}
SWATS_RATE = {"quadratic": 0.05, "rosenbrock": 0.02}

# By kind: the builder, learning rates by problem, and settings beside them.
METHODS = [
    ("lion", lion, LION_RATE, [{}, {"beta1": 0.95, "beta2": 0.98, "weight_decay": 0.5}]),
    ("lion", lion_of_optax, LION_RATE, [{"weight_decay": 0.1}]),
    ("nadamw", nadamw, ADAM_RATE, [
        {},
        {"look_ahead": {"growing": 0.1}, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3, "weight_decay": 0.1},
        {"look_ahead": "constant", "weight_decay": 0.1},
    ]),
    ("schedule-free-adamw", schedule_free_adamw, ADAM_RATE, [
        {},
        {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3, "weight_decay": 0.1, "step_power": 1.0},
        {"schedule": WARM_UP, "weight_decay": 0.05},
    ]),
    ("prodigy", prodigy, PRODIGY_RATE, [
        {},
        {"d0": 1e-3, "growth_rate": 1.5, "bias_correction": True, "weight_decay": 0.1, "beta3": 0.9},
        {"d0": 1e-2, "d_coef": 0.5, "safeguard_warmup": True, "beta2": 0.99, "epsilon": 1e-3},
    ]),
    ("swats", swats, SWATS_RATE, [
        tolerance(1e-6),
        tolerance(1e-2),
        tolerance(3e-3) | {"beta1": 0.5},
        tolerance(0.1) | {"beta2": 0.95, "weight_decay": 0.1},
    ]),
]
# Those whose references have groups with rates of their own.
GROUPED = [("lion", lion, LION_RATE), ("nadamw", nadamw, ADAM_RATE),
           ("schedule-free-adamw", schedule_free_adamw, ADAM_RATE)]


def runs():
    for kind, build, rates, variants in METHODS:
        for problem in rates:
            for settings in variants:
                config = {"learning_rate": rates[problem], **settings}
                yield run(problem, kind, config, lambda _, config, parameters: build(config, parameters))
    for kind, build, rates in GROUPED:
        config = {"learning_rate": rates["mlp"], "weight_decay": 0.1, "groups": GROUPS}
        yield run("mlp", kind, config, lambda _, config, parameters: build(config, parameters))


PACKAGES = ["torch", "jax", "optax", "lion-pytorch", "schedulefree", "prodigyopt", "pytorch-optimizer"]
# Some references print what they do.
with contextlib.redirect_stdout(io.StringIO()):
    recorded = list(runs())
print(json.dumps({
    "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    "recorded": RECORDED,
    "runs": recorded,
}))
