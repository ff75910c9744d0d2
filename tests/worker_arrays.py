"""What modules that tests run inside a worker share with those tests: arrays as JSON, and one plan on a backend."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from handlens.backends import Backend
from handlens.errors import BackendError
from handlens.plan import Plan


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON."""
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"kind": array.dtype.str, "shape": list(array.shape), "data": data}


def unpacked(value: Mapping[str, Any]) -> np.ndarray:
    """The array again."""
    return np.frombuffer(base64.b64decode(value["data"]), value["kind"]).reshape(value["shape"]).copy()


async def answered(module: Mapping[str, Any], call: str, given: str) -> str:
    """One of a module's coroutine functions, called by name; a BackendError comes back as {"reason": ...}."""
    try:
        return json.dumps(await module[call](**json.loads(given)))
    except BackendError as error:
        return json.dumps({"reason": str(error)})


async def run_plan(backend: Backend, plan: str, values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Load a plan, upload, run once, fetch, close."""
    program = await backend.load(Plan.from_json(plan))
    try:
        for name, value in values.items():
            backend.upload(program, name, unpacked(value))
        backend.run(program)
        return {name: packed(value) for name, value in (await backend.fetch(program, *names)).items()}
    finally:
        backend.close(program)  # type: ignore[attr-defined]
