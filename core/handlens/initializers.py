"""Initial weights, all from one generator so that a seed fixes them.

Sources: Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010;
He et al., "Delving deep into rectifiers", 2015.
"""

from __future__ import annotations

import math

import numpy as np

from .errors import DataError
from .graph import Array, Shape

NAMES = ("zeros", "ones", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform")


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a dense weight (out, in) or a kernel (F, C, KH, KW)."""
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def initialize(name: str, shape: Shape, generator: np.random.Generator) -> Array:
    """A float32 array of ``shape``.

    he: variance ``2 / fan_in``; glorot: ``2 / (fan_in + fan_out)``; uniform on ``+-sqrt(3 * variance)``.
    Raises DataError for an unknown name.
    """
    if name in ("zeros", "ones"):
        return np.full(shape, float(name == "ones"), np.float32)
    if name not in NAMES:
        raise DataError(f"no initializer is called {name!r}; there are: {', '.join(NAMES)}")
    fan_in, fan_out = fans(shape)
    variance = 2.0 / fan_in if name.startswith("he") else 2.0 / (fan_in + fan_out)
    if name.endswith("normal"):
        values = generator.standard_normal(shape) * math.sqrt(variance)
    else:
        values = generator.uniform(-1.0, 1.0, shape) * math.sqrt(3.0 * variance)
    return values.astype(np.float32)
