"""Handlens as an engine of the peers' bench: the built site's wheel in a Pyodide worker, on one of its backends."""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gpu_page
from peer_report import Job
from peer_workload import CHECKED, Workload
from playwright.sync_api import Browser
from playwright.sync_api import Error as PageError

INSIDE = Path(__file__).resolve().parent / "ours_inside.py"
WEIGHTS = Path(__file__).resolve().parents[2] / "web" / "models" / "convnet.safetensors"
BACKENDS = ("native", "webgpu", "numpy")


class Ours:
    """One backend, in a tab of its own; what it raises becomes `unable`, the bench's own error."""

    library = "handlens"

    def __init__(self, backend: str, site: str, work: Workload, unable: type[Exception]) -> None:
        self.backend, self.site, self.work, self.unable = backend, site, work, unable
        self.page: Any = None

    def ask(self, call: str, **given: Any) -> Any:
        """Call a function of ours_inside.py."""
        try:
            return self.page.ask(call, **given)
        except (AssertionError, PageError) as error:
            lines = str(error).strip().splitlines() or ["no reason given"]
            raise self.unable(lines[-1][:200]) from error

    def open(self, browser: Browser) -> str:
        """See Engine."""
        self.page = gpu_page.GpuPage(browser.new_context().new_page(), self.site, INSIDE)
        packed = {"images": self.work.images, "labels": self.work.labels}
        given = {name: base64.b64encode(a.astype("<f4").tobytes()).decode() for name, a in packed.items()}
        weights = base64.b64encode(WEIGHTS.read_bytes()).decode()
        return str(self.ask("start", backend=self.backend, weights=weights, **given))

    def probabilities(self, batch: int) -> list[float]:
        """See Engine."""
        return list(self.ask("probabilities", batch=batch, rows=CHECKED))

    def losses(self, batch: int, steps: int) -> list[float]:
        """See Engine."""
        return list(self.ask("losses", batch=batch, steps=steps))

    def sample(self, job: Job, least: float) -> float:
        """See Engine."""
        self.page.page.bring_to_front()
        return float(self.ask("sample", kind=job.kind, batch=job.batch, least=least))

    def close(self) -> None:
        """See Engine."""
        if self.page is not None:
            self.page.page.context.close()


def all_of(site: str, work: Workload, unable: type[Exception]) -> Sequence[Ours]:
    """Every backend of this version."""
    return [Ours(backend, site, work, unable) for backend in BACKENDS]
