"""`clean`: remove what the build made; with --all also what it downloaded."""

from __future__ import annotations

import shutil

import step_kernels
from buildkit import BUILD, CACHE, CORE, DIST, NODE_MODULES, ROOT, VENV, human, relative, say

TOOL_CACHES = (".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis")


def main(*, everything: bool) -> int:
    """Remove the folders and say how many bytes they held."""
    folders = [DIST, step_kernels.LIBRARIES, *(ROOT / name for name in TOOL_CACHES)]
    folders += [path for root in (BUILD, CORE, ROOT / "tests") for path in root.rglob("__pycache__")]
    if everything:
        folders += [VENV, NODE_MODULES, CACHE]
    freed = 0
    for folder in folders:
        if folder.is_dir():
            size = sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
            shutil.rmtree(folder)
            freed += size
            if folder.name != "__pycache__":
                say("clean", f"removed {relative(folder)}, {human(size)}")
    say("clean", f"{human(freed)} freed" if freed else "nothing to remove")
    return 0
