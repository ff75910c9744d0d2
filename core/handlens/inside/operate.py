"""The page's questions at the operating table, and about images of other sizes.

The network on the table is asked about like any other, under the model's name with a ``*``: every view of a network
shows the changed one so. The one made for any size stands under the name with a ``~``, and can lie on the table too;
one made for another size than the usual bears that size behind the ``~``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import DataError, HandlensError
from ..layers import AvgPool2D, Conv2D, MaxPool2D
from . import anysize, edits, handmade
from .ablation import ablation_async
from .attribution import response_of
from .jobs import alone
from .layerview import as_maps
from .session import Answer, Session, classes, question, weights_of
from .slices import Progress
from .table import POOLINGS, Change, HeadError, Measured, Table, maps_words, padding_of
from .timing import layer_times_async, row_times
from .why import pixels

__all__ = ["ablated", "any_size", "compared", "edited", "measured", "sized", "table", "times"]

SHOWN = 40  # flipped digits that come with their pixels
LARGEST = 1e4  # of a weight that a visitor types in: no network here overflows with any number of them


def table_of(session: Session, model: str) -> Table:
    """The table of a loaded model; where that model has changed itself meanwhile (it was taught), a new one on which
    the same edits are made, but those that no longer fit."""
    source = session.models[model] if model in session.models else session.model(model)
    tables: dict[str, tuple[object, Table]] = session.kept.setdefault("tables", {})
    key = (source, weights_of(source))
    held = tables.get(model)
    if held is None or held[0] != key:
        before, laid = held, Table(source)
        held = tables[model] = key, laid
        session.made[f"{model}*"] = lambda: laid.model
        if before is not None:
            again(session, before[1], laid)
    found = held[1]
    for copy in (found.original, found.model):  # they compute where the model does
        if copy.backend is not source.backend:
            copy.use(source.backend)
    return found


def again(session: Session, before: Table, found: Table) -> None:
    """Make the edits of one table on another; what is refused there is left out."""
    calls = calls_of(session)
    for action, arguments in [calls[change] for change in before.history if change in calls]:
        with suppress(HandlensError):
            edit(session, found, action, arguments)


@question
async def table(session: Session, model: str, blank: bool = False) -> Answer:
    """The operating table as it is.

    ``name``: under which the changed network is asked about. ``changes``: in words; ``edits``: the same for an address
    (:mod:`.edits`); ``undo``, ``redo``: what they would do, "" for nothing. ``layers``: what can be changed where:
    pooling, stride, padding, activation (None where there is none). ``before``, ``after``: the probabilities for the
    image looked at (zeros where ``blank``), of ``classes``. ``free``: whether the network takes any size. ``offer``:
    whether a copy that does could be changed as it was just refused.
    """
    return await state(session, model, blank)


async def state(session: Session, model: str, blank: bool, refused: str = "", offer: bool = False) -> Answer:
    """The table's answer, with the reason why the last edit was refused."""
    found = table_of(session, model)
    image = session.image(blank)[None, None]
    before, after = [(await net.predict_async(image))[0] for net in (found.original, found.model)]
    calls = calls_of(session)
    return {
        "name": f"{model}*",
        "version": found.version,
        "changes": found.changes,
        "edits": edits.written([calls[change] for change in found.history if change in calls]),
        "undo": found.undoable,
        "redo": found.redoable,
        "layers": [changeable(found, layer.name) for layer in found.model.layers],
        "classes": classes(found.model, len(before)),
        "before": before,
        "after": after,
        "refused": refused,
        "free": "~" in model,
        "offer": offer,
    }


def calls_of(session: Session) -> WeakKeyDictionary[Change, edits.Edit]:
    """By change: what was asked for to make it; forgotten with the change."""
    calls: WeakKeyDictionary[Change, edits.Edit] = session.kept.setdefault("calls", WeakKeyDictionary())
    return calls


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
        "padding": padding_of(layer) if isinstance(layer, Conv2D) else None,
        "activation": activation,
    }


@question
async def edited(session: Session, model: str, action: str, blank: bool = False, **arguments: Any) -> Answer:
    """Change one thing; the answer is that of ``table``, ``refused`` saying why where nothing was changed.

    action: weight (layer, index, value, parameter, joined), zero (layer, kernel), kernel (layer, kernel, name of a
    hand-made one, channel), pooling (layer, kind), stride (layer, stride), padding (layer, padding), activation (layer,
    kind), undo, redo, reset; again (edits): from the original on everything that such a text says (:mod:`.edits`).
    """
    found = table_of(session, model)
    try:
        wanted = edits.read(arguments["edits"]) if action == "again" else [(action, arguments)]
        if action == "again":
            if arguments["edits"] == (await state(session, model, blank))["edits"]:
                wanted = []
            else:
                found.reset()
        for one, given in wanted:
            edit(session, found, one, given)
    except HeadError as error:
        return await state(session, model, blank, str(error), offer=averageable(found))
    except HandlensError as error:
        return await state(session, model, blank, str(error))
    return await state(session, model, blank)


def edit(session: Session, found: Table, action: str, arguments: dict[str, Any]) -> None:
    """One action at the table; what has made a change is remembered with it."""

    def handmade_kernel(layer: str, kernel: int, name: str, channel: int | None = None) -> str:
        size = found.model.layout.shapes[f"{layer}.weight"][2:]
        return found.set_kernel(layer, kernel, handmade.kernel(name, size), channel, name)

    steps = {"undo": found.undo, "redo": found.redo, "reset": found.reset}
    actions = {
        "weight": found.set_weight,
        "zero": found.zero_kernel,
        "kernel": handmade_kernel,
        "pooling": found.set_pooling,
        "stride": found.set_stride,
        "padding": found.set_padding,
        "activation": found.set_activation,
    }
    if action in steps:
        steps[action]()
        return
    if action not in actions:
        raise DataError(f"nothing is called {action!r} here; there are: {', '.join((*actions, *steps, 'again'))}")
    value = arguments.get("value", 0)
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise DataError(f"a weight from -{LARGEST:.0f} to {LARGEST:.0f} is needed; got {value:g}")
    before = found.version
    actions[action](**arguments)  # type: ignore[operator]
    if found.version != before and found.history:
        calls_of(session).setdefault(found.history[-1], (action, arguments))


def averageable(found: Table) -> bool:
    """Whether a copy of the network could end in the average of each map."""
    try:
        anysize.before_flatten(found.original)
    except DataError:
        return False
    return True


@question
async def compared(session: Session, model: str, layer: str, number: int = -1, blank: bool = False) -> Answer:
    """What a layer passes on for the image looked at, in the original and in the changed network.

    ``layer``: whose values they are (:func:`.attribution.response_of`). ``before``, ``after``, ``difference``: map
    ``number`` of it, (P, Q), a vector as one row, of the one that has changed most for -1; ``largest``: the largest
    change of each map. ``difference`` and ``largest`` are None, and ``words`` says why, where the sizes differ.
    ``peak``: of both maps; ``peaks``: the largest size in each of the three. ``reach``: of every layer the
    largest value it had, and how far any of its values has moved where it keeps its ``size``.
    """
    found = table_of(session, model)
    image = session.image(blank)[None, None]
    before, after = [await net.trace_async(image) for net in (found.original, found.model)]
    key = response_of(found.model, layer)
    old, new = as_maps(before[key][0]), as_maps(after[key][0])
    same = old.shape == new.shape
    largest = np.abs(new - old).max(axis=(1, 2)) if same else None
    if number < 0:
        number = int(largest.argmax()) if largest is not None else 0
    at = min(number, len(old) - 1, len(new) - 1)
    words = "" if same else f"{maps_words(old.shape)} before, {maps_words(new.shape)} now: no cell has its fellow."
    reach = []
    for name in (one.name for one in found.model.layers if one.name in before and one.name in after):
        was, now = before[name], after[name]
        size = was.shape == now.shape
        moved = float(np.abs(now - was).max()) if size else 0.0
        reach.append({"layer": name, "peak": float(np.abs(was).max()), "size": size, "moved": moved})
    return {
        "layer": key,
        "number": at,
        "count": len(old),
        "before": old[at],
        "after": new[at],
        "difference": new[at] - old[at] if same else None,
        "largest": largest,
        "peak": float(max(np.abs(old[at]).max(), np.abs(new[at]).max())),
        "peaks": [float(np.abs(one).max()) for one in (old[at], new[at], new[at] - old[at] if same else np.zeros(1))],
        "signed": bool(min(old[at].min(), new[at].min()) < 0),
        "words": words,
        "reach": reach,
    }


@question
async def measured(session: Session, model: str, samples: str) -> Answer:
    """Accuracy of the changed network on the test sample, beside the original's; a job, "measured", which the next edit
    cancels. ``flipped``: a list of image (its number), label, before, after; the first ``drawn`` with pixels (H, W)."""
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
    numbers["drawn"] = min(SHOWN, len(flipped))
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
    ``total``: of the whole; ``why``: the reason where nothing can be told. ``rows``: of each that
    the page shows, name, ms and whose time holds it (:func:`.timing.row_times`).
    """
    net = session.model(model)
    found = await layer_times_async(net, session.image())
    taken, held = row_times(found, session.anatomy(model).rows)
    answer: Answer = {"backend": found.backend, "layers": found.layers, "inside": found.inside}
    answer |= {"rows": [{"name": key, "ms": ms, "held": held.get(key, "")} for key, ms in taken.items()]}
    return {**answer, "total": found.total, "rounds": found.rounds, "why": found.why}


@question
async def any_size(session: Session, model: str, samples: str, side: int = anysize.LARGER) -> Answer:
    """Make the network for any size, under the model's name with a ``~``, and measure it; a job, "any_size".

    side: pixels of the larger of the two sizes that it is fitted on. Of the sizes other than the usual only the last
    that was asked for is kept, under a name that ends in it, so that what lies on the table stays the same.
    ``accuracy``: on the test sample as it is, on sheets of ``side`` x ``side`` pixels, and enlarged to them;
    ``original``: of the model itself on the sample as it is. ``refused``: why there can be none.
    """
    source = session.model(model)
    mix, test = await session.sample("mix", samples), await session.sample("test", samples)
    kept: dict[tuple[str, bool], tuple[object, Answer]] = session.kept.setdefault("any_size", {})
    usual = side == anysize.LARGER
    name, key = f"{model}~{'' if usual else side}", (source, weights_of(source), side)
    held = kept.get((model, usual))
    if held is not None and held[0] == key:
        return held[1]

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
    if held is not None:
        session.made.pop(held[1]["name"], None)
    session.made[name] = lambda: made
    result = {**found, "name": name, "side": side, "count": len(test.labels), "refused": ""}
    kept[model, usual] = key, result
    return result


@question
async def sized(
    session: Session, model: str, side: int = anysize.LARGER, way: str = "enlarged", blank: bool = False
) -> Answer:
    """The image looked at (zeros where ``blank``), at another size, through a network: ``probabilities``, the class
    with the largest of them (``best``) and its ``share``, or ``refused``, the reason why not.

    way: "enlarged" to side x side pixels, or "framed", in the middle of such a sheet.
    """
    plain = session.image(blank)[None, None]
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
