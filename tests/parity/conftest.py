"""The backends of the parity tests: every build of the compiled kernels that this host runs, and its GPU.

The GPU is whatever WebGPU's native implementation finds, SwiftShader where there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gpu_driver
import numpy as np
import pytest
from handlens.backends.native import Library, NativeBackend
from handlens.backends.native import library as kernels
from handlens.backends.webgpu import WebgpuBackend
from handlens.data import mnist
from handlens.errors import BackendError


@pytest.fixture(scope="module")
def digits(mnist_dir: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of MNIST, 8 bits."""
    images = mnist.read_idx(mnist_dir / "train-images-idx3-ubyte")[:6400]
    return images, mnist.read_idx(mnist_dir / "train-labels-idx1-ubyte")[:6400]


@pytest.fixture(scope="session")
def webgpu(chromium_path: str) -> Iterator[WebgpuBackend]:
    """The backend on this machine's adapter. Fails where there is none: Chromium brings SwiftShader."""
    gpu_driver.use_swiftshader(chromium_path)
    from handlens.backends.webgpu.host_gpu import HostGpu

    try:
        device = HostGpu()
    except BackendError as error:
        pytest.fail(f"no adapter for wgpu: {error}")
    yield WebgpuBackend(device)


def builds() -> list[str]:
    """The builds of the kernels for this host, up to what its processor can run."""
    there = [name for name in kernels.candidates() if (kernels.FOLDER / name).is_file()]
    try:
        best = kernels.find().path.name
    except BackendError:
        return []
    return there[there.index(best) :]


@pytest.fixture(scope="session", params=builds() or ["none"])
def native(request: pytest.FixtureRequest) -> NativeBackend:
    """The compiled kernels of one build. Fails where there is none: `make.py test` builds them."""
    if request.param == "none":
        pytest.fail(f"no compiled kernels for this host in {kernels.FOLDER.name}/: python3 build/make.py kernels")
    return NativeBackend(Library(kernels.FOLDER / request.param))


@pytest.fixture(scope="session")
def best_native() -> NativeBackend:
    """The compiled kernels of the best build for this host."""
    return NativeBackend(kernels.find())
