"""A browser for tests of backends: a page of their own whose worker runs Pyodide and the wheel, and faults of a GPU.

The page lies under the site's address but not in the site: the product holds no test code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from handlens.backends import Backend, Program
from handlens.backends.base import Control
from handlens.graph import Array
from handlens.plan import Plan
from playwright.sync_api import Page, Route
from worker_arrays import packed, unpacked

HERE = Path(__file__).resolve().parent
ADDRESS = "gpu-test.html"
SHARED = ("worker_arrays.py", "training_curve.py")  # put beside the module that the worker runs
LOADER = "**/pyodide-loader.mjs*"
ASK = """([call, given]) => new Promise((resolve) => {
  const id = ++asked;
  const hear = ({data}) => {
    if (data.id !== id) return;
    gpuWorker.removeEventListener("message", hear);
    resolve(data);
  };
  gpuWorker.addEventListener("message", hear);
  gpuWorker.postMessage({id, call, given});
})"""
START = """(text) => {
  window.asked = 0;
  const address = URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
  window.gpuWorker = new Worker(address, {type: "module"});
}"""


def faults_text() -> str:
    """The wrappers, for any worker."""
    return (HERE / "gpu_faults.js").read_text("utf-8")


def spoil_engine(page: Page, name: str, **options: Any) -> None:
    """From now on every engine that this page starts meets a fault: its loader, which runs in the worker before Python,
    gets the wrappers put before it."""

    def handle(route: Route) -> None:
        own = route.fetch()
        text = f"{faults_text()}\nfaults.inject({json.dumps(name)}, {json.dumps(options)});\n{own.text()}"
        route.fulfill(response=own, body=text)

    page.route(LOADER, handle)


class GpuPage:
    """Asks functions of the module `inside`, such as `gpu_inside.py`, in the worker, by name."""

    def __init__(self, page: Page, site: str, inside: Path = HERE / "gpu_inside.py") -> None:
        """Serve the page under the site's own content security policy, which the worker inherits, and start it."""
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        index = (HERE.parent / "web" / "index.html").read_text("utf-8")
        policy = re.search(r'<meta http-equiv="Content-Security-Policy".*?>', index)
        assert policy, "the site states no policy"
        body = f"<!doctype html><title>test</title><link rel=icon href=data:,>{policy.group()}"
        page.route(f"**/{ADDRESS}", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto(site + ADDRESS)
        worker = (HERE / "gpu_worker.js").read_text("utf-8")
        files = {name: (HERE / name).read_text("utf-8") for name in SHARED}
        files["inside.py"] = inside.read_text("utf-8")
        settings = f"const SITE = {json.dumps(site)};\nconst FILES = {json.dumps(files)};\n"
        page.evaluate(START, settings + faults_text() + worker)

    def ask(self, call: str, **given: Any) -> Any:
        """Call it; fails with the worker's traceback."""
        found = self.page.evaluate(ASK, [call, json.dumps(given)])
        assert "error" not in found, found["error"]
        return json.loads(found["answer"])

    def spoil(self, *faults: tuple[str, Mapping[str, Any]]) -> None:
        """Take the faults so far away and put these in, for devices opened from now on."""
        found = self.page.evaluate(ASK, ["faults", json.dumps(faults)])
        assert "error" not in found, found["error"]

    def check(self) -> None:
        """Nothing went wrong that nobody caught."""
        assert self.ask("state")["uncaught"] == []
        assert self.errors == []


class RemoteProgram(Program):
    """A plan that is sent whole, with its inputs, once something is fetched."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.values: dict[str, Array] = {}


class RemoteBackend(Backend):
    """Stands for the backend that the worker's `planned` uses, so that one check serves every device."""

    def __init__(self, page: GpuPage, name: str = "webgpu", chosen: Mapping[str, str] | None = None) -> None:
        """``chosen``: op -> which of its kernels, where it is not the usual one."""
        self.page, self.name = page, name
        self.more = {"variants": dict(chosen)} if chosen else {}

    def supports(self, plan: Plan) -> list[str]:
        return []

    async def load(self, plan: Plan, shared: Mapping[str, Array] | None = None) -> RemoteProgram:
        assert not shared
        return RemoteProgram(plan)

    def upload(self, program: Program, name: str, data: Array) -> None:
        assert isinstance(program, RemoteProgram)
        program.values[name] = np.asarray(data)

    def prepare(self, program: Program) -> None:
        pass

    def run(self, program: Program, steps: int = 1, control: Control | None = None) -> None:
        assert steps == 1
        assert not control

    async def fetch(self, program: Program, *names: str) -> dict[str, Array]:
        assert isinstance(program, RemoteProgram)
        values = {name: packed(value) for name, value in program.values.items()}
        found = self.page.ask("planned", plan=program.plan.to_json(), values=values, names=names, **self.more)
        assert "reason" not in found, found["reason"]
        return {name: unpacked(value) for name, value in found.items()}

    def close(self, program: Program) -> None:
        pass
