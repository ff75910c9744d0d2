"""``handlens explain``: how one number of a network came about, for one image; or the NumPy program that makes it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from .. import numbers
from ..errors import DataError
from ..graph import Array
from ..inside.explain import Explanation, Lens
from ..io.model_file import load
from ..model import Sequential
from ..reading import rules_of
from .predict import read_arrays, read_pixels

SHOWN = 12  # terms in the table


def image_of(model: Sequential, name: str, digit: int) -> Array:
    """The image asked for as the network takes it: digit number ``digit``, from 0, of a picture or an array file."""
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix == ".npy":
        images = list(model.checked_images(read_arrays(path)))
    else:
        places = numbers.read_image(model, read_pixels(path), rules_of(model))
        images = [place.prepared.image for place in places]
    if not 0 <= digit < len(images):
        raise DataError(f"{path}: has no digit number {digit}; it holds {len(images)}, counted from 0")
    return images[digit]


def cell(index: str) -> tuple[int, ...]:
    """``3,4,5`` or ``3.4.5`` as numbers; DataError otherwise."""
    try:
        return tuple(int(part) for part in index.replace(".", ",").split(","))
    except ValueError:
        raise DataError(f"{index!r} is no place in a layer; give map,row,column or one number") from None


def described(found: Explanation) -> dict[str, Any]:
    """An explanation as JSON values."""
    terms = found.terms
    return {
        "layer": found.layer,
        "index": list(found.index),
        "kind": found.kind,
        "rule": found.rule,
        "value": found.value,
        "total": found.total,
        "bias": found.bias,
        "field": dict(found.field._asdict()),
        "details": {
            key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in found.details.items()
        },
        "terms": {
            "source": terms.source,
            "indices": terms.indices.tolist(),
            "values": terms.values.tolist(),
            "weights": None if terms.weights is None else terms.weights.tolist(),
            "products": terms.products.tolist(),
            "outside": terms.outside.tolist(),
            "order": terms.order.tolist(),
        },
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The explanation, and the program where it was asked for."""
    model = load(args.weights, args.backend)
    lens = Lens.over(model, image_of(model, args.image, args.digit))
    index = cell(args.index)
    result = {"model": model.name, **described(lens.explain(args.layer, index))}
    return result | ({"program": lens.program(args.layer, index)} if args.program else {})


def text(result: dict[str, Any]) -> str:
    """The program alone, or the terms as a table, those that count most first."""
    if "program" in result:
        program: str = result["program"]
        return program.rstrip("\n")
    terms, details, box = result["terms"], result["details"], result["field"]
    seen = f"{span('row', box['top'], box['bottom'])}, {span('column', box['left'], box['right'])} of the image"
    lines = [
        f"{result['model']}: {place(result['layer'], result['index'])} = {result['value']:.7g}  ({result['kind']})",
        result["rule"],
        f"sees {seen if box['bottom'] > box['top'] else 'nothing but padding'}",
    ]
    for k in terms["order"][:SHOWN]:
        row = f"  {place(terms['source'], terms['indices'][k]):28} {terms['values'][k]:>12.7g}"
        if terms["weights"] is not None:
            row += f" x {terms['weights'][k]:>12.7g} = {terms['products'][k]:>12.7g}"
        if "exponentials" in details:
            row += f"  exp(x - max x) = {details['exponentials'][k]:.7g}"
        lines.append(row + "  padding" * terms["outside"][k] + "  the largest" * (details.get("winner") == k))
    left = terms["order"][SHOWN:]
    if left:
        rest = "" if terms["weights"] is None else f"{'':29}= {sum(terms['products'][k] for k in left):>12.7g}"
        lines.append(f"  {f'{len(left)} more terms':28}{rest}")
    if result["bias"]:
        lines.append(f"  {details.get('bias', 'beta - scale * mean'):28}{'':29}+ {result['bias']:>12.7g}")
    return "\n".join([*lines, f"  {'made again from its terms':28} {result['total']:>12.7g}"])


def place(layer: str, index: list[int]) -> str:
    """A cell's name."""
    return f"{layer}[{', '.join(map(str, index))}]"


def span(name: str, first: int, end: int) -> str:
    """``row 3`` or ``rows 3 to 5``."""
    return f"{name}s {first} to {end - 1}" if end - first > 1 else f"{name} {first}"
