"""Writes vision.json: what PyTorch and torchvision compute for the image classifiers.

Run with: python models/tests/golden/vision.py
"""

import torch
import torchvision

from torch_vision import DenseNet, LeNet, cifar_resnet, fuse_resnet
from values import case, images, integers, write


def classify(name, model, batch, channels, size):
    return case(name, model, images(batch, channels, size, size), integers(1, 3, batch))


def main():
    torch.set_num_threads(1)
    cases = [
        classify("resnet-8-narrow", cifar_resnet(8, 4, 1), 5, 1, 8),
        classify("resnet-20", cifar_resnet(20), 4, 3, 32),
        classify("resnet-fuse-narrow", fuse_resnet(2), 6, 3, 32),
        classify("resnet-18", torchvision.models.resnet18(), 4, 3, 64),
        classify("resnet-50", torchvision.models.resnet50(), 4, 3, 64),
        classify("densenet-10", DenseNet(10, growth=4), 3, 3, 16),
        classify("densenet-13-bottleneck", DenseNet(13, growth=4, bottleneck=True), 3, 3, 16),
        classify("lenet-16", LeNet(16), 5, 1, 16),
        classify("lenet-28", LeNet(28), 5, 1, 28),
        classify("lenet-32", LeNet(32, 3), 5, 3, 32),
    ]
    write("vision.json", [torch, torchvision], cases)


if __name__ == "__main__":
    main()
