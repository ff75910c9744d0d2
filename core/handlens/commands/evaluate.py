"""``handlens evaluate``: a model on the whole MNIST test set."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..data import mnist
from ..errors import DataError
from ..io.model_file import load
from ..metrics import confusion_matrix


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy, loss and confusion matrix on the 10,000 test images."""
    model, data = load(args.weights), mnist.load(args.data)
    if not model.loss.classifies or model.output_shape != (10,):
        raise DataError(f"{args.weights}: reads no digits (outputs {model.output_shape}, loss {model.loss.name})")
    began = time.perf_counter()
    result = model.evaluate(data.test_images, data.test_labels)
    seconds = time.perf_counter() - began
    predicted = model.predict(data.test_images).argmax(axis=1)
    classes = model.output_shape[0]
    return {
        "name": model.name,
        "images": len(data.test_images),
        **result,
        "errors": int((predicted != data.test_labels).sum()),
        "images_per_second": round(len(data.test_images) / seconds, 1),
        "confusion": confusion_matrix(predicted, data.test_labels, classes).tolist(),
    }


def text(result: dict[str, Any]) -> str:
    """The result in words, and the confusion matrix."""
    head = (
        f"{result['name']}: accuracy {result['accuracy']:.2%} ({result['errors']} of {result['images']:,} wrong), "
        f"loss {result['loss']:.4f}, {result['images_per_second']:,.0f} images/s"
    )
    width = max(len(str(n)) for row in result["confusion"] for n in row)
    rows = [f"{k}  " + " ".join(str(n).rjust(width) for n in row) for k, row in enumerate(result["confusion"])]
    return "\n".join([head, "row: true digit, column: digit read", *rows])
