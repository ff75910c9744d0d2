"""The way to the engine: start it, watch it arrive, call it, notice when it has stopped, start it again."""

import asyncio
import json

from pyscript import document, window, workers
from ui import dom

ANSWER_WITHIN = 15  # s: every call of the engine is short, so a silence this long means that it is gone
GPU_WITHIN = 45  # s: a GPU is given 30 before it counts as lost, and NumPy then answers
SILENCE = 90  # s without a byte or an answer while loading
TITLES = {"numpy": "NumPy", "native": "Compiled SIMD", "webgpu": "WebGPU"}


class EngineGoneError(Exception):
    """The engine failed while it was being asked; the page has been told already."""


class EngineError(Exception):
    """The engine stands, but could not do what it was asked; the message says why."""


async def _promise(thenable):
    return await thenable  # wait_for wants a coroutine, and a JavaScript promise is none


def _reason(error: Exception) -> str:
    """The last line of a Python traceback that has crossed from the worker, without the exception's name."""
    text = str(error.args[-1] if error.args else error).strip()
    lines = [line for line in text.split("\n") if line.strip()]
    return lines[-1].strip() if lines else "no reason given"


class Engine:
    """`state` is "loading", "ready" or "failed"; `changed()` is called whenever it, or the progress, changes."""

    def __init__(self, changed) -> None:
        self.state, self.error, self.backend, self.backends, self.version = "loading", "", "", {}, ""
        self.changed, self.proxy, self.generation = changed, None, 0
        dom.listen(document, "engine-report", lambda event: self._reported())
        self._follow()

    def _follow(self) -> None:
        self.generation += 1
        self.state, self.error, self.proxy = "loading", "", None
        self._show()
        dom.run(self._connect(window.engineReport.name, self.generation))
        dom.run(self._watch(self.generation))

    def _show(self) -> None:
        dom.root.setAttribute("data-engine", self.state)
        if self.backend:
            dom.root.setAttribute("data-backend", self.backend)
        self.changed()

    def _reported(self) -> None:
        if self.state != "loading":
            return
        if window.engineReport.failed:
            self.fail(window.engineReport.failed)
        else:
            self.changed()

    async def _connect(self, name: str, generation: int) -> None:
        try:
            proxy = await workers[name]
            status = await asyncio.wait_for(_promise(proxy.status()), 30)
        except Exception as error:
            if generation == self.generation:
                self.fail(_reason(error))
            return
        if generation != self.generation or self.state != "loading":
            return
        if not status.ok:
            self.fail(status.error)
            return
        self.proxy, self.backend, self.version = proxy, status.backend, status.version
        self.backends = json.loads(window.JSON.stringify(status.backends))
        self.state = "ready"
        self._show()

    async def _watch(self, generation: int) -> None:
        """While loading: a silence that lasts is a failure that nothing else reports."""
        seen, quiet = -1, 0
        while generation == self.generation and self.state == "loading":
            self._reported()
            seen, quiet = window.engineReport.bytes, 0 if window.engineReport.bytes != seen else quiet + 1
            if quiet >= SILENCE:
                self.fail(f"nothing has arrived for {SILENCE} seconds")
                return
            await asyncio.sleep(1)

    def use(self, backend: str) -> None:
        """Another backend computes from now on."""
        self.backend = backend
        self._show()

    def fail(self, reason: str) -> None:
        """Declare the engine stopped; the drawing is the pad's and stays."""
        if self.state != "failed":
            self.state, self.error, self.proxy = "failed", reason.rstrip("."), None
            self._show()

    def restart(self) -> None:
        """Start a new worker, under a new name, in place of this one."""
        window.startEngine()
        self._follow()

    async def call(self, method: str, *arguments, seconds: int = 0):
        """Call one of the engine's functions; raises `EngineError` or `EngineGoneError`."""
        if self.proxy is None:
            raise EngineGoneError
        generation = self.generation
        seconds = seconds or (GPU_WITHIN if self.backend == "webgpu" else ANSWER_WITHIN)
        try:
            result = await asyncio.wait_for(_promise(getattr(self.proxy, method)(*arguments)), seconds)
        except asyncio.TimeoutError:  # noqa: UP041  (MicroPython has no such builtin)
            if generation == self.generation:
                self.fail(f"it has not answered for {seconds} seconds")
            raise EngineGoneError  # noqa: B904  (MicroPython does not chain exceptions)
        except Exception as error:
            raise EngineError(_reason(error))  # noqa: B904
        if generation != self.generation:
            raise EngineGoneError
        return result
