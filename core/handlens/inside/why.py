"""The page's questions about why a network gave its answer: maps over the drawing, patches, kernels made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..graph import Array
from ..model import Sequential
from . import attribution, handmade
from .ablation import Worths, silenceable
from .attribution import Sensitivity
from .jobs import alone
from .patches import Excitement, excitement_async, matching_of
from .session import Answer, Session, question, weights_of
from .slices import Progress

__all__ = ["excited", "hand_made", "matched", "occluded", "why", "worth"]

MATCHED = "cos(patch, kernel) = sum(patch * kernel) / (|patch| |kernel|), from -1 to 1, before the bias"
MEASURED = {
    "response": "The sum: what the kernel passes on. It grows with the ink as well as with the match.",
    "cosine": "The cosine of the angle between patch and kernel: the match alone, however faint the ink.",
}


def sensitivity(session: Session, model: Sequential, layer: str) -> Sensitivity:
    """The loaded gradients of a model, kept until another model or layer is asked about."""
    kept: Sensitivity | None = session.kept.get("sensitivity")
    if kept is None or kept.model is not model or kept.layer != layer:
        if kept is not None:
            kept.close()
        kept = session.kept["sensitivity"] = Sensitivity(model, layer)
    return kept


async def top_class(session: Session, model: str) -> int:
    """The most probable class of the image looked at."""
    return int((await session.trace(model))["probabilities"].argmax())


@question
async def why(session: Session, model: str, target: int = -1, layer: str = "") -> Answer:
    """Saliency and Grad-CAM of a class (the most probable one for -1) for the image looked at.

    ``saliency``, ``signed``: (H, W). ``cam``: (H, W), ``coarse``: (P, Q) and ``weights``: (F,), of ``layer`` (the last
    convolution by default); None, and ``refusal`` the reason, where the network has no maps. ``methods``: by name, also
    of ``signed`` and of the map that :func:`occluded` makes, what it is, in one line, and its source.
    """
    net = session.model(model)
    refusal, chosen = "", ""
    try:
        chosen = attribution.response_of(net, layer or attribution.last_convolution(net))
    except DataError as error:
        if layer:
            raise
        refusal = str(error)
    target = await top_class(session, model) if target < 0 else target
    methods = {**attribution.METHODS, "signed": attribution.SIGNED}
    found = await sensitivity(session, net, chosen).of(session.image(), target)
    return {
        "target": found.target,
        "logit": float(found.logits[found.target]),
        "probability": float(found.probabilities[found.target]),
        "saliency": found.saliency,
        "signed": found.signed,
        "layer": chosen,
        "cam": found.cam if chosen else None,
        "coarse": found.coarse if chosen else None,
        "weights": found.weights if chosen else None,
        "refusal": refusal,
        "peaks": {
            "saliency": float(np.abs(found.saliency).max()),
            "signed": float(np.abs(found.signed).max()),
            "cam": float(np.abs(found.cam).max()) if chosen else 0.0,
        },
        "methods": {name: {"rule": rule, "source": source} for name, (rule, source) in methods.items()},
    }


@question
async def occluded(
    session: Session,
    model: str,
    target: int = -1,
    patch: int = attribution.PATCH,
    stride: int = attribution.STRIDE,
    fill: float = 0.0,
) -> Answer:
    """What a class (the most probable one for -1) loses where a square of the image is wiped out; a job, "occluded".

    ``map``, ``logit_map``: (H, W); ``peak``: the largest size in ``map``; ``drops``, ``logit_drops``: (R, S), with the
    squares' ``rows`` and ``columns``.
    """
    net, image = session.model(model), session.image()
    target = await top_class(session, model) if target < 0 else target

    async def work(tell: Progress) -> Answer:
        found = await attribution.occlusion_async(net, image, target, patch, stride, fill, tell)
        return {
            "target": found.target,
            "logit": found.logit,
            "probability": found.probability,
            "map": found.map,
            "peak": float(np.abs(found.map).max()),
            "logit_map": found.logit_map,
            "drops": found.probability_drop,
            "logit_drops": found.logit_drop,
            "rows": [int(row) for row in found.rows],
            "columns": [int(column) for column in found.columns],
            "patch": list(found.patch),
        }

    key = (net, weights_of(net), net.layers, image.tobytes(), target, patch, stride, fill)
    return await alone(session, "occluded", key, work)


@question
async def worth(session: Session, model: str, layer: str = "", target: int = -1) -> Answer:
    """What each kernel of a layer is worth for a class (the most probable one for -1) of the image looked at; a job,
    "worth". Each is silenced in turn (:class:`.ablation.Worths`).

    ``layer``: by default the last that can be asked, ``layers`` all of them; ``refusal`` the reason where none can.
    ``kernels``: those whose silence costs the class most first: kernel, score, drop, probability, answer; ``score``:
    with all of them; ``unit``: "kernel" or "neuron".
    """
    net, image = session.model(model), session.image()
    layers = silenceable(net)
    if not layers:
        reason = f'"{net.name}" goes from its input straight to the scores: there is nothing between to silence'
        return {"cancelled": False, "layers": [], "layer": "", "refusal": reason, "kernels": []}
    layer = layer if layer in layers else layers[-1]
    target = await top_class(session, model) if target < 0 else target
    key = (net, weights_of(net), net.layers)
    kept: tuple[object, Worths] | None = session.kept.get("worth")
    if kept is None or kept[0] != key:
        if kept is not None:
            kept[1].close()
        kept = session.kept["worth"] = key, Worths(net)
    worths = kept[1]

    async def work(tell: Progress) -> Answer:
        score, found = await worths.of(image, layer, target, tell)
        rows = [
            {"kernel": k.kernel, "score": k.score, "drop": k.drop, "probability": k.probability, "answer": k.answer}
            for k in sorted(found, key=lambda one: -one.drop)
        ]
        return {"score": score, "kernels": rows, "peak": max(abs(k.drop) for k in found)}

    made = await alone(session, "worth", (key, image.tobytes(), layer, target), work)
    unit = "kernel" if len(net.layout.shapes[f"{layer}.weight"]) == 4 else "neuron"
    return {**made, "layers": layers, "layer": layer, "target": target, "refusal": "", "unit": unit}


@question
async def excited(
    session: Session, model: str, layer: str, kernel: int, samples: str, count: int = 9, measure: str = "response"
) -> Answer:
    """The test images that excite a kernel most; a job, "excited", which is done once for all kernels of a layer.

    measure: "response", or "cosine", which leaves the patch's strength out. samples: the folder of the samples.
    ``patches``: a list of value, image (its number), label, cell, box (top, left, bottom, right), pixels (H, W).
    ``words``: what the measure says. ``dead``, ``redundant``: kernels of the layer; ``sentences`` says the same.
    """
    net, examples = session.model(model), await session.sample("test", samples)
    key = (net, weights_of(net), net.layers, layer, measure)
    found: dict[str, tuple[object, Excitement]] = session.kept.setdefault("excited", {})
    if measure not in found or found[measure][0] != key:

        async def work(tell: Progress) -> Answer:
            return {"found": await excitement_async(net, layer, examples.images, examples.labels, measure, tell)}

        made = await alone(session, "excited", key, work)
        if made["cancelled"]:
            return made
        found[measure] = key, made["found"]
    return told(found[measure][1], kernel, count, examples.images)


def told(found: Excitement, kernel: int, count: int, images: Array) -> Answer:
    """The strongest patches of a kernel, and what is to be said of the layer's kernels."""
    return {
        "cancelled": False,
        "layer": found.layer,
        "measure": found.measure,
        "words": MEASURED[found.measure],
        "response": found.response,
        "kernel": kernel,
        "images": len(found.labels),
        "patches": [
            {
                "value": patch.value,
                "image": patch.image,
                "label": patch.label,
                "cell": list(patch.cell),
                "box": list(patch.box),
                "pixels": pixels(images[patch.image]),
            }
            for patch in found.patches(kernel, count)
        ],
        "dead": found.dead,
        "redundant": [[twins.first, twins.second, twins.cosine] for twins in found.redundant()],
        "sentences": found.sentences,
    }


@question
async def matched(session: Session, model: str, layer: str, kernel: int) -> Answer:
    """How well each place of the image looked at matches kernel number ``kernel`` of a convolution, however faint the
    ink: ``map`` (P, Q), cosines (:func:`.patches.matching`); ``best``, ``cell``: the largest, and where it is."""
    maps = await matching_of(session.model(model), session.image(), layer)
    if not 0 <= kernel < len(maps):
        raise DataError(f"{layer} has {len(maps)} kernels, counted from 0; there is no {kernel}")
    row, column = np.unravel_index(int(maps[kernel].argmax()), maps[kernel].shape)
    found = {"map": maps[kernel], "best": float(maps[kernel][row, column]), "cell": [int(row), int(column)]}
    return {"layer": layer, "kernel": kernel, **found, "rule": MATCHED}


def pixels(image: Array) -> Array:
    """A test image (H, W), 0 to 1."""
    return image.astype(np.float32) / 255 if image.dtype == np.uint8 else np.asarray(image, np.float32)


@question
async def hand_made(session: Session, model: str = "", layer: str = "", kernel: int = -1, channel: int = 0) -> Answer:
    """The kernels made by hand, applied to the image looked at; with ``layer``, in its size and beside its kernels.

    ``kernels``: a list of name, answers (what to), source, matrix (KH, KW), map (P, Q) over the image, the largest
    size in either (``matrix_peak``, ``peak``), and ``alike``, the learned kernels that resemble it most. ``nearest``:
    for every kernel of the layer on ``channel``, the name of the nearest and the cosine, sign kept. ``cosines``: those
    of kernel number ``kernel`` with each. ``learned``: the matrix of that kernel for ``channel``, and the same of it;
    None without. ``channels``: how many maps the kernels read.
    """
    image, size = session.image(), (3, 3)
    rows: Array = np.zeros((0, 0))
    found, learned = np.zeros((0, 0, 0)), None
    if layer:
        net = session.model(model)
        found = handmade.resemblances(net, layer)
        if not 0 <= channel < found.shape[1] or not -1 <= kernel < found.shape[0]:
            raise DataError(f"{layer} has {found.shape[0]} kernels over {found.shape[1]} maps, counted from 0")
        rows = found[:, channel]
        height, width = net.layout.shapes[f"{layer}.weight"][2:]
        size = (height, width) if min(height, width) >= 3 else size
        if kernel >= 0:
            learned = slid(np.asarray(net.parameter(f"{layer}.weight"))[kernel, channel], image)
    kernels = []
    for k, (name, made) in enumerate(handmade.HANDMADE.items()):
        entry = {"name": name, "answers": made.answers, "source": made.source}
        alike = [list(one) for one in handmade.most_alike(found, k)] if found.size else []
        kernels.append({**entry, **slid(handmade.kernel(name, size), image), "alike": alike})
    names = list(handmade.HANDMADE)
    best = [int(np.abs(row).argmax()) for row in rows] if rows.size else []
    shown: dict[str, Any] = {
        "nearest": [[names[k] if row[k] else "", float(row[k])] for row, k in zip(rows, best, strict=False)],
        "cosines": [float(cosine) for cosine in rows[kernel]] if rows.size and kernel >= 0 else [],
    }
    return {"size": list(size), "kernels": kernels, "learned": learned, "channels": found.shape[1], **shown}


def slid(matrix: Array, image: Array) -> Answer:
    """A kernel's matrix, its map over the image, and the largest size in either."""
    over = handmade.applied(matrix, image)
    peaks = {"matrix_peak": float(np.abs(matrix).max()), "peak": float(np.abs(over).max())}
    return {"matrix": matrix, "map": over, **peaks}
