"""What computes for a page: compiled kernels from the start where they are right, and on where they are faster; a GPU
once it has proved that it is faster still; for reading and for training apart. Every choice comes with a sentence that
says why."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import numpy as np

from . import backends, choose
from .backends import Backend
from .choose import TITLES, Verdict
from .errors import BackendError
from .graph import Array
from .model import Sequential

PATIENCE = 30.0  # s: of the judgement of a GPU that was asked for by name
SOME = 4  # images that kernels are timed on after the first answer: a drawing is read as one image or a few


class Chooser:
    """``forced`` is the backend that was asked for by name, or "". ``progress``: compiled kernels of a GPU, and of how
    many; (0, 0) where nobody waits for any. ``late``: the last judgement of a GPU ran out of time, and the next one
    goes on from what was compiled meanwhile."""

    def __init__(self) -> None:
        self.forced = ""
        self.progress = (0, 0)
        self.late = False
        self._turn = object()  # of those who are told of compiled kernels; an earlier one's no longer count
        self._kernels: Backend | None = None  # once they were found right
        self._verdict: Verdict | None = None
        self._proved = False  # also on golden tensors
        self._computed: WeakSet[Sequential] = WeakSet()  # the models that they compute
        self.said: str | None = None  # what there is to say of the compiled kernels

    @property
    def cpu(self) -> Backend:
        """What computes where no GPU does."""
        return self._kernels or backends.get("numpy")

    async def begin(self, model: Sequential, forced: str = "") -> str:
        """Have a model that was just loaded computed by the best that the processor runs; what there is to say of it.

        The compiled kernels are judged once, on the first model, in about 50 ms: they compute from then on if they are
        right, and :meth:`measure_again` sees to the rest. ``forced`` "numpy" leaves them out.
        """
        self.forced = forced
        if self.said is None:
            self.said = await self._judge_kernels(model) if forced != "numpy" else ""
        if forced != "numpy" and model.backend.name == "numpy":
            model.use(self.cpu)
            self._computed.add(model)
        return self.said

    async def _judge_kernels(self, model: Sequential) -> str:
        try:
            native = backends.get("native")
        except BackendError:
            return f"{TITLES['native']} is not used: {backends.why_not('native')}."
        verdict = await choose.judge_at_start(model, some_images(model, 1), native)
        if verdict.right:  # so short a race is no reason to leave them out
            self._kernels, self._verdict = native, replace(verdict, used=True, reason="")
            return self._sentence(self._verdict)
        backends.refuse("native", verdict.reason)  # nor does it take over from a GPU that fails
        return self._sentence(verdict)

    async def measure_again(self, model: Sequential) -> str:
        """The compiled kernels' sentence with the speed that they have now: by their first answers a browser has
        compiled them anew, and better. Before that they are held to golden tensors, once; where they fail, NumPy goes
        on with everything that they computed. Where they are right but slower, it goes on with this model."""
        if self._kernels is not None and await self._prove():
            assert self._verdict is not None
            with suppress(BackendError):  # it was right before; what cannot be timed now keeps the speed of the start
                self._verdict = await choose.measured(self._verdict, model, some_images(model), self._kernels)
            if not self._verdict.used and self.forced != "native" and model.backend is self._kernels:
                model.use(backends.get("numpy"))
            self.said = self._sentence(self._verdict)
        return self.said or ""

    async def _prove(self) -> bool:
        """Whether the kernels are right on golden tensors, forward and backward."""
        if self._kernels is None or self._verdict is None or self._proved:
            return self._proved
        found = await choose.held_to_golden(self._verdict, self._kernels)
        self._proved = found.right
        if found.right:
            self._verdict = found
            return True
        self._kernels = None
        backends.refuse("native", found.reason)
        self.said = self._sentence(found)
        for model in self._computed:
            if model.backend.name == "native":
                model.use(self.cpu)
        return False

    async def judge(self, model: Sequential, images: Array) -> tuple[bool, str]:
        """Hold a GPU against what answers so far, on images that were just read: whether it answers from now on, and
        what there is to say. Where it was asked for by name, being right is enough."""
        report = self._listen()
        forced = self.forced == "webgpu"
        try:
            gpu = await backends.open_webgpu()
        except BackendError:
            return False, f"{TITLES['webgpu']} is not used: {backends.why_not('webgpu')}."
        gpu.progress = report  # type: ignore[attr-defined]
        budget = PATIENCE if forced else choose.BUDGET
        verdict = await choose.judge_inference(model, images, gpu, budget, model.backend)
        used, self.late = verdict.used or (forced and verdict.right), verdict.late
        self._listen()
        if used:
            model.use(gpu)
        return used, self._sentence(verdict)

    def _listen(self) -> Callable[[int, int], None]:
        """Who is told of compiled kernels from now on. What goes on being compiled for an earlier judgement is not
        shown: nobody waits for it."""
        turn = self._turn = object()
        self.progress = (0, 0)

        def report(done: int, of: int) -> None:
            if self._turn is turn:
                self.progress = (done, of)

        return report

    async def trainer(self, pupil: Sequential, x: Array, y: Array, optimizer: Any, batch: int) -> tuple[Backend, str]:
        """What is to train: a GPU if it is there and was right and faster at this very training, else the processor;
        and what there is to say. ``progress`` goes on while the GPU prepares the training itself."""
        await self._prove()
        report = self._listen()
        try:
            gpu = await backends.open_webgpu()
        except BackendError:
            return self.cpu, ""  # the reason stands on the page since the first answer
        gpu.progress = report  # type: ignore[attr-defined]
        forced = self.forced == "webgpu"
        budget = PATIENCE if forced else choose.BUDGET
        verdict = await choose.judge_training(pupil, x, y, optimizer, gpu, batch, budget, self.cpu)
        used = verdict.used or (forced and verdict.right)
        if not used:
            self._listen()  # the processor trains: nobody waits for kernels
        return (gpu if used else self.cpu), self._sentence(verdict)

    def _sentence(self, verdict: Verdict) -> str:
        """The verdict's sentence; what is right but slower is still used where it was asked for."""
        sentence = verdict.sentence()
        if self.forced == verdict.backend and verdict.right and not verdict.used:
            sentence = f"{sentence.removesuffix(': not used')}; used because it was asked for"
        return f"{sentence}."


def some_images(model: Sequential, count: int = SOME) -> Array:
    """Images that kernels are judged on: for speed it does not matter what they show."""
    return np.random.Generator(np.random.PCG64(5)).random((count, *model.input_shape), np.float32)
