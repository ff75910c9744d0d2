"""The op table: everything a plan can be made of, a module a family."""

from . import activation, augment, conv, data, loss, matmul, normalization, optimizer, pool
from .table import TABLE, find

__all__ = [
    "TABLE",
    "activation",
    "augment",
    "conv",
    "data",
    "find",
    "loss",
    "matmul",
    "normalization",
    "optimizer",
    "pool",
]
