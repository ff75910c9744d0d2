"""What a model reaches, measured once and kept in its file: MNIST, drawn digits, and what is no digit.

The page and the README quote these numbers; nothing here is chosen by them. What is chosen (temperature, threshold) is
chosen by `calibrate`, on writers who neither train nor report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import calibration, drawn, numbers
from .data import generator, unipen
from .errors import DataError
from .reading import DIGITS as CLASSES
from .reading import Rules
from .strokes import prepare

if TYPE_CHECKING:
    from .data.mnist import Mnist
    from .model import Sequential

__all__ = ["calibrate", "record", "row"]

DIGITS = 1500  # of the generator, where the pen strokes are not here
RARE = 0.01  # of the drawings that a page meets, those that are no digit: one in a hundred
REFUSED = 0.01  # of the choosing writers' digits; other people's may be refused twice as often
COST = 0.001  # of the answered numbers' being right, for milder rules on the digits of a number
NUMBERS = 300  # composed numbers of each kind
CHOOSING = 101  # seed of those that choose; the report's is drawn.SEED


def writers(part: str) -> tuple[list[unipen.Digit], str]:
    """The digits of a part of the writers and what they are; the generator's where the strokes are not here."""
    path = unipen.find_file()
    if path is None:
        seed = CHOOSING if part == "choose" else drawn.SEED
        return generator.digits(DIGITS, seed), "generated digits: the pen strokes were not at hand"
    remainder = {"choose": "leaves 1 when divided by 5", "report": "is divisible by 5"}[part]
    return unipen.split(unipen.read(path), part), f"UCI pen digits, writers whose number {remainder}"


def calibrate(model: Sequential) -> None:
    """Fold the best temperature into the last layer and choose the threshold, on the choosing writers' drawings.

    Before that, a network that learned from rejects is told how rare they are (`RARE`). Sets the model's metadata
    "expected", "temperature" and "refusal".
    """
    digits, source = writers("choose")
    parts = {part["source"]: part["images"] for part in model.metadata.get("data", {}).get("sources", [])}
    if parts.get("rejects"):
        calibration.expect(model, parts["rejects"] / sum(parts.values()), RARE)
    images, labels = _images(digits)
    calibration.fold(model, calibration.temperature(model.predict(images, logits=True), labels))
    answer = calibration.threshold(model.predict(images), REFUSED)
    model.metadata["refusal"] = {
        "answer": answer,
        "sure": max(Rules().sure, answer),
        "rule": "a digit is answered where its share reaches 'answer'; else none, or unsure between two",
        "chosen_on": source,
        "drawings": len(images),
    }
    # Numbers are composed of digits by one hand, and need a class for what is none.
    if source.startswith("UCI") and model.output_shape == (CLASSES + 1,):
        # Three times as many as are reported: a threshold chosen on few moves with them.
        model.metadata["refusal"]["beside"] = numbers.threshold(model, digits, CHOOSING, COST, 3 * NUMBERS)


def _images(digits: Sequence[unipen.Digit]) -> tuple[Any, Any]:
    """Each digit drawn as usual and once anywhere, ready to be read, with its label."""
    drawings = [*drawn.USUAL.draw(digits), *drawn.ANYWHERE.draw(digits, drawn.SEED)]
    ready = [prepare(strokes, drawn.EXTENT) for strokes in drawings]
    pairs = [(p.image, d.label) for p, d in zip(ready, [*digits, *digits], strict=True) if p is not None]
    return np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs])


def record(model: Sequential, data: Mnist, seed: int = 0, sample: int = 0) -> dict[str, float]:
    """Measure a model and write what was found into its metadata ("accuracy", "test_loss", "mnist", "drawn",
    "numbers").

    Args:
        model: a reader of digits. data: MNIST. seed: of scattered drawings.
        sample: at most so many drawn digits, numbers of each kind, and drawings of each family that is no digit.
    Returns:
        "accuracy" and "loss" on MNIST's test images.
    """
    test = model.evaluate(data.test_images, data.test_labels)
    digits, source = writers("report")
    mnist = drawn.measure_mnist(model, data.test_images, data.test_labels)
    rejects = drawn.held_out(min(drawn.REJECTS, sample) if sample else drawn.REJECTS)
    found = drawn.measure(model, digits, seed=seed, sample=sample, rejects=rejects)
    model.metadata |= {
        "accuracy": test["accuracy"],
        "test_loss": test["loss"],
        "mnist": mnist,
        "drawn": {"source": source, **found},
    }
    # Numbers are composed of digits by one hand, and need a class for what is none.
    if source.startswith("UCI") and model.output_shape == (CLASSES + 1,):
        count = min(NUMBERS, sample) if sample else NUMBERS
        kinds = {"apart": "", "touching": "ink", "joined": "pen"}
        model.metadata["numbers"] = {
            **{k: numbers.measure(model, digits, drawn.SEED, count=count, touching=t) for k, t in kinds.items()},
            "single": _single(model, digits[:sample] if sample else digits),
        }
    return test


def _single(model: Sequential, digits: Sequence[unipen.Digit]) -> dict[str, float | int]:
    """Digits that stand alone, read as a number could stand there: how often one is taken for several."""
    places = [numbers.read(model, strokes, drawn.EXTENT) for strokes in drawn.USUAL.draw(digits)]
    answers = [[place.reading.digit for place in found] for found in places]
    answered = [d.label == a[0] and len(a) == 1 for d, a in zip(digits, answers, strict=True) if a and None not in a]
    return {
        "numbers": len(digits),
        "answered": len(answered),
        "split": sum(len(found) > 1 for found in places),
        "right": sum(answered),
        "refused_share": 1 - len(answered) / len(digits),
        "right_share": sum(answered) / max(len(answered), 1),
        "refused_or_right_share": (len(digits) - len(answered) + sum(answered)) / len(digits),
    }


def row(model: Sequential) -> dict[str, Any]:
    """What a measured model was trained on and reaches, in few numbers: a row of a table.

    Raises:
        DataError: the model has not been measured.
    """
    metadata = model.metadata
    if "drawn" not in metadata or "mnist" not in metadata:
        raise DataError(f"{model.name} has not been measured; run: handlens measure FILE")
    found, recipe = metadata["drawn"], metadata["recipe"]
    lowest = found["lowest"]
    return {
        "name": model.name,
        "sources": [part["source"] for part in metadata["data"].get("sources", [{"source": "mnist"}])],
        "augmented": recipe.get("augment") is not None,
        "epochs": recipe["epochs"],
        "command": metadata["command"],
        "mnist": metadata["accuracy"],
        "mnist_shifted": metadata["mnist"]["shifted"]["accuracy"],
        "mnist_ece": metadata["mnist"]["ece"],
        "drawn": found["accuracy"],
        "drawn_ece": found["ece"],
        "drawn_refused": found["refused"],
        **{group: lowest[group]["accuracy"] for group in ("brush", "size", "corner", "rotation")},
        "worst_writer": lowest["brush"].get("writer_accuracy"),  # at the brush that suits the writer least
        "rejects_refused": found.get("rejects", {}).get("refused"),
    }
