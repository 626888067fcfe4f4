"""Times the rows of the benchmarks vision and language in PyTorch, and prints them in the same form.

Use: python models/benches/torch_compare.py vision|language [ROW [WAY]], with a Python that has torch;
OMP_NUM_THREADS sets the threads. Ways: eager, and for steps channels-last where there are images, and torch.compile. The memory is by how
much the process grows; it is to be read from a run whose arguments leave one row and way.
"""

import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests" / "golden"))
from torch_vision import DenseNet, LeNet, ResNet, cifar_resnet

WARM_UP, RUNS = 3, 15
FILTER = sys.argv[2] if len(sys.argv) > 2 else ""
WAY = sys.argv[3] if len(sys.argv) > 3 else ""


def median(runs):
    return statistics.median(runs[WARM_UP:])


def resident(key):
    """A size of this process in MiB: resident now (VmRSS) or at most (VmHWM)."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024


def row(name, way, **numbers):
    for measure, number in numbers.items():
        print(f"{name}\t{measure}\t{way}\t{number:.4f}", flush=True)


def layer_row(name, layer, input):
    if FILTER not in name or WAY not in ("", "eager"):
        return
    forward, backward = [], []
    for _ in range(WARM_UP + RUNS):
        start = time.perf_counter()
        output = layer(input)
        forward.append(1e3 * (time.perf_counter() - start))
        ones = torch.ones_like(output)
        start = time.perf_counter()
        output.backward(ones)
        backward.append(1e3 * (time.perf_counter() - start))
        input.grad = None
        layer.zero_grad()
    row(name, "eager", forward=median(forward), backward=median(backward))


def step_rows(name, make, input, labels, loss=F.cross_entropy):
    if FILTER not in name:
        return
    ways = ["eager", "channels-last", "compiled"] if input.ndim == 4 else ["eager", "compiled"]
    for way in ways:
        if WAY not in ("", way):
            continue
        model, images = make(), input
        if way == "channels-last":
            model = model.to(memory_format=torch.channels_last)
            images = input.to(memory_format=torch.channels_last)
        if way == "compiled":
            model = torch.compile(model)
        step_row(name, way, model, images, labels, loss)


def step_row(name, way, model, input, labels, loss):
    memory = resident("VmRSS")
    adam = torch.optim.Adam(model.parameters())
    steps, forward, backward = [], [], []
    for _ in range(WARM_UP + RUNS):
        start = time.perf_counter()
        adam.zero_grad()
        value = loss(model(input), labels)
        forward.append(1e3 * (time.perf_counter() - start))
        back = time.perf_counter()
        value.backward()
        backward.append(1e3 * (time.perf_counter() - back))
        adam.step()
        steps.append(1e3 * (time.perf_counter() - start))
    memory = resident("VmHWM") - memory
    row(name, way, forward=median(forward), backward=median(backward), step=median(steps), memory=memory)


class ImageNetResNet(ResNet):
    """torchvision's layout: a 7x7 stem with stride 2, then pooling, and 64 channels in the first stage."""

    def __init__(self, blocks):
        super().__init__(blocks, width=64, classes=1000, project=True)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)

    def stem(self, x):
        return F.max_pool2d(super().stem(x), 3, 2, 1)


def vision():
    for inputs, outputs, size, stride in [
        (3, 16, 32, 1), (16, 16, 32, 1), (16, 32, 32, 2),
        (32, 32, 16, 1), (32, 64, 16, 2), (64, 64, 8, 1),
    ]:
        for kind in ("conv", "conv-norm-relu"):
            name = f"{kind} {inputs}->{outputs} {size}x{size} /{stride}"
            layer = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            if kind != "conv":
                layer = nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())
            layer_row(name, layer, values(128, inputs, size, size).requires_grad_())
    for name, make, batch, channels, size in [
        ("resnet-20 3x32x32 b128", lambda: cifar_resnet(20), 128, 3, 32),
        ("resnet-18 3x64x64 b32", lambda: ImageNetResNet([2, 2, 2, 2]), 32, 3, 64),
        ("densenet-10 3x32x32 b128", lambda: DenseNet(10), 128, 3, 32),
        ("lenet 1x28x28 b512", lambda: LeNet(28), 512, 1, 28),
    ]:
        step_rows(name, make, values(batch, channels, size, size), integers([batch], 10))


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attn_proj(attention(self.c_attn(self.ln_1(x)), self.heads))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    """GPT-2 with tied embeddings and without dropout."""

    def __init__(self, vocabulary, context=64, layers=4, heads=4, width=128):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[GptBlock(width, heads) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        return F.linear(self.ln_f(self.blocks(x)), self.wte.weight)


def attention(packed, heads):
    batch, time, columns = packed.shape
    parts = packed.view(batch, time, 3, heads, columns // 3 // heads).permute(2, 0, 3, 1, 4)
    output = F.scaled_dot_product_attention(*parts, is_causal=True)
    return output.transpose(1, 2).reshape(batch, time, columns // 3)


def values(*shape):
    count = 1
    for size in shape:
        count *= size
    return torch.sin(torch.arange(count) * 0.37).reshape(shape)


def integers(shape, below):
    count = torch.Size(shape).numel()
    return (torch.arange(count) * 2654435761 % 2**32 % below).reshape(shape)


class Call(nn.Module):
    """A function of tensors as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, input):
        return self.function(input)


def language():
    for inputs, outputs in [(128, 384), (128, 512), (512, 128)]:
        linear = nn.Linear(inputs, outputs)
        input = values(1024, inputs).requires_grad_()
        layer_row(f"linear 1024x{inputs}->{outputs}", linear, input)
        gelu = nn.Sequential(nn.GELU(approximate="tanh"), linear)
        layer_row(f"gelu-linear 1024x{inputs}->{outputs}", gelu, input)
    layer_row("gelu 1024x512", nn.GELU(approximate="tanh"), values(1024, 512).requires_grad_())
    layer_row("layer-norm 1024x128", nn.LayerNorm(128), values(1024, 128).requires_grad_())
    for batch, time, width, heads in [(16, 64, 128, 4), (1, 1024, 768, 12)]:
        call = Call(lambda input, heads=heads: attention(input, heads))
        name = f"attention {batch}x{time}x{width} h{heads}"
        layer_row(name, call, values(batch, time, 3 * width).requires_grad_())
    layer_row("embedding 1024 of 4096x128", nn.Embedding(4096, 128), integers([1024], 4096))
    for classes in (256, 4096):
        targets = integers([1024], classes)
        call = Call(lambda logits, targets=targets: F.cross_entropy(logits, targets))
        layer_row(f"cross-entropy 1024x{classes}", call, values(1024, classes).requires_grad_())

    def flat_loss(logits, targets):
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    for vocabulary in (256, 4096):
        tokens = integers([16, 64], vocabulary)
        targets = integers([16, 64], vocabulary - 1)
        name = f"gpt mini v{vocabulary} b16"
        step_rows(name, lambda v=vocabulary: Gpt(v), tokens, targets, flat_loss)
    step_rows(
        "gpt-2 small, context 256, b1",
        lambda: Gpt(50257, context=1024, layers=12, heads=12, width=768),
        integers([1, 256], 50257), integers([1, 256], 50000), flat_loss,
    )
    images_, labels = values(512, 784), integers([512], 10)
    mlp = lambda: nn.Sequential(
        nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    )
    step_rows("mlp 784-64-32-10 b512", mlp, images_, labels)
    step_rows("linear 784-10 b512", lambda: nn.Linear(784, 10), images_, labels)


if __name__ == "__main__":
    {"vision": vision, "language": language}[sys.argv[1]]()
