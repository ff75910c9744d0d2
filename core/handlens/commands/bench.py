"""``handlens bench``: training step and inference, beside PyTorch where it is installed."""

from __future__ import annotations

import argparse
from typing import Any

from .. import architectures, bench
from ..errors import DataError


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure one named network."""
    architectures.find(args.name)
    if args.repeats < 1 or args.batch_size < 1:
        raise DataError("--repeats and --batch-size must be at least 1")
    return bench.measure(args.name, args.batch_size, args.repeats)


def text(result: dict[str, Any]) -> str:
    """A Markdown table."""
    head = f"`{result['name']}` on {result['backend']}, {result['threads']} threads ({result['machine']}), medians:"
    lines = [
        head,
        "",
        "| what | ms | images/s | GFLOP/s | PyTorch, same run (ms) | ratio |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        ours = f"{row['milliseconds']:.2f} | {row['images_per_second']:,.0f} | {row['gflops']:.1f}"
        peer = "not installed" if row["ratio"] is None else f"{row['torch_milliseconds']:.2f}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        lines.append(f"| {row['what']} | {ours} | {peer} | {ratio} |")
    pair = result["augmentation"]
    lines += [
        "",
        f"Augmentation makes a training step {pair['ratio']:.2f} times as long (in turn with one without it).",
    ]
    return "\n".join(lines)
