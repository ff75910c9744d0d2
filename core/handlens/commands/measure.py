"""``handlens measure``: measure a model again, as ``train`` does at its end, and keep what was found in its file."""

from __future__ import annotations

import argparse
from typing import Any

from .. import report
from ..data import mnist
from ..io.model_file import load


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, and put the rows of other measured models beside."""
    model, data = load(args.weights, args.backend), mnist.load(args.data)
    if args.calibrate:
        report.calibrate(model)
    rows = [report.row(load(path)) for path in args.compare]
    report.record(model, data, model.seed, args.sample)
    if rows:
        model.metadata["compared"] = rows
    return {"name": model.name, "bytes": model.save(args.weights), "row": report.row(model), "compared": rows}


def text(result: dict[str, Any]) -> str:
    """A line for the model, and one for each it is compared with."""
    return "\n".join(" ".join(f"{k} {v}" for k, v in row.items()) for row in (result["row"], *result["compared"]))
