"""``handlens doctor``: what can run here, and why not."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
from typing import Any

import numpy as np

from .. import __version__, backends, roofline
from ..backends.native import NativeBackend
from ..data import mnist
from ..errors import HandlensError

OPTIONAL = {
    "PIL": "reading image files (pillow)",
    "tqdm": "progress bars (tqdm)",
    "torch": "the column of PyTorch in bench (torch)",
    "wgpu": "the WebGPU backend (wgpu)",
}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Versions, backends, data and optional packages."""
    try:
        data = str(mnist.find_folder())
    except HandlensError as error:
        data = f"missing: {error}"
    return {
        "handlens": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}, {os.cpu_count()} cores",
        "backends": {name: reason or ready(name) for name, reason in backends.available().items()},
        "mnist": data,
        "optional": {
            use: "ready" if importlib.util.find_spec(name) else "not installed" for name, use in OPTIONAL.items()
        },
    }


def ready(name: str) -> str:
    """That a backend can run, and of compiled kernels which build of them, and what it makes of one core here."""
    backend = backends.get(name)
    if not isinstance(backend, NativeBackend):
        return "ready"
    kernels = backend.library
    return f"ready: {kernels.title}, {kernels.lanes} lanes of float32, {roofline.peak(kernels):.0f} GFLOP/s on one core"


def text(result: dict[str, Any]) -> str:
    """A line a fact."""
    lines = []
    for key, value in result.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        lines += [f"{key + (' ' + name if name else ''):<44} {fact}" for name, fact in rows]
    return "\n".join(lines)
