"""GFLOP/s of each op of `convnet` on the compiled kernels, on the host and in Chromium's Pyodide worker; Markdown.

Run by `make.py bench --ops`. Each op is timed alone, as often as fills 5 ms, after the whole plan has run once; the
median of the rounds counts. The peak is that of independent multiply-adds in registers, measured in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "build"), str(ROOT / "tests")]
sys.dont_write_bytecode = True

import gpu_page  # noqa: E402
import op_report  # noqa: E402
import page_times  # noqa: E402
import step_browser  # noqa: E402
import step_serve  # noqa: E402
from buildkit import SITE  # noqa: E402

INSIDE = Path(__file__).resolve().parent / "ops_inside.py"
WORK = {"name": "convnet", "batch": 128, "images": 256}
REPEATS = 15


def host(repeats: int) -> dict[str, Any]:
    """What `handlens bench --ops` measures on this machine."""
    command = [sys.executable, "-m", "handlens", "bench", "--ops", "--json", f"--repeats={repeats}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit("op_times: the host could not be measured (see above)")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one round")
    repeats = 1 if parser.parse_args().quick else REPEATS
    executable = str(step_browser.require_chromium(install=False))
    here = host(repeats)
    with step_serve.running(SITE) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_context().new_page()
        there = gpu_page.GpuPage(page, site, INSIDE).ask("measure", **WORK, repeats=repeats)
        where = page_times.machine(browser)
        browser.close()
    names = {"host": here, "Chromium": there}
    print(op_report.table(names))
    peaks = " and ".join(f"{side['peak']:.1f} ({side['title']}, {side['lanes']} lanes)" for side in names.values())
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"One core multiplies and adds in registers at {peaks} GFLOP/s. Medians; {where}; load average {load}.")


if __name__ == "__main__":
    main()
