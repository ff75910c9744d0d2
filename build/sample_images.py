#!/usr/bin/env python3
"""Choose the samples that teaching needs from MNIST: `python3 build/sample_images.py FOLDER` (the four IDX files).

`mix`: 50 training images of each digit, mixed with a visitor's own so that nothing is forgotten. `test`: 1,000 test
images, on which accuracy is measured before and after. Both are drawn by chance, by a fixed seed, so the same files
give the same samples; of each digit they hold plain and odd ones as often as MNIST does.
Writes web/samples/{mix,test}-{images.idx3,labels.idx1}.gz (IDX files, packed) and index.json (which images they are).
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLES = Path(__file__).resolve().parent.parent / "web" / "samples"
SEED = 20250611
OF_EACH, MEASURED = 50, 1000


def read_idx(path: Path, header: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes behind an IDX header."""
    return np.frombuffer(path.read_bytes(), np.uint8, offset=header).reshape(shape)


def packed(array: NDArray[np.uint8]) -> bytes:
    """An IDX file, packed; no time of day in it, so that the same array gives the same bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes(), 9, mtime=0)


def choose(labels: NDArray[np.uint8], name: str) -> NDArray[np.intp]:
    """The numbers of the images of a sample, in ascending order."""
    generator = np.random.Generator(np.random.PCG64([SEED, len(labels)]))
    if name == "test":
        return np.sort(generator.choice(len(labels), MEASURED, replace=False))
    of_each = [generator.choice(np.flatnonzero(labels == digit), OF_EACH, replace=False) for digit in range(10)]
    return np.sort(np.concatenate(of_each))


def main(folder: Path) -> None:
    """Write the samples and say what they hold."""
    SAMPLES.mkdir(exist_ok=True)
    index = {}
    for name, stem in (("mix", "train"), ("test", "t10k")):
        images = read_idx(folder / f"{stem}-images-idx3-ubyte", 16, (-1, 28, 28))
        labels = read_idx(folder / f"{stem}-labels-idx1-ubyte", 8, (-1,))
        numbers = choose(labels, name)
        files = {f"{name}-images.idx3.gz": images[numbers], f"{name}-labels.idx1.gz": labels[numbers]}
        for file, array in files.items():
            (SAMPLES / file).write_bytes(packed(array))
        index[name] = {"of": f"MNIST {stem}", "numbers": [int(number) for number in numbers]}
        size = sum((SAMPLES / file).stat().st_size for file in files)
        print(f"web/samples: {name}, {len(numbers)} images of {stem}, {size} bytes")
    (SAMPLES / "index.json").write_text(json.dumps(index, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 build/sample_images.py FOLDER, the folder of the four MNIST files")
    main(Path(sys.argv[1]))
