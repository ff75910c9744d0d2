"""`models`: write `web/models/index.json` and the README's tables from the metadata of the shipped weights."""

from __future__ import annotations

import json
from pathlib import Path
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


def ask(*words: str | Path) -> str:
    """What the core says: every number is computed by it, none typed by hand."""
    return run([venv_tool("handlens"), *words], why=f"`handlens {words[0]}` failed (see above).")


def read_index() -> list[dict[str, Any]]:
    """One entry a model, as the page reads them."""
    entries: list[dict[str, Any]] = json.loads(ask("index", MODELS, "--json"))["models"]
    for entry in entries:
        missing = [key for key in REQUIRED if entry.get(key) is None]
        if missing:
            where = entry.get("file", "a model")
            raise BuildError(f"`handlens index` says nothing of {', '.join(missing)} for {where}: train it again.")
    return entries


def fill_readme() -> bool:
    """Put the table of the weights and the plan of one small network into the README; True when it changed."""
    plan = json.loads(ask("summary", "cnn-small", "--plan", "--json"))["plan"]
    tables = {"models": ask("index", MODELS), "plan": f"```\n{plan}\n```"}
    changed = [readme_tables.insert(name, content) for name, content in tables.items()]
    return any(changed)


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
    """Write the index and the README's tables, and print the table of the weights."""
    entries = ensure()
    if not entries:
        raise BuildError("web/models/ holds no weights; train some with `.venv/bin/handlens train`.")
    changed = fill_readme()
    print(readme_tables.between("models"))
    say("models", f"{len(entries)} models; README.md {'updated' if changed else 'was up to date'}")
    return 0
