"""``handlens train``: a named network on its sources, to a file that says how it was made and what it reaches.

Nothing is chosen on the test images: ``--hold-out`` trains on what remains of the 60,000 and measures on the rest;
without it the network is trained on all 60,000 and meets the 10,000 test images once, at the end. Of the pen strokes
some writers train, others choose the temperature and the threshold, the rest report (``handlens.data.unipen``).
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, architectures, report
from ..bench import inference_milliseconds
from ..callbacks import Checkpoint, Lines
from ..data import mnist, sources
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


def split(data: mnist.Mnist, hold_out: int, limit: int) -> tuple[mnist.Mnist, tuple[Array, Array] | None]:
    """MNIST without the last ``hold_out`` training images, and these; ``limit`` keeps only the first of the rest."""
    count = len(data.train_images)
    if limit < 0:
        raise DataError(f"--images must be at least 0; got {limit}")
    if not 0 <= hold_out < count:
        raise DataError(f"--hold-out must be at least 0 and below {count}; got {hold_out}")
    end = count - hold_out
    used = min(limit, end) if limit else end
    held = (data.train_images[end:], data.train_labels[end:]) if hold_out else None
    kept = dataclasses.replace(data, train_images=data.train_images[:used], train_labels=data.train_labels[:used])
    return kept, held


def chosen_recipe(args: argparse.Namespace) -> architectures.Recipe:
    """The architecture's recipe with what the command line overrides."""
    recipe = architectures.find(args.name).recipe
    optimizer: Adam = recipe.optimizer
    if args.learning_rate:
        optimizer = dataclasses.replace(optimizer, learning_rate=OneCycle(args.learning_rate))
    return dataclasses.replace(
        recipe,
        epochs=args.epochs or recipe.epochs,
        batch_size=args.batch_size or recipe.batch_size,
        optimizer=optimizer,
        augment=None if args.no_augment else recipe.augment,
        sources=tuple(args.sources.split(",")) if args.sources else recipe.sources,
    )


def command_of(args: argparse.Namespace) -> str:
    """The command that repeats this training."""
    parts = ["handlens", "train", args.name, "--seed", str(args.seed)]
    for option in ("epochs", "batch_size", "learning_rate", "hold_out", "images", "sources", "sample"):
        if getattr(args, option):
            parts += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    if args.backend != "numpy":
        parts += ["--backend", args.backend]
    if args.no_augment:
        parts.append("--no-augment")
    return " ".join(parts)


def describe(
    args: argparse.Namespace, model: Sequential, training: Training, history: History, mixture: sources.Mixture
) -> dict[str, Any]:
    """The metadata of a trained model, before it is measured."""
    architecture, summary = architectures.find(args.name), model.summary()
    return {
        "title": architecture.title,
        "family": architecture.family,
        "classes": list(architecture.classes),
        "preprocessing": PREPROCESSING,
        "data": {
            "sources": mixture.parts,
            "training_images": len(training.data),
            "held_out": args.hold_out,
            "test_images": 10_000,
        },
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        "milliseconds": round(inference_milliseconds(model), 3),
        "command": command_of(args),
        "recipe": training.recipe(),
        "history": history.epochs,
        "seconds": round(history.seconds, 1),
        "backend": args.backend,
        **({"stopped": history.stopped} if history.stopped else {}),
        **({"resumed": True} if args.resume else {}),
        "versions": {"handlens": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }


def begin(
    args: argparse.Namespace, model: Sequential, data: mnist.Mnist, held: tuple[Array, Array] | None
) -> tuple[Training, sources.Mixture]:
    """The training that the command line asks for, ready to run."""
    recipe = chosen_recipe(args)
    say = (lambda line: print(line, flush=True)) if args.verbose else (lambda line: None)
    mixture = sources.gather(recipe.sources, data, args.seed, model.output_shape[0], say)
    callbacks: list[Any] = [Checkpoint(args.checkpoint)] if args.checkpoint else []
    if args.verbose:
        callbacks.append(Lines())
    training = Training(
        model,
        mixture.images,
        mixture.labels,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer,
        augment=recipe.augment,
        validation_data=held,
        callbacks=callbacks,
        progress=False if args.verbose else None,
        resume=args.resume,
    )
    return training, mixture


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, save, calibrate and measure, save again."""
    out = Path(args.out or f"{args.name}.safetensors")
    if not out.parent.is_dir():
        raise DataError(f"the folder {str(out.parent)!r} does not exist; make it, or give another --out")
    data = mnist.load(args.data)
    model = architectures.build(args.name, args.seed, backend=args.backend)
    kept, held = split(data, args.hold_out, args.images)
    training, mixture = begin(args, model, kept, held)
    began = time.perf_counter()
    history = model.fit_with(training)
    result: dict[str, Any] = {
        "name": args.name,
        "epochs": history.epochs,
        "stopped": history.stopped,
        "seconds": round(time.perf_counter() - began, 1),
        "handed_over": history.handed_over,
    }
    if history.interrupted and args.checkpoint:
        result["checkpoint"] = args.checkpoint
        return result | {"note": f"stopped; go on with the same command and --resume {args.checkpoint}"}
    if held is not None:  # a training that chooses: the test images stay out of sight
        result["validation"] = model.evaluate(*held)
        kept_file = args.out or history.interrupted
        return result | ({"bytes": model.save(out), "file": str(out)} if kept_file else {})
    # Saved before anything is measured, so that what was learnt is not lost if measuring fails.
    model.metadata = describe(args, model, training, history, mixture)
    model.save(out)
    if len(mixture.parts) > 1:
        report.calibrate(model)
    test = report.record(model, data, args.seed, args.sample)
    return result | {"test": test, "bytes": model.save(out), "file": str(out)}


def text(result: dict[str, Any]) -> str:
    """The result in words."""
    lines = [f"{result['name']}: {len(result['epochs'])} epochs in {result['seconds']:.0f} s"]
    if result["stopped"]:
        lines.append(f"stopped early: {result['stopped']}")
    lines += [f"handed over: {reason}" for reason in result["handed_over"]]
    for kind in ("validation", "test"):
        if kind in result:
            lines.append(f"{kind}: accuracy {result[kind]['accuracy']:.2%}, loss {result[kind]['loss']:.4f}")
    if "file" in result:
        lines.append(f"saved {result['file']}, {result['bytes']:,} bytes")
    return "\n".join([*lines, *([result["note"]] if "note" in result else [])])
