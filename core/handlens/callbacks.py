"""Callbacks for ``fit``: early stopping, checkpoints, progress."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError

if TYPE_CHECKING:
    from .training import Callback, Event, Training


class Monitor:
    """Follows one number from epoch to epoch: "validation_loss", "validation_accuracy", "loss" or "accuracy"."""

    def __init__(self, monitor: str) -> None:
        kind = monitor.removeprefix("validation_")
        if kind not in ("loss", "accuracy"):
            raise DataError(f"cannot monitor {monitor!r}; choose [validation_]loss or [validation_]accuracy")
        self.monitor, self.sign = monitor, 1.0 if kind == "accuracy" else -1.0
        self.best = -np.inf  # sign * value, so that larger is better

    def begin(self, training: Training) -> None:
        """Start anew with a new training; refuse a number that it does not measure."""
        if self.monitor.startswith("validation_") and training.validation_data is None:
            raise DataError(f"{self.monitor!r} is not measured here; give fit(validation_data=...)")
        if training.step == 0:
            self.best = -np.inf

    def progress(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback, as JSON values."""
        return {"best": None if self.best == -np.inf else self.best}

    def resume(self, progress: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Go on from :meth:`progress`, and from the arrays in ``kept``."""
        self.best = -np.inf if progress["best"] is None else float(progress["best"])

    def improved(self, event: Event, min_delta: float = 0.0) -> bool:
        """Whether this epoch is the best so far; remembers it if so."""
        kind = self.monitor.removeprefix("validation_")
        source: Any = event.validation if self.monitor.startswith("validation_") else vars(event)
        value = None if source is None else source.get(kind)
        if value is None:
            raise DataError(f"{self.monitor!r} is not measured here; give fit(validation_data=...)")
        if not self.sign * value > self.best + min_delta:  # a value that is not a number is no improvement
            return False
        self.best = self.sign * value
        return True


class EarlyStopping(Monitor):
    """Stops after ``patience`` epochs without an improvement of at least ``min_delta``; then, with ``restore_best``,
    puts the best epoch's parameters back."""

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 3,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor)
        self.patience, self.min_delta, self.restore_best = patience, min_delta, restore_best
        self.waited, self.kept = 0, dict[str, Any]()

    def begin(self, training: Training) -> None:
        super().begin(training)
        if training.step == 0:
            self.waited, self.kept = 0, {}

    def progress(self) -> dict[str, Any]:
        return {**super().progress(), "waited": self.waited}

    def resume(self, progress: dict[str, Any], arrays: dict[str, Any]) -> None:
        super().resume(progress, arrays)
        self.waited, self.kept = int(progress["waited"]), arrays

    def __call__(self, event: Event, training: Training) -> None:
        if event.kind == "start":
            self.begin(training)
        elif event.kind == "epoch":
            if self.improved(event, self.min_delta):
                self.waited = 0
                self.kept = training.model.state_dict() if self.restore_best else {}
            else:
                self.waited += 1
                if self.waited >= self.patience:
                    training.stop(f"no better {self.monitor} for {self.waited} epochs")
        elif event.kind == "end" and self.kept and self.waited and not training.history.interrupted:
            training.model.load_state_dict(self.kept)


class BestCheckpoint(Monitor):
    """Saves the model whenever the monitored number is the best so far."""

    def __init__(self, path: str | Path, monitor: str = "validation_accuracy") -> None:
        super().__init__(monitor)
        self.path = Path(path)

    def __call__(self, event: Event, training: Training) -> None:
        if event.kind == "start":
            self.begin(training)
        elif event.kind == "epoch" and self.improved(event):
            note = {"epoch": event.epoch, self.monitor: abs(self.best), "recipe": training.recipe()}
            training.model.save(self.path, {**training.model.metadata, "checkpoint": note})


class Checkpoint:
    """Saves the whole training, to be resumed to the same bits: every ``every`` epochs, and when it is stopped."""

    def __init__(self, path: str | Path, every: int = 1) -> None:
        self.path, self.every = Path(path), every

    def __call__(self, event: Event, training: Training) -> None:
        if event.kind == "start" and not self.path.absolute().parent.is_dir():
            raise DataError(f"the folder of the checkpoint {str(self.path)!r} does not exist; make it first")
        due = event.kind == "epoch" and event.epoch % self.every == 0
        if due or (event.kind == "end" and training.history.stopped):
            from .io.model_file import save_training

            save_training(training, self.path)


class Lines:
    """One line an epoch on standard error."""

    def __call__(self, event: Event, training: Training) -> None:
        if event.kind == "epoch":
            print(describe(event), file=sys.stderr, flush=True)


class Bar:
    """A bar by tqdm, one an epoch."""

    def __init__(self, tqdm: Any) -> None:
        self.tqdm = tqdm
        self.bar: Any = None

    def __call__(self, event: Event, training: Training) -> None:
        if event.kind == "step":
            if self.bar is None:
                label = f"epoch {event.epoch}/{event.epochs}"
                self.bar = self.tqdm(total=event.steps, desc=label, unit="step", leave=False, initial=event.step - 1)
            self.bar.update(1)
            self.bar.set_postfix_str(f"loss {event.loss:.4f}, {event.images_per_second:.0f} images/s", refresh=False)
        elif self.bar is not None:
            self.bar.close()
            self.bar = None
        if event.kind == "epoch":
            print(describe(event), file=sys.stderr, flush=True)


def describe(event: Event) -> str:
    """An epoch in one line."""
    parts = [f"epoch {event.epoch}/{event.epochs}", f"loss {event.loss:.4f}"]
    if event.accuracy is not None:
        parts.append(f"accuracy {event.accuracy:.2%}")
    parts += [f"validation {k} {v:.4f}" for k, v in (event.validation or {}).items()]
    return ", ".join([*parts, f"{event.images_per_second:.0f} images/s", f"{event.seconds:.0f} s"])


def progress_display(progress: bool | None) -> list[Callback]:
    """A bar on a terminal, plain lines where asked for without one, nothing otherwise."""
    if progress is None and not sys.stderr.isatty():
        return []
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            return [Lines()]
        return [Bar(tqdm)]
    return [Lines()]
