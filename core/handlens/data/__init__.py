"""Data sets: MNIST (IDX files) and pen strokes (UNIPEN text). Nothing is fetched here; files are found or asked for."""

from __future__ import annotations

from . import mnist, unipen

__all__ = ["mnist", "unipen"]
