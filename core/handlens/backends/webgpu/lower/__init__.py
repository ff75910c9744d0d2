"""How each op becomes dispatches, a module a family. Importing this package fills the table of lowerings."""

from . import conv, data, elementwise, loss, matmul, normalization, optimizer, pool

__all__ = ["conv", "data", "elementwise", "loss", "matmul", "normalization", "optimizer", "pool"]
