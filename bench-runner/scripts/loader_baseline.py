#!/usr/bin/env python3
"""Images per second of PyTorch's DataLoader on a parquet file in the hub's layout.

usage: loader_baseline.py FILE.parquet [BATCH]

Two ways, each the better of 0, 1 and 2 worker processes: "in memory" holds decoded uint8 images and normalises
single items, as torchvision's datasets do; "decoded" decodes each image when it is asked for.
Needs: pip install torch pyarrow pillow numpy
"""

import io
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
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    batch = int(sys.argv[2]) if len(sys.argv) == 3 else 128
    torch.set_num_threads(2)
    print(f"torch {torch.__version__}, pillow {Image.__version__}")
    for what, decoded in (("in memory", True), ("decoded", False)):
        dataset = Images(sys.argv[1], decoded)
        for workers in (0, 1, 2):
            measure(what, dataset, batch, workers)


if __name__ == "__main__":
    main()
