"""``handlens export``: a model as a folder that reads digits on any static host, without Python."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..io.page_export import KERNELS, export


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the folder; every file's size, all of them, and what a visitor fetches."""
    if not Path(args.weights).is_file():
        raise DataError(f"{args.weights}: no such file")
    sizes = export(args.weights, args.folder)
    spare = min(sizes[name] for name in KERNELS)  # a browser fetches one of the two builds
    total = sum(sizes.values())
    return {"folder": args.folder, "files": sizes, "bytes": total, "fetched": total - spare}


def text(result: dict[str, Any]) -> str:
    """A line a file."""
    lines = [f"{size:>9,} B  {name}" for name, size in result["files"].items()]
    lines.append(f"{result['bytes']:>9,} B  in {result['folder']}; a visitor fetches {result['fetched']:,} B at most")
    return "\n".join(lines)
