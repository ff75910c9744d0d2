"""Questions that take a while: one of a kind at a time, with a share of what is done, given up for a newer one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .session import Answer, Session, question
from .slices import Progress

__all__ = ["alone", "progress", "stop"]


async def alone(session: Session, kind: str, key: object, work: Callable[[Progress], Awaitable[Answer]]) -> Answer:
    """What ``work`` answers. One that runs under the same kind is cancelled first, and answers {"cancelled": True};
    if it has the same key, it is the same question, and both have its answer."""
    jobs: dict[str, dict[str, Any]] = session.kept.setdefault("jobs", {})
    running = jobs.get(kind)
    if running is None or running["task"].done() or running["key"] != key:
        if running is not None:
            running["task"].cancel()
        running = {"key": key, "share": 0.0}
        running["task"] = asyncio.ensure_future(work(lambda share: running.update(share=share)))
        jobs[kind] = running
    task = running["task"]
    try:
        return {"cancelled": False, **await asyncio.shield(task)}
    except asyncio.CancelledError:
        if task.cancelled():
            return {"cancelled": True}
        raise


@question
async def progress(session: Session, kind: str) -> Answer:
    """How far a job is: whether it runs, and the share that is done."""
    running = session.kept.get("jobs", {}).get(kind)
    if running is None:
        return {"running": False, "share": 0.0}
    return {"running": not running["task"].done(), "share": running["share"]}


@question
async def stop(session: Session, kind: str) -> Answer:
    """Give a job up; it answers {"cancelled": True}."""
    running = session.kept.get("jobs", {}).get(kind)
    if running is not None:
        running["task"].cancel()
    return {"stopped": running is not None}
