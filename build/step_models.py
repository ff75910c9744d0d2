"""`models`: write `web/models/index.json` and the README's table from the metadata of the shipped weights."""

from __future__ import annotations

import json
from typing import Any

import readme_tables
import step_setup
from buildkit import (
    BUILD,
    CORE,
    STAMPS,
    WEB,
    BuildError,
    Stamp,
    digest_of,
    files_under,
    human,
    run,
    say,
    total_bytes,
    venv_tool,
    write_json,
)

MODELS = WEB / "models"
INDEX = MODELS / "index.json"
REQUIRED = ("name", "file", "bytes", "title", "parameters", "multiply_adds", "accuracy")


def ask(*options: str) -> str:
    """What the core says about the weights in web/models/: every number computed by it, none typed by hand."""
    command = [venv_tool("handlens"), "index", MODELS, *options]
    return run(command, why="`handlens index web/models` could not read the shipped weights (see above).")


def read_index() -> list[dict[str, Any]]:
    """One entry a model, as the page reads them."""
    entries: list[dict[str, Any]] = json.loads(ask("--json"))["models"]
    for entry in entries:
        missing = [key for key in REQUIRED if entry.get(key) is None]
        if missing:
            where = entry.get("file", "a model")
            raise BuildError(f"`handlens index` says nothing of {', '.join(missing)} for {where}: train it again.")
    return entries


def markdown() -> str:
    """The table of the shipped models, for the README."""
    return ask()


def ensure() -> list[dict[str, Any]]:
    """The index of the present weights; made again when weights or core changed."""
    weights = sorted(MODELS.glob("*.safetensors"))
    if not weights:
        return []
    step_setup.python_environment()
    stamp = Stamp(STAMPS / "models.json")
    now = digest_of("models 1", *weights, *files_under(CORE / "handlens"), BUILD / "step_models.py")
    if stamp.fresh(now, MODELS) and INDEX.is_file():
        return json.loads(INDEX.read_text("utf-8"))  # type: ignore[no-any-return]
    entries = read_index()
    # Written only when something changed: the file is tracked, and a measured time must not make it look edited.
    if not INDEX.is_file() or json.loads(INDEX.read_text("utf-8")) != entries:
        write_json(INDEX, entries)
        say("models", f"web/models/index.json: {len(entries)} models, {human(total_bytes(weights))}")
    stamp.write(now, MODELS, [INDEX, *weights])
    return entries


def main() -> int:
    """Write the index and the README's table, and print the table."""
    entries = ensure()
    if not entries:
        raise BuildError("web/models/ holds no weights; train some with `.venv/bin/handlens train`.")
    content = markdown()
    print(content)
    changed = readme_tables.insert("models", content)
    say("models", f"{len(entries)} models; README.md {'updated' if changed else 'was up to date'}")
    return 0
