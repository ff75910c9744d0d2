"""How each op becomes dispatches, a module a family. Importing this package fills the table of lowerings."""

from . import elementwise, loss, optimizer

__all__ = ["elementwise", "loss", "optimizer"]
