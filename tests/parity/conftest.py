"""The GPU of the parity tests: whatever WebGPU's native implementation finds, SwiftShader where there is nothing."""

from __future__ import annotations

from collections.abc import Iterator

import gpu_driver
import pytest
from handlens.backends.webgpu import WebgpuBackend
from handlens.errors import BackendError


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
