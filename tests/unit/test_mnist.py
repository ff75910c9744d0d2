"""handlens.data.mnist: IDX files, finding and verifying them, and the conventions of MNIST that the ink follows."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handlens.data import mnist
from handlens.errors import DataError, FormatError
from handlens.strokes import prepare_raster
from hypothesis import given, settings
from hypothesis import strategies as st


def idx(array: Any, code: int = 0x08) -> bytes:
    head = bytes([0, 0, code, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


SMALL = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(scope="module")
def data() -> mnist.Mnist:
    try:
        return mnist.load()
    except DataError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "code, dtype", [(0x08, "u1"), (0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_every_element_type_plain_and_gzip_from_bytes_and_path(code: int, dtype: str, tmp_path: Path) -> None:
    array = (SMALL - np.uint8(2)).astype(dtype)
    for n, data in enumerate((idx(array, code), gzip.compress(idx(array, code)))):
        path = tmp_path / f"{n}.idx"
        path.write_bytes(data)
        for read in (mnist.read_idx(data), mnist.read_idx(path), mnist.read_idx(str(path))):
            assert np.array_equal(read, array) and read.dtype.isnative and read.flags.writeable


GOOD = idx(SMALL)
BAD = {
    "nothing": (b"", "not an IDX file"),
    "text": (b"<!DOCTYPE html>", "not an IDX file: it starts with 3c 21 44 4f"),
    "type": (b"\0\0\x0a" + GOOD[3:], "not an IDX file"),
    "no axis": (b"\0\0\x08\0", "not an IDX file"),
    "header cut": (GOOD[:10], "truncated: 10 bytes, the header of 3 axes takes 16"),
    "data cut": (GOOD[:-1], "23 bytes of data"),
    "data left": (GOOD + b"\0", "25 bytes of data"),
    "axis 0": (idx(np.zeros((0, 28), np.uint8)), "not those of a data set"),
    "huge": (b"\0\0\x08\x03" + b"\xff" * 12, "not those of a data set"),
    "gzip cut": (gzip.compress(GOOD)[:-9], "damaged gzip"),
    "gzip noise": (b"\x1f\x8b" + b"\7" * 40, "damaged gzip"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_idx_files_are_refused_with_their_reason(case: str, tmp_path: Path) -> None:
    data, reason = BAD[case]
    path = tmp_path / "file.idx"
    path.write_bytes(data)
    with pytest.raises(FormatError) as error:
        mnist.read_idx(path)
    assert reason in str(error.value) and str(path) in str(error.value)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_crash(data: bytes) -> None:
    for text in (data, b"\0\0\x08" + data, b"\0\0\x0d\x01\0\0\0" + data, gzip.compress(data), b"\x1f\x8b" + data):
        try:
            array = mnist.read_idx(text)
        except FormatError:
            continue
        assert array.size > 0


def test_missing_files_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"run: python3 build/make\.py vendor"):
        mnist.load(tmp_path)
    monkeypatch.setenv("HANDLENS_MNIST", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="elsewhere"):
        mnist.load()


def small_set(folder: Path, zipped: bool = False) -> None:
    for name, _, shape in mnist.FILES.values():
        data = idx(np.zeros((3, *shape[1:]), np.uint8))
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(data) if zipped else data)


@pytest.mark.parametrize("zipped", [False, True])
def test_other_data_under_the_same_names_is_refused(zipped: bool, tmp_path: Path) -> None:
    small_set(tmp_path, zipped)
    with pytest.raises(DataError, match="sha256 differs"):
        mnist.load(tmp_path)
    with pytest.raises(DataError, match=r"uint8 \(3, 28, 28\), MNIST has uint8 \(60000, 28, 28\)"):
        mnist.load(tmp_path, verify=False)


def test_the_folder_is_found_by_variable_and_from_folders_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / ".cache" / "mnist"
    (tmp_path / "a" / "b").mkdir(parents=True)
    cache.mkdir(parents=True)
    small_set(cache)
    monkeypatch.delenv("HANDLENS_MNIST", raising=False)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert mnist.find_folder() == cache
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("HANDLENS_MNIST", str(cache))
    assert mnist.find_folder() == cache


def test_mnist_is_whole(data: mnist.Mnist) -> None:
    assert data.train_images.shape == (60000, 28, 28) and data.test_images.shape == (10000, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_was_centred_by_whole_pixels_on_pixel_14(data: mnist.Mnist) -> None:
    """The convention of `strokes`: the centre of mass lies within half a pixel of pixel 14, in both directions."""
    for images in (data.train_images, data.test_images):
        mass = images.sum(axis=(1, 2), dtype=np.float64)
        for axis in (1, 2):
            centre = images.sum(axis=3 - axis, dtype=np.float64) @ np.arange(28) / mass
            assert np.mean((centre >= 13.5) & (centre < 14.5)) > 0.9999
            assert np.all(np.abs(centre - 14) < 0.521)
            # Evenly spread within the pixel: the images were moved by whole pixels, not by fractions.
            assert np.allclose(np.histogram(centre, bins=4, range=(13.5, 14.5))[0] / len(images), 0.25, atol=0.02)


def test_mnist_fits_20_pixels_and_centres_the_smaller_side(data: mnist.Mnist) -> None:
    """The larger side is 20. The smaller one takes an even number of pixels far more often, as centring in 20 gives."""
    for images in (data.train_images, data.test_images):
        rows, columns = (images > 0).any(axis=2), (images > 0).any(axis=1)
        sides = [28 - m.argmax(axis=1) - m[:, ::-1].argmax(axis=1) for m in (rows, columns)]
        larger, smaller = np.maximum(*sides), np.minimum(*sides)
        assert larger.max() == 20 and np.mean(larger == 20) > 0.999
        assert np.mean(smaller[smaller < 20] % 2 == 0) > 0.72


def test_preparing_a_test_image_again_gives_it_back(data: mnist.Mnist) -> None:
    """The whole chain but the pen is the identity on what MNIST made, but for a few images at a tie of rounding."""
    worst = []
    for image in data.test_images[:2000]:
        ready = prepare_raster(image / np.float32(255), threshold=1 / 255)
        assert ready is not None
        worst.append(np.abs(ready.image - image / np.float32(255)).max())
    assert np.mean(np.array(worst) < 1e-6) > 0.999
