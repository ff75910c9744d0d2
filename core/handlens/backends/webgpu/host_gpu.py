"""A GPU reached from CPython, through the package ``wgpu`` (wgpu-native): for scripts, and for tests without a browser.

It replays the same :class:`Lowered` plans as ``replay.js`` does in a browser, call by call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from ...errors import BackendError
from ..base import MOST_STEPS
from .device import PIPELINES_KEPT, RECORDS_KEPT, Adapter, Device, Progress
from .lowered import Dispatch, Lowered, Source


@dataclass
class Loaded:
    """A program on the device."""

    lowered: Lowered
    buffers: dict[str, Any]
    own: list[Any]
    prologue: list[tuple[Any, Any, tuple[int, int, int]]]
    steps: list[tuple[Any, Any, tuple[int, int, int]]]
    control: Any = None
    ring: list[Any] = field(default_factory=list)
    waiting: deque[tuple[int, int]] = field(default_factory=deque)  # (place in the ring, steps)
    turn: int = 0


def adapters() -> list[Any]:
    """Every adapter that wgpu-native offers here, real GPUs first. Raises BackendError where the package is missing."""
    try:
        import wgpu
    except ImportError as error:
        raise BackendError(f"the package wgpu cannot be imported ({error}); pip install 'handlens[webgpu]'") from None
    found = [a for a in wgpu.gpu.enumerate_adapters_sync() if a.info["backend_type"] != "OpenGL"]
    return sorted(found, key=lambda a: a.info["adapter_type"] == "CPU")


def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """What wgpu-native raises, as BackendError: a lost device, no memory, a command that it refuses."""

    @wraps(method)
    def call(self: HostGpu, *given: Any, **named: Any) -> Any:
        import wgpu

        try:
            return method(self, *given, **named)
        except (wgpu.GPUError, RuntimeError) as error:
            if isinstance(error, BackendError):
                raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise BackendError(f"the GPU failed: {reason[0].rstrip('.')}") from error

    return call


class HostGpu(Device):
    """wgpu-native. Every wait is a blocking call, so that scripts need no event loop."""

    waits = False

    def __init__(self) -> None:
        found = adapters()
        if not found:
            raise BackendError("no Vulkan, Metal or Direct3D 12 adapter was found")
        chosen = found[0]
        self.adapter = Adapter(
            chosen.info["device"] or chosen.info["description"],
            chosen.info["adapter_type"] == "CPU",
            int(chosen.limits["max-storage-buffer-binding-size"]),
            int(chosen.limits["max-buffer-size"]),
        )
        self.device = chosen.request_device_sync()
        self.queue = self.device.queue
        self.programs: dict[int, Loaded] = {}
        self.shared: dict[int, Any] = {}
        self._next = 1
        self._mark = self._storage(4)
        self._layouts: dict[tuple[bool, ...], tuple[Any, Any]] = {}  # written -> layouts of bind group and pipeline
        self._pipelines: dict[Source, Any] = {}  # the most recently used last; they go when this object does

    def _number(self) -> int:
        self._next += 1
        return self._next

    @guarded
    def _storage(self, size: int) -> Any:
        import wgpu

        usage = wgpu.BufferUsage
        return self.device.create_buffer(size=size, usage=usage.STORAGE | usage.COPY_SRC | usage.COPY_DST)

    def _layout(self, written: tuple[bool, ...]) -> tuple[Any, Any]:
        import wgpu

        if written not in self._layouts:
            entries = [
                {
                    "binding": place,
                    "visibility": wgpu.ShaderStage.COMPUTE,
                    "buffer": {"type": "storage" if changes else "read-only-storage"},
                }
                for place, changes in enumerate(written)
            ]
            group = self.device.create_bind_group_layout(entries=entries)
            self._layouts[written] = group, self.device.create_pipeline_layout(bind_group_layouts=[group])
        return self._layouts[written]

    def _pipeline(self, source: Source) -> Any:
        """The source's pipeline, compiled once: its text has the constants in it, ``written`` says the layout."""
        made = self._pipelines.pop(source, None)
        if made is None:
            module = self.device.create_shader_module(label=source.name, code=source.text)
            compute = {"module": module, "entry_point": "main"}
            layout = self._layout(source.written)[1]
            made = self.device.create_compute_pipeline(label=source.name, layout=layout, compute=compute)
        self._pipelines[source] = made
        if len(self._pipelines) > PIPELINES_KEPT:
            del self._pipelines[next(iter(self._pipelines))]  # the programs that use it hold it
        return made

    def _bound(self, loaded: Mapping[str, Any], lowered: Lowered, pipelines: list[Any], dispatch: Dispatch) -> Any:
        entries = [
            {"binding": place, "resource": {"buffer": loaded[name], "offset": offset, "size": size}}
            for place, (name, offset, size) in enumerate(dispatch.bindings)
        ]
        layout = self._layout(lowered.sources[dispatch.source].written)[0]
        group = self.device.create_bind_group(layout=layout, entries=entries)
        return pipelines[dispatch.source], group, dispatch.groups

    async def load(self, lowered: Lowered, shared: Mapping[str, int], progress: Progress | None = None) -> int:
        pipelines = []
        for source in lowered.sources:
            try:
                pipelines.append(self._pipeline(source))
            except Exception as error:
                raise BackendError(f"the kernel {source.name} does not compile: {error}") from error
            if progress:
                progress(len(pipelines), len(lowered.sources))
        own = {name: self._storage(size) for name, size in lowered.buffers.items() if name not in shared}
        buffers = own | {name: self.shared[handle] for name, handle in shared.items()}
        prologue, steps = (
            [self._bound(buffers, lowered, pipelines, d) for d in part] for part in (lowered.prologue, lowered.steps)
        )
        loaded = Loaded(lowered, buffers, list(own.values()), prologue, steps)
        if lowered.control_bytes:
            loaded.control = self._storage(lowered.control_bytes * MOST_STEPS)
            loaded.own.append(loaded.control)
        if lowered.record_bytes:
            loaded.ring = [self._storage(lowered.record_bytes * MOST_STEPS) for _ in range(RECORDS_KEPT)]
            loaded.own += loaded.ring
        number = self._number()
        self.programs[number] = loaded
        return number

    def buffer(self, size: int) -> int:
        number = self._number()
        self.shared[number] = self._storage(size)
        return number

    @guarded
    def write_shared(self, handle: int, data: Any) -> None:
        self.queue.write_buffer(self.shared[handle], 0, data)

    @guarded
    def write(self, program: int, buffer: str, offset: int, data: Any) -> None:
        self.crossings += 1
        self.queue.write_buffer(self.programs[program].buffers[buffer], offset, data)

    @staticmethod
    def _replay(encoder: Any, bound: list[tuple[Any, Any, tuple[int, int, int]]]) -> None:
        compute = encoder.begin_compute_pass()
        for pipeline, group, groups in bound:
            compute.set_pipeline(pipeline)
            compute.set_bind_group(0, group)
            compute.dispatch_workgroups(*groups)
        compute.end()

    @guarded
    def prepare(self, program: int) -> None:
        loaded = self.programs[program]
        self.crossings += 1
        if loaded.prologue:
            encoder = self.device.create_command_encoder()
            self._replay(encoder, loaded.prologue)
            self.queue.submit([encoder.finish()])

    @guarded
    def run(self, program: int, steps: int, control: bytes) -> None:
        loaded = self.programs[program]
        lowered = loaded.lowered
        self.crossings += 1
        if control:
            self.queue.write_buffer(loaded.control, 0, control)
        encoder = self.device.create_command_encoder()
        for k in range(steps):
            start = k * lowered.control_bytes
            for row in lowered.controls if control else ():
                target = loaded.buffers[row.buffer]
                encoder.copy_buffer_to_buffer(loaded.control, start + row.at, target, row.offset, row.bytes)
            self._replay(encoder, loaded.steps)
            start = k * lowered.record_bytes
            for row in lowered.records:
                target = loaded.ring[loaded.turn]
                encoder.copy_buffer_to_buffer(loaded.buffers[row.buffer], row.offset, target, start + row.at, row.bytes)
        self.queue.submit([encoder.finish()])
        if lowered.records:
            if len(loaded.waiting) == RECORDS_KEPT:
                loaded.waiting.popleft()  # nobody has asked for it
            loaded.waiting.append((loaded.turn, steps))
            loaded.turn = (loaded.turn + 1) % RECORDS_KEPT

    async def records(self, program: int) -> bytes:
        loaded = self.programs[program]
        self.crossings += 1
        place, steps = loaded.waiting.popleft()
        data: bytes = self._read(loaded.ring[place], 0, steps * loaded.lowered.record_bytes)
        return data

    async def read(self, program: int, places: list[tuple[str, int, int]]) -> list[bytes]:
        buffers = self.programs[program].buffers
        self.crossings += 1
        return [self._read(buffers[name], offset, size) for name, offset, size in places]

    @guarded
    def _read(self, buffer: Any, offset: int, size: int) -> bytes:
        return bytes(self.queue.read_buffer(buffer, offset, size))

    async def settled(self, most: int = 0) -> None:
        self.queue.read_buffer(self._mark)  # behind all that was submitted; wgpu's own wait meets a wrong C signature

    def close(self, program: int) -> None:
        loaded = self.programs.pop(program, None)
        for held in loaded.own if loaded else ():
            held.destroy()

    @guarded
    def free(self, handle: int) -> None:
        held = self.shared.pop(handle, None)
        if held is not None:
            held.destroy()

    def memory(self) -> tuple[int, int]:
        held = [buffer for loaded in self.programs.values() for buffer in loaded.own] + list(self.shared.values())
        return len(held), sum(buffer.size for buffer in held)
