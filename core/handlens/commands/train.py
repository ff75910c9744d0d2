"""``handlens train``: a named network on MNIST, to a file that says how it was made.

Nothing is chosen on the test images: ``--hold-out`` trains on what remains of the 60,000 and measures on the rest;
without it the network is trained on all 60,000 and meets the 10,000 test images once, at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, architectures
from ..bench import inference_milliseconds
from ..callbacks import Checkpoint, Lines
from ..data import mnist
from ..errors import DataError
from ..graph import Array
from ..model import Sequential
from ..optimizers import Adam
from ..schedules import OneCycle
from ..training import History, Training

PREPROCESSING = {
    "size": [28, 28],
    "ink": "white on black, 0 to 1 (8-bit values divided by 255)",
    "method": "bounding box of the ink to 20x20 keeping the aspect, centre of mass to the centre of 28x28",
    "code": "handlens.strokes.prepare",
}


def split(data: mnist.Mnist, hold_out: int, limit: int) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """Training images and labels, and the last ``hold_out`` ones; ``limit`` keeps only the first of the rest."""
    count = len(data.train_images)
    if limit < 0:
        raise DataError(f"--images must be at least 0; got {limit}")
    if not 0 <= hold_out < count:
        raise DataError(f"--hold-out must be at least 0 and below {count}; got {hold_out}")
    end = count - hold_out
    used = min(limit, end) if limit else end
    held = (data.train_images[end:], data.train_labels[end:]) if hold_out else None
    return data.train_images[:used], data.train_labels[:used], held


def chosen_recipe(args: argparse.Namespace) -> architectures.Recipe:
    """The architecture's recipe with what the command line overrides."""
    recipe = architectures.find(args.name).recipe
    optimizer: Adam = recipe.optimizer
    if args.learning_rate:
        optimizer = dataclasses.replace(optimizer, learning_rate=OneCycle(args.learning_rate))
    return architectures.Recipe(args.epochs or recipe.epochs, args.batch_size or recipe.batch_size, optimizer)


def command_of(args: argparse.Namespace) -> str:
    """The command that repeats this training."""
    parts = ["handlens", "train", args.name, "--seed", str(args.seed)]
    for option in ("epochs", "batch_size", "learning_rate", "hold_out", "images"):
        if getattr(args, option):
            parts += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    return " ".join(parts)


def describe(
    args: argparse.Namespace, model: Sequential, training: Training, history: History, test: dict[str, float]
) -> dict[str, Any]:
    """The metadata of a trained model."""
    architecture, summary = architectures.find(args.name), model.summary()
    return {
        "title": architecture.title,
        "family": architecture.family,
        "classes": list(architectures.CLASSES),
        "preprocessing": PREPROCESSING,
        "data": {
            "name": "MNIST",
            "licence": "CC BY-SA 3.0",
            "training_images": len(training.data),
            "held_out": args.hold_out,
            "test_images": 10_000,
        },
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        "accuracy": test["accuracy"],
        "test_loss": test["loss"],
        "milliseconds": round(inference_milliseconds(model), 3),
        "command": command_of(args),
        "recipe": training.recipe(),
        "history": history.epochs,
        "seconds": round(history.seconds, 1),
        **({"stopped": history.stopped} if history.stopped else {}),
        **({"resumed": True} if args.resume else {}),
        "versions": {"handlens": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, measure on the test images, save."""
    out = Path(args.out or f"{args.name}.safetensors")
    if not out.parent.is_dir():
        raise DataError(f"the folder {str(out.parent)!r} does not exist; make it, or give another --out")
    data = mnist.load(args.data)
    model, recipe = architectures.build(args.name, args.seed), chosen_recipe(args)
    images, labels, held = split(data, args.hold_out, args.images)
    callbacks: list[Any] = [Checkpoint(args.checkpoint)] if args.checkpoint else []
    if args.verbose:
        callbacks.append(Lines())
    training = Training(
        model,
        images,
        labels,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer,
        validation_data=held,
        callbacks=callbacks,
        progress=False if args.verbose else None,
        resume=args.resume,
    )
    began = time.perf_counter()
    history = model.fit_with(training)
    result: dict[str, Any] = {
        "name": args.name,
        "epochs": history.epochs,
        "stopped": history.stopped,
        "seconds": round(time.perf_counter() - began, 1),
    }
    if history.interrupted and args.checkpoint:
        result["checkpoint"] = args.checkpoint
        return result | {"note": f"stopped; go on with the same command and --resume {args.checkpoint}"}
    if held is not None:  # a training that chooses: the test images stay out of sight
        result["validation"] = model.evaluate(*held)
        kept = args.out or history.interrupted
        return result | ({"bytes": model.save(out), "file": str(out)} if kept else {})
    test = model.evaluate(data.test_images, data.test_labels)
    size = model.save(out, describe(args, model, training, history, test))
    return result | {"test": test, "bytes": size, "file": str(out)}


def text(result: dict[str, Any]) -> str:
    """The result in words."""
    lines = [f"{result['name']}: {len(result['epochs'])} epochs in {result['seconds']:.0f} s"]
    if result["stopped"]:
        lines.append(f"stopped early: {result['stopped']}")
    for kind in ("validation", "test"):
        if kind in result:
            lines.append(f"{kind}: accuracy {result[kind]['accuracy']:.2%}, loss {result[kind]['loss']:.4f}")
    if "file" in result:
        lines.append(f"saved {result['file']}, {result['bytes']:,} bytes")
    return "\n".join([*lines, *([result["note"]] if "note" in result else [])])
