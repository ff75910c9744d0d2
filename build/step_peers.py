"""The other libraries that `bench --peers` measures beside Handlens: installed and bundled in `.cache/peers/`.

Nothing else needs them, so no other command installs them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import step_setup
from buildkit import CACHE, ROOT, Stamp, digest_of, environment, exclusive, files_under, human, run, say, total_bytes

SOURCES = ROOT / "tests" / "bench" / "peers"
HOME = CACHE / "peers"
SITE = HOME / "site"  # what the bench serves; it adds work/, the weights and images
# Fetched by the libraries themselves while they start, so no bundler sees them.
FETCHED = (
    "@tensorflow/tfjs-backend-wasm/dist/*.wasm",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm",
)
# The smallest page of each, for `bench --first`: its module, and the WebAssembly that this fetches.
FIRST = {
    "tfjs": "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
    "ort": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
}


def install() -> Path:
    """The npm packages, of the versions and hashes in tests/bench/peers/package-lock.json; gives `node_modules`."""
    modules = HOME / "node_modules"
    inputs = [SOURCES / "package.json", SOURCES / "package-lock.json", ROOT / ".npmrc"]
    digest = digest_of("peers 1", *inputs)
    stamp = Stamp(HOME / "installed.json")
    if not stamp.fresh(digest, modules):
        npm = step_setup.require_npm()
        HOME.mkdir(parents=True, exist_ok=True)
        for path in inputs:
            shutil.copyfile(path, HOME / path.name)
        with exclusive:
            step_setup.install_node_packages(npm, HOME)
        installed = files_under(modules)
        stamp.write(digest, modules, [path for path in installed if path.name == "package.json"])
        say("peers", f"installed {len(installed)} files, {human(total_bytes(installed))}")
    return modules


def versions() -> dict[str, str]:
    """What is pinned, by name."""
    found: dict[str, str] = json.loads((SOURCES / "package.json").read_text("utf-8"))["devDependencies"]
    return found


def bundle_first(modules: Path, name: str, wasm: Path) -> None:
    """One library's smallest page, in a folder of its own; bench/first_work.py adds the page and the model."""
    folder = SITE / "first" / name
    run(
        [
            *(modules / ".bin" / "esbuild", SOURCES / "first" / f"{name}.js", "--bundle", "--format=esm", "--minify"),
            *("--log-level=error", "--tree-shaking=true", "--target=es2022", f"--outfile={folder / name}.js"),
        ],
        env=environment(NODE_PATH=str(modules)),
        why=f"the smallest page of {name} could not be bundled (see above).",
    )
    shutil.copyfile(wasm, folder / wasm.name)


def ensure() -> Path:
    """Install and bundle what is stale; gives the folder to serve."""
    modules = install()
    fetched = [path for pattern in FETCHED for path in sorted(modules.glob(pattern))]
    sources = [path for path in files_under(SOURCES) if path.suffix in (".js", ".html")]
    digest = digest_of("peers bundle 2", Path(__file__), *sources, SOURCES / "package-lock.json")
    stamp = Stamp(HOME / "bundled.json")
    if stamp.fresh(digest, SITE):
        return SITE
    shutil.rmtree(SITE, ignore_errors=True)
    # The sources lie outside of the folder with the packages: esbuild looks for these where NODE_PATH says.
    options = ["--bundle", "--format=esm", "--splitting", "--minify", "--log-level=warning"]
    options += [f"--outdir={SITE}", f"--define:VERSIONS={json.dumps(versions())}"]
    run(
        [modules / ".bin" / "esbuild", SOURCES / "page.js", *options],
        env=environment(NODE_PATH=str(modules)),
        why="the peers' page could not be bundled (see above).",
    )
    for path in (SOURCES / "page.html", *fetched):
        shutil.copyfile(path, SITE / path.name)
    for name, wasm in FIRST.items():
        bundle_first(modules, name, modules / wasm)
    made = files_under(SITE)
    stamp.write(digest, SITE, made)
    say("peers", f"bundled {len(made)} files, {human(total_bytes(made))}")
    return SITE
