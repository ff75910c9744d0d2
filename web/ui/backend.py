"""Which backend computes, and why; a line at the foot of the page says it.

Compiled kernels are judged when the first model is loaded, a GPU once, after the first answer.
"""

import asyncio

from ui import dom, link
from ui.worker import TITLES, EngineError, EngineGoneError

POLL = 100  # ms between looks at how many kernels are compiled
MOST = 12  # judgements of a model: one that ran out of time is followed by the next, which goes on from there

_line, _note = dom.find("backend-line"), dom.find("backend-note")
_judged = {}  # (generation of the engine, model) -> how often it was judged
_said = {"kernels": ""}


def show(engine, reading) -> None:
    """Follow the backend that the answer came from; one that was left is named with its reason."""
    if not reading.backend:
        return
    before = engine.backend
    if reading.backend != before:
        engine.use(reading.backend)
    if reading.left and before != reading.backend:
        reason = f"{reading.left[0].upper()}{reading.left[1:].rstrip('.')}."
        _say(_note, f"{reason} {TITLES[reading.backend]} goes on, nothing is lost.")
        _say(_line, f"{TITLES[before]} is no longer used: {reading.left.rstrip('.')}.")


def loaded(engine, model) -> None:
    """The first model is there: what computes it, and what came of judging the compiled kernels."""
    if _said["kernels"] != model.sentence:
        _said["kernels"] = model.sentence
        _say(_line, model.sentence)
    if engine.backend == "numpy" and model.backend != "numpy":
        engine.use(model.backend)
    forced = link.forced_backend()
    if forced and forced not in TITLES:
        _say(_note, f"There is no backend called {forced}. Using {TITLES[model.backend]}.")
    if forced == "native" != model.backend:
        _say(_note, f"{model.sentence} Using {TITLES[model.backend]}, nothing is lost.")


def _with_kernels(sentence: str) -> str:
    return f"{_said['kernels']} {sentence}".strip()


def _say(place, sentence: str) -> None:
    place.textContent = sentence
    place.hidden = not sentence


async def judge(engine, model: str, changed) -> None:
    """Once for each model of an engine: hold WebGPU against what answers, on what it just read, and say the outcome.

    One that ran out of time, its kernels not compiled yet, is repeated after a further answer. `changed()` is called
    where it is WebGPU that answers from now on.
    """
    turn = (engine.generation, model)
    count = _judged.get(turn, 0) + 1
    if count > MOST:
        return
    _judged[turn] = MOST  # while it is under way, and for good unless it runs out of time
    forced = link.forced_backend()
    if forced and forced != "webgpu":
        return
    watch = asyncio.create_task(_watch(engine))
    try:
        said = await engine.call("judge", model, seconds=120)
    except EngineGoneError:
        return
    except EngineError as error:
        _say(_line, _with_kernels(f"WebGPU is not used: {error}"))
        return
    finally:
        watch.cancel()
    if said.late:
        _judged[turn] = count
    _said["kernels"] = said.kernels
    _say(_line, _with_kernels(said.sentence))
    if forced and not said.used:
        _say(_note, f"{said.sentence} Using {TITLES[engine.backend]}, nothing is lost.")
    if said.used:
        changed()


async def _watch(engine) -> None:
    """Show how far the compilation of the kernels is."""
    while True:
        await asyncio.sleep_ms(POLL)
        try:
            found = await engine.call("judge_status")
        except (EngineGoneError, EngineError):
            return
        if found.of:
            _say(_line, _with_kernels(warming(found.done, found.of)))


def warming(done: int, of: int) -> str:
    """How many of a GPU's kernels are compiled."""
    return f"WebGPU: warming up {done}/{of}"


def trained(sentence: str) -> None:
    """What came of judging WebGPU for a training, which is apart from reading."""
    if sentence and sentence not in _line.textContent:
        _say(_line, f"{_line.textContent} {sentence}")
