"""Writes multiply_adds.json: parameters and multiply-adds of one input, as PyTorch counts them.

`torch.utils.flop_counter` counts two operations for each multiply-add of matrix products and
convolutions. Nothing is computed: all tensors are on the `meta` device.

Run with: python models/tests/golden/multiply_adds.py
"""

import json
import pathlib

import torch
import torchvision
import transformers
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from dense_language import Mlp
from torch_vision import DenseNet, LeNet, Transition, cifar_resnet, fuse_resnet


def count(spec, model, *shape, dtype=torch.float32):
    input = torch.zeros(1, *shape, dtype=dtype)
    with FlopCounterMode(display=False) as counter:
        model(input)
    return {
        "spec": spec,
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds": counter.get_total_flops() // 2,
    }


def gpt(spec, context=64, layers=4, heads=4, width=128, vocabulary=256):
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=context, n_layer=layers, n_head=heads, n_embd=width,
        attn_implementation="eager",
    )
    model = transformers.GPT2LMHeadModel(config)
    return count({"kind": "gpt", **spec}, model, context, dtype=torch.long)


def pooled_first(self, x):
    """A transition in the order of the Rust model, which convolves a quarter of the pixels."""
    return self.conv1(F.avg_pool2d(F.relu(self.bn1(x)), 2))


def cases():
    yield count({"kind": "mlp"}, Mlp(), 784)
    yield count({"kind": "lenet", "size": 28}, LeNet(28), 1, 28, 28)
    for depth in (20, 56):
        yield count({"kind": "resnet", "depth": depth}, cifar_resnet(depth), 3, 32, 32)
    yield count({"kind": "resnet", "variant": "fuse"}, fuse_resnet(), 3, 32, 32)
    for depth in (18, 34, 50):
        spec = {"kind": "resnet", "variant": "image-net", "depth": depth, "width": 64, "classes": 1000}
        yield count(spec, getattr(torchvision.models, f"resnet{depth}")(), 3, 224, 224)
    for depth in (5, 7, 10):
        yield count({"kind": "densenet", "depth": depth}, DenseNet(depth), 3, 32, 32)
    yield gpt({"preset": "mini"})
    yield gpt({"preset": "small"}, 1024, 12, 12, 768, 50257)


def main():
    Transition.forward = pooled_first
    with torch.device("meta"):
        lines = ",\n".join(json.dumps(case) for case in cases())
    modules = (torch, torchvision, transformers)
    versions = json.dumps({module.__name__: module.__version__ for module in modules})
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(f'{{"versions": {versions}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
