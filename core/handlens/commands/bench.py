"""``handlens bench``: training step and inference on one thread: NumPy, the compiled kernels, PyTorch; or op by op."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import architectures, bench
from ..backends.native import library
from ..errors import DataError

MARK = "HANDLENS_BENCH"  # set in the process that measures


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure one named network."""
    architectures.find(args.name)
    if min(args.repeats, args.batch_size, args.images) < 1:
        raise DataError("--repeats, --batch-size and --images must be at least 1")
    if os.environ.get(MARK) != "1":
        return apart(args)
    if args.ops:
        from .. import roofline

        found = roofline.measure(library.find(), args.name, args.batch_size, args.images, args.repeats)
        return {**found, "machine": bench.machine()}
    return bench.measure(args.name, args.batch_size, args.images, args.repeats)


def apart(args: argparse.Namespace) -> dict[str, Any]:
    """Measure in a process of its own: how many threads BLAS uses is settled when it is imported."""
    words = [
        f"--{name.replace('_', '-')}={getattr(args, name)}" for name in ("name", "batch_size", "images", "repeats")
    ]
    command = [sys.executable, "-m", "handlens", "bench", *words, *(["--ops"] if args.ops else []), "--json"]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    env = {**os.environ, **bench.alone(), MARK: "1", "PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise DataError(lines[-1].removeprefix("handlens bench: "))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def text(result: dict[str, Any]) -> str:
    """A Markdown table."""
    return ops_text(result) if "ops" in result else times_text(result)


def times_text(result: dict[str, Any]) -> str:
    """A row a job, a column an engine."""
    best, names = result["best"], list(result["rows"][0]["times"])
    others = [name for name in names if name != best]
    head = ["ms", *names, *(f"of {name}" for name in others if len(others) < 2 or not name.startswith("native"))]
    lines = [
        f"`{result['name']}`, {result['threads']} thread, medians of {result['repeats']} rounds by turns "
        f"({result['machine']}):",
        "",
        "| " + " | ".join(head) + " | GFLOP/s |",
        "|---|" + "---:|" * len(head),
    ]
    for row in result["rows"]:
        times = [
            f"{row['times'][name]:.3g}" if row["times"][name] < 100 else f"{row['times'][name]:.0f}" for name in names
        ]
        ratios = [f"{row['ratios'][name[3:]]:.2f}" for name in head if name.startswith("of ")]
        lines.append("| " + " | ".join([row["what"], *times, *ratios, f"{row['gflops']:.1f}"]) + " |")
    pair = result["augmentation"]
    lines += [
        "",
        f"Ratios and GFLOP/s are those of {best}. Augmentation makes a training step {pair['ratio']:.2f} times as long "
        f"({pair['backend']}, in turn with one without it).",
        *(f"{name}: {reason}." for name, reason in result["missing"].items()),
    ]
    return "\n".join(lines)


def ops_text(result: dict[str, Any]) -> str:
    """A row an op."""
    lines = [
        f"`{result['name']}` op by op, {result['title']} ({result['lanes']} lanes), {result['machine']}; one core "
        f"multiplies and adds in registers at {result['peak']:.1f} GFLOP/s:",
        "",
        "| job | op | layer | ms | GFLOP/s | of the peak | GB/s |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in result["ops"]:
        speed = f"{row['gflops']:.1f} | {row['gflops'] / result['peak']:.0%}" if row["gflops"] else "– | –"
        figures = f"{row['milliseconds']:.3f} | {speed} | {row['gigabytes']:.1f}"
        lines.append(f"| {row['job']} | {row['op']} | {row['layer']} | {figures} |")
    return "\n".join(lines)
