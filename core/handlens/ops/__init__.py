"""The op table: everything a plan can be made of, a module a family."""

from . import activation, conv, data, loss, matmul, normalization, optimizer, pool
from .table import TABLE, find

__all__ = ["TABLE", "activation", "conv", "data", "find", "loss", "matmul", "normalization", "optimizer", "pool"]
