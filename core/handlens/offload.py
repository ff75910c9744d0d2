"""Training on a device that works ahead of the host: several steps a submit, losses read late, checked as it goes.

Every ``CHECK_EVERY`` steps a micro-batch is computed on the device and with NumPy, from the device's own parameters;
where loss and gradients agree, that state is the last good one. Where they do not, or where the device fails, the
training goes back there and on with NumPy, and says why; what was reported since then is reported again.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .backends import NumpyBackend, Program
from .errors import BackendError
from .graph import Array
from .layers.regularization import SEED
from .plan import Plan, make_plan

if TYPE_CHECKING:
    from .training import Saved, Taken, Tally, Training

CHECK_EVERY = 50  # steps
PROBE = 8  # images of the micro-batch
SUBMIT_SECONDS = 0.016  # of one submit: a screen can be drawn in between
MOST_STEPS = 64
IN_FLIGHT = 2
LOSS_LIMIT, GRADIENT_LIMIT = 1e-4, 1e-3  # of the loss, and of the largest gradient of an array


@dataclass
class Good:
    """A state that was checked, and where in the epoch it stood."""

    saved: Saved
    batch: int
    tally: Tally


class Offload:
    """One epoch of a training on a device. ``alive`` until the training was handed over to NumPy."""

    def __init__(self, training: Training) -> None:
        self.training, self.alive = training, True
        self.waiting: deque[tuple[Program, int, int]] = deque()  # program, steps, images a step
        self.ahead = 0  # batches submitted and not yet taken
        self.good = Good(training.saved(), training.batch, replace(training.tally))
        self.checked = -1  # the batch before which the last check was made
        self._since = time.perf_counter()

    # -- one turn of the loop

    async def advance(self) -> list[Taken]:
        """Submit what there is room for, and give the results of the oldest run once enough are under way.

        [] where nothing is ready yet, and after the training was handed over.
        """
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
                if not self.alive:
                    return []
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
        program = await training.program(count)
        rows = [training.control(first + k) for k in range(steps)]
        control = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        await training.model.backend.run_async(program, steps, control)
        self.waiting.append((program, steps, count))
        self.ahead += steps

    async def _take(self) -> list[Taken]:
        if not self.waiting:
            return []
        program, steps, count = self.waiting.popleft()
        found = await self.training.model.backend.recorded(program)
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
        """Bring parameters, state and moments to the host."""
        if not self.alive:
            return
        try:
            await self._pull()
        except BackendError as error:
            self._give_up(str(error))

    async def _pull(self) -> None:
        training = self.training
        program = await training.program(min(training.batch_size, len(training.data)))
        await training.model.backend.pull(program)

    # -- proof, and what happens without it

    async def _check(self, batch: int) -> None:
        """Compute a micro-batch on both sides from the device's parameters; remember them as good if they agree."""
        training = self.training
        await self._pull()
        rows = training.rows(batch)[:PROBE]
        plan = probe_plan(training, len(rows))
        shared = {name: a for name, a in training.arrays(plan).items() if name not in ("gradients", "state")}
        control = {"rows": rows[None], SEED: training.control(batch)[SEED]}
        sides = []
        for backend in (training.model.backend, NumpyBackend()):
            program = await backend.load(plan, shared)
            try:
                backend.run(program, 1, {k: v for k, v in control.items() if k in plan.controls})
                found = await backend.fetch(program, "loss", "gradients")
            finally:
                backend.close(program)
            sides.append((float(found["loss"][0]), found["gradients"].view(np.float32)))
        wrong = disagreement(training, *sides)
        if wrong:
            raise BackendError(f"at step {training.epoch * training.steps_per_epoch + batch + 1} {wrong}")
        self.checked = batch
        self.good = Good(training.saved(), batch, replace(training.tally))
        self._since = time.perf_counter()

    def _give_up(self, reason: str) -> None:
        """Back to the last good state, and on with NumPy."""
        training, self.alive = self.training, False
        self.waiting.clear()
        training.restore(self.good.saved)
        training.batch, training.tally = self.good.batch, self.good.tally
        training.hand_over(f"{training.model.backend.name}: {reason}")


def probe_plan(training: Training, count: int) -> Plan:
    """Loss and gradients of a micro-batch, without augmentation and without an optimizer."""
    from .training import gradient_graph

    described = [(a.shape, a.dtype.name) for a in (training.data, training.targets)]
    graph = gradient_graph(training.model, training.loss, count, described[0], described[1])
    return make_plan(graph, training.model.layout, training.model.state_layout)


def disagreement(training: Training, device: tuple[float, Array], host: tuple[float, Array]) -> str:
    """What is wrong with the device's loss and gradients; "" if nothing is. Values that are not finite are wrong."""
    if not abs(device[0] - host[0]) <= LOSS_LIMIT * max(1.0, abs(host[0])):
        return f"the loss of a micro-batch is {device[0]:.6g}, and {host[0]:.6g} with NumPy"
    layout = training.model.layout
    for name, offset in layout.offsets.items():
        cut = slice(offset, offset + int(np.prod(layout.shapes[name])))
        mine, theirs = device[1][cut], host[1][cut]
        scale = float(np.abs(theirs).max(initial=0.0))
        error = float(np.abs(mine - theirs).max(initial=0.0))
        if not error <= GRADIENT_LIMIT * scale + 1e-6:
            return f"the gradient of {name} differs from NumPy's by {error:.2g}, where its largest is {scale:.2g}"
    return ""
