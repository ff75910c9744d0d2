"""PyTorch as an engine of the peers' bench: on the host, one thread, in a Python that has it, by turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from handlens import bench

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "build")]

from peer_report import Job  # noqa: E402
from peer_workload import CHECKED  # noqa: E402

INSIDE = HERE / "torch_inside.py"


class Torch:
    """A process that answers; what it cannot do becomes `unable`, the bench's own error."""

    library, backend = "PyTorch", "CPU of the host"

    def __init__(self, python: str, folder: Path, unable: type[Exception]) -> None:
        self.command = [python, str(INSIDE), str(folder)]
        self.unable = unable
        self.variables: dict[str, str] = {}  # of its environment, beside those that give it one thread
        self.process: subprocess.Popen[str] | None = None

    def heard(self) -> Any:
        """The next answer."""
        line = self.process.stdout.readline() if self.process and self.process.stdout else ""
        if not line:
            said = self.process.stderr.read().strip().splitlines() if self.process and self.process.stderr else []
            raise self.unable((said or ["its process has ended"])[-1][:200])
        found = json.loads(line)
        if "error" in found:
            raise self.unable(found["error"][:200])
        return found["answer"]

    def ask(self, call: str, **given: Any) -> Any:
        """Call a method of torch_inside.py."""
        if self.process is None or self.process.stdin is None:
            raise self.unable("it was not started")
        try:
            self.process.stdin.write(json.dumps({"call": call, "given": given}) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self.unable(f"its process has ended: {error}") from error
        return self.heard()

    def open(self, browser: object) -> str:
        """See Engine."""
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = {**os.environ, **bench.alone(), **self.variables}
        try:
            self.process = subprocess.Popen(self.command, env=env, text=True, **pipes)
        except OSError as error:
            raise self.unable(f"{self.command[0]}: {error.strerror}") from error
        return str(self.heard())

    def probabilities(self, batch: int) -> list[float]:
        """See Engine."""
        return list(self.ask("probabilities", batch=batch, rows=CHECKED))

    def losses(self, batch: int, steps: int) -> list[float]:
        """See Engine."""
        return list(self.ask("losses", batch=batch, steps=steps))

    def sample(self, job: Job, least: float) -> float:
        """See Engine."""
        return float(self.ask("sample", kind=job.kind, batch=job.batch, least=least))

    def close(self) -> None:
        """See Engine."""
        if self.process is not None:
            self.process.communicate()
