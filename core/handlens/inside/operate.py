"""The page's questions at the operating table, and about images of other sizes.

The network on the table is asked about like any other, under the model's name with a ``*``: every view of a network
shows the changed one so. The one made for any size stands under the name with a ``~``.
"""

from __future__ import annotations

from typing import Any

from ..errors import DataError, HandlensError
from ..layers import AvgPool2D, Conv2D, MaxPool2D
from . import anysize, handmade
from .ablation import ablation_async
from .jobs import alone
from .session import Answer, Session, question, weights_of
from .slices import Progress
from .table import POOLINGS, Measured, Table
from .timing import layer_times_async
from .why import pixels

__all__ = ["ablated", "any_size", "edited", "measured", "sized", "table", "times"]

SHOWN = 40  # flipped digits that come with their pixels


def table_of(session: Session, model: str) -> Table:
    """The table of a loaded model; a new one where that model has changed itself meanwhile (it was taught)."""
    source = session.models[model] if model in session.models else session.model(model)
    tables: dict[str, tuple[object, Table]] = session.kept.setdefault("tables", {})
    key = (source, weights_of(source))
    held = tables.get(model)
    if held is None or held[0] != key:
        held = tables[model] = key, Table(source)
        laid = held[1]
        session.made[f"{model}*"] = lambda: laid.model
    found = held[1]
    for copy in (found.original, found.model):  # they compute where the model does
        if copy.backend is not source.backend:
            copy.use(source.backend)
    return found


@question
async def table(session: Session, model: str) -> Answer:
    """The operating table as it is.

    ``name``: under which the changed network is asked about. ``changes``: in words; ``undo``, ``redo``: what they would
    do, "" for nothing. ``layers``: what can be changed where: pooling, stride, activation (None where there is none).
    ``before``, ``after``: the probabilities for the image looked at.
    """
    return await state(session, model)


async def state(session: Session, model: str, refused: str = "") -> Answer:
    """The table's answer, with the reason why the last edit was refused."""
    found = table_of(session, model)
    image = session.image()[None, None]
    before, after = [(await net.predict_async(image))[0] for net in (found.original, found.model)]
    return {
        "name": f"{model}*",
        "version": found.version,
        "changes": found.changes,
        "undo": found.undoable,
        "redo": found.redoable,
        "layers": [changeable(found, layer.name) for layer in found.model.layers],
        "before": before,
        "after": after,
        "refused": refused,
    }


def changeable(found: Table, name: str) -> dict[str, Any]:
    """What can be changed of a layer, as it is now."""
    layer = next(layer for layer in found.model.layers if layer.name == name)
    try:
        activation = found.activation(name)
    except HandlensError:
        activation = None
    pooling = next((kind for kind, cls in POOLINGS.items() if type(layer) is cls), None)
    strides = list(layer.strides) if isinstance(layer, Conv2D | MaxPool2D | AvgPool2D) else None
    return {
        "name": name,
        "kind": type(layer).__name__,
        "pooling": pooling,
        "strides": strides,
        "activation": activation,
    }


@question
async def edited(session: Session, model: str, action: str, **arguments: Any) -> Answer:
    """Change one thing; the answer is that of ``table``, ``refused`` saying why where nothing was changed.

    action: weight (layer, index, value, parameter, joined), zero (layer, kernel), kernel (layer, kernel, name of a
    hand-made one, channel), pooling (layer, kind), stride (layer, stride), activation (layer, kind), undo, redo, reset.
    """
    found = table_of(session, model)

    def handmade_kernel(layer: str, kernel: int, name: str, channel: int | None = None) -> str:
        size = found.model.layout.shapes[f"{layer}.weight"][2:]
        return found.set_kernel(layer, kernel, handmade.kernel(name, size), channel, name)

    actions = {
        "weight": found.set_weight,
        "zero": found.zero_kernel,
        "kernel": handmade_kernel,
        "pooling": found.set_pooling,
        "stride": found.set_stride,
        "activation": found.set_activation,
        "undo": found.undo,
        "redo": found.redo,
        "reset": found.reset,
    }
    refused = "" if action in actions else f"nothing is called {action!r} here; there are: {', '.join(actions)}"
    try:
        if not refused:
            actions[action](**arguments)  # type: ignore[operator]
    except HandlensError as error:
        refused = str(error)
    return await state(session, model, refused)


@question
async def measured(session: Session, model: str, samples: str) -> Answer:
    """Accuracy of the changed network on the test sample, beside the original's; a job, "measured", which the next edit
    cancels. ``flipped``: a list of image (its number), label, before, after, and for the first some pixels (H, W)."""
    found, examples = table_of(session, model), await session.sample("test", samples)

    async def work(tell: Progress) -> Answer:
        return {"measured": await found.measure_async(examples.images, examples.labels, tell)}

    made = await alone(session, "measured", (found, found.version), work)
    result: Measured | None = made.get("measured")
    if result is None:
        return {"cancelled": True}
    flipped = [
        {
            "image": flip.index,
            "label": flip.label,
            "before": flip.before,
            "after": flip.after,
            "pixels": pixels(examples.images[flip.index]) if k < SHOWN else None,
        }
        for k, flip in enumerate(result.flipped)
    ]
    numbers = {"count": result.count, "accuracy": result.accuracy, "original": result.original}
    return {"cancelled": False, **numbers, "gained": result.gained, "lost": result.lost, "flipped": flipped}


@question
async def ablated(session: Session, model: str, layer: str, samples: str, count: int = 0) -> Answer:
    """Accuracy on the test sample (the first ``count`` images, 0 for all) with each kernel silenced; a job, "ablated".

    ``kernels``: a list of kernel, accuracy, gained, lost; ``original``: the accuracy with all of them.
    """
    net, examples = session.model(model), await session.sample("test", samples)
    images, labels = (part[: count or None] for part in (examples.images, examples.labels))

    async def work(tell: Progress) -> Answer:
        found = await ablation_async(net, layer, images, labels, tell)
        rows = [{"kernel": k.kernel, "accuracy": k.accuracy, "gained": k.gained, "lost": k.lost} for k in found]
        return {"layer": layer, "count": len(labels), "original": found[0].original, "kernels": rows}

    return await alone(session, "ablated", (net, weights_of(net), net.layers, layer, count), work)


@question
async def times(session: Session, model: str) -> Answer:
    """Milliseconds of each layer for the image looked at, on the backend that computes the model.

    ``layers``: by name, None for one without a time of its own; ``inside``: whose time holds it, "" for nobody's;
    ``total``: of the whole; ``why``: the reason where nothing can be told.
    """
    net = session.model(model)
    found = await layer_times_async(net, session.image())
    answer: Answer = {"backend": found.backend, "layers": found.layers, "inside": found.inside}
    return {**answer, "total": found.total, "rounds": found.rounds, "why": found.why}


@question
async def any_size(session: Session, model: str, samples: str, side: int = anysize.LARGER) -> Answer:
    """Make the network for any size, under the model's name with a ``~``, and measure it; a job, "any_size".

    ``accuracy``: on the test sample as it is, on sheets of ``side`` x ``side`` pixels, and enlarged to them;
    ``original``: of the model itself on the sample as it is. ``refused``: why there can be none.
    """
    source = session.model(model)
    mix, test = await session.sample("mix", samples), await session.sample("test", samples)
    key = (source, weights_of(source), side)
    kept: dict[str, tuple[object, Answer]] = session.kept.setdefault("any_size", {})
    if model in kept and kept[model][0] == key:
        return kept[model][1]

    async def work(tell: Progress) -> Answer:
        made = await anysize.with_global_average_async(source, mix.images, mix.labels, side, lambda s: tell(s / 4))
        right, done = {}, 1 / 4
        for way in anysize.WAYS:
            right[way] = await anysize.accuracy_async(made, test.images, test.labels, way, side)
            done += 1 / 5
            tell(done)
        original = await anysize.accuracy_async(source, test.images, test.labels)
        tell(1.0)
        return {"made": made, "accuracy": right, "original": original}

    try:
        found = await alone(session, "any_size", key, work)
    except HandlensError as error:
        return {"cancelled": False, "refused": str(error)}
    if found["cancelled"]:
        return found
    made = found.pop("made")
    session.made[f"{model}~"] = lambda: made
    result = {**found, "name": f"{model}~", "side": side, "count": len(test.labels), "refused": ""}
    kept[model] = key, result
    return result


@question
async def sized(session: Session, model: str, side: int = anysize.LARGER, way: str = "enlarged") -> Answer:
    """The image looked at, at another size, through a network: ``probabilities``, the class with the largest of them
    (``best``) and its ``share``, or ``refused``, the reason why not.

    way: "enlarged" to side x side pixels, or "framed", in the middle of such a sheet.
    """
    plain = session.image()[None, None]
    if way not in anysize.WAYS:
        raise DataError(f"an image can be shown {', '.join(anysize.WAYS)}; got {way!r}")
    image = anysize.WAYS[way](plain, side)
    answer: Answer = {"image": image[0, 0], "refused": "", "probabilities": None, "best": -1, "share": 0.0}
    try:
        shares = (await session.model(model).predict_async(image))[0]
        best = int(shares.argmax())
        answer.update(probabilities=shares, best=best, share=float(shares[best]))
    except HandlensError as error:
        answer["refused"] = str(error)
    return answer
