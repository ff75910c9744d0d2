"""What a network costs: shapes, parameters, multiply-adds and bytes, layer by layer, from the op table alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .graph import Shape

if TYPE_CHECKING:
    from .model import Sequential


@dataclass(frozen=True)
class Row:
    """One layer: its output shape (without the batch), trainable parameters, multiply-adds an image, bytes."""

    layer: str
    kind: str
    shape: Shape
    parameters: int
    multiply_adds: int
    weight_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class Summary:
    """The table; ``str()`` lays it out."""

    name: str
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Trainable parameters of all layers."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def bytes(self) -> int:
        """Bytes of all weights and running statistics."""
        return sum(row.weight_bytes for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON values."""
        return {
            "name": self.name,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "bytes": self.bytes,
            "layers": [{**asdict(row), "shape": list(row.shape)} for row in self.rows],
        }

    def __str__(self) -> str:
        head = ("layer", "kind", "output", "parameters", "multiply-adds", "weights (B)", "values (B)")
        table: list[tuple[str, ...]] = [head]
        for r in self.rows:
            shape = "x".join(map(str, r.shape))
            numbers = (r.parameters, r.multiply_adds, r.weight_bytes, r.activation_bytes)
            table.append((r.layer, r.kind, shape, *(f"{n:,}" for n in numbers)))
        values = sum(r.activation_bytes for r in self.rows)
        table.append(
            ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", f"{self.bytes:,}", f"{values:,}")
        )
        widths = [max(len(row[c]) for row in table) for c in range(len(head))]
        lines = [
            "  ".join(
                cell.rjust(w) if c > 2 else cell.ljust(w) for c, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in table
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0].rstrip(), rule, *(x.rstrip() for x in lines[1:-1]), rule, lines[-1].rstrip()])


def summarize(model: Sequential) -> Summary:
    """Cost of every layer for one image: parameters are trainable ones; bytes are those of float32 arrays."""
    graph = model.graph(1)
    rows = []
    for layer in model.layers:
        own = [t for t in graph.tensors.values() if t.layer == layer.name]
        work = 0
        for node in graph.nodes:
            if node.layer == layer.name:
                ins, outs = ([graph.shape(t) for t in names] for names in (node.inputs, node.outputs))
                work += node.op.multiply_adds(ins, outs, node.attrs)
        output = graph[graph.outputs[layer.name]]
        rows.append(
            Row(
                layer=layer.name,
                kind=type(layer).__name__,
                shape=output.shape[1:],
                parameters=sum(t.size for t in own if t.role == "parameter"),
                multiply_adds=work,
                weight_bytes=4 * sum(t.size for t in own if t.role in ("parameter", "state")),
                activation_bytes=4 * math.prod(output.shape),
            )
        )
    return Summary(model.name, tuple(rows))
