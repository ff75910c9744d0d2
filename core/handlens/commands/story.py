"""``handlens story``: every number of the article's text, and what its live figures show before they are touched."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data import mnist
from ..errors import DataError
from ..inside import story, story_record, story_study
from ..inside.story_tools import plain
from ..io.model_file import load


def images(folder: Path, name: str) -> story.Samples:
    """A set of the folder of samples: images and labels."""
    files = (folder / f"{name}-images.idx3.gz", folder / f"{name}-labels.idx1.gz")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{folder}: holds no {missing[0]}")
    x, y = (mnist.read_idx(file) for file in files)
    return x, y


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The facts and the figures; with ``--study`` the study is done first and its record written."""
    samples = Path(args.samples)
    paths = sorted(Path(args.models).glob("*.safetensors"))
    models = {model.name: model for model in map(load, paths)}
    if args.study:
        story_record.keep(studied(models, images(samples, "mix"), images(samples, "test"), mnist.load(args.data)))
    facts = story.facts(models, images(samples, "test"), story_study.recorded())
    return {"facts": facts, "figures": plain(story.figures(models))}


def studied(models: story.Models, train: story.Samples, test: story.Samples, whole: mnist.Mnist) -> dict[str, Any]:
    """Everything that takes training, minutes of it; DataError where the network that is tuned is missing."""
    if "cnn-small" not in models:
        raise DataError("the study tunes cnn-small; it is not in the folder of models")
    tuned = story_study.tune_study(models["cnn-small"], test)
    found = story_study.study(train, test)
    found["shifts"] = story_study.shift_study(train, test)
    found["tiny"] = story_study.tiny_study(
        (whole.train_images, whole.train_labels), (whole.test_images, whole.test_labels)
    )
    return {**found, "tune": tuned}


def text(result: dict[str, Any]) -> str:
    """The facts, one a line."""
    return "\n".join(f"{name:24} {value}" for name, value in result["facts"].items())
