"""Runs inside the worker of the tests' own page, on the wheel's side modules; tests ask for its functions by name."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from handlens import architectures, backends, training
from handlens.backends.native import Library, NativeBackend
from handlens.backends.native import backend as native_backend
from handlens.backends.native import library as kernels
from handlens.errors import BackendError
from training_curve import trained
from worker_arrays import answered, packed, run_plan, unpacked

held: dict[str, Any] = {}  # "backend": on the side module of the last `opened`


async def answer(call: str, given: str) -> str:
    """One of the functions below."""
    return await answered(globals(), call, given)


async def opened(file: str) -> dict[str, Any]:
    """Open a side module, and keep it."""
    backend = held["backend"] = NativeBackend(Library(kernels.FOLDER / file))
    return {"title": backend.library.title, "lanes": backend.library.lanes, "ops": sorted(backend.library.ops)}


async def planned(plan: str, values: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Run one plan; its run is one call."""
    before = held["backend"].crossings
    found = await run_plan(held["backend"], plan, values, names)
    assert held["backend"].crossings - before == 1
    return found


async def state() -> dict[str, Any]:
    """What nobody caught."""
    import js

    return {"uncaught": list(js.uncaught.to_py())}


async def chosen() -> dict[str, Any]:
    """The files that are asked for as this browser is, and where it takes no relaxed SIMD; and what is then opened."""
    import js
    from pyodide.code import run_js

    found = {"here": kernels.candidates(), "validated": kernels.relaxed_simd(), "opened": kernels.find().path.name}
    run_js("globalThis.kept = WebAssembly.validate; WebAssembly.validate = () => false;")
    try:
        found |= {"without": kernels.candidates(), "opened without": kernels.find().path.name}
    finally:
        js.WebAssembly.validate = js.kept
    return found


async def learned(images: dict[str, Any], labels: dict[str, Any]) -> dict[str, Any]:
    """A training of `cnn-small`, its curve and what it then reads."""
    x, y = unpacked(images), unpacked(labels)
    model = architectures.build("cnn-small")
    model.use(held["backend"])
    before = held["backend"].crossings
    curve, history = trained(model, x, y)
    crossings = held["backend"].crossings - before
    answers = np.asarray(await model.predict_async(x[:512])).argmax(1)
    return {
        "steps": len(curve.losses),
        "smooth": packed(curve.smooth()),
        "answers": packed(answers),
        "left": [*history.handed_over, *model.handed_over],
        "crossings": crossings,
    }


async def crossed(images: dict[str, Any], labels: dict[str, Any]) -> dict[str, int]:
    """Calls into the module that a prediction takes, the first and a later one, and eight steps of a training."""
    x, y, backend = unpacked(images), unpacked(labels), held["backend"]
    model = architectures.build("cnn-small")
    model.use(backend)
    counts = {}
    for name in ("first", "later"):
        before = backend.crossings
        await model.predict_async(x[:1])
        counts[name] = backend.crossings - before
    run = training.Training(model, x, y, batch_size=8, progress=False)
    program = backends.drive(run.program(8))
    rows = [run.control(k) for k in range(8)]
    before = backend.crossings
    backend.run(program, 8, {name: np.concatenate([row[name] for row in rows]) for name in rows[0]})
    return counts | {"steps": backend.crossings - before}


async def spoilt(share: float) -> dict[str, Any]:
    """What a model computes on, and why, where the side modules are cut off behind this share of their bytes."""
    find, now = native_backend.find, (dict(backends._opened), dict(backends._refused))
    with tempfile.TemporaryDirectory() as folder:
        for name in kernels.candidates():
            data = (kernels.FOLDER / name).read_bytes()
            (Path(folder) / name).write_bytes(data[: int(len(data) * share)])
        native_backend.find = lambda: find(Path(folder))
        backends._opened.clear()
        backends._refused.clear()
        try:
            why = backends.why_not("native")
            model = architectures.build("cnn-small")
            model.use(backends.after("webgpu"))
            read = (await model.predict_async(np.ones((1, 28, 28), np.float32))).shape
            try:
                model.use("native")
                refused = ""
            except BackendError as error:
                refused = str(error)
            return {"backend": model.backend.name, "why": why, "shape": list(read), "refused": refused}
        finally:
            native_backend.find = find
            backends._opened.update(now[0])
            backends._refused.clear()
            backends._refused.update(now[1])
