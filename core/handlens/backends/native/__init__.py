"""The compiled kernels as a backend: a plan is encoded once and replayed by one C call."""

from .backend import NativeBackend
from .library import Library

__all__ = ["Library", "NativeBackend"]
