"""Find Chromium, or get one: the tests and the page measurements need a real browser."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from buildkit import CACHE, BuildError, environment, say, venv_tool

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PLAYWRIGHT = CACHE / "playwright"


def candidates() -> Iterator[Path]:
    """Browsers that may be here: the one named by the caller, installed ones, then Playwright's own."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            yield Path(found)
    if platform.system() == "Darwin":
        yield from map(Path, APPLICATIONS)
    homes = [PLAYWRIGHT, Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright"]
    if "PLAYWRIGHT_BROWSERS_PATH" in os.environ:
        homes.insert(0, Path(os.environ["PLAYWRIGHT_BROWSERS_PATH"]))
    for home in homes:
        for pattern in ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*"):
            yield from sorted(home.glob(pattern), reverse=True)


def version(browser: Path) -> str:
    """What the browser says it is, or the empty string when it does not run."""
    try:
        result = subprocess.run([str(browser), "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def find_chromium() -> Path | None:
    """The first browser that answers, or None. HANDLENS_CHROMIUM, when set, is the only one considered."""
    named = os.environ.get("HANDLENS_CHROMIUM")
    if named:
        if version(Path(named)):
            return Path(named)
        raise BuildError(f"HANDLENS_CHROMIUM names {named}, which does not run as a browser; unset it or name another.")
    return next((path for path in candidates() if path.exists() and version(path)), None)


def install_chromium() -> None:
    """Get a browser: the system's package where we may, otherwise Playwright's download."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("setup", "no Chromium found: installing the system's package")
        env = environment(DEBIAN_FRONTEND="noninteractive")
        for words in ("update -qq", "install -y -qq --no-install-recommends chromium"):
            command = ["apt-get", *words.split()]
            subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if find_chromium():
            return
    if venv_tool("playwright").exists():
        say("setup", "no Chromium found: asking Playwright for its own")
        env = environment(PLAYWRIGHT_BROWSERS_PATH=str(PLAYWRIGHT))
        subprocess.run([str(venv_tool("playwright")), "install", "chromium"], env=env, capture_output=True, check=False)


def require_chromium(*, install: bool = True) -> Path:
    """A browser that runs; installs one when there is none and `install` is set.

    Raises BuildError with the ways to get one when all fail.
    """
    browser = find_chromium()
    if browser is None and install and os.environ.get("HANDLENS_OFFLINE", "") in ("", "0"):
        install_chromium()
        browser = find_chromium()
    if browser is None:
        raise BuildError(
            "no Chromium was found: install one (Debian: `apt install chromium`), run `.venv/bin/playwright install "
            "chromium`, or name one in HANDLENS_CHROMIUM."
        )
    return browser
