"""`site`: put the complete static site into `dist/site/`, and check it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import site_check
import site_credits
import site_first
import site_join
import step_article
import step_kernels
import step_models
import step_setup
import step_vendor
import step_wheel
from buildkit import (
    BUILD,
    DIST,
    ROOT,
    SITE,
    STAMPS,
    WEB,
    Stamp,
    digest_of,
    exclusive,
    files_under,
    human,
    replace_folder,
    say,
    scratch,
    total_bytes,
    write_json,
    write_text,
)

# What the worker fetches (by `fetch`, which the page's loader counts) before the engine is ready. The two scripts
# pyodide.mjs and pyodide.asm.js arrive by `import`, which no page can count.
ENGINE = ("pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
PYODIDE = "vendor/pyodide"


def copy_web(target: Path) -> None:
    """Copy `web/` as it stands."""
    for path in files_under(WEB):
        to = target / path.relative_to(WEB)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def copy_vendor(target: Path, sources: list[step_vendor.Source]) -> None:
    """Copy the pinned third-party files to where the lock file ships them."""
    for source in sources:
        for file in source.files:
            if file.ship:
                to = target / file.ship
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source.path(file), to)


def build_record(site: Path, wheel: Path) -> dict[str, Any]:
    """What `build.json` says: version, how the wheel was made, and the size of everything."""
    files = {path.relative_to(site).as_posix(): path.stat().st_size for path in files_under(site)}
    numpy = json.loads((site / PYODIDE / step_wheel.LOCK_NAME).read_text("utf-8"))["packages"]["numpy"]["file_name"]
    engine = [f"{PYODIDE}/{name}" for name in (*ENGINE, numpy, wheel.name)]
    return {
        "version": wheel.name.split("-")[1],
        "wheel": {"file": f"{PYODIDE}/{wheel.name}", "compiled": "none-any" not in wheel.name},
        "engine_bytes": sum(files[name] for name in engine),
        "engine_files": {name: files[name] for name in engine},
        "first": {name: size for name, size in files.items() if name.startswith(f"{site_first.FOLDER}/")},
        "bytes": sum(files.values()),
        "files": files,
    }


def assemble(site: Path, wheel: Path) -> None:
    """Write the whole site into an empty folder."""
    sources = step_vendor.read_lock()
    copy_web(site)
    copy_vendor(site, sources)
    for path in files_under(step_wheel.OUT):
        shutil.copyfile(path, site / PYODIDE / path.name)
    site_first.write(site / site_first.FOLDER)
    site_join.join(site)
    step_article.write(site)
    site_credits.write(site / "licences", sources)
    write_text(site / ".nojekyll", "")
    write_json(site / "build.json", build_record(site, wheel))


def digest(wheel: Path) -> str:
    """Everything that the site depends on."""
    names = ("step_site.py", "site_credits.py", "site_first.py", "site_join.py", "site_check.py", "vendor.lock.json")
    steps = [BUILD / name for name in (*names, "step_article.py")]
    texts = [*files_under(BUILD / "licences"), ROOT / "LICENSE"]
    made = [wheel, *files_under(step_wheel.OUT), *step_kernels.wasm_inference()]
    return digest_of("site 3", *files_under(WEB), *made, *steps, *texts)


def ensure() -> Path:
    """The site of the present sources; built and checked when stale."""
    step_setup.python_environment()
    with exclusive:
        return ensure_alone()


def ensure_alone() -> Path:
    """Build the site when stale; the caller holds the lock, so that wheel, weights and pages belong together."""
    wheel = step_wheel.ensure()
    step_models.ensure()
    stamp = Stamp(STAMPS / "site.json")
    now = digest(wheel)
    if stamp.fresh(now, SITE):
        return SITE
    DIST.mkdir(exist_ok=True)
    with scratch("site") as work:
        new = work / "site"
        new.mkdir()
        assemble(new, wheel)
        site_check.check(new)
        replace_folder(new, SITE)
    made = files_under(SITE)
    stamp.write(now, SITE, made)
    say("site", f"dist/site: {len(made)} files, {human(total_bytes(made))}, checked")
    return SITE


def main() -> int:
    """Build the site when stale and say what is there."""
    site = ensure()
    say("site", f"up to date: {len(files_under(site))} files, {human(total_bytes(files_under(site)))}")
    return 0
