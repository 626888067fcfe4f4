"""Times the rows of the benchmarks in PyTorch on two CPU threads, for a comparison side by side.

Run with a Python that has torch: python models/benches/torch_compare.py [FILTER]
"""

import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

WARM_UP, RUNS = 2, 7
FILTER = sys.argv[1] if len(sys.argv) > 1 else ""


def median(runs):
    return statistics.median(runs[WARM_UP:])


def row(name, forward, backward, step=None):
    tail = "" if step is None else f"  step {step:.1f}"
    print(f"{name:<32} {forward:>10.2f} {backward:>10.2f}{tail}", flush=True)


def layer_times(layer, input):
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
    return median(forward), median(backward)


def step_times(model, input, labels, loss=F.cross_entropy):
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
    return median(forward), median(backward), median(steps)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.extra = outputs - inputs
        self.stride = stride

    def forward(self, x):
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.extra:
            before = self.extra // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.extra - before))
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """The CIFAR network of He et al. with option-A shortcuts."""

    def __init__(self, depth, width=16, in_channels=3, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        stages = []
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage and not block else 1
                stages.append(Block(channels, width << stage, stride))
                channels = width << stage
        self.blocks = nn.Sequential(*stages)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


class Dense(nn.Module):
    """DenseNet3 without bottleneck."""

    class Layer(nn.Module):
        def __init__(self, inputs, growth):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(inputs)
            self.conv1 = nn.Conv2d(inputs, growth, 3, 1, 1, bias=False)

        def forward(self, x):
            return torch.cat([x, self.conv1(F.relu(self.bn1(x)))], 1)

    class Transition(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(inputs)
            self.conv1 = nn.Conv2d(inputs, outputs, 1, bias=False)

        def forward(self, x):
            return F.avg_pool2d(self.conv1(F.relu(self.bn1(x))), 2)

    def __init__(self, depth, growth=32, reduction=0.5, classes=10):
        super().__init__()
        channels = 2 * growth
        layers = [nn.Conv2d(3, channels, 3, 1, 1, bias=False)]
        for block in range(3):
            for _ in range((depth - 4) // 3):
                layers.append(self.Layer(channels, growth))
                channels += growth
            if block < 2:
                layers.append(self.Transition(channels, int(channels * reduction)))
                channels = int(channels * reduction)
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        return self.fc(F.avg_pool2d(self.features(x), 8).flatten(1))


def lenet(size, in_channels=1, classes=10):
    side = ((size - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16 * side * side, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, classes),
    )


def images(batch, channels, size):
    count = batch * channels * size * size
    return torch.sin(torch.arange(count) * 0.37).reshape(batch, channels, size, size)


def vision():
    for inputs, outputs, size, stride in [
        (3, 16, 32, 1), (16, 16, 32, 1), (16, 32, 32, 2),
        (32, 32, 16, 1), (32, 64, 16, 2), (64, 64, 8, 1),
    ]:
        for kind in ("conv", "conv-norm-relu"):
            name = f"{kind} {inputs}->{outputs} {size}x{size} /{stride}"
            if FILTER not in name:
                continue
            layer = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            if kind != "conv":
                layer = nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())
            row(name, *layer_times(layer, images(128, inputs, size).requires_grad_()))
    for name, make, batch, channels, size in [
        ("resnet-20 3x32x32 b128", lambda: ResNet(20), 128, 3, 32),
        ("densenet-10 3x32x32 b128", lambda: Dense(10), 128, 3, 32),
        ("lenet 1x28x28 b512", lambda: lenet(28), 512, 1, 28),
    ]:
        if FILTER not in name:
            continue
        for layout in ("", " channels-last"):
            if layout and not name.startswith("resnet"):
                continue
            model, input = make(), images(batch, channels, size)
            if layout:
                model = model.to(memory_format=torch.channels_last)
                input = input.to(memory_format=torch.channels_last)
            row(name + layout, *step_times(model, input, torch.arange(batch) % 10))


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, milliseconds")
    vision()
