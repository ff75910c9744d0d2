"""Model files: weights as safetensors, everything else in their metadata. No pickle anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..callbacks import Monitor
from ..errors import DataError, FormatError, HandlensError
from ..graph import Array
from ..model import Sequential
from ..training import History, Tally, Training
from . import safetensors

FORMAT = "handlens/1"
MOMENT = "optimizer."
KEPT = "callback."


def encoded(model: Sequential, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as safetensors keeps it: text by name; every value but the format's name is JSON."""
    fixed = {"architecture": model.config(), "name": model.name, "seed": model.seed}
    return {"format": FORMAT, **{k: json.dumps(v, sort_keys=True) for k, v in {**metadata, **fixed}.items()}}


def save(model: Sequential, path: str | Path, metadata: Mapping[str, Any] | None = None) -> int:
    """Write a model; ``metadata`` (default the model's own) is any JSON values. Returns the bytes written."""
    safetensors.write(path, model.state_dict(), encoded(model, model.metadata if metadata is None else metadata))
    return Path(path).stat().st_size


def decoded(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """The metadata's JSON values; FormatError where the file is not one of ours."""
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise FormatError(f"{name}: not a Handlens model (format {found!r}, expected {FORMAT!r})")
    try:
        return {key: json.loads(value) for key, value in metadata.items() if key != "format"}
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name}: its metadata is damaged: {error}") from None


def load(source: str | Path | bytes, backend: str = "numpy") -> Sequential:
    """A model from a file's path or its bytes, to compute on ``backend``.

    Raises FormatError for anything but a whole Handlens model, BackendError for a backend that cannot run here.
    """
    name = "model" if isinstance(source, bytes) else str(source)
    tensors, metadata = safetensors.read(source)
    values = decoded(metadata, name)
    model = rebuilt(tensors, values, name)
    if backend != model.backend.name:
        model.use(backend)
    return model


def rebuilt(tensors: Mapping[str, Array], values: dict[str, Any], name: str) -> Sequential:
    """The model of decoded metadata, with its weights."""
    if "architecture" not in values:
        raise FormatError(f"{name}: its metadata names no architecture")
    if "training" in values:  # a checkpoint is a model, too
        tensors = {key: value for key, value in tensors.items() if not key.startswith((MOMENT, KEPT))}
    try:
        seed, title = int(values.get("seed", 0)), str(values.get("name", "model"))
        model = Sequential.from_config(values["architecture"], seed, title, tensors)
    except (HandlensError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise FormatError(f"{name}: its weights do not fit the architecture it names: {error}") from None
    model.metadata = values
    return model


def save_training(training: Training, path: str | Path) -> None:
    """Write model, optimizer, monitors and position, so that :func:`restore` goes on to the same bits."""
    monitors = [c for c in training.callbacks if isinstance(c, Monitor)]
    position = {
        "epoch": training.epoch,
        "batch": training.batch,
        "tally": vars(training.tally),
        "elapsed": training._elapsed,
        "seconds": training.spent(),
        "history": training.history.epochs,
        "recipe": training.recipe(),
        "monitors": [{"type": type(m).__name__, **m.progress()} for m in monitors],
    }
    tensors = {**training.model.state_dict()}
    tensors |= {f"{MOMENT}{name}": values for name, values in training.moments.items()}
    for k, monitor in enumerate(monitors):
        tensors |= {f"{KEPT}{k}.{name}": values for name, values in getattr(monitor, "kept", {}).items()}
    metadata = {k: v for k, v in training.model.metadata.items() if k != "training"}
    safetensors.write(path, tensors, encoded(training.model, {**metadata, "training": position}))


def restore(training: Training, path: str | Path) -> None:
    """Put a training back to where a checkpoint was taken; nothing is touched unless all of it fits.

    Raises FormatError where the file is damaged or no checkpoint, DataError where it is another training's.
    """
    tensors, metadata = safetensors.read(path)
    values = decoded(metadata, str(path))
    position = values.get("training")
    if not isinstance(position, dict):
        raise FormatError(f"{path}: holds a model but no training to resume; use handlens.load for it")
    if values.get("architecture") != json.loads(json.dumps(training.model.config())):
        raise DataError(f"{path}: is a training of another network; build the model as it was built then")
    recipe, now = position.get("recipe", {}), json.loads(json.dumps(training.recipe()))
    changed = [f"{k} {recipe.get(k)!r} -> {now[k]!r}" for k in now if recipe.get(k) != now[k]]
    if changed:
        raise DataError(f"{path}: the training has changed since ({'; '.join(changed)}); resume it as it was begun")
    monitors = [c for c in training.callbacks if isinstance(c, Monitor)]
    saved = position.get("monitors", [])
    if [m.get("type") for m in saved] != [type(m).__name__ for m in monitors]:
        raise DataError(f"{path}: was taken with other callbacks ({[m.get('type') for m in saved]}); give the same")
    moments = {k.removeprefix(MOMENT): v for k, v in tensors.items() if k.startswith(MOMENT)}
    if {k: v.shape for k, v in moments.items()} != {k: v.shape for k, v in training.moments.items()}:
        raise FormatError(f"{path}: the optimizer's values do not fit {type(training.optimizer).__name__}")
    try:
        epoch, batch, tally = int(position["epoch"]), int(position["batch"]), Tally(**position["tally"])
        elapsed, seconds, rows = float(position["elapsed"]), float(position["seconds"]), list(position["history"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: its record of the training is damaged: {error!r}") from None
    weights = {k: v for k, v in tensors.items() if not k.startswith((MOMENT, KEPT))}
    training.model.load_state_dict(weights)
    for name, value in moments.items():
        np.copyto(training.moments[name], value)
    for k, (monitor, progress) in enumerate(zip(monitors, saved, strict=True)):
        kept = {n.removeprefix(f"{KEPT}{k}."): v for n, v in tensors.items() if n.startswith(f"{KEPT}{k}.")}
        monitor.resume(progress, kept)
    training.epoch, training.batch, training.tally, training._elapsed = epoch, batch, tally, elapsed
    training.history = History(epochs=rows, seconds=seconds)
