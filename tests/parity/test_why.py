"""Reasons and the operating table on a GPU: the same maps, patches and answers as on NumPy."""

from __future__ import annotations

import asyncio

import numpy as np
from handlens.backends.webgpu import WebgpuBackend
from handlens.inside.attribution import Sensitivity
from handlens.inside.patches import excitement_async
from handlens.inside.table import Table
from handlens.inside.timing import layer_times_async
from handlens.model import Sequential
from unit.inside_tools import noisy, samples, shipped


def pair(webgpu: WebgpuBackend, name: str) -> tuple[Sequential, Sequential]:
    one, other = shipped(name), shipped(name)
    other.use(webgpu)
    return one, other


def test_the_maps_are_those_of_numpy(webgpu: WebgpuBackend) -> None:
    models = pair(webgpu, "digits")

    async def both() -> None:
        one, other = [await Sensitivity(model, "conv4").of(noisy(3), 7) for model in models]
        np.testing.assert_allclose(one.slope, other.slope, atol=1e-4 * np.abs(one.slope).max())
        np.testing.assert_allclose(one.cam, other.cam, atol=1e-4 * one.cam.max())
        assert models[1].backend is webgpu and not models[1].handed_over

    asyncio.run(both())


def test_edits_and_patches_follow_on_the_device(webgpu: WebgpuBackend) -> None:
    models = pair(webgpu, "cnn-small")
    images, labels = (part[:2] for part in samples())

    async def all_of_it() -> None:
        tables = [Table(model) for model in models]
        for table in tables:
            assert table.model.backend.name == table.original.backend.name
            await table.model.predict_async(images[:1])
            table.zero_kernel("conv1", 1)
            table.set_weight("conv2", (3, 1, 0, 2), 0.75)
        one, other = [await table.model.predict_async(images) for table in tables]
        np.testing.assert_allclose(one, other, atol=1e-4)
        assert np.abs(one - await models[0].predict_async(images)).max() > 1e-3
        for table in tables:
            table.set_pooling("pool1", "average")
        one, other = [await table.model.predict_async(images) for table in tables]
        np.testing.assert_allclose(one, other, atol=1e-4)
        first, second = [await table.measure_async(images, labels) for table in tables]
        assert first == second
        found = [await excitement_async(model, "conv2", images, labels) for model in models]
        np.testing.assert_allclose(found[0].peaks, found[1].peaks, atol=1e-4)
        told = await layer_times_async(models[1], images[0])
        assert set(told.layers.values()) == {None} and "one order" in told.why

    asyncio.run(all_of_it())
    assert not models[1].handed_over
