"""Writes dense_language.json: what PyTorch computes for the dense classifiers, and Hugging Face's
transformers for GPT-2.

Run with: python models/tests/golden/dense_language.py
"""

import torch
import transformers
from torch import nn
from torch.nn import functional as F

from values import case, images, integers, write


class Linear(nn.Module):
    def __init__(self, inputs, classes, sigmoid=False):
        super().__init__()
        self.linear = nn.Linear(inputs, classes)
        self.sigmoid = sigmoid

    def forward(self, x):
        logits = self.linear(x.flatten(1))
        return logits.sigmoid() if self.sigmoid else logits


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 64)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


def gpt(vocabulary, context, layers, heads, width):
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=context, n_layer=layers, n_head=heads, n_embd=width,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=0, eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config)


def classify(name, model):
    return case(name, model, images(6, 1, 28, 28), integers(1, 10, 6))


def language(name, model, batch, time):
    vocabulary = model.config.vocab_size
    tokens, targets = (integers(step, vocabulary, batch, time) for step in (7, 5))
    return case(name, model, tokens, targets, lambda model, tokens: model(tokens).logits)


def main():
    torch.set_num_threads(1)
    cases = [
        classify("linear", Linear(784, 10)),
        classify("logistic", Linear(784, 10, sigmoid=True)),
        classify("mlp", Mlp()),
        language("gpt", gpt(13, 12, 2, 2, 8), 3, 10),
        language("gpt-long", gpt(31, 80, 3, 4, 32), 2, 80),
    ]
    write("dense_language.json", [torch, transformers], cases)


if __name__ == "__main__":
    main()
