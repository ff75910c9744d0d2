"""Kernels silenced one after another: the counts are those of networks without them, and the model stays as it is."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from handlens.errors import DataError
from handlens.inside.ablation import Silenced, ablation, ablation_async
from unit.inside_tools import samples, shipped


def test_every_kernel_is_silenced_once() -> None:
    images, labels = (part[:100] for part in samples())
    model = shipped("cnn-small")
    kept = model.parameters.copy()
    found = ablation(model, "conv1", images, labels)
    np.testing.assert_array_equal(model.parameters, kept)
    original = float((model.predict(images).argmax(axis=1) == labels).mean())
    assert [entry.kernel for entry in found] == list(range(8))
    for entry in found:
        other = shipped("cnn-small")
        other._array("conv1.weight")[entry.kernel] = 0
        other._array("conv1.bias")[entry.kernel] = 0
        right = float((other.predict(images).argmax(axis=1) == labels).mean())
        assert (entry.accuracy, entry.original) == (right, original)
        assert entry.gained - entry.lost == round(100 * (right - original))
    assert min(entry.accuracy for entry in found) < original - 0.05  # some kernel matters


def test_neurons_are_silenced_in_slices() -> None:
    images, labels = (part[:40] for part in samples())
    told, seen = list[float](), list[Silenced]()
    found = asyncio.run(ablation_async(shipped("ann-matched"), "dense1", images, labels, told.append, seen.append))
    assert len(found) == 44 and seen == found and told == sorted(told) and told[-1] == 1.0
    assert found == ablation(shipped("ann-matched"), "dense1", images, labels)
    with pytest.raises(DataError, match="'pool1' has no kernels or neurons"):
        ablation(shipped("cnn-small"), "pool1", images, labels)
