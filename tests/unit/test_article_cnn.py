"""The article, row by row, from the kernel on: rows 29 to 63, and the standard models. See test_article.py."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from handlens import (
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    Sequential,
    Softmax,
    architectures,
)
from handlens.errors import ShapeError
from handlens.ops.conv import conv2d
from handlens.ops.matmul import reshape
from handlens.ops.pool import avg_pool2d, max_pool2d
from unit.article_tools import (
    RANDOM,
    apply,
    filled,
    layer_shape,
    network,
    pullback,
    restart,
    uniform,
    weights_of,
)


@pytest.fixture(autouse=True)
def fresh_numbers() -> None:
    """Each test draws the same random numbers, whichever ran before it."""
    restart()


# --- convolution


def correlate(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The definition, in loops: sum of patch times kernel for every place of the kernel."""
    kh, kw = kernel.shape
    rows, columns = x.shape[0] - kh + 1, x.shape[1] - kw + 1
    cells = list(product(range(kh), range(kw)))
    return np.array(
        [[sum(x[p + i, q + j] * kernel[i, j] for i, j in cells) for q in range(columns)] for p in range(rows)]
    )


def convolved(x: Any, kernels: Any, *bias: Any, **attrs: Any) -> np.ndarray:
    """Maps (F, P, Q) of one image (H, W) or (C, H, W) under kernels (F, KH, KW) or (F, C, KH, KW)."""
    image, weight = np.asarray(x, np.float64), np.asarray(kernels, np.float64)
    image = image[None] if image.ndim == 2 else image
    return apply(conv2d, image[None], weight[:, None] if weight.ndim == 3 else weight, *bias, **attrs)[0]


def test_row_29_kernel() -> None:
    """'A kernel is a small square grid, 3x3 = 9 weights': and one bias, and it need not be square."""
    sizes = {shape: network([Conv2D(1, shape)], (1, 28, 28)) for shape in ((3, 3), (2, 5))}
    for (kh, kw), model in sizes.items():
        assert weights_of(model) == kh * kw and model.summary().parameters == kh * kw + 1
    assert layer_shape(sizes[2, 5], "conv1") == (1, 27, 24)


def test_row_31_nine_products() -> None:
    """'Place it at the top left, multiply, add': nine products, one number."""
    image, kernel = uniform(28, 28), uniform(3, 3)
    by_hand = sum(image[i, j] * kernel[i, j] for i, j in product(range(3), repeat=2))
    assert convolved(image, [kernel])[0, 0, 0] == pytest.approx(by_hand, abs=1e-12)
    model = network([Conv2D(1, 3)], (1, 28, 28))
    assert model.summary().multiply_adds == 9 * 26 * 26


def test_row_32_hadamard_product() -> None:
    """'The Hadamard product': a matrix of products; their sum, here 0, is a second step."""
    patch = [[1, 1, 0], [0, 0, 0], [1, 1, 0]]
    kernel = np.array([[1, -1, 0], [1, 0, -1], [1, -1, 0]], np.float64)
    one_cell_each = np.eye(9).reshape(9, 3, 3) * kernel  # nine kernels that each keep one product
    products = convolved(patch, one_cell_each).reshape(3, 3)
    assert products.tolist() == [[1, -1, 0], [0, 0, 0], [1, -1, 0]]
    assert convolved(patch, [kernel]).item() == products.sum() == 0


def test_row_33_where_the_value_goes() -> None:
    """'Place that value in the centre of the kernel': it goes to the output map; the image stays as it is."""
    image = RANDOM.random((1, 1, 6, 6), np.float32)
    centre = [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    trace = network([Conv2D(1, 3)], (1, 6, 6), {"conv1.weight": [[centre]]}).trace(image)
    np.testing.assert_array_equal(trace["input"], image)
    np.testing.assert_array_equal(trace["conv1"], image[:, :, 1:-1, 1:-1])  # cell (y, x) stands for pixel (y+1, x+1)


def test_row_34_bias_and_cross_correlation() -> None:
    """(Missing) out = sum(patch * kernel) + b; the kernel is not flipped. Flipping it gives the true convolution."""
    image, kernel = uniform(7, 6), uniform(3, 2)
    np.testing.assert_allclose(convolved(image, [kernel])[0], correlate(image, kernel), atol=1e-12)
    np.testing.assert_allclose(convolved(image, [kernel], [2.5]), convolved(image, [kernel]) + 2.5, atol=1e-12)
    # True convolution multiplies polynomials: the coefficients of the product, where kernel and image fully overlap.
    full = np.zeros((9, 7))
    for (i, j), value in np.ndenumerate(kernel):
        full[i : i + 7, j : j + 6] += value * image
    np.testing.assert_allclose(convolved(image, [kernel[::-1, ::-1]])[0], full[2:7, 1:6], atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_row_35_stride(stride: int) -> None:
    """'Stride is the sliding distance': floor((n + 2p - k) / s) + 1 places, and pixels that no window reaches."""
    for n, k, p in ((28, 3, 0), (27, 5, 2), (11, 4, 1)):
        model = network([Conv2D(1, k, strides=stride, padding=p)], (1, n, n))
        assert layer_shape(model, "conv1") == (1, *[(n + 2 * p - k) // stride + 1] * 2)
    x, w = np.zeros((1, 1, 28, 28)), np.ones((1, 1, 3, 3))
    reached = pullback(conv2d, x, w, strides=stride)[0, 0] != 0
    last = (28 - 3) // stride * stride + 3
    assert reached[:last, :last].all() and not reached[last:].any() and not reached[:, last:].any()
    thinned = convolved(uniform(10, 10), uniform(2, 3, 3), strides=stride)
    assert thinned.shape == (2, *[7 // stride + 1] * 2)


def test_row_36_output_size() -> None:
    """'The output is slightly smaller': without padding; sizes for (n, kernel, stride, padding)."""
    cases = {(28, 3, 1, 0): 26, (28, 3, 2, 0): 13, (28, 3, 1, 1): 28, (28, 5, 1, 0): 24}
    for (n, k, s, p), size in cases.items():
        assert layer_shape(network([Conv2D(1, k, s, p)], (1, n, n)), "conv1") == (1, size, size)
    assert layer_shape(network([Conv2D(1, 3, padding="same")], (1, 28, 28)), "conv1") == (1, 28, 28)


def test_row_38_response_is_not_a_match() -> None:
    """'Measures how well it matches': an unnormalised product; a bright patch outscores a faint perfect match."""
    diagonal = np.eye(3)
    faint, bright = convolved(0.2 * diagonal, [diagonal]).item(), convolved(np.ones((3, 3)), [diagonal]).item()
    assert bright > faint and convolved(0.4 * diagonal, [diagonal]).item() == pytest.approx(2 * faint)


SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float64)


def test_row_40_hand_made_edges() -> None:
    """'Edges, curves, textures': a hand-made kernel answers an edge and nothing else (learned ones are measured)."""
    edge = np.repeat([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]], 6, axis=0)
    assert convolved(edge, [SOBEL])[0].tolist() == [[0, 4, 4, 0]] * 4
    assert not convolved(edge.T, [SOBEL]).any() and not convolved(np.ones((6, 6)), [SOBEL]).any()


def test_row_41_three_kernels() -> None:
    """'3 kernels: 27 weights': without biases; 30 parameters with them."""
    model = network([Conv2D(3, 3)], (1, 28, 28))
    bare = network([Conv2D(3, 3, use_bias=False)], (1, 28, 28))
    assert weights_of(model) == bare.summary().parameters == 27
    assert model.summary().parameters == 3 * (3 * 3 * 1) + 3 == 30


def test_row_42_fair_comparison() -> None:
    """'784 weights, nearly 30 times more': 784 feed one neuron; three take 87 times, equal output 58,887 times."""
    conv = network([Conv2D(3, 3)], (1, 28, 28))
    outputs = math.prod(conv.output_shape)
    dense = [network([Flatten(), Dense(n, kernel_initializer="zeros")], (1, 28, 28)) for n in (1, 3, outputs)]
    assert [weights_of(model) for model in dense] == [784, 2_352, 1_589_952]
    assert outputs == 3 * 26 * 26 == 2_028
    assert [round(weights_of(model) / weights_of(conv)) for model in dense] == [29, 87, 58_887]
    assert conv.summary().multiply_adds == 18_252
    assert conv.summary().multiply_adds / weights_of(conv) == 676  # each weight is used once a place


def test_row_44_line_corner_blob() -> None:
    """'Dark surrounded by light = corner': that is a spot; each pattern is answered most by its own kernel."""
    line, corner, spot = (
        [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
        [[1, 1, 1], [1, 0, 0], [1, 0, 0]],
        [[1, 1, 1], [1, 0, 1], [1] * 3],
    )
    patterns = np.array([line, corner, spot], np.float64)
    kernels = patterns - patterns.mean(axis=(1, 2), keepdims=True)
    kernels /= np.sqrt((kernels**2).sum(axis=(1, 2), keepdims=True))
    answers = np.array([convolved(pattern, kernels).ravel() for pattern in patterns])
    assert answers.argmax(axis=1).tolist() == [0, 1, 2]


def test_row_45_flattening_loses_nothing() -> None:
    """'Nets lose this when they flatten': the values and their places can be had back; only the order is ignored."""
    x = uniform(2, 1, 28, 28)
    flat = apply(reshape, x, shape=[2, 784])
    np.testing.assert_array_equal(apply(reshape, flat, shape=[2, 1, 28, 28]), x)


# --- the convolutional network


def test_row_46_kernels_are_independent() -> None:
    """'A layer is several independent kernels': n kernels, n maps; changing kernel i changes map i alone."""
    image, kernels = uniform(1, 8, 8), uniform(4, 1, 3, 3)
    maps = convolved(image, kernels)
    assert len(maps) == 4
    for i in range(4):
        other = kernels.copy()
        other[i] += 1
        changed = np.abs(convolved(image, other) - maps).max(axis=(1, 2)) > 1e-9
        assert changed.tolist() == [k == i for k in range(4)]


def test_row_48_activation_after_the_map() -> None:
    """'Activation after each kernel's map': the map before and after it, and the share it sets to zero."""
    trace = network([Conv2D(3, 3, activation="relu")], (1, 12, 12)).trace(uniform(1, 1, 12, 12))
    before, after = trace["conv1.linear"], trace["conv1"]
    np.testing.assert_array_equal(after, np.maximum(before, 0))
    assert 0 < np.mean(after == 0) == np.mean(before <= 0) < 1


def receptive_fields(layers: list[Any], size: int = 28) -> dict[str, tuple[int, int]]:
    """(rows, columns) of the pixels that one middle cell of each layer sees, by changing one pixel at a time.

    With all weights positive a pixel made very bright wins every maximum and passes every ReLU.
    """
    model = filled(network(layers, (1, size, size)), 1.0)
    base = RANDOM.random((1, 1, size, size), np.float32)
    changed = np.repeat(base, size * size, axis=0)
    changed.reshape(size * size, -1)[np.diag_indices(size * size)] += 1e4
    before, after = model.trace(base), model.trace(changed)
    fields = {}
    for layer in model.layers:
        y, x = (n // 2 for n in before[layer.name].shape[2:])
        cell = after[layer.name][:, 0, y, x] != before[layer.name][0, 0, y, x]
        seen = np.argwhere(cell.reshape(size, size))
        rows, columns = (int(n) for n in seen.max(axis=0) - seen.min(axis=0) + 1)
        assert len(seen) == rows * columns  # a full rectangle
        fields[layer.name] = rows, columns
    return fields


def test_row_49_receptive_fields() -> None:
    """'Early edges, deep complex': a cell sees 3, 4, 8, then 10 pixels across; more than that it cannot know."""
    layers = [Conv2D(1, 3, activation="relu"), MaxPool2D(2), Conv2D(1, 3, activation="relu"), MaxPool2D(2)]
    assert list(receptive_fields(layers).values()) == [(3, 3), (4, 4), (8, 8), (10, 10)]


def test_row_50_second_layer_sees_five_pixels() -> None:
    """'Layer 2 may recognise a knife blade': without pooling its cells see 5x5 pixels."""
    assert receptive_fields([Conv2D(1, 3), Conv2D(1, 3)], 12) == {"conv1": (3, 3), "conv2": (5, 5)}


def test_row_51_deeper_kernels_take_all_maps() -> None:
    """'Deeper kernels take all previous maps': each output map feels each input map."""
    maps, kernels = uniform(3, 8, 8), uniform(5, 3, 3, 3)
    before = convolved(maps, kernels)
    for channel in range(3):
        other = maps.copy()
        other[channel] += 1
        assert (np.abs(convolved(other, kernels) - before).max(axis=(1, 2)) > 1e-9).all()


def test_row_52_five_kernels_over_three_maps() -> None:
    """'5 kernels, each 3 matrices, summed': 15 matrices, 135 weights, and one bias a kernel."""
    model = network([Conv2D(5, 3)], (3, 8, 8), {"conv1.bias": uniform(5)})
    weight, bias = model.state_dict().values()
    assert math.prod(weight.shape[:2]) == 15 and weight.size == 135 and model.summary().parameters == 140
    maps = uniform(3, 8, 8)
    single = np.stack([convolved(maps[c], weight[:, c]) for c in range(3)])  # 3 intermediate maps for each kernel
    np.testing.assert_allclose(model.predict(maps[None])[0], single.sum(axis=0) + bias[:, None, None], atol=1e-5)


def test_row_53_shares_of_a_cell() -> None:
    """'The second-round detective weighs reports': the channels' shares and the bias add up to the cell."""
    maps, kernel, bias = uniform(3, 5, 5), uniform(1, 3, 3, 3), uniform(1)
    cell = convolved(maps, kernel, bias)[0, 1, 2]
    shares = [convolved(maps * (np.arange(3) == c)[:, None, None], kernel)[0, 1, 2] for c in range(3)]
    assert sum(shares) + bias[0] == pytest.approx(cell, abs=1e-12) and np.count_nonzero(shares) == 3


def test_row_54_max_pooling() -> None:
    """'Max pool 2x2, stride 2': the largest of each window, an odd rest dropped, the first of equals the winner."""
    x = uniform(1, 2, 13, 13)
    looped = [
        [[x[0, c, 2 * p : 2 * p + 2, 2 * q : 2 * q + 2].max() for q in range(6)] for p in range(6)] for c in (0, 1)
    ]
    np.testing.assert_array_equal(apply(max_pool2d, x, pool_size=2)[0], looped)
    assert layer_shape(network([MaxPool2D(2)], (1, 13, 13)), "pool1") == (1, 6, 6)
    tie = pullback(max_pool2d, [[[[0, 3], [3, 3]]]], pool_size=2, dy=5)
    assert tie[0, 0].tolist() == [[0, 5], [0, 0]]


def test_row_55_pooling_saves_work() -> None:
    """'Fewer features, less compute and memory': a quarter of the values, and of what the next layer multiplies."""
    with_pool, without = (
        network([Conv2D(8, 3, padding="same"), *pool, Conv2D(16, 3, padding="same")], (1, 28, 28)).summary().rows
        for pool in ([MaxPool2D(2)], [])
    )
    assert math.prod(with_pool[1].shape) * 4 == math.prod(with_pool[0].shape)
    assert with_pool[2].multiply_adds * 4 == without[1].multiply_adds
    assert with_pool[2].activation_bytes * 4 == without[1].activation_bytes


def test_row_56_small_shifts() -> None:
    """'Less sensitive to small shifts': a pixel's step within a window leaves the output, a step across does not."""
    at = np.zeros((3, 1, 1, 6, 6))
    for k, column in enumerate((2, 3, 4)):
        at[k, 0, 0, 2, column] = 1
    start, within, across = (apply(max_pool2d, image, pool_size=2) for image in at)
    np.testing.assert_array_equal(start, within)
    assert (start != across).any()


def test_row_58_average_pooling() -> None:
    """'Average pool averages': every pixel gets a quarter of the gradient, where the maximum takes it all."""
    x = uniform(1, 2, 4, 6)
    pooled = apply(avg_pool2d, x, pool_size=2)
    np.testing.assert_allclose(pooled[0, 1, 1, 2], x[0, 1, 2:4, 4:6].mean())
    np.testing.assert_array_equal(pullback(avg_pool2d, x, pool_size=2), np.full(x.shape, 0.25))
    winners = pullback(max_pool2d, x, pool_size=2)
    assert winners.sum() == pooled.size and set(winners.ravel().tolist()) == {0.0, 1.0}
    h, dy, direction = 1e-4, uniform(*pooled.shape), uniform(*x.shape)
    moved = [(apply(avg_pool2d, x + s * h * direction, pool_size=2) * dy).sum() for s in (1, -1)]
    slope = float((pullback(avg_pool2d, x, pool_size=2, dy=dy) * direction).sum())
    assert (moved[0] - moved[1]) / (2 * h) == pytest.approx(slope, rel=1e-5)
    whole = network([GlobalAvgPool2D()], (2, 4, 6)).predict(x)  # today's usual form: one average a map
    np.testing.assert_allclose(whole, apply(avg_pool2d, x, pool_size=[4, 6])[:, :, 0, 0], atol=1e-6)


def test_row_59_flatten_order() -> None:
    """'Flatten the final matrices': map by map, row by row (Keras: pixel by pixel), and back again."""
    x = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    flat = network([Flatten()], (3, 4, 5)).predict(x)
    assert all(flat[1, c * 20 + h * 5 + w] == x[1, c, h, w] for c, h, w in product(range(3), range(4), range(5)))
    assert (flat != x.transpose(0, 2, 3, 1).reshape(2, -1)).any()
    np.testing.assert_array_equal(apply(reshape, flat, shape=list(x.shape)), x)


def test_row_60_how_many_values() -> None:
    """'3 6x6 matrices -> 12*12*3 = 432': 3 maps of 6x6 are 108; 432 are 3 maps of 12x12, one pooling earlier."""
    once, twice = ([Conv2D(3, 5), *(MaxPool2D(2) for _ in range(n)), Flatten()] for n in (1, 2))
    one, two = network(once, (1, 28, 28)), network(twice, (1, 28, 28))
    assert layer_shape(one, "conv1") == (3, 24, 24)
    assert (layer_shape(one, "pool1"), one.output_shape) == ((3, 12, 12), (432,))
    assert (layer_shape(two, "pool2"), two.output_shape) == ((3, 6, 6), (108,))


def test_row_61_flatten_has_no_neurons() -> None:
    """'The flattening layer should have 432 neurons': a reshape; no parameter, no work, not even a step."""
    model = network([Conv2D(3, 5), MaxPool2D(2), Flatten()], (1, 28, 28))
    row = model.summary().rows[-1]
    assert (row.kind, row.parameters, row.multiply_adds) == ("Flatten", 0, 0)
    assert [step.op for step in model.plan().steps] == ["conv2d", "max_pool2d"]


def test_row_62_dense_head() -> None:
    """'Then 216 neurons': 432 -> 216 costs 93,528 parameters, 108 -> 54 costs 5,886; the head holds most of them."""
    costs = [network([Dense(n // 2)], (n,)).summary().parameters for n in (432, 108)]
    assert costs == [93_528, 5_886]
    example = standard("The article's example").summary()
    head = sum(row.parameters for row in example.rows if row.kind == "Dense")
    assert head / example.parameters > 0.99


def test_row_63_combinations() -> None:
    """'Many combinations possible': the standard one runs; one that does not fit says which layer, and a way out."""
    block = [Conv2D(4, 3, activation="relu"), MaxPool2D(2)]
    model = Sequential([*block, Conv2D(8, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(10), Softmax()])
    assert model.predict(RANDOM.random((2, 28, 28))).shape == (2, 10)
    wrong: list[tuple[list[Any], str]] = [
        ([Conv2D(4, 3), Dense(10)], r'Dense "dense1".*put Flatten\(\) before it'),
        ([Flatten(), Conv2D(4, 3)], r'Conv2D "conv1".*put it before Flatten'),
        ([MaxPool2D(10), Conv2D(4, 3)], r'Conv2D "conv1": kernel 3x3 is larger than its input 2x2; use padding="same"'),
        ([Conv2D(4, 3)], r"end it with Flatten\(\) and Dense\(classes\)"),
    ]
    for layers, message in wrong:
        with pytest.raises(ShapeError, match=message):
            Sequential(layers, (1, 28, 28))


# --- the standard models: counts that page, documents and tests share


def ann(*hidden: int) -> list[Any]:
    """Dense layers over a flattened image."""
    return [Flatten(), *(Dense(n, activation="relu") for n in hidden), Dense(10)]


STANDARD: dict[str, tuple[Any, int, int]] = {
    "Linear": (lambda: ann(), 7_850, 7_840),
    "ANN-100": (lambda: ann(100), 79_510, 79_400),
    "ANN-42": (lambda: ann(42), 33_400, 33_348),
    "CNN-S": (lambda: [Conv2D(8, 3), MaxPool2D(2), Conv2D(16, 3), MaxPool2D(2), Flatten(), Dense(10)], 5_258, 192_064),
    "CNN-M": (
        lambda: [
            *(Conv2D(16, 3), MaxPool2D(2), Conv2D(32, 3), MaxPool2D(2), Conv2D(32, 3)),
            *(Flatten(), Dense(64), Dense(10)),
        ],
        33_194,
        756_928,
    ),
    "ANN-6, matched to CNN-S": (lambda: ann(6), 4_780, 4_764),
    "ANN-7, matched to CNN-S": (lambda: ann(7), 5_575, 5_558),
    "The article's example": (
        lambda: [Conv2D(3, 5), MaxPool2D(2), Flatten(), Dense(216), Dense(10)],
        78 + 93_528 + 2_170,
        3 * 25 * 24 * 24 + 432 * 216 + 216 * 10,
    ),
}


def standard(name: str) -> Sequential:
    """A network of the table, built anew."""
    return Sequential(STANDARD[name][0](), (1, 28, 28))


@pytest.mark.parametrize("name", STANDARD)
def test_standard_models(name: str) -> None:
    """Parameters and multiply-adds an image, from the summary."""
    summary = standard(name).summary()
    assert (summary.parameters, summary.multiply_adds) == STANDARD[name][1:]


@pytest.mark.parametrize(("name", "shipped"), [("Linear", "linear"), ("ANN-100", "ann"), ("CNN-S", "cnn-small")])
def test_standard_models_that_ship(name: str, shipped: str) -> None:
    """The named architectures are the table's networks."""
    one, other = standard(name).summary(), architectures.build(shipped).summary()
    assert (one.parameters, one.multiply_adds) == (other.parameters, other.multiply_adds)
