"""A GPU reached from Pyodide, through the browser's ``navigator.gpu``: a thin layer over ``replay.js``, which does the
work, so that a run crosses from Python into JavaScript once, however many steps and dispatches it has.
"""

from __future__ import annotations

import json
from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.resources import files
from typing import Any

from ...errors import BackendError
from .device import Adapter, Device, Progress
from .lowered import Lowered

PATIENCE = 30.0  # s without an answer, after which a GPU counts as lost


class BrowserGpu(Device):
    """``navigator.gpu``. Opened by :meth:`open`. Once ``lost`` says why, writing, running and waiting do nothing, and
    reading raises BackendError with that sentence: there is nothing to read."""

    waits = True

    def __init__(self) -> None:
        """Made by :meth:`open`."""
        self._ffi: Any = import_module("pyodide.ffi")  # Pyodide alone has it, and this module is imported elsewhere too
        self._replay: Any = None
        self._tell: Any = None
        self._next = 0
        self.lost = ""
        self.crossings = 0

    @classmethod
    async def open(cls, patience: float = PATIENCE) -> BrowserGpu:
        """The browser's GPU. Raises BackendError with the reason where there is none to be had."""
        try:
            run_js = import_module("pyodide.code").run_js
            gpu = cls()
        except ImportError:
            raise BackendError("there is no navigator.gpu outside a browser") from None
        gpu._tell = gpu._ffi.create_proxy(gpu._hear)
        replay = run_js(files(__package__).joinpath("replay.js").read_text("utf-8"))
        gpu._replay = replay.new(patience * 1e3, gpu._tell)
        try:
            name, software, largest_binding, largest_buffer = await gpu._ask("open")
        except BaseException:
            gpu._tell.destroy()
            raise
        gpu.adapter = Adapter(str(name), bool(software), int(largest_binding), int(largest_buffer))
        return gpu

    def _hear(self, reason: str) -> None:
        """Told by ``replay.js``, once."""
        self.lost = reason

    def _call(self, name: str, *arguments: Any) -> Any:
        """One crossing. What JavaScript throws comes as a BackendError."""
        self.crossings += 1
        try:
            return getattr(self._replay, name)(*arguments)
        except self._ffi.JsException as error:
            raise BackendError(_words(error)) from None

    async def _ask(self, name: str, *arguments: Any) -> Any:
        """One crossing, and its answer."""
        try:
            return await self._call(name, *arguments)
        except self._ffi.JsException as error:
            raise BackendError(_words(error)) from None

    def _number(self) -> int:
        self._next += 1
        return self._next

    async def load(self, lowered: Lowered, shared: Mapping[str, int], progress: Progress | None = None) -> int:
        number = self._number()
        text = json.dumps({"lowered": asdict(lowered), "shared": dict(shared)})
        told = self._ffi.create_proxy(progress) if progress else None
        try:
            await self._ask("load", number, text, told)
        except CancelledError:
            self._call("close", number)  # the loading ends without anyone to give the program to
            raise
        finally:
            if told:
                told.destroy()
        return number

    def buffer(self, size: int) -> int:
        number = self._number()
        self._call("buffer", number, size)
        return number

    def write_shared(self, handle: int, data: Any) -> None:
        self._call("write_shared", handle, data)

    def write(self, program: int, buffer: str, offset: int, data: Any) -> None:
        self._call("write", program, buffer, offset, data)

    def prepare(self, program: int) -> None:
        self._call("prepare", program)

    def run(self, program: int, steps: int, control: bytes) -> None:
        self._call("run", program, steps, control or None)

    async def records(self, program: int) -> bytes:
        return bytes((await self._ask("records", program)).to_bytes())

    async def read(self, program: int, places: list[tuple[str, int, int]]) -> list[bytes]:
        return _parts((await self._ask("read", program, json.dumps(places))).to_bytes(), places)

    async def answer(
        self, program: int, write: tuple[str, int, Any], places: list[tuple[str, int, int]]
    ) -> list[bytes]:
        return _parts((await self._ask("answer", program, *write, json.dumps(places))).to_bytes(), places)

    async def settled(self, most: int = 0) -> None:
        await self._ask("settled", most)

    def close(self, program: int) -> None:
        self._call("close", program)

    def free(self, handle: int) -> None:
        self._call("free", handle)

    def memory(self) -> tuple[int, int]:
        buffers, size = self._call("memory")
        return int(buffers), int(size)


def _parts(data: Any, places: list[tuple[str, int, int]]) -> list[bytes]:
    """The bytes of several places, which come one after another, apart."""
    found, at, whole = [], 0, bytes(data)
    for _, _, size in places:
        found.append(whole[at : at + size])
        at += size
    return found


def _words(error: Any) -> str:
    """The sentence of a JavaScript error, without the name of its class."""
    return str(getattr(error, "message", "") or error)
