"""Every number of every shipped model is the sum of the terms shown, on every backend; its program makes it again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import pytest
from handlens import backends
from handlens.data import mnist
from handlens.inside.explain import SUMS, Explanation, Lens
from handlens.inside.program import TOLERANCE, scale

MODELS = Path(__file__).resolve().parents[2] / "web" / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.safetensors"))
CELLS, IMAGES = 1000, 4
CLOSE = 1e-6  # of the sum of the absolute terms
PROGRAMS = 102

# Runs programs in a Python that has nothing but NumPy, and says what each prints.
RUNNER = """
import contextlib, io, json, sys
sys.path.append(sys.argv[1])
found = []
for program in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
    found.append([float(line.rsplit(" ", 1)[1]) for line in out.getvalue().splitlines()])
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"numpy", "__main__"}
print(json.dumps([found, sorted(foreign)]))
"""


@cache
def images() -> np.ndarray:
    return mnist.load().test_images[:IMAGES]


def cells(model: handlens.Sequential, count: int) -> Iterator[tuple[Lens, str, tuple[int, ...]]]:
    """Random cells, every layer as likely as the other, on some digits."""
    generator = np.random.default_rng(7)
    for image in images():
        lens = Lens.over(model, image)
        keys = list(lens.steps)
        for _ in range(count // IMAGES):
            key = keys[generator.integers(len(keys))]
            yield lens, key, tuple(int(generator.integers(n)) for n in lens.steps[key].shape)


def wrong(found: Explanation) -> bool:
    """Whether the terms do not make the value: by the stated rule, and by adding them and the bias up."""
    made = [found.total, float(found.terms.products.sum()) + found.bias if found.kind in SUMS else found.replay()]
    return not all(abs(one - found.value) <= CLOSE * found.magnitude for one in made)


def check(name: str, backend: backends.Backend, count: int) -> None:
    model = handlens.load(MODELS / f"{name}.safetensors")
    model.use(backend)
    kinds = set()
    for lens, key, index in cells(model, count):
        found = lens.explain(key, index)
        assert not wrong(found), f"{key}{index} of {name}: {found.total} from its terms, {found.value} computed"
        kinds.add(found.kind)
    assert model.backend is backend and kinds == {step.kind for step in lens.steps.values()}


@pytest.mark.parametrize("name", NAMES)
def test_terms_and_bias_add_up_to_the_value_on_numpy(name: str, mnist_dir: Path) -> None:
    check(name, backends.get("numpy"), CELLS)


@pytest.mark.parametrize("name", NAMES)
def test_terms_and_bias_add_up_to_the_value_on_native(name: str, best_native: Any, mnist_dir: Path) -> None:
    check(name, best_native, CELLS)


@pytest.mark.parametrize("name", NAMES)
def test_terms_and_bias_add_up_to_the_value_on_webgpu(name: str, webgpu: Any, mnist_dir: Path) -> None:
    check(name, webgpu, CELLS)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NumPy and nothing else."""
    folder, packages = tmp_path_factory.mktemp("bare"), Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder


def test_programs_reproduce_their_numbers_in_a_bare_python(bare: Path, mnist_dir: Path) -> None:
    texts, expected = [], []
    for name in NAMES:
        model = handlens.load(MODELS / f"{name}.safetensors")
        for lens, key, index in list(cells(model, 4 * PROGRAMS))[:: 4 * len(NAMES)]:
            texts.append(lens.program(key, index))
            expected.append((name, key, index, lens.values(key)[index], scale(lens, key, index)))
    assert len(texts) >= 100
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", RUNNER, str(bare)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found, foreign = json.loads(run.stdout)
    assert foreign == [] and len(found) == len(texts)
    for (made, shown), (name, key, index, value, terms) in zip(found, expected, strict=True):
        assert np.float32(shown) == value, (name, key, index)
        assert abs(made - shown) <= TOLERANCE * terms, (name, key, index, made, shown)
