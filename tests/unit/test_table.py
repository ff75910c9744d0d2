"""The operating table: edits that follow at once, refusals that change nothing, an exact way back, honest measuring."""

from __future__ import annotations

import asyncio
import statistics

import numpy as np
import pytest
from handlens import backends
from handlens.errors import DataError, ShapeError
from handlens.inside.table import ACTIVATIONS, HeadError, Measured, Table
from handlens.inside.wording import MINUS
from handlens.layers import AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, GlobalAvgPool2D, MaxPool2D, ReLU, Softmax
from handlens.model import Sequential
from unit.inside_tools import CNNS, note_turns, samples, shipped


def free() -> Sequential:
    """A network that takes any size: every stride fits."""
    layers = [Conv2D(4, 3, padding="same"), BatchNorm(), ReLU(), MaxPool2D(2), Conv2D(5, 3, activation="relu")]
    return Sequential([*layers, GlobalAvgPool2D(), Dense(3), Softmax()], (2, 12, 12), seed=1, name="free")


def fresh(model: Sequential) -> Sequential:
    """The same network built anew from its configuration and weights: what an edited one must be equal to."""
    layers = [type(layer)(**layer.config()) for layer in model.layers]
    return Sequential(layers, model.input_shape, weights=model.state_dict())


@pytest.mark.parametrize("name", CNNS)
def test_a_weight_is_set_in_place_and_nothing_is_built_anew(name: str) -> None:
    source = shipped(name)
    kept = source.parameters.copy()
    table, x = Table(source), samples()[0][:4]
    before = table.model.predict(x)
    model, programs = table.model, dict(table.model._programs)
    old = float(model._array("conv1.weight")[2, 0, 0, 1])
    words = f"conv1 kernel 3, row 1, column 2: {old:.2f} to -0.50".replace("-", MINUS)
    assert table.set_weight("conv1", (2, 0, 0, 1), -0.5) == words
    after = table.model.predict(x)
    assert table.model is model and dict(model._programs) == programs
    np.testing.assert_array_equal(after, fresh(model).predict(x))
    assert np.abs(after - before).max() > 0
    expected = kept.copy()
    expected[model.layout.offsets["conv1.weight"] + model._array("conv1.weight")[0].size * 2 + 1] = -0.5
    np.testing.assert_array_equal(model.parameters, expected)  # one number, no other
    np.testing.assert_array_equal(source.parameters, kept)
    np.testing.assert_array_equal(table.original.parameters, kept)
    assert table.undo() and table.changes == []
    np.testing.assert_array_equal(table.model.predict(x), before)


@pytest.mark.parametrize(("name", "kernel"), [("cnn-small", 3), ("digits", 5)])
def test_a_silenced_kernel_makes_a_map_of_zeros(name: str, kernel: int) -> None:
    table, x = Table(shipped(name)), samples()[0][:2]
    response = "relu1" if name == "digits" else "conv1"
    before = table.model.trace(x)[response]
    assert table.zero_kernel("conv1", kernel) == f"conv1 kernel {kernel + 1}: silenced, everything it weighs is 0"
    after = table.model.trace(x)[response]
    assert before[:, kernel].any() and not after[:, kernel].any()
    others = [k for k in range(before.shape[1]) if k != kernel]
    np.testing.assert_array_equal(after[:, others], before[:, others])
    assert table.zero_kernel("conv1", kernel) == "" and len(table.changes) == 1


def test_a_neuron_is_silenced_and_a_hand_made_kernel_put_in() -> None:
    table = Table(shipped("ann"))
    table.zero_kernel("dense1", 7)
    assert table.changes == ["dense1 neuron 8: silenced, everything it weighs is 0"]
    assert not table.model.trace(samples()[0][:3])["dense1"][:, 7].any()
    table, edge = Table(shipped("cnn-small")), np.array([[-1, 0, 1]] * 3, np.float32)
    assert table.set_kernel("conv1", 0, edge, called="Sobel x") == "conv1 kernel 1: Sobel x"
    np.testing.assert_array_equal(table.model._array("conv1.weight")[0, 0], edge)
    table.set_kernel("conv2", 4, edge, channel=2)
    table.set_kernel("conv2", 5, edge)
    np.testing.assert_array_equal(table.model._array("conv2.weight")[4, 2], edge)
    assert (table.model._array("conv2.weight")[5] == edge).all()
    table.reset()
    np.testing.assert_array_equal(table.model.parameters, table.original.parameters)


@pytest.mark.parametrize("name", CNNS)
def test_pooling_swaps_and_comes_back(name: str) -> None:
    table, x = Table(shipped(name)), samples()[0][:3]
    before = table.model.predict(x)
    assert table.set_pooling("pool1", "average") == "pool1: max to average pooling"
    assert isinstance(table.model.layers[[layer.name for layer in table.model.layers].index("pool1")], AvgPool2D)
    values = table.model.trace(x)
    source = values["relu1" if name == "digits" else "conv1"].astype(np.float64)
    pooled = source.reshape(*source.shape[:2], source.shape[2] // 2, 2, source.shape[3] // 2, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(values["pool1"], pooled, atol=1e-5)
    np.testing.assert_array_equal(table.model.predict(x), fresh(table.model).predict(x))
    assert table.set_pooling("pool1", "average") == ""
    assert table.set_pooling("pool1", "max") == "pool1: average to max pooling"
    np.testing.assert_array_equal(table.model.predict(x), before)


@pytest.mark.parametrize("name", ["digits", "cnn-small", "ann"])
def test_activations_change_where_they_are(name: str) -> None:
    table, x = Table(shipped(name)), samples()[0][:3]
    layer = "dense1" if name == "ann" else "conv2"
    where = "relu2" if name == "digits" else layer
    linear = {"digits": "bn2", "cnn-small": "conv2.linear", "ann": "dense1.linear"}[name]
    functions = {
        "none": lambda z: z,
        "relu": lambda z: np.maximum(z, 0),
        "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "tanh": np.tanh,
    }
    assert set(functions) == set(ACTIVATIONS) and table.activation(layer) == "relu"
    for kind in ("tanh", "none", "sigmoid", "leaky_relu", "relu"):
        assert table.set_activation(layer, kind).startswith(f"{where}: activation ")
        assert table.activation(layer) == table.activation(where) == kind
        values = table.model.trace(x)
        source = values.get(linear, values[where]).astype(np.float64)  # a layer without an activation has one value
        np.testing.assert_allclose(values[where], functions[kind](source), atol=1e-5)
    np.testing.assert_array_equal(table.model.predict(x), table.original.predict(x))
    assert table.changes[0] == f"{where}: activation ReLU to tanh"


def test_strides_change_where_the_rest_fits() -> None:
    table, x = Table(free()), np.random.default_rng(0).random((2, 2, 12, 12))
    assert table.set_stride("conv1", 2) == "conv1: stride 1 to 2"
    assert table.model.trace(x)["conv1"].shape == (2, 4, 6, 6)
    assert table.set_stride("pool1", (1, 2)) == "pool1: stride 2 to 1x2"
    assert table.model.trace(x)["pool1"].shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(table.model.predict(x), fresh(table.model).predict(x))
    state = table.model.state_dict()
    with pytest.raises(ShapeError, match=r'stride 2 to 5 does not fit: .*"conv2": kernel 3x3 is larger than its input'):
        table.set_stride("conv1", 5)
    assert table.changes[:2] == ["conv1: stride 1 to 2", "pool1: stride 2 to 1x2"]
    assert all((state[k] == v).all() for k, v in table.model.state_dict().items())


def test_padding_changes_where_the_rest_fits_and_is_refused_with_the_sizes_elsewhere() -> None:
    table, x = Table(free()), np.random.default_rng(3).random((2, 2, 12, 12))
    assert table.set_padding("conv1", "same") == "" and table.version == 0
    assert table.set_padding("conv2", "same") == "conv2: padding valid to same"
    assert table.model.trace(x)["conv2"].shape == (2, 5, 6, 6)
    np.testing.assert_array_equal(table.model.predict(x), fresh(table.model).predict(x))
    layers = [Conv2D(2, 3, padding=((1, 0), (0, 2))), GlobalAvgPool2D(), Dense(3)]
    assert Table(Sequential(layers, (1, 6, 6), seed=0)).set_padding("conv1", "same") == (
        "conv1: padding 1, 0, 0, 2 to same"
    )
    for name, layer, was, now, sizes in (
        ("cnn-small", "conv1", "valid", "same", "16 maps of 6x6, 576 numbers, but dense1 has weights for the 400 of"),
        ("digits", "conv4", "same", "valid", "64 maps of 3x3, 576 numbers, but dense1 has weights for the 1,024 of"),
    ):
        table = Table(shipped(name))
        with pytest.raises(HeadError) as refused:
            table.set_padding(layer, now)
        assert str(refused.value).startswith(f"{layer}: padding {was} to {now} does not fit: it would leave {sizes} ")
        assert table.changes == [] and table.version == 0


@pytest.mark.parametrize(
    ("name", "layer", "stride", "now", "held"),
    [
        ("cnn-small", "conv1", 2, "16 maps of 2x2, 64 numbers", "400 of 16 maps of 5x5"),
        ("cnn-small", "pool2", 4, "16 maps of 3x3, 144 numbers", "400 of 16 maps of 5x5"),
        ("digits", "conv4", 2, "64 maps of 2x2, 256 numbers", "1,024 of 64 maps of 4x4"),
    ],
)
def test_a_stride_that_does_not_fit_is_refused_with_the_sizes(
    name: str, layer: str, stride: int, now: str, held: str
) -> None:
    table, x = Table(shipped(name)), samples()[0][:2]
    table.set_weight("conv1", (0, 0, 0, 0), 0.25)
    model, before, version = table.model, table.model.predict(x), table.version
    with pytest.raises(ShapeError) as refused:
        table.set_stride(layer, stride)
    said = f"does not fit: it would leave {now}, but dense1 has weights for the {held}; nothing was changed"
    assert str(refused.value) == f"{layer}: stride {2 if layer == 'pool2' else 1} to {stride} {said}"
    assert table.model is model and table.version == version and len(table.changes) == 1
    np.testing.assert_array_equal(model.predict(x), before)


def test_what_cannot_be_changed_is_named() -> None:
    table = Table(shipped("cnn-small"))
    for call, match in (
        (lambda: table.set_weight("conv1", (8, 0, 0, 0), 1.0), r"shape \(8, 1, 3, 3\)"),
        (lambda: table.set_weight("conv1", (-1, 0, 0, 0), 1.0), r"there is no \(-1"),
        (lambda: table.set_weight("conv1", (0, 0), 1.0), "shape"),
        (lambda: table.set_weight("conv1", (0, 0, 0, 0), float("nan")), "finite"),
        (lambda: table.set_weight("conv1", (0, 0, 0, 0), 1e300), "finite"),
        (lambda: table.set_weight("pool1", (0,), 1.0), "no weights called 'pool1.weight'"),
        (lambda: table.zero_kernel("conv1", 8), "8 rows"),
        (lambda: table.set_kernel("conv1", 0, np.zeros((5, 5))), "does not go into it"),
        (lambda: table.set_kernel("conv1", 0, np.zeros((3, 3)), channel=1), "does not go into it"),
        (lambda: table.set_pooling("conv1", "max"), "only pooling layers"),
        (lambda: table.set_pooling("pool1", "median"), "max or average"),
        (lambda: table.set_stride("dense1", 2), "has no stride"),
        (lambda: table.set_padding("pool1", "same"), "only convolutions can be padded"),
        (lambda: table.set_padding("conv1", "full"), "valid or same"),
        (lambda: table.set_activation("conv1", "softmax"), "no activation is called"),
        (lambda: table.set_activation("flatten1", "relu"), "no activation to change"),
        (lambda: table.set_activation("dense1", "relu"), "scores of the classes"),
        (lambda: table.set_activation("conv9", "relu"), "no layer is called"),
    ):
        with pytest.raises(DataError, match=match):
            call()
    with np.errstate(all="raise"), pytest.raises(ShapeError, match="at least 1"):
        table.set_stride("conv1", 0)
    assert table.changes == [] and table.version == 0
    np.testing.assert_array_equal(table.model.parameters, table.original.parameters)


def test_undo_redo_and_reset_walk_the_list() -> None:
    table, x = Table(free()), np.random.default_rng(4).random((3, 2, 12, 12))
    seen = [table.model.predict(x)]
    table.model._array("bn1.weight")[...] *= 1.5  # weights that are no edit stay as they are
    seen[0] = table.model.predict(x)
    for edit in (
        lambda: table.set_weight("conv2", (1, 3, 2, 0), 0.5),
        lambda: table.set_pooling("pool1", "average"),
        lambda: table.set_weight("dense1", (2,), 0.125, "bias"),
        lambda: table.set_activation("conv1", "tanh"),
        lambda: table.set_stride("conv2", 2),
        lambda: table.set_padding("conv1", "valid"),
        lambda: table.zero_kernel("conv1", 0),
    ):
        assert edit()
        seen.append(table.model.predict(x))
    words = table.changes
    assert words[0].startswith("conv2 kernel 2, channel 4, row 3, column 1: ") and words[0].endswith(" to 0.50")
    assert words[2] == "dense1 neuron 3, bias: 0.00 to 0.12" and words[3] == "relu1: activation ReLU to tanh"
    for k in range(6, -1, -1):
        assert table.undoable == words[k] == table.undo() and table.redoable == words[k]
        np.testing.assert_array_equal(table.model.predict(x), seen[k])
    assert table.undo() == "" and table.changes == []
    for k in range(1, 4):
        assert table.redo() == words[k - 1]
        np.testing.assert_array_equal(table.model.predict(x), seen[k])
    table.reset()
    np.testing.assert_array_equal(table.model.predict(x), seen[0])
    assert table.redo() == words[0]
    table.set_pooling("pool1", "average")  # a new edit ends what could be done again
    assert table.redo() == "" and len(table.changes) == 2


def test_a_weight_drawn_along_a_scale_is_one_change() -> None:
    table = Table(shipped("cnn-small"))
    before, cell = table.model.parameters.copy(), (2, 0, 0, 1)
    table.set_weight("conv1", (0, 0, 0, 0), 0.5)
    for value in (0.1, 0.2, 0.3):
        words = table.set_weight("conv1", cell, value, joined=True)
    old = float(table.original._array("conv1.weight")[cell])
    assert table.changes[1:] == [words] == [f"conv1 kernel 3, row 1, column 2: {old:.2f} to 0.30".replace("-", MINUS)]
    assert table.model._array("conv1.weight")[cell] == np.float32(0.3) and table.version == 4
    table.set_weight("conv1", cell, 0.4)  # not joined: a change of its own
    assert len(table.changes) == 3 and table.undo() and table.undo() == words
    table.set_weight("conv1", cell, 0.7, joined=True)
    table.set_weight("conv1", cell, old, joined=True)  # back where it was
    assert len(table.changes) == 1 and table.undo()
    np.testing.assert_array_equal(table.model.parameters, before)


def test_measuring_finds_the_flips() -> None:
    images, labels = (part[:120] for part in samples())
    model = shipped("cnn-small")
    table = Table(model)
    same = table.measure(images, labels)
    assert same == Measured(120, model.evaluate(images, labels)["accuracy"], same.accuracy, ())
    table.zero_kernel("conv1", 1)
    table.set_pooling("pool2", "average")
    found = table.measure(images, labels)
    before, after = model.predict(images).argmax(axis=1), fresh(table.model).predict(images).argmax(axis=1)
    assert [flip.index for flip in found.flipped] == list(np.flatnonzero(before != after)) and found.flipped
    for flip in found.flipped:
        assert (flip.label, flip.before, flip.after) == (labels[flip.index], before[flip.index], after[flip.index])
    assert found.accuracy == (after == labels).mean() and found.original == same.accuracy
    assert found.gained - found.lost == round(120 * (found.accuracy - found.original))
    with pytest.raises(DataError, match="120 images met 3 labels"):
        table.measure(images, labels[:3])


def test_measuring_gives_way_to_the_event_loop_and_to_the_next_edit() -> None:
    images, labels = (part[:400] for part in samples())
    table, told, gaps = Table(shipped("digits")), list[float](), list[float]()

    async def work() -> None:
        watching = asyncio.ensure_future(note_turns(gaps))
        table.zero_kernel("conv1", 3)
        first = asyncio.ensure_future(table.measure_async(images, labels, told.append))
        while not told or told[-1] < 0.3:
            await asyncio.sleep(0)
        known = table._known
        table.set_pooling("pool1", "average")
        assert await first is None and told[-1] < 0.6  # the next edit ends it
        told.clear()
        second = await table.measure_async(images, labels, told.append)
        assert 0 < known <= table._known == 400 and told[-1] == 1.0 and told == sorted(told)
        watching.cancel()
        assert second is not None and second == table.measure(images, labels)
        stopped = asyncio.ensure_future(table.measure_async(images.copy(), labels))
        await asyncio.sleep(0)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        assert table.measure(images, labels) == second

    asyncio.run(work())
    assert statistics.median(gaps) < 0.05 and len(gaps) > 4  # s of this thread's own work; one turn may be a pause


def test_other_sizes_are_refused_by_flatten() -> None:
    drawing = np.zeros((1, 1, 40, 40), np.float32)
    for name, expected, got in (("cnn-small", 400, 1024), ("digits", 1024, 3136), ("ann", 784, 1600)):
        with pytest.raises(ShapeError, match=f"expected {expected} inputs, got {got}: .* built for 28x28 .* met 40x40"):
            Table(shipped(name)).model.predict(drawing)
    assert Table(free()).model.predict(np.zeros((1, 2, 40, 40))).shape == (1, 3)


@pytest.mark.parametrize("name", ["digits", "ann"])
def test_compiled_kernels_follow_at_once(name: str) -> None:
    if backends.why_not("native"):
        pytest.skip(backends.why_not("native"))
    table, x = Table(shipped(name, "native")), samples()[0][:4]
    assert table.model.backend.name == "native"
    table.model.predict(x)
    layer = "conv1" if name == "digits" else "dense1"
    table.zero_kernel(layer, 0)
    np.testing.assert_allclose(table.model.predict(x), fresh(table.model).predict(x), atol=1e-5)
    if name == "digits":
        table.set_pooling("pool1", "average")
        np.testing.assert_allclose(table.model.predict(x), fresh(table.model).predict(x), atol=1e-5)


def test_a_flattened_network_keeps_its_flatten() -> None:
    """The layers that did not change are the very same ones, with the same names."""
    table = Table(shipped("cnn-small"))
    before = table.model.layers
    table.set_pooling("pool1", "average")
    assert [layer.name for layer in before] == [layer.name for layer in table.model.layers]
    assert [a is b for a, b in zip(before, table.model.layers, strict=True)].count(False) == 1
    assert any(isinstance(layer, Flatten) for layer in table.model.layers)
