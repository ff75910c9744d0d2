"""Backends replay plans. This version carries ``numpy``; ``native`` and ``webgpu`` say why they cannot run yet."""

from __future__ import annotations

from ..errors import BackendError
from .base import Backend, Program, drive
from .numpy_backend import NumpyBackend

_MISSING = {
    "native": "compiled kernels are not part of this version",
    "webgpu": "the WebGPU backend is not part of this version",
}


def available() -> dict[str, str]:
    """Every backend's name with the reason why it cannot run, "" if it can; best first."""
    return {"numpy": "", **_MISSING}


def get(name: str = "numpy") -> Backend:
    """The backend of that name; BackendError with the reason where it cannot run."""
    if name == "numpy":
        return NumpyBackend()
    reason = _MISSING.get(name, "nothing is known by that name")
    raise BackendError(f"backend {name!r} cannot run: {reason}; use backend='numpy'")


__all__ = ["Backend", "NumpyBackend", "Program", "available", "drive", "get"]
