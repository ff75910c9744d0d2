"""Every number of every shipped model is the sum of the terms shown, on every backend; its program makes it again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explained import CELLS, NAMES, cells, check, images, shipped
from handlens import backends
from handlens.inside.explain import Lens
from handlens.inside.program import TOLERANCE, scale

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


def lenses(name: str, backend: backends.Backend) -> list[Lens]:
    model = shipped(name)
    model.use(backend)
    found = [Lens.over(model, image) for image in images()]
    assert model.backend is backend
    return found


@pytest.mark.parametrize("name", NAMES)
def test_terms_and_bias_add_up_to_the_value_on_numpy(name: str, mnist_dir: Path) -> None:
    check(lenses(name, backends.get("numpy")), CELLS)


@pytest.mark.parametrize("name", NAMES)
def test_terms_and_bias_add_up_to_the_value_on_native(name: str, best_native: Any, mnist_dir: Path) -> None:
    check(lenses(name, best_native), CELLS)


@pytest.mark.parametrize("name", NAMES)
def test_terms_and_bias_add_up_to_the_value_on_webgpu(name: str, webgpu: Any, mnist_dir: Path) -> None:
    check(lenses(name, webgpu), CELLS)


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
        for lens, key, index in list(cells(lenses(name, backends.get("numpy")), 4 * PROGRAMS))[:: 4 * len(NAMES)]:
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
