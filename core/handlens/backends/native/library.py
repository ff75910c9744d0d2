"""The compiled kernels: which build of them this machine can run, opened by ctypes.

``make.py kernels`` puts the builds beside this file, into ``lib/``. In Pyodide that is a WebAssembly side module that
works in place on NumPy's memory; on a host a shared library, one a level of its processor.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import BackendError

FOLDER = Path(__file__).parent / "lib"
PROBE = bytes.fromhex("0061736d0100000001060160017b017b030201000a0d010b00200020002000fd85020b")
SUFFIXES = {"linux": ".so", "darwin": ".dylib", "win32": ".dll"}
SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
LEVELS = (4, 3, 2)  # of x86-64, best first
BUILD = "make them with `python3 build/make.py kernels`"

REASONS = {
    -1: "the plan was encoded for other kernels",
    -2: "the encoded plan is cut off, or longer than it says",
    -3: "a buffer is missing, too small, or not aligned",
    -4: "a tensor's shape, type or place is impossible",
    -5: "there is no such op",
    -6: "an op has too many or too few operands",
    -7: "an operand's element type does not fit the op",
    -8: "operands' shapes do not fit each other",
    -9: "an attribute is out of range",
    -10: "a step writes over its own operands",
    -11: "the memory for the program is too small, or not aligned",
    -12: "control values or records do not have the size that the plan asks for",
    -13: "the plan has no such steps",
}  # of enum hl_error


@dataclass(frozen=True)
class Row:
    """One op of the library: its number in encoded plans, and the names of its attributes in order."""

    number: int
    attributes: tuple[str, ...]


class Library:
    """An opened build of the kernels. Raises BackendError where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.c: Any = ctypes.CDLL(str(path))
        except OSError as error:
            raise BackendError(f"{path.name} does not load: {error}") from None
        self._declare()
        self.ops = {
            words[0]: Row(k, tuple(words[6:]))
            for k, words in enumerate(line.split() for line in self.c.hl_ops_text().decode().splitlines())
        }
        self.ops_hash = int(self.c.hl_ops_hash())
        self.lanes = int(self.c.hl_lanes())

    def _declare(self) -> None:
        size, pointer, i32 = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int32
        signatures: dict[str, tuple[Any, Sequence[Any]]] = {
            "hl_ops_text": (ctypes.c_char_p, ()),
            "hl_ops_hash": (ctypes.c_uint32, ()),
            "hl_lanes": (i32, ()),
            "hl_cpu_level": (i32, ()),
            "hl_speed": (ctypes.c_double, (i32, pointer)),
            "hl_measure": (i32, (pointer, size, pointer)),
            "hl_load_plan": (i32, (pointer, size, pointer, pointer, i32, pointer, size, pointer, size)),
            "hl_prepare": (i32, (pointer,)),
            "hl_run_part": (i32, (pointer, i32, i32)),
            "hl_run": (i32, (pointer, i32, pointer, size, pointer, size)),
        }
        for name, (result, arguments) in signatures.items():
            try:
                function = getattr(self.c, name)
            except AttributeError:
                raise BackendError(f"{self.path.name} has no {name}: it is of another version; {BUILD}") from None
            function.restype, function.argtypes = result, list(arguments)

    @property
    def title(self) -> str:
        """What a person may want to know of it: "x86_64-v4" or "WebAssembly relaxed SIMD"."""
        if self.path.suffix == ".wasm":
            return "WebAssembly relaxed SIMD" if "relaxed" in self.path.stem else "WebAssembly SIMD"
        return self.path.stem.split("-", 2)[-1]


def candidates() -> list[str]:
    """File names of the builds for this machine, best first."""
    if sys.platform == "emscripten":
        plain, relaxed = "handlens-side.wasm", "handlens-side-relaxed.wasm"
        return [relaxed, plain] if relaxed_simd() else [plain]
    machine = platform.machine().lower()
    name = f"handlens-{SYSTEMS.get(sys.platform, sys.platform)}-{MACHINES.get(machine, machine)}"
    suffix = SUFFIXES.get(sys.platform, ".so")
    return [f"{name}-v{level}{suffix}" for level in LEVELS] if name.endswith("x86_64") else [name + suffix]


def relaxed_simd() -> bool:
    """Whether this browser takes relaxed SIMD: a function of one ``f32x4.relaxed_madd`` is shown to it."""
    js, ffi = import_module("js"), import_module("pyodide.ffi")  # Pyodide alone has them
    return bool(js.WebAssembly.validate(ffi.to_js(PROBE)))


def find(folder: Path = FOLDER) -> Library:
    """The best build that this machine runs; BackendError with the reasons where there is none.

    On x86-64 the library of the lowest level is opened first, and asks the processor.
    """
    names = candidates()
    there = [name for name in names if (folder / name).is_file()]
    if not there:
        raise BackendError(f"no compiled kernels for this machine are installed ({names[-1]}); {BUILD}")
    if there[-1].partition(".")[0].endswith("-v2"):
        level = int(Library(folder / there[-1]).c.hl_cpu_level())
        there = [name for name in there if int(name.partition(".")[0][-1]) <= level]
        if not there:
            raise BackendError("this processor is older than x86-64-v2, for which the kernels are compiled")
    reasons = []
    for name in there:
        try:
            return Library(folder / name)
        except BackendError as error:
            reasons.append(str(error))
    raise BackendError("; ".join(reasons))
