"""Augmentation: what each kind does to an image, that it repeats to the bit, and that a resumed training goes on so."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import pytest
from handlens.augment import Augment, preview
from handlens.callbacks import Checkpoint
from handlens.errors import DataError, PlanError, ShapeError
from handlens.ops.augment import spline_weights, warp_basis
from handlens.plan import Plan
from handlens.training import Event, Training, training_plan
from op_cases import Case, draw
from op_runner import forward

NONE = Augment(**dict.fromkeys(("shift", "rotation", "scale", "shear", "elastic", "thickness", "smoothing"), 0))
KINDS = {
    "shift": 2.0,
    "rotation": 15.0,
    "scale": 0.2,
    "shear": 0.2,
    "elastic": 1.0,
    "thickness": 0.6,
    "smoothing": 0.8,
}


def only(**amounts: float) -> Augment:
    return replace(NONE, **amounts)


def pictures(count: int = 12, size: int = 28) -> np.ndarray:
    """8-bit images of a soft blob away from the edges, each at a place of its own."""
    generator = np.random.default_rng(5)
    rows, columns = np.mgrid[:size, :size]
    y, x = generator.uniform(size * 0.4, size * 0.6, (2, count, 1, 1))
    return np.round(255 * np.exp(-((rows - y) ** 2 / 18 + (columns - x) ** 2 / 8))).astype(np.uint8)


def unit(images: np.ndarray) -> np.ndarray:
    """8-bit images as a training's gather takes them."""
    return images * np.float32(1 / 255)


def centre(images: np.ndarray) -> np.ndarray:
    """(N, 2): centres of mass."""
    rows, columns = np.mgrid[: images.shape[-2], : images.shape[-1]]
    mass = images.sum((-2, -1))
    return np.stack([(images * rows).sum((-2, -1)) / mass, (images * columns).sum((-2, -1)) / mass], -1)


# --- the ops against their equations, pixel by pixel


@pytest.mark.parametrize(
    "case",
    [
        Case("warp", ((3, 2, 6, 5), (3, 2, 28)), {"cells": 2}),
        Case("warp", ((2, 1, 7, 7), (2, 2, 3)), {"cells": 0}),
    ],
    ids=lambda c: c.id,
)
def test_warp_equals_its_equation(case: Case) -> None:
    (x, field), _ = draw(case, seed=1)
    basis = warp_basis(*x.shape[2:], case.attrs["cells"])
    expected = np.zeros_like(x)
    for n, c, i, j in itertools.product(*map(range, x.shape)):
        row, column = (i, j) + field[n] @ basis[:, i, j]
        for p, q in itertools.product(range(x.shape[2]), range(x.shape[3])):
            expected[n, c, i, j] += x[n, c, p, q] * max(0, 1 - abs(row - p)) * max(0, 1 - abs(column - q))
    np.testing.assert_allclose(forward(case, seed=1)["warp"], expected, rtol=1e-10, atol=1e-12)


def test_thickness_equals_its_equation() -> None:
    case = Case("thickness", ((6, 2, 5, 6), (6,)))
    (x, amount), _ = draw(case, seed=1)
    assert (amount > 0).any() and (amount < 0).any()
    expected = np.zeros_like(x)
    for n, c, i, j in itertools.product(*map(range, x.shape)):
        most = x[n, c, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].max()
        expected[n, c, i, j] = min(max(x[n, c, i, j] + amount[n] * (most - x[n, c, i, j]), 0), 1)
    assert ((expected > 0) & (expected < 1)).mean() > 0.2
    np.testing.assert_allclose(forward(case, seed=1)["thickness"], expected, rtol=1e-12, atol=1e-12)


def test_smoothing_equals_its_equation() -> None:
    case = Case("smoothing", ((3, 2, 5, 6), (3,)), {"gain": 2.0, "level": 0.35})
    (x, amount), _ = draw(case, seed=1)
    expected = np.zeros_like(x)
    for n, c, i, j in itertools.product(*map(range, x.shape)):
        blur = 0.0
        for p, q in itertools.product(range(max(0, i - 1), min(5, i + 2)), range(max(0, j - 1), min(6, j + 2))):
            blur += x[n, c, p, q] * (2 - abs(i - p)) * (2 - abs(j - q)) / 16
        pen = min(max(0.5 + 2.0 * (blur - 0.35), 0), 1)
        expected[n, c, i, j] = x[n, c, i, j] + amount[n] * (pen - x[n, c, i, j])
    np.testing.assert_allclose(forward(case, seed=1)["smoothing"], expected, rtol=1e-12, atol=1e-12)


def test_the_splines_sum_to_one_and_the_basis_is_stated() -> None:
    np.testing.assert_allclose(spline_weights(28, 4).sum(0), 1, rtol=1e-12)
    np.testing.assert_allclose(spline_weights(1, 1)[:, 0], [1 / 48, 23 / 48, 23 / 48, 1 / 48], rtol=1e-12)
    basis = warp_basis(28, 28, 4)
    assert basis.shape == (3 + 49, 28, 28)
    assert (basis[0] == 1).all() and (basis[1, 0] == -1).all() and (basis[2, :, -1] == 1).all()


@pytest.mark.parametrize(
    ("op", "shapes", "message"),
    [
        ("warp", [(2, 1, 5, 5), (2, 2, 4)], r"needs a field of shape \(2, 2, 3\); got \(2, 2, 4\)"),
        ("warp", [(2, 25), (2, 2, 3)], "needs images"),
        ("thickness", [(2, 1, 5, 5), (3,)], "as many amounts"),
        ("smoothing", [(5, 5), (5,)], "needs images"),
    ],
)
def test_shapes_that_do_not_fit(op: str, shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        handlens.ops.find(op).shapes(shapes, {})


# --- what each kind does


def test_nothing_asked_changes_nothing() -> None:
    images = pictures()
    assert np.array_equal(preview(images, NONE), unit(images))
    still = preview(images, replace(Augment(), share=0.0))
    assert np.array_equal(still, unit(images))  # to the bit, through all three ops


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_images_and_repeats(kind: str) -> None:
    images, settings = pictures(), only(**{kind: KINDS[kind]})
    one, two = preview(images, settings, seed=3), preview(images, settings, seed=3)
    assert one.shape == images.shape and one.dtype == np.float32 and one.tobytes() == two.tobytes()
    assert one.min() >= 0 and one.max() <= 1
    changed = np.abs(one - images / 255).max((1, 2)) > 0.01
    assert changed.sum() >= 10  # an amount near 0 may leave one or two as they were
    assert one.tobytes() != preview(images, settings, seed=4).tobytes()
    assert one.tobytes() != preview(images, settings, seed=3, step=1).tobytes()


def test_shift_moves_by_what_was_drawn_and_no_further() -> None:
    images = np.repeat(pictures(1), 400, 0)
    moves = centre(preview(images, only(shift=3.0))) - centre(images / 255)
    assert np.abs(moves).max() < 3.01 and np.abs(moves).max() > 2.8 and np.abs(moves.mean(0)).max() < 0.3
    np.testing.assert_allclose(moves.std(0), 3 / np.sqrt(3), rtol=0.1)  # evenly drawn


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second moments about the centre: along rows, along columns, mixed."""
    rows, columns = np.mgrid[: images.shape[-2], : images.shape[-1]]
    y, x = (c[:, None, None] for c in centre(images).T)
    mass = images.sum((-2, -1))
    return tuple(  # type: ignore[return-value]
        (images * m).sum((-2, -1)) / mass for m in ((rows - y) ** 2, (columns - x) ** 2, (rows - y) * (columns - x))
    )


def test_rotation_turns_by_at_most_its_angle() -> None:
    images = np.repeat(pictures(1), 300, 0)
    tall, wide, mixed = moments(preview(images, only(rotation=20.0)))
    angle = np.rad2deg(0.5 * np.arctan2(2 * mixed, tall - wide))
    assert np.abs(angle).max() < 20.5 and angle.max() > 18 and angle.min() < -18


def test_scale_stretches_each_axis_on_its_own() -> None:
    images = np.repeat(pictures(1), 300, 0)
    before, after = moments(images / 255), moments(preview(images, only(scale=0.2)))
    factors = np.sqrt([after[k] / before[k] for k in (0, 1)])
    # Bilinear sampling widens a line a little, never narrows it.
    assert factors.min() > 0.79 and factors.min() < 0.85 and factors.max() < 1.23 and factors.max() > 1.15
    assert abs(np.corrcoef(factors)[0, 1]) < 0.2


def test_shear_slants_and_keeps_the_height() -> None:
    images = np.repeat(pictures(1), 300, 0)
    before, (tall, _, mixed) = moments(images / 255), moments(preview(images, only(shear=0.3)))
    slant = mixed / tall
    assert np.abs(slant).max() < 0.31 and slant.max() > 0.26 and slant.min() < -0.26
    np.testing.assert_allclose(tall, before[0], rtol=0.01)


def test_elastic_displaces_by_its_standard_deviation() -> None:
    field = only(elastic=1.5).controls((2000, 1, 28, 28), 0, 0)["augment_field"][0]
    assert not field[:, :, :3].any()
    bends = np.einsum("nak,khw->nahw", field[:, :, 3:], warp_basis(28, 28, 4)[3:])
    assert abs(bends.std() - 1.5) < 0.05
    # Smooth: from one pixel to the next it changes far less than it displaces.
    assert np.abs(np.diff(bends, axis=2)).mean() < 0.3 * np.abs(bends).mean()


def test_thickness_adds_or_takes_ink() -> None:
    images = np.repeat(pictures(1), 200, 0)
    made = preview(images, only(thickness=0.4))
    ink = made.sum((1, 2)) / unit(images).sum((1, 2))
    assert 0.3 < (ink > 1).mean() < 0.7 and 1.1 < ink.max() < 1.5 and 0.4 < ink.min() < 0.9
    np.testing.assert_allclose(made.max((1, 2)), unit(images).max(), rtol=1e-6)  # thinner is not dimmer


def test_smoothing_closes_a_ragged_edge() -> None:
    ragged = np.zeros((50, 28, 28), np.uint8)
    ragged[:, 4:24, 12:16] = 255
    ragged[:, 5:24:2, 16] = 255
    made = preview(ragged, only(smoothing=1.0))
    roughness = np.abs(np.diff(made[:, 5:23, 16], axis=1)).mean(1)
    assert roughness.min() < 0.3 and roughness.max() <= 1 and made[:, 10, 13].min() == 1 and not made[:, :, :8].any()


def test_share_leaves_the_others_to_the_bit() -> None:
    images = np.repeat(pictures(1), 1000, 0)
    made = preview(images, replace(Augment(), share=0.3))
    same = (made == unit(images[0])).all((1, 2))
    assert 0.65 < same.mean() < 0.75


def test_channels_move_together_and_sizes_may_differ() -> None:
    generator = np.random.default_rng(0)
    plane = generator.random((5, 1, 9, 14), np.float32)
    made = preview(np.concatenate([plane, plane], 1), Augment())
    assert made.shape == (5, 2, 9, 14) and np.array_equal(made[:, 0], made[:, 1])
    assert np.array_equal(made[:, :1], preview(plane, Augment()))


def test_leaving_a_kind_out_keeps_what_the_others_draw() -> None:
    shape = (6, 1, 28, 28)
    whole, part = Augment().controls(shape, 1, 2), replace(Augment(), thickness=0.0).controls(shape, 1, 2)
    assert set(whole) - set(part) == {"augment_thickness"}
    assert all(np.array_equal(whole[name], part[name]) for name in part)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": -1}, "shift must be a number from 0 to inf; got -1"),
        ({"share": 1.5}, "share must be a number from 0 to 1; got 1.5"),
        ({"scale": 0.95}, "scale must be a number from 0 to 0.9"),
        ({"rotation": "12"}, "rotation must be a number"),
        ({"shear": float("nan")}, "shear must be a number"),
        ({"elastic": float("inf")}, "elastic must be finite"),
        ({"smoothing": True}, "smoothing must be a number"),
    ],
)
def test_amounts_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Augment(**options)


# --- in a training


def bars(count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Four classes of 8-bit 12x12 images: a bar at one of four places."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, count)
    images = generator.integers(0, 40, (count, 12, 12)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[3 * label : 3 * label + 2] += 180
    return images, labels


def network() -> handlens.Sequential:
    layers = [handlens.Conv2D(4, 3), handlens.BatchNorm(), handlens.ReLU(), handlens.Dropout(0.2)]
    return handlens.Sequential([*layers, handlens.Flatten(), handlens.Dense(4)], (1, 12, 12), seed=2)


SETTINGS = Augment(shift=0.5, rotation=5.0)
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 16, "augment": SETTINGS, "progress": False}


def test_it_learns_and_the_same_seed_gives_the_same_bits() -> None:
    (x, y), ends = bars(), []
    for _ in range(2):
        model = network()
        model.fit(x, y, **OPTIONS)
        ends.append(model.parameters.tobytes() + model.state.tobytes())
    assert ends[0] == ends[1]
    plain = network()
    plain.fit(x, y, **{**OPTIONS, "augment": None})
    assert plain.parameters.tobytes() + plain.state.tobytes() != ends[0]
    model = network()
    model.fit(x, y, **{**OPTIONS, "epochs": 20, "optimizer": handlens.Adam(0.01)})
    assert model.evaluate(x, y)["accuracy"] > 0.9


def test_a_step_sees_what_preview_shows() -> None:
    (x, y), model = bars(16), network()
    training = Training(model, x, y, epochs=1, batch_size=16, augment=SETTINGS, progress=False)
    handlens.backends.drive(training._run_step(training.order(0), False))
    (program,) = training.loaded(training.model.backend)
    conv = next(step for step in program.plan.steps if step.op == "conv2d")
    # The convolution's input may be overwritten later in the step: run the plan only up to it.
    names = [step.op for step in program.plan.steps]
    for kernel in program.steps[: names.index("conv2d")]:  # type: ignore[attr-defined]
        kernel()
    seen = program.tensors[conv.inputs[0]]  # type: ignore[attr-defined]
    shown = preview(x[training.order(0)], SETTINGS, seed=model.seed, step=0)
    assert np.array_equal(seen[:, 0], shown)


@pytest.mark.parametrize("stop_at", [(2, 0), (1, 2)])
def test_resume_ends_with_the_same_bits(stop_at: tuple[int, int], tmp_path: Path) -> None:
    """Stopped after two epochs, or in the middle of the second, and gone on with."""
    (x, y), path = bars(), tmp_path / "run.safetensors"
    whole, part, rest = network(), network(), network()
    whole.fit(x, y, **OPTIONS)

    def stop(event: Event, training: Training) -> None:
        if (training.epoch, training.batch) == stop_at and event.kind in ("step", "epoch"):
            training.stop("test")

    part.fit(x, y, callbacks=[stop, Checkpoint(path)], **OPTIONS)
    assert part.parameters.tobytes() != whole.parameters.tobytes()
    rest.fit(x, y, resume=path, **OPTIONS)
    assert rest.parameters.tobytes() == whole.parameters.tobytes()
    assert rest.state.tobytes() == whole.state.tobytes()
    for other in (None, replace(SETTINGS, shift=1.0)):
        with pytest.raises(DataError, match=r"the training has changed since .*augment"):
            network().fit(x, y, resume=path, **{**OPTIONS, "augment": other})


def test_the_recipe_names_every_setting() -> None:
    x, y = bars(4)
    recipe = Training(network(), x, y, augment=SETTINGS, progress=False).recipe()
    assert Augment(**recipe["augment"]) == SETTINGS
    assert Training(network(), x, y, progress=False).recipe()["augment"] is None
    with pytest.raises(DataError, match=r"augment must be an Augment, such as .*got True"):
        Training(network(), x, y, augment=True, progress=False)  # type: ignore[arg-type]


def test_vectors_are_refused() -> None:
    model = handlens.Sequential([handlens.Dense(2)], (5,))
    with pytest.raises(ShapeError, match=r"augmentation needs images \(N, C, H, W\); got \(4, 5\)"):
        model.fit(np.zeros((4, 5), np.float32), np.zeros(4, int), augment=Augment(), progress=False)
    with pytest.raises(ShapeError, match="preview needs images"):
        preview(np.zeros((4, 5)))


def test_the_plan_holds_the_ops_and_survives_json() -> None:
    plan = training_plan(network(), 4, dtype="uint8", augment=Augment())
    names = [step.op for step in plan.steps]
    assert names[:5] == ["gather", "gather", "thickness", "warp", "smoothing"]
    assert {"augment_field", "augment_thickness", "augment_smoothing"} <= set(plan.controls)
    assert Plan.from_json(plan.to_json()) == plan
    bare = [step.op for step in training_plan(network(), 4).steps]
    assert not {"thickness", "warp", "smoothing"} & set(bare)


def test_augmentation_has_no_gradient() -> None:
    from handlens.autodiff import backward
    from op_runner import with_loss

    case = Case("thickness", ((2, 1, 3, 3), (2,)))
    graph, loss, wrt = with_loss(case, draw(case)[0], [])
    with pytest.raises(PlanError, match="'thickness' has no gradient rule"):
        backward(graph, loss, wrt)
