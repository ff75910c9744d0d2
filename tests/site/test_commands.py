"""make.py from the outside: one clear sentence and a non-zero exit for what is missing; a rebuild without a network."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import step_browser
import step_setup
import step_wheel
from buildkit import BuildError, Stamp, human

COPIED = ("build", "core", "web", "pyproject.toml", "package.json", "package-lock.json", ".npmrc", "LICENSE")
NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture
def copy(tmp_path: Path, root: Path) -> Path:
    """A copy of the sources without `.venv`, `.cache`, `node_modules` and `dist`."""
    target = tmp_path / "clone"
    target.mkdir()
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(root / name, target / name)
    return target


def offline_environment(tmp_path: Path, **extra: str) -> dict[str, str]:
    """An environment in which every index and proxy is a closed port, and no cache of the user is seen."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    (tmp_path / "home").mkdir(exist_ok=True)
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "HANDLENS_PYTHON": sys.executable,
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
        "NO_PROXY": "",
        "PIP_INDEX_URL": NOWHERE,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "npm_config_registry": NOWHERE,
        "npm_config_fetch_retries": "0",
        **extra,
    }


def make(folder: Path, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "build/make.py", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=800)


def sentence(result: subprocess.CompletedProcess[str]) -> str:
    """The last line on stderr, which must be make.py's own; a traceback is never an answer."""
    assert result.returncode != 0, result.stdout
    assert "Traceback" not in result.stderr, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("make.py "), result.stderr
    assert last.endswith("."), last
    return last


def test_help_names_every_command(root: Path) -> None:
    shown = make(root, dict(os.environ), "--help")
    assert shown.returncode == 0
    for name in ("serve", "test", "setup", "vendor", "kernels", "wheel", "models", "site", "bench", "clean", "doctor"):
        assert re.search(rf"^    {name} ", shown.stdout, re.MULTILINE), name
        assert make(root, dict(os.environ), name, "--help").returncode == 0


def test_unknown_words_are_refused(root: Path) -> None:
    assert make(root, dict(os.environ), "frobnicate").returncode == 2
    assert make(root, dict(os.environ), "site", "--frobnicate").returncode == 2


def test_no_node(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = make(copy, offline_environment(tmp_path, PATH=str(tmp_path / "empty")), "vendor")
    assert "Node.js with npm was not found" in sentence(result)
    assert "apt install nodejs npm" in sentence(result)


def test_no_network_for_python_packages(copy: Path, tmp_path: Path) -> None:
    text = sentence(make(copy, offline_environment(tmp_path), "setup"))
    assert "no package index answered" in text
    assert "connect to a network once" in text


def test_no_network_for_vendored_files(copy: Path, tmp_path: Path) -> None:
    text = sentence(make(copy, offline_environment(tmp_path), "vendor"))
    assert re.search(
        r"PyScript core 0\.6\.66 is not in \.cache/ .*no answer from npm package @pyscript/core@0\.6\.66", text
    )
    # A failed fetch leaves nothing but the caches of the tools and the lock.
    left = [path.name for path in (copy / ".cache").iterdir()]
    assert set(left) <= {"npm", "pip", "build.lock"}


def test_no_browser(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    env = offline_environment(tmp_path, PATH=str(tmp_path / "empty"), HANDLENS_OFFLINE="1")
    result = make(copy, env, "doctor")
    assert result.returncode == 1
    assert "MISSING  Chromium: no Chromium was found: install one" in result.stdout
    assert "MISSING  Node: Node.js with npm was not found" in result.stdout
    assert "MISSING  .venv: not made yet" in result.stdout
    assert "Traceback" not in result.stderr
    monkeypatch.setattr(step_browser, "find_chromium", lambda: None)
    monkeypatch.setenv("HANDLENS_OFFLINE", "1")
    with pytest.raises(BuildError, match="no Chromium was found: install one"):
        step_browser.require_chromium()


def test_named_browser_that_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDLENS_CHROMIUM", str(tmp_path / "no-browser"))
    with pytest.raises(BuildError, match="does not run as a browser"):
        step_browser.find_chromium()


def test_port_in_use(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = make(root, dict(os.environ), "serve", "--port", str(port))
    assert sentence(result) == (
        f"make.py serve: port {port} is in use by another program; choose one with --port, or --port 0 for any."
    )
    assert result.stdout == "", "said before anything is built"


def test_serve_prints_the_address_and_stops_on_ctrl_c(root: Path, site_dir: Path) -> None:
    command = [sys.executable, "-u", "build/make.py", "serve", "--port", "0"]

    def hear_ctrl_c() -> None:
        """A CI that runs in the background of a shell hands down an ignored SIGINT; a terminal never does."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": hear_ctrl_c}
    with subprocess.Popen(command, cwd=root, text=True, **pipes) as server:
        assert server.stdout is not None
        lines = iter(server.stdout.readline, "")
        line = next(line for line in lines if "http://" in line)
        address = line.split()[-1]
        try:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/handlens/", address)
            with urllib.request.urlopen(address, timeout=30) as answer:
                assert answer.read() == (site_dir / "index.html").read_bytes()
        finally:
            server.send_signal(signal.SIGINT)
            try:
                _, errors = server.communicate(timeout=30)
            finally:
                server.kill()  # nothing when it has ended; without it a failure would hang here
    assert server.returncode == 0
    assert errors == ""


def test_named_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_setup, "python_version", lambda python: (3, 9))
    with pytest.raises(BuildError, match=r"needs Python 3\.11 or newer"):
        step_setup.find_python()


@pytest.mark.slow
def test_rebuild_without_network_from_the_cache(copy: Path, tmp_path: Path, root: Path) -> None:
    """`rm -rf .venv node_modules dist` on a machine without a network: `.cache/` is enough."""
    (copy / ".cache").mkdir()
    for name in ("wheels", "npm", "vendor", "mnist"):
        (copy / ".cache" / name).symlink_to(root / ".cache" / name, target_is_directory=True)
    # npm files its cache under the index's name: the usual one, which the closed proxy keeps out of reach.
    asked = subprocess.run(["npm", "config", "get", "registry"], cwd=root, capture_output=True, text=True, check=True)
    env = offline_environment(tmp_path, npm_config_registry=asked.stdout.strip())
    result = make(copy, dict(env, HANDLENS_OFFLINE="1"), "setup")
    # The browser is the one thing that no cache of ours holds when it came from the system.
    assert result.returncode == 0 or "no Chromium was found" in sentence(result), result.stderr
    assert (copy / "node_modules/axe-core/axe.min.js").is_file()
    result = make(copy, env, "site")
    assert result.returncode == 0, result.stderr
    assert "fetched" not in result.stdout
    ours, again = next(step_wheel.OUT.glob("*.whl")), next((copy / "dist/wheel").glob("*.whl"))
    assert ours.name == again.name
    second = make(copy, env, "site")
    assert second.returncode == 0
    assert len(second.stdout.splitlines()) == 1, f"nothing was stale: {second.stdout}"
    result = make(copy, env, "clean")
    assert result.returncode == 0
    assert not (copy / "dist").exists()
    assert (copy / ".venv").exists()


def test_stamp_knows_stale_from_fresh(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    made = folder / "a.txt"
    made.write_text("one")
    stamp = Stamp(tmp_path / "stamp.json")
    assert not stamp.fresh("digest", folder)
    stamp.write("digest", folder, [made])
    assert stamp.fresh("digest", folder)
    assert not stamp.fresh("other", folder)
    made.write_text("two")
    assert not stamp.fresh("digest", folder)
    made.unlink()
    assert not stamp.fresh("digest", folder)
    (tmp_path / "stamp.json").write_text("{broken")
    assert not stamp.fresh("digest", folder)


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 kB"), (10_105_545, "9.6 MB")])
def test_sizes_in_words(size: int, words: str) -> None:
    assert human(size) == words
