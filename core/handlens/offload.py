"""Training on a device that works ahead of the host: several steps a submit, losses read late, checked as it goes.

Every ``CHECK_EVERY`` steps a micro-batch is computed on the device and with NumPy, from the device's own parameters;
where loss and gradients agree, that state is the last good one. Where they do not, or where the device fails, the
training goes back there and on with the next backend, and says why; what was reported since then is reported again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .backends import Backend, NumpyBackend, Program
from .backends.base import IN_FLIGHT, MOST_STEPS
from .errors import BackendError
from .graph import Array
from .layers.regularization import SEED
from .plan import Plan

if TYPE_CHECKING:
    from .training import Saved, Taken, Tally, Training

CHECK_EVERY = 50  # steps
PROBE = 8  # images of the micro-batch
SUBMIT_SECONDS = 0.016  # of one submit: a screen can be drawn in between
RATE = 0.01  # learning rate of the step that is checked, on copies: large enough to be seen in float32
LOSS_LIMIT, GRADIENT_LIMIT = 1e-4, 1e-3  # of the loss, and of the largest gradient of an array
MOVE_LIMIT = 0.1  # of the length of a step
NOISE = 1e-5  # of the largest gradient: less than this is what float32 rounds away


@dataclass
class Good:
    """A state that was checked, and where in the epoch it stood."""

    saved: Saved
    batch: int
    tally: Tally


class Probe:
    """A step with a micro-batch, loaded on a device and with NumPy: what a check runs.

    The training keeps it until it closes, so that a check compiles and allocates nothing on the device: it costs two
    steps of ``PROBE`` images and the reading of the parameters (:func:`handlens.choose.judge_training` counts that).
    """

    def __init__(self, plan: Plan, sides: list[tuple[Backend, Program]]) -> None:
        """Made by :meth:`load`."""
        self.plan, self.sides = plan, sides

    @classmethod
    async def load(cls, training: Training, backend: Backend, count: int) -> Probe:
        """For ``count`` images of the training's own data. Raises BackendError where the device has no room for it."""
        probe = cls(probe_plan(training, count), [])
        shared = {"data": training.data, "targets": training.targets}
        try:
            for side in (backend, NumpyBackend()):
                probe.sides.append((side, await side.load(probe.plan, shared)))
        except BaseException:
            probe.close()
            raise
        return probe

    async def step(self, training: Training, rows: Array, step: int) -> list[dict[str, Array]]:
        """Loss, gradients and parameters after one step with the images ``rows``, from the training's own parameters:
        the device's and NumPy's. ``step``: its number, from 1."""
        one = np.array([[1.0]], np.float32)
        control = {"rows": rows[None], "learning_rate": RATE * one, "step": step * one}
        control[SEED] = np.array([[step]], np.uint32)
        found = []
        for backend, program in self.sides:
            for name, array in training.arrays(self.plan).items():
                if name in ("parameters", "state", *training.moments):
                    backend.upload(program, name, array)
            backend.run(program, 1, {k: v for k, v in control.items() if k in self.plan.controls})
            found.append(await backend.fetch(program, "loss", "gradients", "parameters"))
        return found

    def close(self) -> None:
        """Free both programs; twice is fine."""
        for backend, program in self.sides:
            backend.close(program)
        self.sides.clear()


class Offload:
    """One epoch of a training on a device. ``alive`` until the training was handed over to the next backend.

    The host's parameters, which callbacks see, are those of the last check; at an epoch's end they are the device's.
    """

    def __init__(self, training: Training, cooperative: bool = False) -> None:
        self.training, self.backend, self.cooperative, self.alive = training, training.model.backend, cooperative, True
        self.waiting: deque[tuple[Program, int, int]] = deque()  # program, steps, images a step
        self.ahead = 0  # batches submitted and not yet taken
        self.good = Good(training.saved(), training.batch, replace(training.tally))
        self.checked = -1  # the batch before which the last check was made
        self._since = time.perf_counter()
        for program in training.loaded(self.backend):
            self.backend.push(program)  # callbacks may have changed the parameters since the last epoch

    # -- one turn of the loop

    async def advance(self) -> list[Taken]:
        """Submit what there is room for, and give the results of the oldest run once enough are under way.

        [] where nothing is ready yet, and after the training was handed over.
        """
        if self.cooperative:
            await asyncio.sleep(0)  # where the device blocks, nothing else would give the event loop a turn
        try:
            return await self._advance()
        except BackendError as error:
            self._give_up(str(error))
            return []

    async def _advance(self) -> list[Taken]:
        training = self.training
        following = training.batch + self.ahead
        due = self._check_due(following)
        if following < training.steps_per_epoch and not training.history.stopped and not (due and self.waiting):
            if due:
                await self._check(following)
            await self._submit(following)
            following = training.batch + self.ahead
            more = following < training.steps_per_epoch and not self._check_due(following)
            if more and len(self.waiting) < IN_FLIGHT:
                return []
        return await self._take()

    def _check_due(self, batch: int) -> bool:
        step = self.training.epoch * self.training.steps_per_epoch + batch
        return step % CHECK_EVERY == 0 and batch != self.checked

    async def _submit(self, first: int) -> None:
        training = self.training
        full = len(training.data) // training.batch_size
        step = training.epoch * training.steps_per_epoch + first
        steps = 1 if first >= full else min(training.burst, full - first, CHECK_EVERY - step % CHECK_EVERY)
        count = len(training.rows(first))
        program = await training.program(count, self.backend)
        rows = [training.control(first + k) for k in range(steps)]
        control = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        await self.backend.run_async(program, steps, control)
        self.waiting.append((program, steps, count))
        self.ahead += steps

    async def _take(self) -> list[Taken]:
        if not self.waiting:
            return []
        program, steps, count = self.waiting.popleft()
        found = await self.backend.recorded(program)
        self.ahead -= steps
        losses = found["loss"].reshape(-1)
        if not np.isfinite(losses).all():
            raise BackendError("a loss that is not finite came from the device")  # NumPy tells whether it is so
        self._pace(steps)
        correct = found["correct"].reshape(-1) if "correct" in found else np.zeros(len(losses))
        return [(float(loss), float(right), count) for loss, right in zip(losses, correct, strict=True)]

    def _pace(self, steps: int) -> None:
        """The next run's number of steps: as many as stay under ``SUBMIT_SECONDS``, at least one."""
        now = time.perf_counter()
        each, self._since = (now - self._since) / steps, now
        fit = int(SUBMIT_SECONDS / max(each, 1e-6))
        self.training.burst = max(1, min(fit, 2 * self.training.burst, MOST_STEPS))  # growing in steps of two

    # -- the end of the epoch, or of the training

    async def last(self) -> bool:
        """For a training that was stopped: whether runs are still to be taken; if not, the parameters are home."""
        if self.alive and self.waiting:
            return True
        await self.home()
        return False

    async def home(self) -> None:
        """Bring parameters, state and moments to the host, once they have been checked."""
        if not self.alive:
            return
        try:
            await self._check(self.training.batch)
        except BackendError as error:
            self._give_up(str(error))

    async def _pull(self) -> None:
        training = self.training
        program = await training.program(min(training.batch_size, len(training.data)), self.backend)
        await self.backend.pull(program)
        for array in (training.model.parameters, training.model.state, *training.moments.values()):
            if not np.isfinite(array).all():
                raise BackendError("parameters that are not finite came from the device")

    # -- proof, and what happens without it

    async def _check(self, batch: int) -> None:
        """Compare the sides on a micro-batch, from the device's parameters; remember these as good if they agree.

        Where they do not they get another one: a value on the edge of a ReLU or of a maximum may fall on either side.
        Raises BackendError with what is wrong on both.
        """
        training = self.training
        await self._pull()
        rows = training.rows(batch if batch < training.steps_per_epoch else 0)
        step = training.epoch * training.steps_per_epoch + batch + 1
        wrong = await self._compared(rows[:PROBE], step)
        if wrong:
            wrong = await self._compared(rows[-PROBE:], step)
        if wrong:
            raise BackendError(f"at step {step} {wrong}")
        self.checked = batch
        self.good = Good(training.saved(), batch, replace(training.tally))
        self._since = time.perf_counter()

    async def _compared(self, rows: Array, step: int) -> str:
        """Take one step with these images on both sides, on copies of the parameters; what is wrong, or ""."""
        probe = await self.training.probe(len(rows), self.backend)
        return disagreement(self.training, *await probe.step(self.training, rows, step))

    def _give_up(self, reason: str) -> None:
        """Back to the last good state, and on with the next backend."""
        training, self.alive = self.training, False
        self.waiting.clear()
        training.restore(self.good.saved)
        training.batch, training.tally = self.good.batch, self.good.tally
        training.hand_over(self.backend, f"{self.backend.name}: {reason}")


def probe_plan(training: Training, count: int) -> Plan:
    """A step with a micro-batch, without augmentation."""
    from .training import step_plan

    described = [(a.shape, a.dtype.name) for a in (training.data, training.targets)]
    return step_plan(training.model, training.optimizer, training.loss, count, described[0], described[1])


def disagreement(training: Training, device: dict[str, Array], host: dict[str, Array]) -> str:
    """What is wrong with the device's loss, gradients or parameters after a step from the training's own; "" if nothing
    is. Values that are not finite are wrong."""
    losses = float(device["loss"].flat[0]), float(host["loss"].flat[0])
    if not abs(losses[0] - losses[1]) <= LOSS_LIMIT * max(1.0, abs(losses[1])):
        return f"the loss of a micro-batch is {losses[0]:.6g}, and {losses[1]:.6g} with NumPy"
    layout = training.model.layout
    for name, offset in layout.offsets.items():
        cut = slice(offset, offset + int(np.prod(layout.shapes[name])))
        mine, theirs = device["gradients"][cut], host["gradients"][cut]
        scale = float(np.abs(theirs).max(initial=0.0))
        error = float(np.abs(mine - theirs).max(initial=0.0))
        if not error <= GRADIENT_LIMIT * scale + 1e-6:
            return f"the gradient of {name} differs from NumPy's by {error:.2g}, where its largest is {scale:.2g}"
    return moved_otherwise(training.model.parameters, device, host)


def moved_otherwise(start: Array, device: Mapping[str, Array], host: Mapping[str, Array]) -> str:
    """What is wrong with where a step has taken the parameters from ``start``, as a whole; "" if nothing is.

    device, host: "parameters" after the step, and its "gradients". Of single parameters nothing can be asked: Adam
    takes a whole step also where a gradient is next to nothing. Those do not count whose gradient is what was rounded
    away (of a bias before a batch norm it would be nought): they go anywhere, on either side.
    """
    mine, theirs = (np.abs(side["gradients"]) for side in (device, host))
    told = (theirs > NOISE * float(theirs.max(initial=0.0))) | ((theirs == 0) & (mine == 0))
    moves = [side["parameters"][told] - start[told] for side in (device, host)]
    found, length = (float(np.linalg.norm(move)) for move in moves)
    if not float(np.linalg.norm(moves[0] - moves[1])) <= MOVE_LIMIT * length + 1e-6:
        return f"a step moves the parameters by {found:.2g}, and by {length:.2g} with NumPy"
    return ""
