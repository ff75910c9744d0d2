"""What tests of several backends share: random cells of the shipped models, each held to the terms it is shown with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import handlens
import numpy as np
from handlens.backends import Backend, drive
from handlens.data import mnist
from handlens.inside.explain import SUMS, Explanation, Lens

MODELS = Path(__file__).resolve().parents[1] / "web" / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.safetensors"))
CELLS, IMAGES = 1000, 4
CLOSE = 1e-6  # of the sum of the absolute terms


@cache
def images() -> np.ndarray:
    """A few digits."""
    return mnist.load().test_images[:IMAGES]


def shipped(name: str) -> handlens.Sequential:
    """A shipped model."""
    return handlens.load(MODELS / f"{name}.safetensors")


def computed(model: handlens.Sequential, image: np.ndarray, backend: Backend) -> dict[str, np.ndarray]:
    """``model.trace`` of one image by the bare calls of a backend, which may be in a browser's worker."""
    x = model.checked_images(image[None])
    plan = model.plan(1, keep="all")
    program = drive(backend.load(plan))
    values = {"parameters": model.parameters, "state": model.state}
    for name, value in ({name: v for name, v in values.items() if name in plan.buffers} | {"input": x}).items():
        backend.upload(program, name, value)
    backend.run(program)
    try:
        return {"input": x, **drive(backend.fetch(program, *plan.outputs))}
    finally:
        backend.close(program)


def cells(lenses: list[Lens], count: int) -> Iterator[tuple[Lens, str, tuple[int, ...]]]:
    """Random cells, every layer as likely as the other."""
    generator = np.random.default_rng(7)
    for lens in lenses:
        keys = list(lens.steps)
        for _ in range(count // len(lenses)):
            key = keys[generator.integers(len(keys))]
            yield lens, key, tuple(int(generator.integers(n)) for n in lens.steps[key].shape)


def wrong(found: Explanation) -> bool:
    """Whether the terms do not make the value: by the stated rule, and by adding them and the bias up."""
    made = [found.total, float(found.terms.products.sum()) + found.bias if found.kind in SUMS else found.replay()]
    return not all(abs(one - found.value) <= CLOSE * found.magnitude for one in made)


def check(lenses: list[Lens], count: int) -> None:
    """Every one of ``count`` cells is what its terms make; all kinds of the network were among them."""
    kinds = set()
    for lens, key, index in cells(lenses, count):
        found = lens.explain(key, index)
        assert not wrong(found), (
            f"{key}{index} of {lens.model.name}: {found.total} by its terms, {found.value} computed"
        )
        kinds.add(found.kind)
    assert kinds == {step.kind for step in lenses[0].steps.values()}
