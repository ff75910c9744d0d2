"""What the article's figures ask while the page is open: one of them on the drawing, or the facts once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import DataError
from ..model import Sequential
from . import story, story_facts
from .session import Answer, Session, question

AGAIN: dict[str, Callable[[], story_facts.Facts]] = {
    "neurons": story_facts.neuron_facts,
    "counts": story_facts.counted_facts,
    "maps": story_facts.mapped_facts,
}


def reference(session: Session) -> dict[str, Sequential]:
    """The networks that the figures need, compiled or on NumPy: copies, made anew when a network has been taught."""
    kept = session.kept.setdefault("article", {})
    for name in {name for _, needed in story.READ.values() for name in needed} & set(session.models):
        model = session.models[name]
        now = hash(model.parameters.tobytes())
        if name not in kept or kept[name][0] != now:
            twin = Sequential.from_config(model.config(), name=name, weights=model.state_dict())
            if model.backend.name == "native":  # hundreds of images at once keep the worker for long on NumPy
                twin.use(model.backend)
            kept[name] = now, twin
    return {name: twin for name, (_, twin) in kept.items()}


@question
async def article(
    session: Session, figure: str, arguments: Mapping[str, Any] | None = None, blank: bool = False
) -> Answer:
    """One live figure, on the drawing looked at; on the example where nothing is drawn."""
    image = None if blank else session.last["image"]
    models = reference(session) if figure in story.READ else {}
    return story.figure(figure, models, image, arguments)


@question
async def article_facts(session: Session, family: str) -> Answer:
    """A family of the text's facts, computed here and now; DataError for an unknown one."""
    if family not in AGAIN:
        raise DataError(f"no facts are called {family!r}; there are: {', '.join(AGAIN)}")
    return {"family": family, "facts": AGAIN[family]()}
