"""Explanations of single cells, each kind by hand on tiny networks; receptive fields against what a change reaches."""

from __future__ import annotations

import asyncio

import handlens
import numpy as np
import pytest
from handlens.errors import DataError, ShapeError
from handlens.inside import receptive
from handlens.inside.explain import RULES, SUMS, Lens, rule_of
from handlens.inside.receptive import Box
from handlens.inside.steps import KINDS, Step, steps
from handlens.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

NUMBERS = "mean_squared_error"  # a loss for outputs that are any numbers of any shape
COUNT = np.arange(1, 26, dtype=np.float32).reshape(1, 5, 5) / 32  # 1/32 .. 25/32, row by row: exact in single precision


def network(*layers: Layer, shape: tuple[int, ...] = (1, 5, 5), **weights: object) -> handlens.Sequential:
    """A network for numbers with the given weights ("conv1.weight" as conv1__weight), drawn ones elsewhere."""
    model = handlens.Sequential(layers, shape, seed=1, loss=NUMBERS)
    given = {name.replace("__", "."): np.asarray(value, np.float32) for name, value in weights.items()}
    model.load_state_dict(model.state_dict() | given)
    return model


def test_a_convolution_is_the_patch_times_the_kernel_plus_the_bias() -> None:
    weight = np.zeros((2, 2, 2, 2))
    weight[1] = [[[1, 2], [3, 4]], [[-1, 0], [0, 1]]]
    image = np.stack([COUNT[0], 2 * COUNT[0]])
    model = network(Conv2D(2, 2), shape=(2, 5, 5), conv1__weight=weight, conv1__bias=[0, 0.5])
    found = model.explain(image, "conv1", (1, 2, 3))
    assert (found.kind, found.layer, found.index, found.terms.source) == ("conv2d", "conv1", (1, 2, 3), "input")
    patch = [14, 15, 19, 20]  # rows 2 and 3, columns 3 and 4
    np.testing.assert_array_equal(found.terms.values * 32, [*patch, *(2 * p for p in patch)])
    np.testing.assert_array_equal(found.terms.weights, [1, 2, 3, 4, -1, 0, 0, 1])
    np.testing.assert_array_equal(found.terms.indices[:5], [[0, 2, 3], [0, 2, 4], [0, 3, 3], [0, 3, 4], [1, 2, 3]])
    first, second = 14 + 2 * 15 + 3 * 19 + 4 * 20, -28 + 40
    np.testing.assert_array_equal(found.details["channel_sums"] * 32, [first, second])
    assert found.bias == 0.5 and found.total == found.value == (first + second) / 32 + 0.5
    assert found.magnitude == (first + 28 + 40) / 32 + 0.5
    assert found.field == Box(2, 3, 4, 5) and found.details["window"] == (2, 3)
    assert (found.details["weight"], found.details["bias"]) == ("conv1.weight", "conv1.bias")
    assert list(found.terms.order[:2]) == [3, 2]  # 80, 57
    assert np.sum(found.terms) + found.bias == found.value and np.asarray(found.terms).dtype == np.float64


def test_padding_and_strides_put_the_window_where_they_say() -> None:
    model = network(Conv2D(1, 3, strides=2, padding="same", use_bias=False), conv1__weight=np.ones((1, 1, 3, 3)))
    corner = model.explain(COUNT, "conv1", (0, 0, 0))
    assert corner.details["window"] == (-1, -1) and corner.details["pads"] == (1, 1, 1, 1)
    assert corner.terms.outside.tolist() == [True, True, True, True, False, False, True, False, False]
    assert corner.terms.values[corner.terms.outside].tolist() == [0.0] * 5
    assert corner.terms.indices[0].tolist() == [0, -1, -1]
    assert corner.value == corner.total == (1 + 2 + 6 + 7) / 32 and corner.bias == 0.0
    assert corner.field == Box(0, 0, 2, 2)
    inner = model.explain(COUNT, "conv1", (0, 1, 2))
    assert inner.details["window"] == (1, 3) and inner.field == Box(1, 3, 4, 5)
    assert inner.terms.outside.sum() == 3 and inner.details["bias"] == ""


def test_the_largest_cell_of_a_window_wins_and_of_equal_ones_the_first() -> None:
    image = np.array([[0.25, 0.5, 0.5, 0], [0.5, 0, 0, 0], [0, 0, -1, -2], [0, 0, -3, -1]], np.float32)
    model = network(MaxPool2D(2), shape=(1, 4, 4))
    tied = model.explain(image, "pool1", (0, 0, 0))
    assert tied.value == tied.total == 0.5 and tied.details["winner"] == 1 and tied.details["tied"] == 2
    assert tied.details["winner_index"] == (0, 0, 1)
    assert tied.terms.weights.tolist() == [0, 1, 0, 0] and tied.terms.products.sum() == 0.5  # the others add nothing
    assert model.explain(image, "pool1", (0, 1, 1)).details["winner_index"] == (0, 2, 2)  # the first of two -1
    padded = network(MaxPool2D(3, strides=2, padding=1), shape=(1, 4, 4)).explain(image - 2, "pool1", (0, 0, 0))
    assert padded.value == padded.total == -1.5  # a padded 0 would have won
    assert padded.details["count"] == 4 and padded.details["winner"] == 5


def test_odd_rows_and_columns_are_left_over() -> None:
    model = network(MaxPool2D(2), Flatten())
    assert steps(model)["pool1"].shape == (1, 2, 2)
    assert model.explain(COUNT, "flatten1", 3).field == Box(2, 2, 4, 4)  # row and column 4 are seen by nothing
    with pytest.raises(DataError, match=r'"pool1" has no cell \(0, 2, 0\); its cells are \(map 0 to 0, row 0 to 1'):
        model.explain(COUNT, "pool1", (0, 2, 0))


def test_averages_divide_by_the_cells_that_count() -> None:
    model = network(AvgPool2D(2, padding=1))
    corner, inner = (model.explain(COUNT, "pool1", index) for index in ((0, 0, 0), (0, 1, 1)))
    assert corner.value == corner.total == 1 / 32 and corner.details["count"] == 1
    assert corner.terms.weights.tolist() == [0, 0, 0, 1]
    assert inner.terms.weights.tolist() == [0.25] * 4 and inner.value == (7 + 8 + 12 + 13) / 4 / 32
    whole = network(GlobalAvgPool2D()).explain(COUNT, "gap1", 0)
    assert whole.kind == "global_avg_pool" and whole.details["count"] == 25 == len(whole.terms)
    assert whole.value == pytest.approx(13 / 32) and whole.total == pytest.approx(13 / 32, abs=1e-15)
    assert whole.field == Box(0, 0, 5, 5)


def test_batch_norm_is_a_straight_line() -> None:
    statistics = {"bn1__weight": [2], "bn1__bias": [0.5], "bn1__running_mean": [0.25], "bn1__running_var": [3.75]}
    found = network(BatchNorm(epsilon=0.25), **statistics).explain(COUNT, "bn1", (0, 1, 2))
    assert found.details["deviation"] == 2.0 and found.details["scale"] == 1.0
    assert found.details["normalised"] == (8 / 32 - 0.25) / 2 and found.bias == 0.25
    assert found.value == found.total == 0.5 and found.magnitude == 0.25 + 0.5 + 0.25


@pytest.mark.parametrize(
    ("layer", "kind", "y", "slope"),
    [
        (ReLU(), "relu", lambda x: max(x, 0), lambda x: float(x > 0)),
        (LeakyReLU(0.25), "leaky_relu", lambda x: max(x, x / 4), lambda x: 1.0 if x > 0 else 0.25),
        (Sigmoid(), "sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (2 + np.exp(x) + np.exp(-x))),
        (Tanh(), "tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    ],
)
def test_activations_say_their_rule_and_their_slope(layer, kind, y, slope) -> None:
    model = network(layer, shape=(3,))
    for k, x in enumerate(values := (-1.5, 0.0, 2.0)):
        found = model.explain(np.array(values), layer.stem + "1", k)
        assert found.kind == kind and found.rule == RULES[kind] and found.terms.values.tolist() == [x]
        assert found.total == pytest.approx(y(x), abs=1e-15) and found.value == pytest.approx(y(x), abs=1e-7)
        if kind in SUMS:
            assert found.terms.products.sum() == pytest.approx(y(x), abs=1e-15)
        assert found.details["slope"] == pytest.approx(slope(x), abs=1e-15)
        assert found.field == Box(0, k, 1, k + 1)


def test_flatten_and_dropout_copy_a_cell() -> None:
    model = network(Conv2D(3, 2), Flatten(), Dropout(0.5), shape=(1, 3, 4))
    image = np.random.default_rng(0).random((1, 3, 4), np.float32)
    flat, dropped = (model.explain(image, key, (9,)) for key in ("flatten1", "dropout1"))
    assert flat.terms.source == "conv1" and flat.terms.indices.tolist() == [[1, 1, 0]]  # (1 * 2 + 1) * 3 + 0
    assert flat.value == flat.total == model.explain(image, "conv1", (1, 1, 0)).value
    assert flat.field == model.explain(image, "conv1", (1, 1, 0)).field == Box(1, 0, 3, 2)
    assert dropped.kind == "dropout" and dropped.terms.source == "flatten1" and dropped.terms.indices.tolist() == [[9]]
    assert dropped.value == dropped.total == flat.value


def test_a_dense_neuron_and_softmax() -> None:
    layers = [Flatten(), Dense(2, activation="relu"), Dense(3), Softmax()]
    model = handlens.Sequential(layers, (1, 1, 2), seed=0)
    model.load_state_dict(
        {
            "dense1.weight": np.array([[1, -2], [2, 1]]),
            "dense1.bias": np.array([0.25, 0]),
            "dense2.weight": np.array([[0, 1], [0, 2], [1, 0]]),
            "dense2.bias": np.zeros(3),
        }
    )
    lens = Lens.over(model, np.array([[1.0, 1.0]]))
    negative = lens.explain("dense1.linear", 0)
    assert negative.kind == "dense" and negative.terms.products.tolist() == [1, -2] and negative.value == -0.75
    assert lens.explain("dense1", 0).value == 0.0 and lens.explain("dense1", 0).terms.source == "dense1.linear"
    assert lens.explain("logits", 1).terms.source == "dense1" and lens.explain("logits", 1).value == 6.0
    share = lens.explain("probabilities", 1)
    assert share.kind == "softmax" and share.terms.source == "logits" and share.terms.values.tolist() == [3, 6, 0]
    np.testing.assert_allclose(share.details["exponentials"], np.exp([-3, 0, -6]), rtol=1e-14)
    assert share.details["largest"] == 6 and share.total == pytest.approx(1 / share.details["sum"], rel=1e-15)
    assert share.value == pytest.approx(share.total, abs=1e-7) and share.field == Box(0, 0, 1, 2)
    assert lens.explain("softmax1", 1).terms.source == "dense2"


def test_every_key_of_the_trace_has_its_step_in_the_same_order() -> None:
    for name in handlens.architectures.ARCHITECTURES:
        model = handlens.architectures.build(name)
        trace = model.trace(np.zeros((1, 1, 28, 28)))
        assert {k: (1, *step.shape) for k, step in steps(model).items()} == {k: v.shape for k, v in trace.items()}
        assert list(steps(model)) == list(trace)
        for key, step in steps(model).items():
            assert (step.source == "") == (key == "input") and step.source != key


def test_every_kind_has_a_rule() -> None:
    assert set(KINDS.values()) | {"input", "dropout", "identity"} == set(RULES)


def test_a_layer_without_a_bias_has_a_rule_without_one() -> None:
    rows = steps(network(Conv2D(2, 2, use_bias=False), Flatten(), Dense(2, use_bias=False)))
    assert rule_of(rows["conv1"]) == "y[f,p,q] = sum over c,i,j of w[f,c,i,j] * x[c, p*s+i-top, q*s+j-left]"
    assert rule_of(rows["dense1"]) == "y[k] = sum over i of w[k,i] * x[i]"
    for key, step in steps(network(Conv2D(2, 2), Flatten(), Dense(2))).items():
        assert rule_of(step) == RULES[step.kind], key


def test_a_pixel_is_given() -> None:
    found = network(Flatten()).explain(COUNT, "input", (0, 1, 2))
    assert (found.kind, found.value, found.total, len(found.terms)) == ("input", 0.25, 0.25, 0)
    assert found.field == Box(1, 2, 2, 3)


def test_errors_name_what_was_met_and_what_there_is() -> None:
    model = network(Conv2D(2, 3), Flatten())
    with pytest.raises(DataError, match=r"no layer called 'conv2'; there are: conv1"):
        model.explain(COUNT, "conv2", (0, 0, 0))
    for index in ((0, 0), (2, 0, 0), (0, -1, 0), (0, 0.0, 0), 1, (True, 0, 0)):
        with pytest.raises(DataError, match=r"\(map 0 to 1, row 0 to 2, column 0 to 2\)"):
            model.explain(COUNT, "conv1", index)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="one image"):
        model.explain(np.zeros((2, 1, 5, 5)), "conv1", (0, 0, 0))
    with pytest.raises(DataError, match="trace of one image"):
        Lens(model, model.trace(np.zeros((2, 1, 5, 5))))
    other = network(Conv2D(3, 3))
    with pytest.raises(DataError, match=r"shape \(1, 2, 3, 3\) for \"conv1\", the network makes \(1, 3, 3, 3\)"):
        Lens(other, model.trace(COUNT)).explain("conv1", (0, 0, 0))


def test_an_event_loop_gets_the_same() -> None:
    model = network(Conv2D(2, 3))
    waited = asyncio.run(model.explain_async(COUNT, "conv1", (1, 1, 1)))
    assert waited.value == model.explain(COUNT[0], "conv1", np.array([1, 1, 1])).value


def test_a_trace_without_the_batch_will_do() -> None:
    model = network(Conv2D(2, 3))
    trace = {key: value[0] for key, value in model.trace(COUNT).items()}
    assert Lens(model, trace).explain("conv1", (1, 1, 1)).value == model.explain(COUNT, "conv1", (1, 1, 1)).value


def test_an_image_of_another_size_is_explained_where_the_network_takes_it() -> None:
    model = handlens.Sequential([Conv2D(4, 3, activation="relu"), MaxPool2D(2), GlobalAvgPool2D()], (1, 28, 28))
    image = np.random.default_rng(0).random((40, 44), np.float32)
    found = model.explain(image, "logits", 2)
    assert len(found.terms) == 19 * 21 and found.field == Box(0, 0, 40, 44)
    assert abs(found.total - found.value) <= 1e-6 * found.magnitude
    assert model.explain(image, "conv1", (0, 37, 41)).field == Box(37, 41, 40, 44)
    assert receptive.sizes(model, (1, 40, 44))["gap1"][:2] == (40, 44)


# -- receptive fields --------------------------------------------------------------------------------------------------

FIELDS = {
    "windows": [Conv2D(2, 3, strides=2, padding="same"), MaxPool2D(3, strides=2, padding=1), Conv2D(1, (2, 1))],
    "gaps": [Conv2D(1, 1, strides=3), AvgPool2D(2), Flatten(), Dense(2)],
    "padding": [Conv2D(1, 2, padding=(3, 0, 1, 2)), Conv2D(1, 3, strides=4, padding=2)],
    "rows": [Conv2D(2, 3, activation="softmax"), AvgPool2D(2, strides=1)],
    "whole": [MaxPool2D(2), Conv2D(2, 3), GlobalAvgPool2D()],
    "left over": [MaxPool2D(4), Flatten(), Dense(3)],
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_receptive_field_is_what_a_change_can_reach(name: str) -> None:
    """With a loud number put into one pixel after the other, a cell turns exactly where its field says it may."""
    model = handlens.Sequential(FIELDS[name], (1, 11, 9), seed=2, loss=NUMBERS)
    model.parameters[...] = np.abs(model.parameters) + 0.1  # nothing cancels
    found = steps(model)
    pixels = np.zeros((99, 1, 11, 9), np.float32)
    pixels.reshape(99, 99)[np.diag_indices(99)] = 1.0
    loud, quiet = model.trace(pixels), model.trace(pixels[:1] * 0)
    for key, step in found.items():
        reached = (loud[key] != quiet[key]).reshape(11, 9, *step.shape)
        for index in np.ndindex(step.shape):
            rows, columns = receptive.seen(found, key, index)[1:]
            expected = np.zeros((11, 9), bool)
            expected[np.ix_(rows, columns)] = True
            np.testing.assert_array_equal(reached[(..., *index)], expected, err_msg=f"{key} {index}")
            assert receptive.field(model, key, index) == receptive.boxed([rows, columns])


def test_fields_grow_from_layer_to_layer() -> None:
    layers = [Conv2D(8, 3), MaxPool2D(2), Conv2D(16, 3), MaxPool2D(2), Flatten(), Dense(10)]
    found = receptive.sizes(handlens.Sequential(layers))
    assert [found[key].height for key in ("input", "conv1", "pool1", "conv2", "pool2")] == [1, 3, 4, 8, 10]  # row 49
    assert found["pool2"].strides == (4, 4) and found["pool2"].offset == (0, 0)
    assert found["flatten1"] == found["pool2"]
    assert found["dense1"] == receptive.Sizes(26, 26, (0, 0), (0, 0))  # two rows and columns are left over
    padded = receptive.sizes(
        handlens.Sequential([Conv2D(1, 5, padding="same"), Conv2D(1, (3, 1), strides=2)], loss=NUMBERS)
    )
    assert padded["conv1"] == receptive.Sizes(5, 5, (1, 1), (-2, -2))
    assert padded["conv2"] == receptive.Sizes(7, 5, (2, 2), (-2, -2))


def test_sizes_agree_with_the_fields_away_from_the_edges() -> None:
    model = handlens.architectures.build("digits")
    sizes, found = receptive.sizes(model), steps(model)
    for key, step in found.items():
        if len(step.shape) == 3 and sizes[key].height < 20:
            middle = [n // 2 for n in step.shape]
            box, size = receptive.boxed(receptive.seen(found, key, middle)), sizes[key]
            assert (box.height, box.width) == (size.height, size.width)
            assert box.top == size.offset[0] + middle[1] * size.strides[0]
            assert box.left == size.offset[1] + middle[2] * size.strides[1]


def test_a_window_that_overhangs_the_edge_reads_what_is_there() -> None:
    attrs = {"pool_size": [2, 2], "ceil_mode": True}  # as in imported networks: no layer of ours asks for it
    step = Step("pool", "max_pool", (1, 3, 3), "input", (1, 5, 5), attrs)
    assert step.window.out == (3, 3)
    assert receptive.reads(step, [[0], [2], [1]]) == [[0], [4], [2, 3]]
    assert receptive.boxed(receptive.reads(step, [[0], [0, 2], [2]])) == Box(0, 4, 5, 5)


def test_a_cell_that_sees_padding_alone_has_an_empty_field() -> None:
    model = network(Conv2D(1, 2, padding=3))
    found = model.explain(COUNT, "conv1", (0, 0, 0))
    assert found.field == Box(0, 0, 0, 0) and found.terms.outside.all() and found.value == found.bias == found.total
