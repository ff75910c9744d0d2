"""Keeps the answer up with the ink: the latest ink wins, one request is in flight, and the rest waits for a pause."""

import asyncio
import time

from pyscript import window
from ui import dom
from ui.worker import EngineError, EngineGoneError

PACE = 66  # ms from one answer to the next while drawing: numbers settle rather than flicker
PAUSE = 160  # ms without a change before the other models and the maps are asked for

pad = window.pad


class Reading:
    """What the engine made of one version of the drawing. `blank` when there is nothing to read."""

    def __init__(self, version: int, result=None) -> None:
        self.version = version
        self.blank = result is None or result.blank
        self.digit = self.second = -1
        self.probabilities, self.seen, self.ms, self.model = [0.0] * 10, None, 0.0, ""
        if not self.blank:
            self.digit, self.second, self.ms, self.model = result.digit, result.second, result.ms, result.model
            self.probabilities, self.seen = [float(share) for share in result.probabilities], result.seen


class Reader:
    """`show(reading)` at every answer; `settle(reading)`, a coroutine, once the drawing has rested."""

    def __init__(self, engine, show, settle) -> None:
        self.engine, self.show, self.settle = engine, show, settle
        self.model = ""
        self.waiting = self.running = False

    def changed(self) -> None:
        """The drawing, the model or the engine has changed: read again, now or when the request in flight is back."""
        self.waiting = True
        if not self.running:
            self.running = True
            dom.run(self._run())

    async def _run(self) -> None:
        try:
            while self.waiting:
                self.waiting = False
                started = time.ticks_ms()
                reading = await self._read()
                if reading is None:
                    break
                self.show(reading)
                if not await self._rested(PACE - time.ticks_diff(time.ticks_ms(), started)):
                    continue
                if await self._rested(PAUSE) and not pad.busy():
                    await self.settle(reading)
        except EngineGoneError:
            pass  # the page has been told; a restart calls changed()
        except EngineError as error:
            self.engine.fail(str(error))
        finally:
            self.running = False
        if self.waiting and self.engine.state == "ready":
            self.changed()

    async def _rested(self, duration: int) -> bool:
        if duration > 0 and not self.waiting:
            await asyncio.sleep_ms(duration)
        return not self.waiting

    async def _read(self):
        """One request. None while there is ink but nobody to read it yet."""
        version, kind = pad.version(), pad.kind()
        if kind == "blank":
            return Reading(version)
        if self.engine.state != "ready" or not self.model:
            return None
        if kind == "picture":
            return Reading(version, await self.engine.call("read_pixels", pad.values(), self.model))
        return Reading(version, await self.engine.call("read", pad.flat(), pad.extent, self.model))
