"""The page's questions about why a network gave its answer: maps over the drawing, patches, kernels made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..graph import Array
from ..model import Sequential
from . import attribution, handmade
from .attribution import Sensitivity
from .jobs import alone
from .patches import Excitement, excitement_async, matching_of
from .session import Answer, Session, question, weights_of
from .slices import Progress

__all__ = ["excited", "hand_made", "matched", "occluded", "why"]


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
    convolution by default); None, and ``refusal`` the reason, where the network has no maps. ``methods``: by name, what
    each map is, in one line, and its source.
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
        "methods": {name: {"rule": rule, "source": source} for name, (rule, source) in attribution.METHODS.items()},
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

    ``map``, ``logit_map``: (H, W); ``drops``, ``logit_drops``: (R, S), with the squares' ``rows`` and ``columns``.
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
async def excited(
    session: Session, model: str, layer: str, kernel: int, samples: str, count: int = 9, measure: str = "response"
) -> Answer:
    """The test images that excite a kernel most; a job, "excited", which is done once for all kernels of a layer.

    measure: "response", or "cosine", which leaves the patch's strength out. samples: the folder of the samples.
    ``patches``: a list of value, image (its number), label, cell, box (top, left, bottom, right), pixels (H, W).
    ``dead``, ``redundant``: kernels of the layer; ``sentences`` says the same.
    """
    net, examples = session.model(model), await session.sample("test", samples)
    key = (net, weights_of(net), net.layers, layer, measure)
    kept: tuple[object, Excitement] | None = session.kept.get("excited")
    if kept is None or kept[0] != key:

        async def work(tell: Progress) -> Answer:
            return {"found": await excitement_async(net, layer, examples.images, examples.labels, measure, tell)}

        made = await alone(session, "excited", key, work)
        if made["cancelled"]:
            return made
        kept = session.kept["excited"] = key, made["found"]
    found = kept[1]
    return {
        "cancelled": False,
        "layer": layer,
        "measure": measure,
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
                "pixels": pixels(examples.images[patch.image]),
            }
            for patch in found.patches(kernel, count)
        ],
        "dead": found.dead,
        "redundant": [[twins.first, twins.second, twins.cosine] for twins in found.redundant()],
        "sentences": found.sentences,
    }


@question
async def matched(session: Session, model: str, layer: str) -> Answer:
    """How well each place of the image looked at matches each kernel of a convolution: ``maps`` (F, P, Q), cosines."""
    return {"layer": layer, "maps": await matching_of(session.model(model), session.image(), layer)}


def pixels(image: Array) -> Array:
    """A test image (H, W), 0 to 1."""
    return image.astype(np.float32) / 255 if image.dtype == np.uint8 else np.asarray(image, np.float32)


@question
async def hand_made(session: Session, model: str = "", layer: str = "", kernel: int = -1, channel: int = 0) -> Answer:
    """The kernels made by hand, applied to the image looked at; with ``layer``, in its size and beside its kernels.

    ``kernels``: a list of name, answers (what to), source, matrix (KH, KW), map (P, Q) over the image. ``nearest``: for
    every kernel of the layer on ``channel``, the name of the nearest and the cosine, sign kept. ``cosines``: those of
    kernel number ``kernel`` with each.
    """
    image, size = session.image(), (3, 3)
    rows: Array = np.zeros((0, 0))
    if layer:
        net = session.model(model)
        found = handmade.resemblances(net, layer)
        if not 0 <= channel < found.shape[1] or not -1 <= kernel < found.shape[0]:
            raise DataError(f"{layer} has {found.shape[0]} kernels over {found.shape[1]} maps, counted from 0")
        rows = found[:, channel]
        height, width = net.layout.shapes[f"{layer}.weight"][2:]
        size = (height, width) if min(height, width) >= 3 else size
    kernels = []
    for name, made in handmade.HANDMADE.items():
        matrix = handmade.kernel(name, size)
        entry = {"name": name, "answers": made.answers, "source": made.source, "matrix": matrix}
        kernels.append({**entry, "map": handmade.applied(matrix, image)})
    names = list(handmade.HANDMADE)
    best = [int(np.abs(row).argmax()) for row in rows] if rows.size else []
    shown: dict[str, Any] = {
        "nearest": [[names[k] if row[k] else "", float(row[k])] for row, k in zip(rows, best, strict=False)],
        "cosines": [float(cosine) for cosine in rows[kernel]] if rows.size and kernel >= 0 else [],
    }
    return {"size": list(size), "kernels": kernels, **shown}
