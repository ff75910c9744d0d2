"""``handlens summary``: what a network costs, layer by layer."""

from __future__ import annotations

import argparse
from typing import Any

from .. import architectures
from ..io.model_file import load


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The summary of a named network or of a file, and its plan where asked for."""
    model = architectures.build(args.model) if args.model in architectures.ARCHITECTURES else load(args.model)
    summary = model.summary()
    result = summary.to_dict() | {"table": str(summary)}
    return result | ({"plan": str(model.plan())} if args.plan else {})


def text(result: dict[str, Any]) -> str:
    """The tables."""
    return "\n\n".join(result[key] for key in ("table", "plan") if key in result)
