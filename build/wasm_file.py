"""What a WebAssembly file asks for and offers: its sections, imports and exports, read without a tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"\0asm\x01\0\0\0"
KINDS = ("function", "table", "memory", "global", "tag")
CUSTOM, IMPORT, EXPORT, CODE = 0, 2, 7, 10


@dataclass
class Reader:
    """Numbers and names from bytes, front to back."""

    data: bytes
    at: int = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """An unsigned LEB128."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def name(self) -> str:
        return self.take(self.number()).decode("utf-8")

    def limits(self) -> None:
        """The size of a table or memory: least, and most where its flag says so."""
        flags = self.number()
        for _ in range(2 if flags & 1 else 1):
            self.number()


def sections(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Number, name (of a custom section) and content of each section. ValueError where it is no WebAssembly."""
    if not data.startswith(MAGIC):
        raise ValueError("no WebAssembly file")
    reader = Reader(data, len(MAGIC))
    while reader.at < len(data):
        number = reader.byte()
        content = Reader(reader.take(reader.number()))
        yield number, content.name() if number == CUSTOM else "", content.data[content.at :]


def imports(data: bytes) -> list[tuple[str, str]]:
    """What the module asks for: kind and `module.name`."""
    found = []
    for number, _, content in sections(data):
        reader = Reader(content)
        for _ in range(reader.number() if number == IMPORT else 0):
            name = f"{reader.name()}.{reader.name()}"
            kind = KINDS[reader.byte()]
            if kind == "table":
                reader.byte()
                reader.limits()
            elif kind == "memory":
                reader.limits()
            elif kind == "global":
                reader.take(2)
            else:
                reader.take(kind == "tag")
                reader.number()
            found.append((kind, name))
    return found


def exports(data: bytes) -> list[tuple[str, str]]:
    """What the module offers: kind and name."""
    found = []
    for number, _, content in sections(data):
        reader = Reader(content)
        for _ in range(reader.number() if number == EXPORT else 0):
            name = reader.name()
            found.append((KINDS[reader.byte()], name))
            reader.number()
    return found


def code(path: Path) -> bytes:
    """All functions' instructions."""
    return b"".join(content for number, _, content in sections(path.read_bytes()) if number == CODE)
