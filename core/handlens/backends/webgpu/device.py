"""What a GPU is to the backend, on whichever side of the browser it is reached from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .lowered import Lowered

RECORDS_KEPT = 3  # runs whose records wait to be read, the newest of those not asked for: two under way, one being read

PIPELINES_KEPT = 512  # of a device, the newest: several networks, each read, judged and trained; replay.js has it too

Progress = Callable[[int, int], None]  # (kernels compiled, of how many)


@dataclass(frozen=True)
class Adapter:
    """What is known of the adapter. ``software``: it computes on the CPU, whatever it is called."""

    name: str
    software: bool
    largest_binding: int
    largest_buffer: int


class Device(ABC):
    """A GPU with programs on it. Handles are plain numbers; nothing here raises for a device that is lost, but
    ``lost`` then says why and results stay what they were."""

    adapter: Adapter
    waits: bool  # whether reading needs an event loop
    lost: str = ""
    crossings: int = 0  # calls from Python into the API or into JavaScript, for tests and the page

    @abstractmethod
    async def load(self, lowered: Lowered, shared: Mapping[str, int], progress: Progress | None = None) -> int:
        """Compile, allocate, bind. ``shared``: buffer name -> handle of a buffer made before. Returns a handle.

        What is compiled is kept for the next program that needs the same shader, also after this one was closed, and
        also where nobody waits for this one any more; it goes with the device.
        """

    @abstractmethod
    def buffer(self, size: int) -> int:
        """A storage buffer that programs can share."""

    @abstractmethod
    def write_shared(self, handle: int, data: Any) -> None:
        """Fill a shared buffer from its beginning."""

    @abstractmethod
    def write(self, program: int, buffer: str, offset: int, data: Any) -> None:
        """Write bytes into a program's buffer."""

    @abstractmethod
    def prepare(self, program: int) -> None:
        """Submit the prologue."""

    @abstractmethod
    def run(self, program: int, steps: int, control: bytes) -> None:
        """Submit ``steps`` steps as one command buffer; ``control`` holds a row a step."""

    @abstractmethod
    async def records(self, program: int) -> bytes:
        """The records of the oldest run not yet asked for, a row a step."""

    @abstractmethod
    async def read(self, program: int, places: list[tuple[str, int, int]]) -> list[bytes]:
        """Bytes of (buffer, offset, bytes), after everything submitted so far."""

    async def answer(
        self, program: int, write: tuple[str, int, Any], places: list[tuple[str, int, int]]
    ) -> list[bytes]:
        """Write (buffer, offset, data), run one step that takes no control values, read ``places``."""
        self.write(program, *write)
        self.run(program, 1, b"")
        return await self.read(program, places)

    @abstractmethod
    async def settled(self, most: int = 0) -> None:
        """Wait until at most ``most`` runs are under way."""

    @abstractmethod
    def close(self, program: int) -> None:
        """Free a program's own buffers; twice is fine."""

    @abstractmethod
    def free(self, handle: int) -> None:
        """Free a shared buffer; twice is fine."""

    @abstractmethod
    def memory(self) -> tuple[int, int]:
        """(buffers, bytes) allocated at the moment."""
