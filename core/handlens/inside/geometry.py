"""Where a window stands, where it stands next, and what no window of its layer ever reads; how full a colour is."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..graph import Array
from .anatomy import Anatomy
from .explain import Explanation, Lens
from .steps import Step

_peaks: WeakKeyDictionary[Lens, float] = WeakKeyDictionary()  # of a network's whole trace, found once a drawing


def peak(values: Array) -> float:
    """The largest size; 0 for nothing."""
    return float(np.abs(values).max(initial=0.0))


def runs(missing: Array) -> list[list[int]]:
    """[first, count] of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], missing.astype(np.int8), [0]))))
    return [[int(first), int(end - first)] for first, end in edges.reshape(-1, 2)]


def unread(step: Step) -> dict[str, Any]:
    """What no window reads of the source, the padding left out: ``rows`` and ``columns`` as runs [first, count], how
    many of each there are (``lost``), and how many cells of how many that makes.

    A stride that does not come out even leaves an edge over; one that is longer than the window leaves gaps, too.
    """
    window, found, lost, read = step.window, [], [], 1
    for axis, size in enumerate(step.reads[1:]):
        missing = np.ones(size, bool)
        for place in range(window.out[axis]):
            first = place * window.strides[axis] - window.pads[axis]
            missing[max(0, first) : max(0, first + window.kernel[axis])] = False
        found.append(runs(missing))
        lost.append(int(missing.sum()))
        read *= size - lost[-1]
    cells = step.reads[1] * step.reads[2]
    return {"rows": found[0], "columns": found[1], "lost": lost, "cells": cells - read, "of": cells}


def following(step: Step, row: int, column: int) -> list[int]:
    """Row and column, in the unpadded source, of the first cell of the window after this one; [] after the last."""
    window = step.window
    row, column = (row, column + 1) if column + 1 < window.out[1] else (row + 1, 0)
    if row >= window.out[0]:
        return []
    return [row * window.strides[0] - window.pads[0], column * window.strides[1] - window.pads[1]]


def windowed(step: Step, made: Explanation) -> dict[str, Any]:
    """The geometry of the window over the source."""
    return {
        "window": list(made.details["window"]),
        "next": following(step, *made.index[1:]),
        "kernel_size": list(made.details["kernel"]),
        "strides": list(made.details["strides"]),
        "pads": list(made.details["pads"]),
        "unread": unread(step),
        "out": list(step.shape[1:]),
    }


def network_peak(lens: Lens, anatomy: Anatomy) -> float:
    """The largest size of all numbers of the network."""
    if lens not in _peaks:
        _peaks[lens] = max(peak(lens.values(key)) for key in anatomy.rows)
    return _peaks[lens]


def scales(lens: Lens, anatomy: Anatomy, shown: Array, layer: Array) -> dict[str, float]:
    """The value of full colour by each choice of what it is the largest of: the map (or maps that are compared), the
    layer, the whole network."""
    return {"map": peak(shown), "layer": peak(layer), "network": network_peak(lens, anatomy)}
