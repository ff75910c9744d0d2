"""``handlens why``: which pixels an answer hangs on: saliency, Grad-CAM and occlusion over one image."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..backends import drive
from ..errors import DataError
from ..inside import attribution
from ..inside.attribution import METHODS, Sensitivity, occlusion
from ..io.model_file import load
from .explain import image_of

SHADES = " .:-=+*#%@"
AGAINST = "o"  # where a square speaks against the class: the loss is negative there
ROWS = 2  # of pixels to a line: a character is twice as tall as it is wide


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The maps of one class; Grad-CAM is left out, with the reason, for a network without convolutions."""
    model = load(args.weights, args.backend)
    image = image_of(model, args.image, args.digit)
    probabilities = model.predict(image[None])[0]
    target = int(probabilities.argmax()) if args.target < 0 else args.target
    wanted = list(METHODS) if args.method == "all" else [args.method.replace("-", "_")]
    maps: dict[str, Any] = {}
    refused, layer = "", ""
    if "grad_cam" in wanted:
        try:
            layer = attribution.response_of(model, args.layer or attribution.last_convolution(model))
        except DataError as error:
            if args.layer or args.method != "all":
                raise
            refused = str(error)
            wanted.remove("grad_cam")
    found = drive(Sensitivity(model, layer).of(image, target, cooperative=False))
    if "saliency" in wanted:
        maps["saliency"] = found.saliency.tolist()
    if "grad_cam" in wanted:
        maps["grad_cam"] = found.cam.tolist()
    if "occlusion" in wanted:
        maps["occlusion"] = occlusion(model, image, target).map.tolist()
    return {
        "model": model.name,
        "target": target,
        "probability": float(found.probabilities[target]),
        "logit": float(found.logits[target]),
        "layer": layer,
        "refused": refused,
        "methods": {name: {"rule": METHODS[name][0], "source": METHODS[name][1]} for name in wanted},
        "maps": maps,
    }


def text(result: dict[str, Any]) -> str:
    """Each map as a picture of characters, two rows of pixels to a line, the darkest for the largest value."""
    lines = [f"{result['model']}: class {result['target']}, {result['probability']:.1%}, score {result['logit']:.3f}"]
    for name, values in result["maps"].items():
        where = f" of {result['layer']}" if name == "grad_cam" else ""
        lines += ["", f"{name.replace('_', '-')}{where}: {result['methods'][name]['rule']}", *drawn(np.array(values))]
    return "\n".join([*lines, *(["", result["refused"]] if result["refused"] else [])])


def drawn(values: np.ndarray) -> list[str]:
    """A map in characters, with the value that the darkest stands for."""
    tall = values[: len(values) // ROWS * ROWS].reshape(-1, ROWS, values.shape[1])
    strongest = np.take_along_axis(tall, np.abs(tall).argmax(axis=1)[:, None], axis=1)[:, 0]
    peak = float(np.abs(strongest).max())
    level = np.minimum(np.abs(strongest) / (peak or 1.0) * len(SHADES), len(SHADES) - 1).astype(int)
    shown = [
        "".join(AGAINST if v < 0 and k else SHADES[k] for v, k in zip(row, shades, strict=True)).rstrip()
        for row, shades in zip(strongest, level, strict=True)
    ]
    legend = f'  "{SHADES[-1]}" up to {peak:.3g}' + (f', "{AGAINST}" below 0' if (strongest < 0).any() else "")
    return [*(f"  {row}" for row in shown), legend]
