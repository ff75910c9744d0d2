"""What the page reads with before Python has loaded: each shipped model as `handlens export` writes it.

`first/` holds the kernels for inference, what runs them, and for each model its encoded plan; the weights are those of
`models/`, which the engine takes from the browser's cache later.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import step_kernels
from buildkit import CORE, WEB, BuildError, run, say, scratch, venv_tool, write_json, write_text

FOLDER = "first"
LOADER = "lens.js"
WITHOUT = 'export async function openLens() {\n  throw new Error("this site was built without compiled kernels");\n}\n'


def write(folder: Path) -> None:
    """Fill the folder; without a compiler the loader says why there is no first answer."""
    folder.mkdir(parents=True)
    if not step_kernels.wasm_inference():
        write_text(folder / LOADER, WITHOUT)
        return
    with scratch("first") as work, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        weights = sorted((WEB / "models").glob("*.safetensors"))
        list(pool.map(lambda path: exported(path, work / path.stem), weights))
        for path in weights:
            shutil.copyfile(work / path.stem / "model.json", folder / f"{path.stem}.json")
        for path in [*work.glob("*/*.wasm.gz"), CORE / "handlens" / "exported" / LOADER]:
            shutil.copyfile(path, folder / path.name)


def exported(weights: Path, folder: Path) -> None:
    """One model as a page of its own; one that cannot be says so to the loader, and is read by Python alone."""
    try:
        run([venv_tool("handlens"), "export", weights, folder], why=f"`handlens export {weights.name}` failed.")
    except BuildError as error:
        say("site", f"{error} It gives no answer before Python has loaded.")
        folder.mkdir()
        write_json(folder / "model.json", {"failed": f"{weights.stem} cannot run on compiled kernels"})
