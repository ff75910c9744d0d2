"""``handlens story``: every number of the article's text, and what its live figures show before they are touched."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..data import mnist
from ..errors import DataError
from ..inside import story, story_study
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
    if args.study:
        whole = mnist.load(args.data)
        found = story_study.study(images(samples, "mix"), images(samples, "test"))
        found["tiny"] = story_study.tiny_study(
            (whole.train_images, whole.train_labels), (whole.test_images, whole.test_labels)
        )
        story_study.RECORD.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    paths = sorted(Path(args.models).glob("*.safetensors"))
    models = {model.name: model for model in map(load, paths)}
    facts = story.facts(models, images(samples, "test"), story_study.recorded())
    return {"facts": facts, "figures": plain(story.figures(models))}


def text(result: dict[str, Any]) -> str:
    """The facts, one a line."""
    return "\n".join(f"{name:24} {value}" for name, value in result["facts"].items())
