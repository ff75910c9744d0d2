"""Kernels made by hand: the known matrices, what they answer to, and how a learned one is compared with them."""

from __future__ import annotations

import numpy as np
import pytest
from handlens.errors import DataError
from handlens.inside.handmade import HANDMADE, applied, kernel, most_alike, nearest, resemblance, resemblances
from unit.inside_tools import shipped


def test_sobel_and_laplacian_are_the_known_ones() -> None:
    np.testing.assert_array_equal(kernel("Sobel x"), [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    np.testing.assert_array_equal(kernel("Sobel y"), kernel("Sobel x").T)
    np.testing.assert_array_equal(16 * kernel("Sobel x", 5), np.outer([1, 4, 6, 4, 1], [-1, -2, 0, 2, 1]))
    np.testing.assert_array_equal(kernel("Laplacian"), [[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    np.testing.assert_array_equal(256 * kernel("blur", 5), np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]))


@pytest.mark.parametrize("name", HANDMADE)
@pytest.mark.parametrize("size", [3, 5, (3, 5), (7, 4)])
def test_larger_kernels_are_the_small_one_on_a_smoothed_image(name: str, size: int | tuple[int, int]) -> None:
    made = kernel(name, size)
    image = np.random.default_rng(1).random((15, 16))
    b = [np.array([1.0]), np.array([1, 1]) / 2, np.array([1, 2, 1]) / 4, None, np.array([1, 4, 6, 4, 1]) / 16]
    rows, columns = (b[n - 3] for n in made.shape)
    assert rows is not None and columns is not None
    smoothed = applied(np.outer(rows, columns), image)
    np.testing.assert_allclose(applied(made, image), applied(kernel(name), smoothed), atol=2e-5)
    assert made.sum() == pytest.approx(1.0 if name == "blur" else 0.0, abs=1e-5)  # all but the blur ignore a flat image


def test_each_answers_to_what_it_says() -> None:
    """The patch that matches best among simple ones is the one its line names; a flat patch gives nothing."""
    shapes = {
        "Sobel x": [[0, 0, 1]] * 3,
        "Sobel y": np.transpose([[0, 0, 1]] * 3),
        "corner": [[0, 0, 0], [0, 1, 1], [0, 1, 1]],
        "line across": [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
        "line down": np.transpose([[0, 0, 0], [1, 1, 1], [0, 0, 0]]),
        "spot": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        "Laplacian": [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
    }

    def match(name: str, shape: object) -> float:
        patch = np.asarray(shape, float) - np.mean(shape)
        return float((kernel(name) * patch).sum() / np.linalg.norm(kernel(name)) / np.linalg.norm(patch))

    for name in shapes:
        assert max(shapes, key=lambda other, name=name: match(name, shapes[other])) == name
        assert applied(kernel(name), np.full((3, 3), 0.7)) == pytest.approx(0.0, abs=1e-6)


def test_sliding_is_the_definition() -> None:
    drawn = np.random.default_rng(0)
    weights, image = drawn.standard_normal((3, 2)), drawn.random((6, 5))
    found = applied(weights, image)
    assert found.shape == (4, 4)
    for p in range(4):
        for q in range(4):
            assert found[p, q] == pytest.approx(float((weights * image[p : p + 3, q : q + 2]).sum()), abs=1e-6)
    with pytest.raises(DataError, match="does not slide over"):
        applied(np.ones((7, 2)), image)


@pytest.mark.parametrize("size", [3, 5])
def test_a_kernel_resembles_itself(size: int) -> None:
    for name in HANDMADE:
        found = resemblance(3.5 * kernel(name, size))
        assert found[name] == pytest.approx(1.0) == max(found.values())
        assert resemblance(-kernel(name, size))[name] == pytest.approx(-1.0)
        which, cosine = nearest(-0.1 * kernel(name, size))
        assert which == name and cosine == pytest.approx(-1.0)
    drawn = np.random.default_rng(2).standard_normal((size, size))
    sobel = kernel("Sobel x", size).astype(float)
    expected = (drawn * sobel).sum() / np.sqrt((drawn**2).sum() * (sobel**2).sum())
    assert resemblance(drawn)["Sobel x"] == pytest.approx(expected)


def test_what_cannot_be_compared() -> None:
    assert set(resemblance(np.zeros((3, 3))).values()) == {0.0} and nearest(np.zeros((3, 3))) == ("", 0.0)
    assert resemblance(np.ones((1, 3))) == {} and nearest(np.ones((2, 2))) == ("", 0.0)
    with pytest.raises(DataError, match="one matrix"):
        resemblance(np.ones((2, 3, 3)))
    with pytest.raises(DataError, match="there are: Sobel x"):
        kernel("Prewitt")
    with pytest.raises(DataError, match="none of 2x3"):
        kernel("blur", (2, 3))
    with pytest.raises(DataError, match="'dense1' has no kernels"):
        resemblances(shipped("ann"), "dense1")


@pytest.mark.parametrize(("name", "layer"), [("digits", "conv1"), ("cnn-small", "conv2")])
def test_the_kernels_of_a_layer_are_compared_one_by_one(name: str, layer: str) -> None:
    model = shipped(name)
    weights = model._array(f"{layer}.weight")
    found = resemblances(model, layer)
    assert found.shape == (*weights.shape[:2], len(HANDMADE)) and np.abs(found).max() <= 1
    for f, c in ((0, 0), (weights.shape[0] - 1, weights.shape[1] - 1)):
        np.testing.assert_allclose(found[f, c], list(resemblance(weights[f, c]).values()), atol=1e-12)


def test_the_learned_kernels_that_resemble_one_made_by_hand_most() -> None:
    model = shipped("cnn-small")
    found = resemblances(model, "conv2")
    made = list(HANDMADE).index("Sobel x")
    best = most_alike(found, made, 4)
    assert [abs(cosine) for _, _, cosine in best] == sorted(np.abs(found[:, :, made]).ravel(), reverse=True)[:4]
    for kernel_number, channel, cosine in best:
        assert resemblance(model._array("conv2.weight")[kernel_number, channel])["Sobel x"] == pytest.approx(cosine)
    nothing = np.zeros((2, 3, len(HANDMADE)))
    assert most_alike(nothing, 0) == []
    nothing[1, 2, 0] = -0.5
    assert most_alike(nothing, 0) == [(1, 2, -0.5)]
