"""Keeps the answer up with the ink: the latest ink wins, one request is in flight, and the rest waits for a pause."""

import asyncio
import time

from pyscript import window
from ui import dom
from ui.worker import EngineError, EngineGoneError

PACE = 66  # ms from one answer to the next while drawing: numbers settle rather than flicker; maps follow as they can
PAUSE = 160  # ms without a change before the other models and the maps are asked for

pad = window.pad


class Place:
    """One digit of the drawing, or what should have been one, as the core judged it."""

    def __init__(self, packed) -> None:
        self.verdict, self.answered, self.sentence = packed.verdict, packed.answered, packed.sentence
        self.digit, self.second = packed.digit, packed.second  # the two with the largest shares, answered or not
        self.probabilities, self.none = [float(share) for share in packed.probabilities], packed.none
        self.box = [float(edge) for edge in packed.box]  # left, top, right, bottom in shares of the pad; or nothing
        self.seen = packed.seen

    def share(self) -> float:
        """The share behind the verdict: that of the best digit, or of none."""
        return self.none if self.verdict == "none" else self.probabilities[self.digit]

    def text(self) -> str:
        """The digit, or a question mark where it is not answered."""
        return str(self.digit) if self.answered else "?"


class Reading:
    """What the engine made of one version of the drawing. `blank` when there is nothing to read.

    `early`: it is not the engine's, but of the kernels on this thread, while Python is on its way (first.js).

    `places` from left to right, `chosen` the number of the one that bars, steps and maps are about: at first the
    `latest`, with the newest stroke.
    """

    def __init__(self, version: int, result=None, without: str = "", early: bool = False) -> None:
        self.version, self.without, self.early = version, without, early
        self.blank = result is None or result.blank
        self.places, self.chosen, self.ms, self.model, self.rejects = [], 0, 0.0, "", False
        self.inside, self.asked = False, ""  # the answer to what a view has asked along with the reading, and that
        self.backend = self.left = ""  # what computed it, and why another backend was left before
        self.text, self.verdict, self.sentence, self.weakest, self.latest = "?", "blank", "", 0, 0
        if not self.blank:
            self.places = [Place(packed) for packed in result.places]
            self.chosen, self.latest, self.weakest = result.latest, result.latest, result.weakest
            self.text, self.verdict, self.sentence = result.text, result.verdict, result.sentence
            self.ms, self.model, self.rejects = result.ms, result.model, result.rejects
            self.backend, self.left = result.backend, result.left
            self.inside = False if early else result.inside

    def keep_choice(self, before) -> None:
        """Look at the digit that `before`, a reading of the same drawing or None, was about."""
        if before is not None and before.version == self.version and len(before.places) == len(self.places):
            self.chosen = before.chosen

    def place(self):
        """The chosen place; None on a blank pad."""
        return None if self.blank else self.places[self.chosen]

    @property
    def seen(self):
        """The 28 x 28 of the chosen place; None on a blank pad."""
        return None if self.blank else self.places[self.chosen].seen

    def digits(self) -> str:
        """The most probable digit of each place, also where it is not answered."""
        return "".join([str(place.digit) for place in self.places])


class Reader:
    """`show(reading)` at every answer, with None where nobody can read yet; `settle(reading)`, a coroutine, once the
    drawing has rested. `chosen()`: the model that is to answer, "" before it is known."""

    def __init__(self, engine, show, settle, chosen) -> None:
        self.engine, self.show, self.settle, self.chosen = engine, show, settle, chosen
        self.model = ""
        self.also = None  # gives what an open view asks about the same drawing: the question and its arguments, as JSON
        self.without = ""  # stages of the preparation that are switched off, with commas between
        self.waiting = self.running = False
        self.news = asyncio.Event()  # set while something waits to be read

    def changed(self) -> None:
        """The drawing, the model or the engine has changed: read again, now or when the request in flight is back."""
        self.waiting = True
        self.news.set()
        if not self.running:
            self.running = True
            dom.run(self._run())

    async def _run(self) -> None:
        try:
            while self.waiting:
                self.waiting = False
                self.news.clear()
                started = time.ticks_ms()
                also = self.also() if self.also else ""
                reading = await self._read(also)
                if reading is None:
                    self.show(None)
                    break
                self.show(reading)
                early = 0 if also else PACE - time.ticks_diff(time.ticks_ms(), started)
                if early > 0 and not self.waiting:
                    await asyncio.sleep_ms(early)
                if await self._rested() and not pad.busy():
                    await self.settle(reading)
        except EngineGoneError:
            pass  # the page has been told; a restart calls changed()
        except EngineError as error:
            self.engine.fail(str(error))
        finally:
            self.running = False
        if self.waiting and self.engine.state == "ready":
            self.changed()

    async def _rested(self) -> bool:
        """Whether nothing new comes for a while; new ink ends the wait at once."""
        try:
            await asyncio.wait_for(self.news.wait(), PAUSE / 1000)
        except asyncio.TimeoutError:  # noqa: UP041  (MicroPython has no such builtin)
            return True
        return False

    def early(self):
        """What first.js makes of the drawing; None where only Python can tell, or an engine has been and gone."""
        if self.engine.state == "failed" or self.engine.generation > 1:
            return None
        result = window.first.read(self.chosen(), self.without)
        return Reading(pad.version(), result, self.without, early=True) if result else None

    async def _read(self, also: str):
        """One request, with what an open view asks. None while there is ink but nobody to read it yet."""
        version, kind = pad.version(), pad.kind()
        if kind == "blank":
            return Reading(version)
        if self.engine.state != "ready" or not self.model:
            return self.early()
        if kind == "picture":
            return Reading(version, await self.engine.call("read_pixels", pad.values(), self.model))
        without = self.without
        result = await self.engine.call("read", pad.flat(), pad.extent, self.model, without, also)
        reading = Reading(version, result, without)
        reading.asked = also
        return reading
