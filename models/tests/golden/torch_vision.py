"""The image classifiers in PyTorch, with the parameter names of the Rust models."""

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3x3 convolutions around which the input goes, padded with channels of zeros (option A) or
    through a normalised 1x1 convolution (option B)."""

    def __init__(self, inputs, outputs, stride, project):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.extra = outputs - inputs
        self.stride = stride
        self.downsample = None
        if project and self.extra:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.downsample:
            shortcut = self.downsample(x)
        elif self.extra:
            before = self.extra // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.extra - before))
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """A residual network for small images with the given numbers of blocks in its stages."""

    def __init__(self, blocks, width=16, in_channels=3, classes=10, project=False):
        super().__init__()
        self.stages = len(blocks)
        self.conv1 = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(blocks):
            layers = []
            for block in range(count):
                stride = 2 if stage and not block else 1
                layers.append(Block(channels, width << stage, stride, project))
                channels = width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)

    def stem(self, x):
        return F.relu(self.bn1(self.conv1(x)))

    def forward(self, x):
        x = self.stem(x)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


def cifar_resnet(depth, *settings):
    """The network of He et al. for CIFAR, with option-A shortcuts."""
    return ResNet([(depth - 2) // 6] * 3, *settings)


def fuse_resnet(*settings):
    """The layout inferred for the FUSE authors' `resnet20`."""
    return ResNet([5, 5, 5, 2, 2], *settings, project=True)


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth, bottleneck):
        super().__init__()
        self.bottleneck = bottleneck
        self.bn1 = nn.BatchNorm2d(inputs)
        if bottleneck:
            self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(4 * growth)
            self.conv2 = nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)
        else:
            self.conv1 = nn.Conv2d(inputs, growth, 3, 1, 1, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.bn1(x)))
        if self.bottleneck:
            y = self.conv2(F.relu(self.bn2(y)))
        return torch.cat([x, y], 1)


class DenseBlock(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layer = nn.Sequential(*layers)

    def forward(self, x):
        return self.layer(x)


class Transition(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv1(F.relu(self.bn1(x))), 2)


class DenseNet(nn.Module):
    """Three densely connected blocks with two transitions."""

    def __init__(self, depth, growth=32, reduction=0.5, bottleneck=False, in_channels=3, classes=10):
        super().__init__()
        channels = 2 * growth
        self.conv1 = nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)
        for block in (1, 2, 3):
            layers = []
            for _ in range((depth - 4) // 3 // (2 if bottleneck else 1)):
                layers.append(DenseLayer(channels, growth, bottleneck))
                channels += growth
            setattr(self, f"block{block}", DenseBlock(layers))
            if block < 3:
                kept = int(channels * reduction)
                setattr(self, f"trans{block}", Transition(channels, kept))
                channels = kept
        self.bn1 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.trans1(self.block1(self.conv1(x)))
        x = self.block3(self.trans2(self.block2(x)))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


class LeNet(nn.Module):
    def __init__(self, size, in_channels=1, classes=10):
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
