"""A model as a folder that reads digits on any static host: kernels, encoded plan, weights and a page; no Python.

``model.json`` holds the plan for one image as `handlens.backends.native` encodes it, where each array of the weights
goes, and the rules of when to answer. The weights are the model's own file. What reads them is ``exported/lens.js``,
which the project's page uses, too, until Python has loaded.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

from ..backends.native.encode import encode
from ..backends.native.library import BUILD, FOLDER
from ..backends.native.lower import lower, unsupported
from ..backends.native.ops_table import OpsTable, installed
from ..errors import BackendError, DataError
from ..model import Sequential
from ..reading import DIGITS, rules_of
from .model_file import load, save

FORMAT = "handlens-page/1"
PAGE = Path(__file__).parent.parent / "exported"
MODEL, WEIGHTS = "model.json", "model.safetensors"
KERNELS = {  # compressed here, because many hosts send WebAssembly as it is
    "handlens.wasm.gz": "handlens-inference.wasm",
    "handlens-relaxed.wasm.gz": "handlens-inference-relaxed.wasm",
}
IMAGE = (1, 28, 28)


def export(weights: str | Path, folder: str | Path, kernels: Path = FOLDER) -> dict[str, int]:
    """Write the folder, whole or not at all; an earlier export there is replaced. Returns the bytes of each file.

    Raises:
        FormatError: no Handlens model. DataError: a model that reads no digits, or a folder that holds other files.
        BackendError: kernels that are not there, do not belong together, or lack what the model needs.
    """
    target = Path(folder).resolve()
    data = Path(weights).read_bytes()
    model = load(data)
    table = installed(kernels)
    modules = {name: module(kernels / file, table) for name, file in KERNELS.items()}
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        (new / WEIGHTS).write_bytes(data)
        if not plain(data):
            save(model, new / WEIGHTS)
        (new / MODEL).write_text(json.dumps(described(model, (new / WEIGHTS).read_bytes(), table)) + "\n", "utf-8")
        for name, code in modules.items():
            (new / name).write_bytes(gzip.compress(code, mtime=0))
        for path in sorted(PAGE.iterdir()):
            if path.suffix in (".html", ".js", ".css"):
                shutil.copyfile(path, new / path.name)
        sizes = {path.name: path.stat().st_size for path in sorted(new.iterdir())}
        replace(new, target, Path(scratch) / "old")
    return sizes


def module(path: Path, table: OpsTable) -> bytes:
    """A standalone build of the kernels, of the same sources as the table of ops."""
    try:
        code = path.read_bytes()
    except OSError:
        raise BackendError(f"no kernels for a page are installed ({path.name}); {BUILD}") from None
    if table.text.encode() not in code:
        raise BackendError(f"{path.name} and the table of its ops are of different versions; {BUILD}")
    return code


def check_target(target: Path) -> None:
    """Only what is empty, or an earlier export and nothing else, may be replaced."""
    if target == Path.cwd() or target in Path.cwd().parents:
        raise DataError(f"{target}: is where you are; give a folder of its own, such as ./page")
    if not target.exists():
        return
    if not target.is_dir():
        raise DataError(f"{target}: is a file; give a folder")
    ours = {MODEL, WEIGHTS, *KERNELS, *(path.name for path in PAGE.iterdir())}
    others = sorted(path.name for path in target.iterdir() if path.name not in ours)
    if others or (any(target.iterdir()) and not exported(target)):
        raise DataError(f"{target}: holds {others[0] if others else 'files'} that no export wrote; give another folder")


def exported(target: Path) -> bool:
    """Whether a folder is an earlier export."""
    try:
        return bool(json.loads((target / MODEL).read_text("utf-8"))["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def replace(new: Path, target: Path, old: Path) -> None:
    """Put the new folder in the place of the old one, which stays where that fails."""
    if not target.exists():
        os.replace(new, target)
        return
    os.replace(target, old)
    try:
        os.replace(new, target)
    except BaseException:  # Ctrl-C too: the old folder must not stay where it would be cleared away
        os.replace(old, target)
        raise


def header_of(data: bytes) -> tuple[int, dict[str, Any]]:
    """Where the arrays of a safetensors file begin, and its entries. The file has been read before, and is sound."""
    (length,) = struct.unpack("<Q", data[:8])
    entries: dict[str, Any] = json.loads(data[8 : 8 + length])
    entries.pop("__metadata__", None)
    return 8 + length, entries


def plain(data: bytes) -> bool:
    """Whether the arrays are float32, as the kernels take them."""
    return all(entry["dtype"] == "F32" for entry in header_of(data)[1].values())


def described(model: Sequential, weights: bytes, table: OpsTable) -> dict[str, Any]:
    """``model.json``: all that a page has to know besides the weights."""
    if model.input_shape != IMAGE or model.output_shape not in ((DIGITS,), (DIGITS + 1,)) or not model.loss.classifies:
        shapes = ["x".join(map(str, shape)) for shape in (model.input_shape, model.output_shape)]
        raise DataError(
            f"{model.name}: takes {shapes[0]} and gives {shapes[1]}; the page reads digits, so export a classifier of "
            f"1x28x28 images with 10 classes, or 11 with one for what is no digit"
        )
    plan = model.plan(batch=1)
    why = unsupported(plan, table.ops)
    if why:
        raise BackendError(f"{model.name} cannot run on compiled kernels: {'; '.join(why)}")
    lowered = lower(plan)
    buffers = list(lowered.buffers)
    rules = rules_of(model)
    places = [lowered.tensors[name] for name in (plan.inputs[0], plan.outputs["probabilities"])]
    return {
        "format": FORMAT,
        "name": model.name,
        "classes": model.output_shape[0],
        "rules": {"answer": rules.answer, "sure": rules.sure, "beside": -1 if rules.beside is None else rules.beside},
        "weights": {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()},
        "input": [buffers.index(places[0].buffer), places[0].offset],
        "output": [buffers.index(places[1].buffer), places[1].offset],
        "buffers": list(lowered.buffers.values()),
        "arrays": arrays(model, weights, buffers),
        "plan": base64.b64encode(encode(plan, lowered, table.ops, table.hash)).decode(),
    }


def arrays(model: Sequential, weights: bytes, buffers: list[str]) -> list[list[int]]:
    """For each array of the weights: where it begins in the file, its bytes, the buffer it goes to, and where there."""
    start, entries = header_of(weights)
    rows = []
    for buffer, layout in (("parameters", model.layout), ("state", model.state_layout)):
        if buffer not in buffers:
            continue
        for name, shape in layout.shapes.items():
            begin, size = start + entries[name]["data_offsets"][0], 4 * math.prod(shape)
            rows.append([begin, size, buffers.index(buffer), 4 * layout.offsets[name]])
    return rows
