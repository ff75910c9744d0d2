"""What a backend implements. Everything else in Handlens talks to plans through these six calls."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import BackendError
from ..graph import Array
from ..plan import Plan

MOST_STEPS = 64  # of one run, on a backend that works ahead
IN_FLIGHT = 2  # runs submitted to one and not yet finished

Result = TypeVar("Result")
Control = Mapping[str, Array]  # control tensor -> one row a step


class Program(ABC):
    """A loaded plan: compiled, allocated, bound."""

    plan: Plan


class Backend(ABC):
    """Replays plans.

    ``suspends`` says whether loading and fetching really wait (a GPU): scripts may only use backends that do not.
    ``works_ahead`` says that a run is only submitted when :meth:`run` returns, and that shared buffers are copies on
    the device: trainings then read losses late (:meth:`recorded`) and parameters when they need them (:meth:`pull`).
    """

    name: str
    suspends = False
    works_ahead = False

    def __deepcopy__(self, memo: object) -> Backend:
        """A copy of a model computes on the same backend: a device or a library is opened once."""
        return self

    @abstractmethod
    def supports(self, plan: Plan) -> list[str]:
        """Reasons why this backend cannot run the plan; empty when it can."""

    @abstractmethod
    async def load(self, plan: Plan, shared: Mapping[str, Array] | None = None) -> Program:
        """Compile, allocate, bind; once. ``shared`` names host buffers to work on in place of new ones."""

    @abstractmethod
    def upload(self, program: Program, name: str, data: Array) -> None:
        """Write an input tensor, or a whole buffer such as ``parameters``."""

    @abstractmethod
    def prepare(self, program: Program) -> None:
        """Run the prologue; to be called whenever the parameters have changed."""

    @abstractmethod
    def run(self, program: Program, steps: int = 1, control: Control | None = None) -> None:
        """Replay the plan; never blocks on a read, never allocates buffers."""

    async def run_async(
        self, program: Program, steps: int = 1, control: Control | None = None, budget: float = 0.05
    ) -> None:
        """:meth:`run` for an event loop: gives it a turn at least every ``budget`` seconds."""
        self.run(program, steps, control)
        await asyncio.sleep(0)

    @abstractmethod
    async def fetch(self, program: Program, *names: str) -> dict[str, Array]:
        """Copies of public outputs, tensors or buffers: the only read-back. A recorded output comes as one row a
        step of the last run."""

    async def answer(
        self, program: Program, name: str, data: Array, *outputs: str, cooperative: bool = True
    ) -> dict[str, Array]:
        """Upload the input ``name``, run once, fetch ``outputs``: a prediction; ``cooperative`` as in
        :meth:`run_async`. A GPU does the three in one submit."""
        self.upload(program, name, data)
        if cooperative:
            await self.run_async(program)
        else:
            self.run(program)
        return await self.fetch(program, *outputs)

    def variants_of(self, plan: Plan) -> Sequence[Mapping[str, str]]:
        """Sets of kernels (op -> variant) between which measuring can choose for such a plan; the usual one first."""
        return ({},)

    def prefer(self, plan: Plan, variants: Mapping[str, str]) -> None:
        """Take this set for plans such as this one from now on."""
        return  # where there is one kernel an op there is nothing to prefer

    async def recorded(self, program: Program) -> dict[str, Array]:
        """What the oldest run not yet asked for has recorded, a row a step."""
        return await self.fetch(program, *program.plan.records)

    def push(self, program: Program) -> None:
        """Take what the host has changed in shared arrays that the program writes."""
        return  # where they are one there is nothing to do

    async def pull(self, program: Program) -> None:
        """Bring the host's shared arrays to what the device has made of them."""
        return  # where they are one there is nothing to do

    @abstractmethod
    def close(self, program: Program) -> None:
        """Free everything; may be called twice, and after a lost device."""


def drive(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never really waits, without an event loop (there may be one running already)."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: Result = done.value
        return value
    coroutine.close()
    raise BackendError("this backend has to wait for a device; use the *_async methods, or backend='numpy'")


class Turn:
    """Gives the event loop a turn whenever ``budget`` seconds have passed since the last one."""

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.last = time.perf_counter()

    async def take(self) -> None:
        """Yield if it is time to."""
        if time.perf_counter() - self.last >= self.budget:
            await asyncio.sleep(0)
            self.last = time.perf_counter()
