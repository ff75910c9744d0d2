"""File formats: safetensors (weights); each module reads and writes one format and trusts nothing that it reads."""

from __future__ import annotations

from . import safetensors

__all__ = ["safetensors"]
