"""Data: pick the rows of a batch out of a resident data set, so that a step needs no upload but its row numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ShapeError
from ..graph import Attrs, Binding, Op, Run, Shapes
from .table import register


class Gather(Op):
    name = "gather"
    inputs = ("data", "rows")
    equation = "y[n, ..] = scale * data[rows[n], ..]"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if len(ins[1]) != 1:
            raise ShapeError(f"gather needs row numbers (N,); got {ins[1]}")
        return [(ins[1][0], *ins[0][1:])]

    def dtypes(self, ins: Sequence[str], attrs: Attrs) -> Sequence[str]:
        return [str(attrs.get("dtype", ins[0]))]

    def numpy(self, b: Binding) -> Run:
        (data, rows), y = b.ins, b.outs[0]
        scale = float(b.attrs.get("scale", 1.0))
        if scale == 1.0:
            return lambda: np.copyto(y, data[rows], casting="unsafe")
        return lambda: np.multiply(data[rows], y.dtype.type(scale), out=y)


gather = register(Gather)
