"""What every build step shares: places, stamps, atomic writes, running commands, one-sentence errors.

Standard library alone, because it runs before `.venv` exists.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: there, two builds at once are up to their caller
    fcntl = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CORE = ROOT / "core"
WEB = ROOT / "web"
DIST = ROOT / "dist"
SITE = DIST / "site"
STAMPS = DIST / "stamps"
CACHE = ROOT / ".cache"
VENV = ROOT / ".venv"
NODE_MODULES = ROOT / "node_modules"

# One fixed moment for every archive we write, so that the same sources give the same bytes. 1980 is the
# earliest year a zip entry can hold; this is 2020-01-01, which no tool rejects.
SOURCE_DATE_EPOCH = "1577836800"


class BuildError(Exception):
    """A build step that cannot go on; its text is one sentence with a way out."""


def say(step: str, text: str) -> None:
    """Print one line of progress under the name of its step."""
    print(f"{step:>7}  {text}", flush=True)


def human(size: int) -> str:
    """Bytes in words: `human(1536)` is `1.5 kB` (1 kB = 1024 bytes)."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1024
        if value < 1024 or unit == "GB":
            break
    return f"{value:.1f} {unit}"


def relative(path: Path) -> str:
    """The path as seen from the repository, so that output names no folder of this machine."""
    with contextlib.suppress(ValueError):
        return path.resolve().relative_to(ROOT).as_posix()
    return path.name


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_under(folder: Path) -> list[Path]:
    """Every file below `folder`, sorted, without bytecode caches and editor leftovers."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.suffix != ".pyc"
        and path.name != ".DS_Store"
        and not path.name.endswith("~")
    )


def total_bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: a temporary file beside the target, then a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def digest_of(*parts: object) -> str:
    """One hash over values and files; a path contributes its place in the repository and its content."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            state.update(f"{relative(part)}={sha256_file(part) if part.is_file() else 'none'};".encode())
        else:
            state.update(f"{part!r};".encode())
    return state.hexdigest()


class Stamp:
    """Remembers from which content a step made which files, so that a second run can skip it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        try:
            value = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def fresh(self, digest: str, folder: Path) -> bool:
        """True when `folder` still holds exactly what was made from `digest`."""
        stored = self.read()
        outputs = stored.get("outputs")
        if stored.get("digest") != digest or not isinstance(outputs, dict):
            return False
        for name, known in outputs.items():
            path = folder / name
            if not path.is_file() or sha256_file(path) != known:
                return False
        return True

    def write(self, digest: str, folder: Path, outputs: Iterable[Path]) -> None:
        made = {path.relative_to(folder).as_posix(): sha256_file(path) for path in outputs}
        write_json(self.path, {"digest": digest, "outputs": made})


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A temporary folder on the same disk as `.cache/`, gone afterwards whatever happens."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=CACHE))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Exclusive:
    """Lets one build at a time write to `.venv`, `.cache/` and `dist/`; the same process may enter again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.depth = 0
        self.stream: IO[bytes] | None = None

    def __enter__(self) -> None:
        self.depth += 1
        if self.depth == 1 and fcntl is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.stream = self.path.open("wb")
            try:
                fcntl.flock(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("make", "another build is running here: waiting for it")
                fcntl.flock(self.stream, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.depth == 0 and self.stream is not None:
            self.stream.close()  # closing releases the lock
            self.stream = None


exclusive = Exclusive(CACHE / "build.lock")


def replace_folder(new: Path, target: Path) -> None:
    """Put a finished folder in the place of an older one; the gap without either is one rename long."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def environment(**extra: str) -> dict[str, str]:
    """The environment of every tool we start: reproducible, and with the caches inside `.cache/`."""
    # Bytecode written into an editable source tree would make later steps look stale.
    base = dict(os.environ, SOURCE_DATE_EPOCH=SOURCE_DATE_EPOCH, PYTHONHASHSEED="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    base["npm_config_cache"] = str(CACHE / "npm")
    base["npm_config_update_notifier"] = "false"
    # Without a network npm would try for minutes before it says so.
    base["npm_config_fetch_retries"] = "1"
    base["npm_config_fetch_retry_mintimeout"] = "1000"
    base.setdefault("PIP_RETRIES", "1")
    base["PIP_CACHE_DIR"] = str(CACHE / "pip")
    # PYTHONPATH and VIRTUAL_ENV of the caller would leak foreign packages into `.venv`.
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"):
        base.pop(name, None)
    base.update(extra)
    return base


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    why: str = "",
) -> str:
    """Run a tool and return what it printed; a failure shows its last lines and raises BuildError."""
    words = [str(word) for word in command]
    try:
        result = subprocess.run(
            words, cwd=cwd, env=environment() if env is None else dict(env), capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        name = Path(words[0]).name
        raise BuildError(f"{name} was not found; `python3 build/make.py doctor` says how to get it.") from error
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-20:])
        if tail:
            print(tail, file=sys.stderr, flush=True)
        shown = shlex.join([Path(words[0]).name, *words[1:]])[:160]
        raise BuildError(why or f"`{shown}` failed with exit code {result.returncode} (its last lines are above).")
    return result.stdout


def venv_tool(name: str) -> Path:
    """The path of a command inside `.venv` (`Scripts` on Windows)."""
    if os.name == "nt":
        return VENV / "Scripts" / f"{name}.exe"
    return VENV / "bin" / name


def venv_python_version() -> tuple[int, int] | None:
    """Major and minor version of `.venv`, or None when there is none; read from its own record."""
    try:
        text = (VENV / "pyvenv.cfg").read_text("utf-8")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            major, minor = value.strip().split(".")[:2]
            return int(major), int(minor)
    return None
