"""Training: the plan of one step, and the loop around it.

Batches, dropout masks and initial weights all follow from one seed, so the same seed gives the same training, and a
training that is resumed from a checkpoint ends with the same bits as one that was never stopped.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import numpy as np

from . import backends, losses, optimizers
from .augment import Augment
from .augment import checked as checked_augment
from .autodiff import backward, place_gradients
from .errors import BackendError, DataError, DivergenceError, ShapeError
from .fuse import fuse
from .graph import Array, Graph, Shape
from .layers.regularization import SEED
from .offload import Offload, Probe
from .ops.data import gather
from .plan import Plan, make_plan
from .schedules import Constant, Schedule
from .seeds import checked_seed

if TYPE_CHECKING:
    from .model import Sequential


Saved = tuple[Array, Array, dict[str, Array]]  # parameters, state, moments
Taken = tuple[float, float, int]  # a step's loss, how many were right, of how many


@dataclass(frozen=True)
class Event:
    """What happened, for callbacks and progress displays. Losses and accuracies are means since the epoch began.

    kind: "start", "step", "epoch" (with ``validation``), "end". Times in seconds.
    """

    kind: Literal["start", "step", "epoch", "end"]
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float | None
    learning_rate: float
    images_per_second: float
    seconds: float
    validation: Mapping[str, float] | None = None


class Callback(Protocol):
    """Called with every event; may call ``training.stop(reason)``."""

    def __call__(self, event: Event, training: Training) -> None: ...


@dataclass
class History:
    """What ``fit`` returns: one row an epoch, why it ended, and whether by Ctrl-C."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str = ""
    interrupted: bool = False
    seconds: float = 0.0
    handed_over: list[str] = field(default_factory=list)  # why a backend was left for the next, where one was


@dataclass
class Tally:
    """Sums over the epoch so far."""

    loss: float = 0.0
    correct: float = 0.0
    seen: int = 0

    def add(self, loss: float, correct: float, count: int) -> None:
        """Count one batch."""
        self.loss, self.correct, self.seen = self.loss + loss * count, self.correct + correct, self.seen + count


def gradient_graph(
    model: Sequential,
    loss: losses.Loss,
    batch: int,
    data: tuple[Shape, str],
    targets: tuple[Shape, str],
    augment: Augment | None = None,
) -> Graph:
    """A batch's loss and gradients as a graph: gather the batch, augment it, forward, loss, backward."""
    graph = Graph()
    graph.declare("data", data[0], "input", data[1])
    graph.declare("targets", targets[0], "input", targets[1])
    graph.declare("rows", (batch,), "control", "int32")
    graph.declare(SEED, (1,), "control", "uint32")
    scaled: dict[str, Any] = {"dtype": "float32"} | ({"scale": 1.0 / 255.0} if data[1] == "uint8" else {})
    x = graph.one(gather, ("data", "rows"), scaled, name="batch")
    t = graph.one(gather, ("targets", "rows"), name="batch_targets")
    if augment is not None:
        graph.layer = "augment"
        x = augment.emit(graph, x)
    made, scores = model.emit(graph, x, training=True)
    graph.outputs = loss.emit(graph, scores if loss.classifies else made[model.layers[-1].name], t)
    if not place_gradients(graph, backward(graph, graph.outputs["loss"], list(model.layout.shapes))):
        raise DataError("this network has no parameter that the loss depends on; there is nothing to train")
    return graph


def training_graph(
    model: Sequential,
    optimizer: optimizers.Optimizer,
    loss: losses.Loss,
    batch: int,
    data: tuple[Shape, str],
    targets: tuple[Shape, str],
    augment: Augment | None = None,
) -> Graph:
    """One training step as a graph: :func:`gradient_graph`, then the optimizer.

    data, targets: (shape, dtype) of the resident data set and its targets. uint8 images are divided by 255.
    """
    graph = gradient_graph(model, loss, batch, data, targets, augment)
    graph.layer = "optimizer"
    graph.declare("learning_rate", (1,), "control")
    graph.declare("step", (1,), "control")
    for name in ("parameters", "gradients", *optimizer.moments):
        graph.declare(
            name,
            (model.layout.size,),
            "parameter" if name == "parameters" else "gradient" if name == "gradients" else "moment",
        )
    graph.emit(
        optimizer.op,
        ("gradients", "learning_rate", "step"),
        optimizer.attrs(),
        updates=("parameters", *optimizer.moments),
    )
    return fuse(graph)


def step_plan(
    model: Sequential,
    optimizer: optimizers.Optimizer,
    loss: losses.Loss,
    batch: int,
    data: tuple[Shape, str],
    targets: tuple[Shape, str],
    augment: Augment | None = None,
) -> Plan:
    """:func:`training_graph` as a plan that records loss and metrics of every step."""
    graph = training_graph(model, optimizer, loss, batch, data, targets, augment)
    return make_plan(graph, model.layout, model.state_layout, records=list(graph.outputs))


def training_plan(
    model: Sequential,
    batch: int,
    optimizer: str | optimizers.Optimizer = "adam",
    loss: str | losses.Loss | None = None,
    images: int | None = None,
    dtype: str = "float32",
    augment: Augment | None = None,
) -> Plan:
    """The plan of one training step on a data set of ``images`` images (default: one batch) of ``dtype``."""
    chosen, goal, count = optimizers.get(optimizer), losses.get(loss or model.loss), images or batch
    shape = (count,) if goal.classifies else (count, *model.output_shape)
    kind = "int32" if goal.classifies else "float32"
    return step_plan(model, chosen, goal, batch, ((count, *model.input_shape), dtype), (shape, kind), augment)


class Training:
    """One training of one model.

    x, y: images (N, C, H, W) float or uint8 (divided by 255), and labels (N,) or targets.
    epochs, batch_size: the last batch of an epoch may be smaller; every image is seen once an epoch.
    optimizer: name or object; its learning rate may be a schedule. loss: default the model's own.
    label_smoothing: for cross-entropy, in this training only. augment: how much the images are varied, anew in each
    step (:class:`handlens.augment.Augment`); by default not at all. validation_data: (x, y), measured after each epoch.
    callbacks: called with every Event. shuffle: a new order each epoch, from ``seed`` (default the model's).
    progress: None shows a bar on a terminal, True always, False never. resume: path of a checkpoint.
    Raises ShapeError and DataError for what does not fit, DivergenceError when the loss stops being finite: the
    parameters are then those of the last epoch's end.
    """

    def __init__(
        self,
        model: Sequential,
        x: Array,
        y: Array,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        optimizer: str | optimizers.Optimizer = "adam",
        loss: str | losses.Loss | None = None,
        label_smoothing: float | None = None,
        augment: Augment | None = None,
        validation_data: tuple[Array, Array] | None = None,
        callbacks: Sequence[Callback] = (),
        shuffle: bool = True,
        seed: int | None = None,
        progress: bool | None = None,
        resume: str | Path | None = None,
    ) -> None:
        self.model, self.optimizer = model, optimizers.get(optimizer)
        self.loss = losses.get(model.loss if loss is None else loss, label_smoothing)
        for name, value in (("epochs", epochs), ("batch_size", batch_size)):
            if isinstance(value, bool) or int(value) != value or value < 1:
                raise DataError(f"{name} must be a whole number of at least 1; got {value!r}")
        self.data, self.targets = checked_data(model, self.loss, x, y)
        self.augment = checked_augment(augment)
        if validation_data is not None:
            checked_data(model, self.loss, *validation_data)
        self.epochs, self.batch_size = int(epochs), min(int(batch_size), len(self.data))
        self.validation_data, self.shuffle = validation_data, shuffle
        self.seed = model.seed if seed is None else checked_seed(seed)
        rate = self.optimizer.learning_rate
        if not isinstance(rate, Schedule | int | float | np.floating):
            raise DataError(f"learning_rate must be a number, Constant, Cosine or OneCycle; got {rate!r}")
        self.schedule = rate if isinstance(rate, Schedule) else Constant(float(rate))
        self.moments = {name: np.zeros(model.layout.size, np.float32) for name in self.optimizer.moments}
        self.history, self.tally = History(), Tally()
        self.epoch, self.batch = 0, 0  # epochs finished, batches finished within the running one
        self._programs: dict[int, tuple[backends.Backend, backends.Program]] = {}
        self._probes: dict[int, Probe] = {}  # by the number of images: steps that a device is checked by
        self._order: tuple[int, Array] | None = None
        self.burst = 1  # steps of one submit, where a device works ahead
        self._gradients = np.zeros(model.layout.size, np.float32)
        self._elapsed = 0.0
        self._began: float | None = None
        # Those that put parameters back come last, so that a checkpoint is taken of what was reached.
        self.callbacks: list[Callback] = sorted(callbacks, key=lambda c: bool(getattr(c, "restore_best", False)))
        if progress is not False:
            from .callbacks import progress_display

            self.callbacks += progress_display(progress)
        if type(self.loss) is not type(model.loss):  # only now that nothing above has been refused
            model.loss = self.loss  # the outputs are read otherwise from now on
            model.forget_programs()
        if resume is not None:
            from .io.model_file import restore

            restore(self, resume)

    # --- position

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch."""
        return -(-len(self.data) // self.batch_size)

    @property
    def step(self) -> int:
        """Optimizer steps taken since the beginning."""
        return self.epoch * self.steps_per_epoch + self.batch

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return self.schedule(self.step, self.epochs * self.steps_per_epoch)

    def recipe(self) -> dict[str, Any]:
        """Everything but the data that decides the outcome, as JSON values."""
        rate = self.schedule
        fixed = {k: v for k, v in asdict(self.optimizer).items() if k != "learning_rate"}
        return {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "optimizer": {"type": type(self.optimizer).__name__, **fixed},
            "schedule": {"type": type(rate).__name__, **asdict(rate)},
            "loss": {"type": type(self.loss).__name__, **asdict(self.loss)},
            "augment": self.augment and self.augment.recipe(),
            "shuffle": self.shuffle,
            "seed": self.seed,
            "images": len(self.data),
        }

    def spent(self) -> float:
        """Seconds of training so far, those before a resume included."""
        return self.history.seconds + (0.0 if self._began is None else time.perf_counter() - self._began)

    def stop(self, reason: str) -> None:
        """End after the running step; the model keeps what it has learnt."""
        self.history.stopped = reason

    # --- the loop

    async def run(self, cooperative: bool = False) -> History:
        """Train; ``cooperative`` gives the event loop a turn at least every 50 ms."""
        self._began = time.perf_counter()
        with graceful_interrupt(self._interrupted):
            self._tell("start")
            try:
                while self.epoch < self.epochs and not self.history.stopped:
                    await self._run_epoch(cooperative)
            finally:
                self.history.seconds, self._began = self.spent(), None
                self._close()
        self._tell("end")
        return self.history

    def _interrupted(self) -> None:
        self.history.interrupted = True
        self.stop("interrupted")

    def order(self, epoch: int) -> Array:
        """The images of an epoch, in the order they are seen."""
        if not self.shuffle:
            return np.arange(len(self.data), dtype=np.int32)
        generator = np.random.Generator(np.random.PCG64([self.seed, 1, epoch]))
        return generator.permutation(len(self.data)).astype(np.int32)

    async def _run_epoch(self, cooperative: bool) -> None:
        last_good = self.saved()
        if not self.batch:
            self.tally, self._elapsed = Tally(), 0.0
        ahead = Offload(self, cooperative) if self.model.backend.works_ahead else None
        while True:
            while self.batch < self.steps_per_epoch:
                began = time.perf_counter()
                if ahead is None or not ahead.alive:
                    taken = [await self._run_step(self.rows(self.batch), cooperative)]
                else:
                    taken = await ahead.advance()
                self._elapsed += time.perf_counter() - began
                for loss, correct, count in taken:
                    if not np.isfinite(loss):
                        self._diverged(last_good, f"the loss became {loss}")
                    self.tally.add(loss, correct, count)
                    self.batch += 1
                    self._tell("step")
                if self.history.stopped and self.batch < self.steps_per_epoch and not (ahead and await ahead.last()):
                    return
            if ahead is not None:
                await ahead.home()  # a device that fails here sends the training back to where it was last right
            if self.batch >= self.steps_per_epoch:
                break
        await self._finish_epoch(cooperative, last_good)

    def saved(self) -> Saved:
        """Copies of parameters, state and moments, to go back to."""
        moments = {name: values.copy() for name, values in self.moments.items()}
        return self.model.parameters.copy(), self.model.state.copy(), moments

    def rows(self, batch: int) -> Array:
        """The images of a batch of the running epoch."""
        if self._order is None or self._order[0] != self.epoch:
            self._order = self.epoch, self.order(self.epoch)
        return self._order[1][batch * self.batch_size : (batch + 1) * self.batch_size]

    def control(self, batch: int) -> dict[str, Array]:
        """The control values of a batch of the running epoch, as a backend takes those of one step."""
        rows, step = self.rows(batch), self.epoch * self.steps_per_epoch + batch
        seed = np.random.PCG64([self.seed, 2, step]).random_raw() & 0xFFFFFFFF
        rate = self.schedule(step, self.epochs * self.steps_per_epoch)
        control = {
            "rows": rows[None],
            "learning_rate": np.array([[rate]], np.float32),
            "step": np.array([[step + 1]], np.float32),
            SEED: np.array([[seed]], np.uint32),
        }
        if self.augment is not None:
            control |= self.augment.controls((len(rows), *self.data.shape[1:]), self.seed, step)
        return control

    async def _run_step(self, rows: Array, cooperative: bool) -> Taken:
        try:
            program = await self.program(len(rows))
        except BackendError as error:
            if self.model.backend.name == "numpy":
                raise
            self.hand_over(self.model.backend, f"{self.model.backend.name}: {error}")
            return await self._run_step(rows, cooperative)
        backend, control = self.model.backend, self.control(self.batch)
        if cooperative:
            await backend.run_async(program, 1, control)
        else:
            backend.run(program, 1, control)
        found = await backend.fetch(program, *program.plan.records)
        return float(found["loss"][0, 0]), float(found["correct"][0, 0]) if "correct" in found else 0.0, len(rows)

    async def program(self, batch: int, backend: backends.Backend | None = None) -> backends.Program:
        """The loaded step for a batch size, on the model's backend if no other is given; all of them work on the
        model's own memory."""
        model, backend = self.model, backend or self.model.backend
        if any(owner is not backend for owner, _ in self._programs.values()):
            self._close()  # the model was handed over while it read or was measured
            self.history.handed_over += model.handed_over[-1:]
        if batch not in self._programs:
            described = [(a.shape, a.dtype.name) for a in (self.data, self.targets)]
            plan = step_plan(model, self.optimizer, self.loss, batch, described[0], described[1], self.augment)
            self._programs[batch] = backend, await backend.load(plan, self.arrays(plan))
        return self._programs[batch][1]

    async def probe(self, images: int, backend: backends.Backend) -> Probe:
        """The loaded step by which a device is checked on so many images; kept until this training closes."""
        if images not in self._probes:
            self._probes[images] = await Probe.load(self, backend, images)
        return self._probes[images]

    def loaded(self, backend: backends.Backend) -> list[backends.Program]:
        """The steps that are loaded on a backend."""
        return [program for owner, program in self._programs.values() if owner is backend]

    def arrays(self, plan: Plan) -> dict[str, Array]:
        """The host's own arrays for the buffers of a plan."""
        model = self.model
        arrays = {"parameters": model.parameters, "state": model.state, "gradients": self._gradients}
        arrays |= {"data": self.data, "targets": self.targets, **self.moments}
        return {name: array for name, array in arrays.items() if name in plan.buffers}

    async def _finish_epoch(self, cooperative: bool, last_good: Saved) -> None:
        if not (np.isfinite(self.model.parameters).all() and np.isfinite(self.model.state).all()):
            self._diverged(last_good, "a parameter stopped being finite")
        validation = None
        if self.validation_data is not None:
            validation = await self.model.evaluate_async(*self.validation_data, cooperative=cooperative)
        event = self._event("epoch", validation)
        row = {"epoch": self.epoch + 1, "loss": event.loss, "accuracy": event.accuracy, "seconds": self._elapsed}
        row |= {f"validation_{name}": value for name, value in (validation or {}).items()}
        self.history.epochs.append(row)
        self.epoch, self.batch = self.epoch + 1, 0
        for callback in self.callbacks:
            callback(event, self)

    def _event(self, kind: Literal["start", "step", "epoch", "end"], validation: Any = None) -> Event:
        seen = max(self.tally.seen, 1)
        return Event(
            kind=kind,
            epoch=min(self.epoch + 1, self.epochs),
            epochs=self.epochs,
            step=self.batch,
            steps=self.steps_per_epoch,
            loss=self.tally.loss / seen,
            accuracy=self.tally.correct / seen if self.loss.classifies else None,
            learning_rate=self.learning_rate,
            images_per_second=self.tally.seen / self._elapsed if self._elapsed else 0.0,
            seconds=self._elapsed,
            validation=validation,
        )

    def _tell(self, kind: Literal["start", "step", "epoch", "end"]) -> None:
        if self.callbacks:
            event = self._event(kind)
            for callback in self.callbacks:
                callback(event, self)

    def _diverged(self, last_good: Saved, what: str) -> NoReturn:
        step, rate = self.batch + 1, self.learning_rate
        self.restore(last_good)
        raise DivergenceError(
            f"{what} in epoch {self.epoch + 1}, step {step}, at learning rate {rate:.3g}; try a tenth of it. "
            "The model is back where this epoch began."
        )

    def restore(self, saved: Saved) -> None:
        """Put parameters, state and moments back; the epoch then begins anew."""
        np.copyto(self.model.parameters, saved[0])
        np.copyto(self.model.state, saved[1])
        for name, value in saved[2].items():
            np.copyto(self.moments[name], value)
        self.batch = 0

    def hand_over(self, backend: backends.Backend, reason: str) -> None:
        """Leave a backend for the next, with the parameters as the host has them, and say why."""
        self._close()
        if self.model.backend is backend:
            self.model.use(backends.after(backend.name), reason)
        self.history.handed_over.append(reason)

    def _close(self) -> None:
        for backend, program in self._programs.values():
            backend.close(program)
        self._programs.clear()
        for probe in self._probes.values():
            probe.close()
        self._probes.clear()


def checked_data(model: Sequential, loss: losses.Loss, x: Array, y: Array) -> tuple[Array, Array]:
    """Images and targets as the training graph takes them: uint8 or float32 (N, ...), int32 or float32 targets."""
    images = np.asarray(x)
    if images.dtype == np.uint8:
        shaped = images[:, None] if images.ndim == 3 and model.input_shape[0] == 1 else images
        images = np.ascontiguousarray(shaped)
    else:
        images = model.checked_images(images)
    if images.shape[1:] != model.input_shape:
        raise ShapeError(f"the network is trained on {model.input_shape}; got images of shape {images.shape[1:]}")
    if len(images) != len(y):
        raise DataError(f"{len(images)} images met {len(y)} labels")
    if not len(images):
        raise DataError("nothing to train on: the data set is empty")
    targets = np.ascontiguousarray(loss.targets(y, model.output_shape))
    return images, targets


@contextmanager
def graceful_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Turn the first Ctrl-C into ``stop()``, so that the running step ends and the model stays whole.

    The second one raises KeyboardInterrupt as usual. Outside the main thread, and where signals are missing
    (a browser), nothing is changed.
    """

    def handler(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, previous)
        stop()

    try:
        previous = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, handler)
    except (ValueError, OSError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
