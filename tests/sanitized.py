"""The compiled kernels with address and undefined-behaviour sanitizers, and a Python of its own to run them in.

They are compiled by the compiler that makes the real ones, so what is watched are the same vector instructions. It
brings no address sanitizer to run with: gcc's is put before a subprocess's other libraries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import step_kernels
import step_setup
from buildkit import environment

HERE = Path(__file__).resolve().parent
OBJECTS = step_kernels.OBJECTS.parent / "kernels-sanitized"
DAY = 86_400  # seconds
RUNTIME = ("libasan.so", "libubsan.so")
FLAGS = (
    *("-O1", "-g1", "-fno-stack-protector", "-Wno-error", "-fvisibility=default"),
    # The driver drops -fsanitize=address, the compiler behind it does not; calls are compiled faster than code.
    *("-Xclang", "-fsanitize=address", "-mllvm", "-asan-instrumentation-with-call-threshold=0"),
    *("-fsanitize=undefined", "-fno-sanitize-trap=all", "-fno-sanitize-recover=undefined"),
)
TARGET = step_kernels.Target("handlens-sanitized.so", "linux", "x86_64-linux-gnu", "x86_64_v3", FLAGS)


def runtime() -> list[Path]:
    """The sanitizers' libraries; empty where this host has none."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return []
    asked = [subprocess.run([gcc, f"-print-file-name={name}"], capture_output=True, text=True) for name in RUNTIME]
    paths = [Path(answer.stdout.strip()) for answer in asked]
    return paths if all(path.is_absolute() and path.is_file() for path in paths) else []


def why_not() -> str:
    """What this host lacks for sanitizers; empty where it has everything."""
    if step_kernels.this_machine() != ("linux", "x86_64"):
        return "the sanitized kernels are compiled for Linux on x86-64 only"
    if "avx2" not in Path("/proc/cpuinfo").read_text("utf-8"):
        return "this processor is older than x86-64-v3, for which the sanitized kernels are compiled"
    if step_setup.compiler() is None:
        return step_setup.WITHOUT_COMPILER
    return "" if runtime() else "no gcc with the libraries libasan and libubsan is on this host"


def build(made: Path, sources: Path = step_kernels.SOURCES) -> Path:
    """Compile what changed since the last time, and link it."""
    zig = step_setup.compiler()
    assert zig is not None
    OBJECTS.mkdir(parents=True, exist_ok=True)
    files = [step_kernels.Source(path) for path in sorted(sources.glob("*.c"))]
    objects = [OBJECTS / source.object_name(TARGET, zig) for source in files]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        waiting = [(source, path) for source, path in zip(files, objects, strict=True) if not path.is_file()]
        list(pool.map(lambda job: step_kernels.compile_one(zig, job[0], TARGET, job[1]), waiting))
    arguments = ["ld.lld", "-shared", "-o", made, *objects]  # the runtime's symbols are left open
    step_kernels.tool(zig, arguments, OBJECTS, "the sanitized kernels do not link")
    for old in set(OBJECTS.glob("*.o")) - set(objects):
        if time.time() - old.stat().st_mtime > DAY:  # another session may be about to link the younger ones
            old.unlink(missing_ok=True)
    return made


def run(library: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """`sanitized_inside.py` with these arguments, on this library, under the sanitizers."""
    env = environment(
        LD_PRELOAD=":".join(map(str, runtime())),
        # Pages that nothing has written are no memory yet: what a malformed plan asks for costs nothing before it runs.
        ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=1",
        UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1",
        PYTHONMALLOC="malloc",
        OPENBLAS_NUM_THREADS="1",
    )
    command = [sys.executable, "-B", str(HERE / "sanitized_inside.py"), str(library), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, check=False)


def passed(library: Path, *arguments: str, timeout: float = 300) -> str:
    """What it printed; a failure shows the sanitizer's report."""
    found = run(library, *arguments, timeout=timeout)
    assert found.returncode == 0, f"{found.stdout[-3000:]}\n{found.stderr[:6000]}"
    return found.stdout
