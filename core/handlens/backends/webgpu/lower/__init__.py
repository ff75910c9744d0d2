"""How each op becomes dispatches, a module a family. Importing this package fills the table of lowerings."""

from . import elementwise

__all__ = ["elementwise"]
