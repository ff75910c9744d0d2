"""Where every tensor lies: the flat layout of the parameters, and one arena for all intermediate values.

Two values share bytes when their lifetimes do not meet (greedy by size; Pisarchyk & Lee,
"Efficient Memory Management for Deep Neural Net Inference", 2020). Places are aligned to 256 bytes, the strictest
rule of any backend (WebGPU's minStorageBufferOffsetAlignment).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .graph import Graph, Shape, as_numpy_dtype

ALIGNMENT = 256


def aligned(size: int) -> int:
    """``size`` in bytes, rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class Layout:
    """Offsets, in elements, of named arrays in one flat buffer of ``size`` elements; gaps stay zero."""

    offsets: Mapping[str, int]
    shapes: Mapping[str, Shape]
    size: int

    @classmethod
    def of(cls, arrays: Iterable[tuple[str, Shape]]) -> Layout:
        """Lay arrays one after another, each at a multiple of 64 elements (256 bytes of float32)."""
        offsets: dict[str, int] = {}
        shapes: dict[str, Shape] = {}
        position = 0
        for name, shape in arrays:
            offsets[name], shapes[name] = position, shape
            position += -(-math.prod(shape) // 64) * 64
        return cls(offsets, shapes, position)


@dataclass(frozen=True)
class Lifetime:
    """A value that must keep its bytes from node ``first`` to node ``last``."""

    name: str
    size: int
    first: int
    last: int


def roots(graph: Graph) -> dict[str, str]:
    """For every tensor, the one whose memory it is: itself, unless a view op made it."""
    root: dict[str, str] = {name: name for name in graph.tensors}
    for node in graph.nodes:
        if node.op.view:
            root[node.outputs[0]] = root[node.inputs[0]]
    return root


def lifetimes(graph: Graph, keep_all: bool) -> list[Lifetime]:
    """Lifetimes of the intermediate values; public outputs (all values, with ``keep_all``) live to the end."""
    root = roots(graph)
    end = len(graph.nodes)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for operand in (*node.outputs, *node.inputs, *node.updates):
            first.setdefault(root[operand], index)
            last[root[operand]] = index
    for shown in graph.outputs.values():
        last[root[shown]] = end
    spans = []
    for name, begin in first.items():
        tensor = graph[name]
        if tensor.role == "value":
            size = aligned(tensor.size * as_numpy_dtype(tensor.dtype).itemsize)
            spans.append(Lifetime(name, size, begin, end if keep_all else last[name]))
    return spans


def pack(spans: Iterable[Lifetime]) -> tuple[dict[str, int], int]:
    """Byte offsets in the arena, and its size: largest first, each at the lowest place that is free for its life."""
    placed: list[tuple[int, Lifetime]] = []
    for span in sorted(spans, key=lambda s: (-s.size, s.first, s.name)):
        offset = 0
        for start, other in sorted(placed, key=lambda p: p[0]):
            if other.last < span.first or span.last < other.first:
                continue
            if offset + span.size <= start:
                break
            offset = max(offset, start + other.size)
        placed.append((offset, span))
    return {span.name: offset for offset, span in placed}, max((o + s.size for o, s in placed), default=0)
