"""`kernels`: compile `core/kernels/*.c` for WebAssembly and for processors, all from one machine, by PyPI's `ziglang`.

Objects are kept under the hash of what they are made from, so that a change compiles what it touches. The same sources
give the same bytes in any folder on any day.
"""

from __future__ import annotations

import ast
import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import step_setup
import wasm_file
from buildkit import (
    BUILD,
    CORE,
    DIST,
    ROOT,
    STAMPS,
    BuildError,
    Stamp,
    digest_of,
    environment,
    exclusive,
    files_under,
    human,
    relative,
    say,
    scratch,
    sha256_bytes,
    total_bytes,
    write_bytes,
)

SOURCES = CORE / "kernels"
LIBRARIES = CORE / "handlens" / "backends" / "native" / "lib"  # beside the code that opens them; not in git
TABLE = "ops.txt"
OBJECTS = DIST / "kernels"
STAMP = STAMPS / "kernels.json"

# No errno, no libc: memset and memcpy are our own. No debug information and no .ident, which would name this machine.
FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-ffreestanding", "-fvisibility=hidden")
CHECKS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g0", "-fno-ident")
# What every browser with SIMD has; named from the bottom up, so that no newer compiler adds to it.
WASM = "mvp+simd128+bulk_memory+bulk_memory_opt+nontrapping_fptoint+sign_ext+mutable_globals"
INFERENCE = "handlens-inference"
STACK = 1 << 18  # of a standalone module; it lies below the data, so that an overflow traps
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)

SYSTEMS = {"linux": ("linux-gnu", ".so"), "macos": ("macos.11.0", ".dylib"), "windows": ("windows-gnu", ".dll")}
# The levels of x86-64 that are told apart on each system; v2 stands for every x86-64 machine in use.
LEVELS = {"linux": (2, 3, 4), "macos": (2, 3), "windows": (2, 3, 4)}


@dataclass(frozen=True)
class Target:
    """One library: its file, and what the compiler is told. `kind` is side, standalone, linux, macos or windows."""

    file: str
    kind: str
    triple: str
    cpu: str
    more: tuple[str, ...] = ()

    @property
    def wasm(self) -> bool:
        return self.kind in ("side", "standalone")

    def flags(self, texts: Iterable[bytes]) -> list[str]:
        """The compiler's arguments for a source of these texts, the same on every machine.

        A define that no text mentions is left out, and a standalone module takes code that could lie anywhere, as a
        side module must: 200 bytes more, and one object serves both.
        """
        place = [] if self.kind == "windows" else ["-fPIC"]
        named = [word for word in self.more if not word.startswith("-D") or any(word[2:].encode() in t for t in texts)]
        return ["-target", self.triple, f"-mcpu={self.cpu}", *FLAGS, *CHECKS, *place, *named]


def wasm_targets() -> list[Target]:
    """Side modules for Pyodide and standalone modules, each with and without relaxed SIMD.

    Those for inference are what a page fetches that reads before Python has loaded, or without Python: ops.h says what
    they leave out.
    """
    made = []
    names = {"handlens-side": ("side",), "handlens": ("standalone",), INFERENCE: ("standalone", "-DHL_INFERENCE")}
    for name, (kind, *more) in names.items():
        made.append(Target(f"{name}.wasm", kind, "wasm32-freestanding", WASM, tuple(more)))
        made.append(Target(f"{name}-relaxed.wasm", kind, "wasm32-freestanding", f"{WASM}+relaxed_simd", tuple(more)))
    return made


def host_targets(system: str, machine: str) -> list[Target]:
    """The shared libraries of one kind of machine; none for one that is not known."""
    if system not in SYSTEMS or machine not in ("x86_64", "aarch64") or (system, machine) == ("windows", "aarch64"):
        return []
    triple, suffix = SYSTEMS[system]
    name = f"handlens-{system}-{machine}"
    if machine == "aarch64":
        cpu = "apple_m1" if system == "macos" else "generic"
        return [Target(name + suffix, system, f"{machine}-{triple}", cpu)]
    # Left alone, clang splits vectors of 16 floats in two on a v4: 256 bits is what it prefers there.
    wide = {4: ("-mprefer-vector-width=512",)}
    return [
        Target(f"{name}-v{level}{suffix}", system, f"{machine}-{triple}", f"x86_64_v{level}", wide.get(level, ()))
        for level in LEVELS[system]
    ]


def this_machine() -> tuple[str, str]:
    """System and processor of this machine, as the libraries' names have them."""
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return system, {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def targets(*, everything: bool = False) -> list[Target]:
    """WebAssembly and this machine's own libraries; with `everything` those of all machines."""
    if not everything:
        return [*wasm_targets(), *host_targets(*this_machine())]
    pairs = [(system, machine) for system in SYSTEMS for machine in ("x86_64", "aarch64")]
    return [*wasm_targets(), *(target for pair in pairs for target in host_targets(*pair))]


# ---- the compiler


@functools.cache
def version(zig: Path) -> str:
    """What the compiler says it is; BuildError when it does not run."""
    why = f"the compiler of the package ziglang does not run: {relative(zig)}."
    return tool(zig, ["version"], OBJECTS, why).strip()


def tool(zig: Path, arguments: Sequence[str | Path], objects: Path, why: str, cwd: Path = ROOT) -> str:
    """Run the compiler or a linker; a failure raises BuildError with `why`, and notes what was said."""
    folder = str(objects / "zig-cache")
    env = environment(ZIG_GLOBAL_CACHE_DIR=folder, ZIG_LOCAL_CACHE_DIR=folder)
    command = [str(zig), *map(str, arguments)]
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        error = BuildError(why)
        error.add_note("\n".join((result.stdout + result.stderr).strip().splitlines()[:40]))
        raise error
    return result.stdout


class Source:
    """A C file with every header of ours that it includes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[str, bytes] = {}
        self._read(path)
        self.parts = sorted((name, sha256_bytes(text)) for name, text in self.texts.items())

    def _read(self, path: Path) -> None:
        if path.name not in self.texts and path.is_file():
            self.texts[path.name] = path.read_bytes()
            for name in INCLUDE.findall(self.texts[path.name]):
                self._read(path.parent / name.decode())

    def flags(self, target: Target) -> list[str]:
        return target.flags(self.texts.values())

    def object_name(self, target: Target, zig: Path) -> str:
        """Name of the object file: it changes with anything that the object is made from, and with nothing else."""
        return f"{self.path.stem}-{digest_of(version(zig), self.flags(target), self.parts)[:20]}.o"


def compile_one(zig: Path, source: Source, target: Target, made: Path) -> None:
    """One source to one object, under a name of its own until it is whole."""
    part = made.with_suffix(".part")
    # The source is named without a folder, so that no folder can get into the object.
    command = ["cc", *source.flags(target), "-c", source.path.name, "-o", part]
    why = f"{source.path.name} does not compile for {target.file} (see above)."
    tool(zig, command, made.parent, why, cwd=source.path.parent)
    os.replace(part, made)


def link_arguments(target: Target, objects: Sequence[Path], made: Path) -> list[str | Path]:
    """How the objects become a library. Undefined symbols are errors: there is no libc to take them from."""
    if target.kind == "side":
        # Pyodide's loader gives memory, stack and the two bases; what else is undefined, wasm_problems() finds.
        return ["wasm-ld", "-shared", "--experimental-pic", "--no-entry", "--import-memory", "--strip-all", *objects]
    if target.kind == "standalone":
        space = ["-z", f"stack-size={STACK}", "--stack-first", "--export=__heap_base"]
        return ["wasm-ld", "--no-entry", "--export-dynamic", "--gc-sections", "--strip-all", *space, *objects]
    if target.kind == "linux":
        plain = ["--build-id=none", "--hash-style=gnu", "-z", "defs", "-z", "now", "-z", "noexecstack"]
        return ["ld.lld", "-shared", "--gc-sections", "--strip-all", "-soname", made.name, *plain, *objects]
    if target.kind == "windows":
        return ["lld-link", "/dll", "/noentry", "/nodefaultlib", "/Brepro", *objects]
    named = f"-Wl,-install_name,@rpath/{made.name}"
    return ["cc", "-target", target.triple, f"-mcpu={target.cpu}", "-shared", "-nostdlib", "-s", named, *objects]


def link(zig: Path, target: Target, objects: Sequence[Path], made: Path) -> None:
    """Link one library, in the objects' folder, by names without a folder."""
    folder = objects[0].parent
    with scratch("link") as work:
        new = work / made.name
        to = [f"/out:{new}"] if target.kind == "windows" else ["-o", new]
        arguments = [*link_arguments(target, [Path(path.name) for path in objects], made), *to]
        tool(zig, arguments, folder, f"{target.file} does not link (see above).", cwd=folder)
        data = new.read_bytes()
    problems = wasm_problems(target, data) if target.wasm else []
    if problems:
        raise BuildError(f"{target.file} is not as it should be: {'; '.join(problems)}.")
    write_bytes(made, data)


# What Pyodide's loader gives a side module, and what a standalone module may show besides our functions.
GIVEN = {"memory", "__indirect_function_table", "__memory_base", "__table_base", "__stack_pointer"}
SHOWN = {"memory", "__heap_base", "__stack_pointer", "__wasm_apply_data_relocs", "__wasm_call_ctors"}


def wasm_problems(target: Target, data: bytes) -> list[str]:
    """What is wrong with a linked module: a symbol that nothing gives it, or a name that is none of ours."""
    given = {f"env.{name}" for name in GIVEN} if target.kind == "side" else set()
    found = [f"it asks for {name}" for _, name in wasm_file.imports(data) if name not in given]
    names = {name for _, name in wasm_file.exports(data)}
    found += [f"it shows {name}" for name in sorted(names - SHOWN) if not name.startswith("hl_")]
    if not any(name.startswith("hl_") for name in names):
        found.append("it shows no function of ours")
    if target.kind == "standalone" and not {"memory", "__heap_base"} <= names:
        found.append("it has no memory of its own")
    return found


def write_table(zig: Path, sources: Path, made: Path) -> None:
    """The table of ops as hl_ops_text() gives it, for encoding plans where no library can be opened."""
    with scratch("ops") as work:
        words = '#name " " #a " " #b " " #c " " #d " " #e " " words "\\n"'
        text = f'#include "ops.h"\n#define T(name, a, b, c, d, e, words) {words}\nHL_OPS(T)\n'
        (work / "table.c").write_text(text, "ascii")
        command = ["cc", "-E", "-P", f"-I{sources}", work / "table.c"]
        shown = tool(zig, command, work, "ops.h cannot be read by the compiler (see above).")
    table = "".join(ast.literal_eval(part) for part in re.findall(r'"(?:[^"\\]|\\.)*"', shown))
    write_bytes(made, table.encode("ascii"))


def build(zig: Path, wanted: Iterable[Target], sources: Path, objects: Path, folder: Path) -> list[Path]:
    """Compile what changed and link the libraries into `folder`; returns them. Objects of older sources go."""
    files = [Source(path) for path in sorted(sources.glob("*.c"))]
    if not files:
        raise BuildError(f"{relative(sources)} holds no C sources.")
    objects.mkdir(parents=True, exist_ok=True)
    needed = {target: [objects / source.object_name(target, zig) for source in files] for target in wanted}
    jobs: dict[Path, tuple[Source, Target]] = {}
    for target, of in needed.items():
        jobs.update({made: (source, target) for source, made in zip(files, of, strict=True) if not made.is_file()})
    # The longest first, so that no core is left alone with one at the end.
    ordered = sorted(jobs.items(), key=lambda job: -sum(map(len, job[1][0].texts.values())))
    together(functools.partial(compile_one, zig, *job, made) for made, job in ordered)
    together(functools.partial(link, zig, target, of, folder / target.file) for target, of in needed.items())
    kept = {path for of in needed.values() for path in of}
    kept |= {objects / source.object_name(target, zig) for target in targets(everything=True) for source in files}
    for old in set(objects.glob("*.o")) - kept:
        old.unlink()
    shutil.rmtree(objects / "zig-cache", ignore_errors=True)  # our own objects are cache enough
    return [folder / target.file for target in needed]


def together(jobs: Iterable[Callable[[], None]]) -> None:
    """Run jobs on every core. The first that fails is shown and raised, and those not begun are left."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            for job in running:
                job.result()
        except BuildError as error:
            pool.shutdown(wait=True, cancel_futures=True)
            print("\n".join(getattr(error, "__notes__", [])), file=sys.stderr, flush=True)
            raise


# ---- the step


def digest(zig: Path, wanted: Sequence[Target]) -> str:
    """Everything that the libraries depend on."""
    sources = sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.h")])
    return digest_of("kernels 1", version(zig), wanted, *sources, BUILD / "step_kernels.py")


def made() -> list[Path]:
    """The libraries that lie in the package, and the table of their ops."""
    return sorted([*LIBRARIES.glob("handlens*"), *LIBRARIES.glob(TABLE)]) if LIBRARIES.is_dir() else []


def wasm_side() -> list[Path]:
    """The side modules for Pyodide, of those that are built."""
    return [LIBRARIES / target.file for target in wasm_targets() if target.kind == "side" and built(target)]


def wasm_inference() -> list[Path]:
    """What `handlens export` needs, of what is built: the standalone modules for inference, and the table of ops."""
    names = [target.file for target in wasm_targets() if target.file.startswith(INFERENCE)]
    return [path for path in (LIBRARIES / name for name in (*names, TABLE)) if path.is_file()]


def package_sources() -> list[Path]:
    """What the package `handlens` holds apart from compiled kernels."""
    return [path for path in files_under(CORE / "handlens") if not path.is_relative_to(LIBRARIES)]


def built(target: Target) -> bool:
    """Whether a target's library lies in the package."""
    return (LIBRARIES / target.file).is_file()


def fresh(zig: Path, wanted: Sequence[Target]) -> bool:
    """Whether the wanted libraries are those of the present sources."""
    stamp = Stamp(STAMP)
    everything = targets(everything=True)
    return stamp.fresh(digest(zig, wanted), LIBRARIES) or stamp.fresh(digest(zig, everything), LIBRARIES)


def ensure(*, everything: bool = False) -> list[Path]:
    """The libraries of the present sources, built when stale; none, with one sentence, where ziglang is not."""
    step_setup.python_environment()
    with exclusive:
        return ensure_alone(targets(everything=everything))


def ensure_alone(wanted: Sequence[Target]) -> list[Path]:
    """Build when stale; the caller holds the lock."""
    zig = step_setup.compiler()
    if zig is None:
        drop(made())  # those of older sources, if any: nothing here can tell what they compute
        say("kernels", step_setup.WITHOUT_COMPILER)
        return []
    if not fresh(zig, wanted):
        libraries = build(zig, wanted, SOURCES, OBJECTS, LIBRARIES)
        write_table(zig, SOURCES, LIBRARIES / TABLE)
        libraries.append(LIBRARIES / TABLE)
        drop(set(made()) - set(libraries))
        Stamp(STAMP).write(digest(zig, wanted), LIBRARIES, libraries)
        say("kernels", f"{len(libraries)} libraries, {human(total_bytes(libraries))}, by zig {version(zig)}")
    return made()


def drop(paths: Iterable[Path]) -> None:
    """Remove libraries."""
    for path in paths:
        path.unlink()


def main(*, everything: bool = False) -> int:
    """Build the libraries when stale and list them."""
    for path in ensure(everything=everything):
        say("kernels", f"{path.name}, {human(path.stat().st_size)}")
    return 0
