"""Runs under the sanitizers, in a process that `sanitized.py` starts: `sanitized_inside.py LIBRARY WHAT ...`.

NumPy keeps small arrays for later and the backend shares buffers out among tensors, so that a step too far often lands
in memory that is somebody's. Here every value gets a block from malloc of exactly its size, red zones around it, and
begins as NaN: what is read before it is written shows in the answer.
"""

from __future__ import annotations

import ctypes
import dataclasses
import sys
import weakref
from pathlib import Path

import numpy as np
from handlens import architectures
from handlens.augment import Augment
from handlens.backends.native import Library, NativeBackend
from handlens.backends.native import backend as native_backend
from handlens.backends.native.lower import ARENA, Lowered, lower
from handlens.plan import Plan
from op_cases import CASES, DIFFERENTIABLE
from parity_check import check_forward, check_gradients

FORWARD, BACKWARD = 1e-5, 1e-4
EMPTY = 0xFF  # as every byte of a float32: NaN
C = ctypes.CDLL(None)  # the sanitizer's allocator stands before libc's
C.posix_memalign.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
C.free.restype, C.free.argtypes = None, [ctypes.c_void_p]


def room(size: int) -> np.ndarray:
    """A block of exactly this size (at least one byte), in place of the backend's."""
    at = ctypes.c_void_p()
    if C.posix_memalign(ctypes.addressof(at), native_backend.ALIGNMENT, max(size, 1)):
        raise MemoryError(size)
    block = (ctypes.c_uint8 * max(size, 1)).from_address(at.value)
    array = np.ctypeslib.as_array(block)
    weakref.finalize(block, C.free, at)
    array[...] = EMPTY
    return array


def apart(plan: Plan, fused: bool = True) -> Lowered:
    """The plan's calls with a buffer of its own for every value of the arena, which views of it share; other buffers
    end where their last tensor does."""
    lowered = lower(plan, fused)
    tensors = {
        name: dataclasses.replace(p, buffer=f"{ARENA} {p.offset}", offset=0) if p.buffer == ARENA else p
        for name, p in lowered.tensors.items()
    }
    buffers = dict.fromkeys((place.buffer for place in tensors.values()), 0)
    for place in tensors.values():
        buffers[place.buffer] = max(buffers[place.buffer], place.offset + place.bytes)
    return dataclasses.replace(lowered, tensors=tensors, buffers=buffers)


def table(library: Library, only: str = "") -> None:
    """The case table, forward and gradients, or the cases of one op."""
    backend = NativeBackend(library)
    kinds = ((check_forward, CASES, FORWARD), (check_gradients, DIFFERENTIABLE, BACKWARD))
    for check, cases, limit in kinds:
        chosen = [case for case in cases if only in ("", case.op)]
        for case in chosen:
            print(check.__name__, case.id, flush=True)  # the last one is in the report
            check(case, backend, limit)
        print(f"{check.__name__}: {len(chosen)} cases", flush=True)


def networks(library: Library) -> None:
    """Readings and trainings of whole networks, with the ops that only lower.py makes, as NumPy computes them."""
    chance = np.random.default_rng(4)
    x, y = chance.integers(0, 256, (11, 28, 28)).astype(np.uint8), chance.integers(0, 10, 11)
    for name, change in (("cnn-small", None), ("convnet", Augment()), ("digits", None)):
        ends = []
        for side in ("numpy", NativeBackend(library)):
            model = architectures.build(name)
            model.use(side)
            read = [model.predict(x[:n]) for n in (1, 3)]
            model.fit(x, y, epochs=1, batch_size=8, augment=change, progress=False)
            assert not model.handed_over
            ends.append([*read, model.parameters.copy()])
        for k, (expected, found) in enumerate(zip(*ends, strict=True)):
            # Adam's first steps divide by gradients near 0: a parameter may step either way, by the learning rate.
            np.testing.assert_allclose(found, expected, atol=1e-5 if k < 2 else 3e-3)
        print(f"{name}: as NumPy", flush=True)


def main(path: str, what: str, *arguments: str) -> None:
    """Run one of the checks."""
    native_backend.room, native_backend.lower = room, apart
    library = Library(Path(path))
    if what == "table":
        table(library, *arguments)
    elif what == "networks":
        networks(library)
    else:
        import plan_fuzz

        seed, count = map(int, arguments)
        print(plan_fuzz.all_refused(library, seed, count, room))
        print(plan_fuzz.flipped(library, seed, count, room))


if __name__ == "__main__":
    main(*sys.argv[1:])
