"""``handlens index``: the models of a folder, told from their metadata, for the page and the README."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from .. import report
from ..architectures import ARCHITECTURES
from ..errors import DataError
from ..io.model_file import load


def entry(path: Path) -> dict[str, Any]:
    """One model: its costs counted from its layers, its accuracy as recorded when it was trained."""
    model = load(path)
    if model.metadata.get("stopped"):
        raise DataError(f"{path}: its training was stopped ({model.metadata['stopped']}); train it to the end")
    summary = model.summary()
    recorded = {key: model.metadata.get(key) for key in ("title", "family", "accuracy", "test_loss", "milliseconds")}
    return {
        "name": model.name,
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        **recorded,
        "command": model.metadata.get("command"),
        "measured": report.row(model) if "drawn" in model.metadata else None,
        "compared": model.metadata.get("compared", []),
        "numbers": model.metadata.get("numbers"),
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All models of the folder, in the order of the named architectures."""
    paths = sorted(Path(args.folder).glob("*.safetensors"))
    if not paths:
        raise DataError(f"{args.folder}: holds no .safetensors file; train one: handlens train digits --out ...")
    order = list(ARCHITECTURES)
    models = [entry(path) for path in paths]
    models.sort(key=lambda m: (order.index(m["name"]) if m["name"] in order else len(order), m["name"]))
    return {"models": models}


def text(result: dict[str, Any]) -> str:
    """A Markdown table."""
    lines = [
        "| model | what it is | parameters | multiply-adds | bytes | MNIST test accuracy | ms an image |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for m in result["models"]:
        accuracy = "" if m["accuracy"] is None else f"{m['accuracy']:.2%}"
        timing = "" if m["milliseconds"] is None else f"{m['milliseconds']:.2f}"
        numbers = f"{m['parameters']:,} | {m['multiply_adds']:,} | {m['bytes']:,} | {accuracy} | {timing}"
        lines.append(f"| `{m['name']}` | {m['title'] or ''} | {numbers} |")
    return "\n".join(lines)
