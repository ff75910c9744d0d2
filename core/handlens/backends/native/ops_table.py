"""The kernels' table of ops: what an encoder needs to know of them, also where no build of them can be opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import BackendError
from .library import BUILD, FOLDER, Row

FILE = "ops.txt"  # beside the builds: the text of hl_ops_text()
OFFSET, PRIME = 2166136261, 16777619  # of 32-bit FNV-1a


@dataclass(frozen=True)
class OpsTable:
    """Every op by name, and the hash by which plans and kernels know that they belong together."""

    text: str
    ops: dict[str, Row]
    hash: int


def parsed(text: str) -> OpsTable:
    """The table of a text as hl_ops_text() gives it: name, operand counts and attributes, a line an op."""
    lines = [line.split() for line in text.splitlines()]
    if not lines or any(len(words) < 6 or not all(map(str.isdigit, words[1:6])) for words in lines):
        raise BackendError("the table of the compiled kernels' ops is damaged")
    ops = {words[0]: Row(k, tuple(words[6:])) for k, words in enumerate(lines)}
    return OpsTable(text, ops, fnv1a(text.encode()))


def fnv1a(data: bytes) -> int:
    """32-bit FNV-1a, as hl_ops_hash() computes it."""
    value = OFFSET
    for byte in data:
        value = ((value ^ byte) * PRIME) & 0xFFFFFFFF
    return value


def installed(folder: Path = FOLDER) -> OpsTable:
    """The table beside the builds. BackendError where there is none."""
    try:
        return parsed((folder / FILE).read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        raise BackendError(f"no compiled kernels are installed ({FILE}); {BUILD}") from None
