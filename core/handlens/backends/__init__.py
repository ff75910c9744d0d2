"""Backends replay plans: ``numpy`` everywhere, ``native`` (compiled kernels) and ``webgpu`` where they can run."""

from __future__ import annotations

import sys

from ..errors import BackendError
from .base import Backend, Program, drive
from .numpy_backend import NumpyBackend

NAMES = ("webgpu", "native", "numpy")  # best first
_opened: dict[str, Backend] = {}  # a GPU, or a library, is opened once
_refused: dict[str, str] = {}


def available() -> dict[str, str]:
    """Every backend's name with the reason why it cannot run, "" if it can; best first.

    In a browser a GPU is not known before it has been asked for: see :func:`open_webgpu`.
    """
    return {name: why_not(name) for name in NAMES}


def why_not(name: str) -> str:
    """Why a backend cannot run here; "" if it can."""
    try:
        get(name)
    except BackendError as error:
        return str(error).removeprefix(f"backend {name!r} cannot run: ").removesuffix("; use backend='numpy'")
    return ""


def get(name: str = "numpy") -> Backend:
    """The backend of that name; BackendError with the reason where it cannot run."""
    if name == "numpy":
        return NumpyBackend()
    if name in _opened:
        return _opened[name]
    why = _refused.get(name, "" if name in NAMES else "nothing is known by that name")
    if not why and name == "webgpu" and sys.platform == "emscripten":
        why = "a browser's GPU has to be opened first, by await handlens.backends.open_webgpu()"
    elif not why:
        try:
            _opened[name] = opened(name)
            return _opened[name]
        except BackendError as error:
            why = _refused[name] = str(error)
    raise BackendError(f"backend {name!r} cannot run: {why}; use backend='numpy'")


def refuse(name: str, reason: str) -> None:
    """Leave a backend out from now on: it was tried and found wrong."""
    _opened.pop(name, None)
    _refused[name] = reason


def after(name: str) -> Backend:
    """The backend that takes over where ``name`` fails: the next best that runs here."""
    for other in NAMES[NAMES.index(name) + 1 :]:
        if not why_not(other):
            return get(other)
    return NumpyBackend()


def opened(name: str) -> Backend:
    """The backend of that name, opened anew; each is imported only where it is used."""
    if name == "native":
        from .native import NativeBackend

        return NativeBackend()
    from .webgpu import WebgpuBackend
    from .webgpu.host_gpu import HostGpu

    return WebgpuBackend(HostGpu())


async def open_webgpu() -> Backend:
    """The WebGPU backend, opened if it is not yet; BackendError with the reason where it cannot run.

    A device that was lost is opened anew.
    """
    from .webgpu import WebgpuBackend

    held = _opened.get("webgpu")
    if isinstance(held, WebgpuBackend) and held.device.lost:
        del _opened["webgpu"]
    if sys.platform != "emscripten" or "webgpu" in _opened:
        return get("webgpu")
    from .webgpu.browser_gpu import BrowserGpu

    try:
        _opened["webgpu"] = WebgpuBackend(await BrowserGpu.open())
    except BackendError as error:
        _refused["webgpu"] = str(error)
        raise
    _refused.pop("webgpu", None)
    return _opened["webgpu"]


__all__ = [
    "NAMES",
    "Backend",
    "NumpyBackend",
    "Program",
    "after",
    "available",
    "drive",
    "get",
    "open_webgpu",
    "refuse",
]
