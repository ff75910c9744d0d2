"""What tests in several folders share: the repository, the built site, a server of it, the browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpu_driver
import pytest

# Importing the steps must leave no bytecode in build/, which is a folder of sources.
sys.dont_write_bytecode = True

ROOT = Path(__file__).resolve().parent.parent
READ = "read"  # the property of a test that is shown under the results
_read: list[str] = []


def pytest_configure() -> None:
    """The driver of a GPU is chosen before any test asks for one: wgpu looks for drivers once a process."""
    gpu_driver.use_swiftshader(os.environ.get("HANDLENS_CHROMIUM", ""))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright's synchronous interface keeps an event loop running in this thread from its first
    page to the end of the session, and no other test may then start one."""
    items.sort(key=lambda item: "tests/browser/" in item.path.as_posix())


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what tests have measured; they may run in processes of their own."""
    if report.when == "call":
        _read.extend(text for name, text in report.user_properties if name == READ)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _read:
        terminalreporter.section("what the page read")
        for line in _read:
            terminalreporter.line(line)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Put a measured figure under the test results."""
    return lambda text: request.node.user_properties.append((READ, text))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def site_dir() -> Path:
    """The built site, `dist/site/`."""
    folder = ROOT / "dist" / "site"
    if not (folder / "build.json").is_file():
        pytest.fail("dist/site is not built; run the tests by `python3 build/make.py test`")
    return folder


@pytest.fixture(scope="session")
def site_url(site_dir: Path) -> Iterator[str]:
    """Address of the built site, served under a sub-path on a free port."""
    import step_serve

    with step_serve.running(site_dir) as address:
        yield address


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser that `make.py` found; HANDLENS_CHROMIUM names it."""
    import step_browser

    return str(step_browser.require_chromium(install=False))


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder with the four IDX files of MNIST, hash-checked by `make.py vendor`."""
    folder = ROOT / ".cache" / "mnist"
    if not (folder / "t10k-images-idx3-ubyte").is_file():
        pytest.fail("MNIST is not in .cache/mnist; run `python3 build/make.py vendor`")
    return folder


@pytest.fixture(scope="session")
def sanitized_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled kernels with sanitizers; a skip that says why where this host cannot run them."""
    import sanitized

    why = sanitized.why_not()
    if why:
        pytest.skip(f"NO SANITIZERS: {why}")
    return sanitized.build(tmp_path_factory.mktemp("sanitized") / "handlens-sanitized.so")
