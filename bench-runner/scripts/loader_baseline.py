#!/usr/bin/env python3
"""Images per second of PyTorch's DataLoader on a parquet file in the hub's layout.

usage: loader_baseline.py FILE.parquet [BATCH [crops]]

Two ways, each the better of 0, 1 and 2 worker processes: "in memory" holds decoded uint8 images and normalises
single items, as torchvision's datasets do; "decoded" decodes each image when it is asked for. With "crops" images are
decoded and cropped to 224 x 224: the centre after scaling the shorter side to 256, and at random, as for ImageNet.
Needs: pip install torch pyarrow pillow numpy
"""

import io
import math
import random
import statistics
import sys
import time

import numpy
import pyarrow.parquet
import torch
from PIL import Image

EPOCHS = 3


class Images(torch.utils.data.Dataset):
    def __init__(self, path, decoded):
        table = pyarrow.parquet.read_table(path)
        self.encoded = [item["bytes"] for item in table["image"].to_pylist()]
        self.labels = table["label"].to_pylist()
        self.pixels = [self.decode(data) for data in self.encoded] if decoded else None

    @staticmethod
    def decode(data):
        image = numpy.array(Image.open(io.BytesIO(data)))
        return image[:, :, None] if image.ndim == 2 else image

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.pixels[index] if self.pixels else self.decode(self.encoded[index])
        tensor = torch.from_numpy(image).permute(2, 0, 1).float().div_(255)
        return tensor.sub_(0.5).div_(0.5), self.labels[index]


class Crops(Images):
    SIZE = 224
    MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

    def __init__(self, path, at_random):
        super().__init__(path, False)
        self.at_random = at_random

    def box(self, width, height):
        if not self.at_random:
            side = self.SIZE * min(width, height) / 256
            left, top = (width - side) / 2, (height - side) / 2
            return left, top, left + side, top + side
        # As torchvision's RandomResizedCrop.
        for _ in range(10):
            area = width * height * random.uniform(0.08, 1.0)
            ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left, top = random.randint(0, width - w), random.randint(0, height - h)
                return left, top, left + w, top + h
        return 0, 0, width, height

    def __getitem__(self, index):
        image = Image.open(io.BytesIO(self.encoded[index])).convert("RGB")
        image = image.resize((self.SIZE, self.SIZE), Image.BILINEAR, box=self.box(*image.size))
        tensor = torch.from_numpy(numpy.array(image)).permute(2, 0, 1).float().div_(255)
        return tensor.sub_(self.MEAN).div_(self.STD), self.labels[index]


def measure(what, dataset, batch, workers):
    loader = torch.utils.data.DataLoader(dataset, batch, shuffle=True, drop_last=True, num_workers=workers,
                                         persistent_workers=workers > 0)
    rates = []
    for epoch in range(EPOCHS + 1):
        start, count = time.perf_counter(), 0
        for images, _ in loader:
            count += len(images)
        if epoch:
            rates.append(count / (time.perf_counter() - start))
    print(f"{what}, {workers} workers: {statistics.median(rates):.0f} images/s "
          f"({min(rates):.0f} to {max(rates):.0f})", flush=True)


def main():
    if len(sys.argv) not in (2, 3, 4) or sys.argv[3:] not in ([], ["crops"]):
        sys.exit(__doc__)
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 128
    torch.set_num_threads(2)
    print(f"torch {torch.__version__}, pillow {Image.__version__}")
    kinds = (("the centre", Crops, False), ("random crops", Crops, True)) if len(sys.argv) == 4 else (
        ("in memory", Images, True), ("decoded", Images, False))
    for what, kind, setting in kinds:
        dataset = kind(sys.argv[1], setting)
        for workers in (0, 1, 2):
            measure(what, dataset, batch, workers)


if __name__ == "__main__":
    main()
