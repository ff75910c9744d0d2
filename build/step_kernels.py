"""`kernels`: compile `core/kernels/*.c` for WebAssembly and for processors, all from one machine, by PyPI's `ziglang`.

Objects are kept under the hash of what they are made from, so that a change compiles what it touches. The same sources
give the same bytes in any folder on any day.
"""

from __future__ import annotations

import functools
import os
import platform
import re
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
OBJECTS = DIST / "kernels"
STAMP = STAMPS / "kernels.json"

# No errno, no libc: memset and memcpy are our own. No debug information and no .ident, which would name this machine.
FLAGS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-ffreestanding", "-fvisibility=hidden")
CHECKS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g0", "-fno-ident")
# What every browser with SIMD has; named from the bottom up, so that no newer compiler adds to it.
WASM = "mvp+simd128+bulk_memory+bulk_memory_opt+nontrapping_fptoint+sign_ext+mutable_globals"
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

    def flags(self) -> list[str]:
        """The compiler's arguments, the same on every machine."""
        place = [] if self.kind in ("standalone", "windows") else ["-fPIC"]
        return ["-target", self.triple, f"-mcpu={self.cpu}", *FLAGS, *CHECKS, *place, *self.more]


def wasm_targets() -> list[Target]:
    """Side modules for Pyodide and standalone modules for the page, each with and without relaxed SIMD."""
    made = []
    for kind, name in (("side", "handlens-side"), ("standalone", "handlens")):
        made.append(Target(f"{name}.wasm", kind, "wasm32-freestanding", WASM))
        made.append(Target(f"{name}-relaxed.wasm", kind, "wasm32-freestanding", f"{WASM}+relaxed_simd"))
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


def included(source: Path, seen: dict[Path, bytes]) -> dict[Path, bytes]:
    """A source and every header of ours that it includes, with their contents."""
    if source not in seen and source.is_file():
        seen[source] = source.read_bytes()
        for name in INCLUDE.findall(seen[source]):
            included(source.parent / name.decode(), seen)
    return seen


def object_name(source: Path, target: Target, zig: Path) -> str:
    """Name of the object file: it changes with anything that the object is made from."""
    parts = {path.name: sha256_bytes(data) for path, data in included(source, {}).items()}
    return f"{source.stem}-{digest_of(version(zig), target.flags(), sorted(parts.items()))[:20]}.o"


def compile_one(zig: Path, source: Path, target: Target, made: Path) -> None:
    """One source to one object, under a name of its own until it is whole."""
    part = made.with_suffix(".part")
    # The source is named without a folder, so that no folder can get into the object.
    command = ["cc", *target.flags(), "-c", source.name, "-o", part]
    why = f"{source.name} does not compile for {target.file} (see above)."
    tool(zig, command, made.parent.parent, why, cwd=source.parent)
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
        tool(zig, arguments, folder.parent, f"{target.file} does not link (see above).", cwd=folder)
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


def build(zig: Path, wanted: Iterable[Target], sources: Path, objects: Path, folder: Path) -> list[Path]:
    """Compile what changed and link the libraries into `folder`; returns them. Objects of older sources go."""
    files = sorted(sources.glob("*.c"))
    if not files:
        raise BuildError(f"{relative(sources)} holds no C sources.")
    jobs: list[tuple[Path, Target, Path]] = []
    needed: dict[Target, list[Path]] = {}
    for target in wanted:
        place = objects / target.file.replace(".", "-")
        place.mkdir(parents=True, exist_ok=True)
        needed[target] = [place / object_name(source, target, zig) for source in files]
        pairs = zip(files, needed[target], strict=True)
        jobs += [(source, target, made) for source, made in pairs if not made.is_file()]
    together(functools.partial(compile_one, zig, *job) for job in jobs)
    together(functools.partial(link, zig, target, of, folder / target.file) for target, of in needed.items())
    for target, of in needed.items():
        for old in set((objects / target.file.replace(".", "-")).iterdir()) - set(of):
            old.unlink()
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
    """The libraries that lie in the package."""
    return sorted(LIBRARIES.glob("handlens*")) if LIBRARIES.is_dir() else []


def wasm_side() -> list[Path]:
    """The side modules for Pyodide, of those that are built."""
    return [LIBRARIES / target.file for target in wasm_targets() if target.kind == "side" and built(target)]


def wasm_standalone() -> list[Path]:
    """The standalone modules, of those that are built."""
    return [LIBRARIES / target.file for target in wasm_targets() if target.kind == "standalone" and built(target)]


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
