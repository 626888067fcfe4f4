"""Writes small weights files with the names and layouts of the public `resnet18` and `gpt2`, and
weights.json with the logits of the models they belong to.

Run with: python models/tests/golden/weights.py
"""

import json
import pathlib

import safetensors.torch
import torch
import torchvision
import transformers

from dense_language import gpt
from values import fill, images, integers, summary

FOLDER = pathlib.Path(__file__).parent


def narrow(tensor):
    """The first of every 32 channels along each axis that counts channels."""
    sizes = (size // 32 if size % 64 == 0 else size for size in tensor.shape)
    return tensor[tuple(slice(size) for size in sizes)].clone()


def resnet18():
    model = torchvision.models.resnet18(num_classes=3)
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for tensor in tensors.values():
                if tensor is not None:
                    tensor.data = narrow(tensor.data)
    with torch.no_grad():
        fill(model)
    safetensors.torch.save_file(model.state_dict(), FOLDER / "resnet18.safetensors")
    return summary(model.eval()(images(2, 3, 64, 64).float()))


def gpt2():
    model = gpt(13, 12, 2, 2, 8)
    with torch.no_grad():
        fill(model)
    # As on the hub: the names of the model without its head, and the attention's masks.
    state = model.transformer.state_dict()
    mask = torch.ones(12, 12).tril().view(1, 1, 12, 12)
    for layer in range(2):
        state[f"h.{layer}.attn.bias"] = mask.clone()
    safetensors.torch.save_file(state, FOLDER / "gpt2.safetensors", metadata={"format": "pt"})
    return summary(model.eval()(integers(7, 13, 3, 10)).logits)


def main():
    torch.set_num_threads(1)
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, transformers, safetensors)}
    content = {"versions": versions, "resnet18": resnet18(), "gpt2": gpt2()}
    (FOLDER / "weights.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
