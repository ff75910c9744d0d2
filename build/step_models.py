"""`models`: write `web/models/index.json` and the README's tables from the metadata of the shipped weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import readme_tables
import step_kernels
import step_setup
from buildkit import (
    BUILD,
    STAMPS,
    WEB,
    BuildError,
    Stamp,
    digest_of,
    human,
    run,
    say,
    scratch,
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


def share(value: float | None) -> str:
    """A share in percent."""
    return "" if value is None else f"{value:.2%}"


DRAWN = {
    "drawn": "usual",
    "brush": "any brush",
    "size": "any size",
    "corner": "quarter size, corner",
    "rotation": "turned up to 15°",
    "worst_writer": "worst writer",
    "drawn_ece": "calibration error",
    "drawn_refused": "not answered",
    "rejects_refused": "no digit: refused",
}


def drawn_table(entries: list[dict[str, Any]]) -> str:
    """What each model makes of drawn digits: of each group of conditions the lowest."""
    rows = [
        [f"`{e['name']}`", *(share(e["measured"][key]) for key in DRAWN)] for e in entries if e["measured"] is not None
    ]
    return readme_tables.table(["model", *DRAWN.values()], rows)


def sources_table(entries: list[dict[str, Any]]) -> str:
    """The models as they are and those trained without one source or another, each by its own training."""
    kept = ("mnist", "mnist_shifted", "drawn", "rotation", "worst_writer", "rejects_refused")
    rows = [
        [
            f"`{row['name']}`",
            ", ".join(row["sources"]),
            "yes" if row["augmented"] else "no",
            str(row["epochs"]),
            *(share(row[key]) for key in kept),
        ]
        for e in entries
        for row in ([e["measured"]] if e["measured"] else []) + e["compared"]
    ]
    head = ["model", "sources", "augmented", "epochs", "MNIST", "moved by 2 px"]
    return readme_tables.table([*head, "drawn", "turned", "worst writer", "no digit: refused"], rows, 3)


NUMBERS = {
    "single": "one digit alone, which could have been taken for several",
    "apart": "natural spacing",
    "touching": "two digits touch, each with strokes of its own",
    "joined": "two digits joined by one stroke",
}


def numbers_table(entries: list[dict[str, Any]]) -> str:
    """Whole numbers of two to five digits, as the first model reads them."""
    kinds = next((e["numbers"] for e in entries if e["numbers"]), {})
    rows = [
        [
            NUMBERS[kind],
            f"{found['numbers']:,}",
            *(share(found[key]) for key in ("right_share", "refused_share", "refused_or_right_share")),
        ]
        for kind, found in ((kind, kinds[kind]) for kind in NUMBERS if kind in kinds)
    ]
    return readme_tables.table(["numbers", "count", "right of those answered", "refused", "refused or right"], rows)


def first_table(sizes: dict[str, int]) -> str:
    """What a browser fetches before the first answer, of the page's own files and of an exported model's."""
    kernels = max(size for name, size in sizes.items() if name.endswith(".wasm.gz"))  # of one of the two builds
    named = re.findall(r'(?:href|src)="([\w./-]+\.(?:css|js))"', (WEB / "index.html").read_text("utf-8"))
    parts = {
        "the page, its styles and scripts": total_bytes([WEB / name for name in ("index.html", *named)])
        + sizes["lens.js"],
        "compiled kernels, compressed": kernels,
        "the encoded plan": sizes["model.json"],
        "the weights, which the engine takes from the browser's cache later": sizes["model.safetensors"],
    }
    rows = [[name, f"{size:,}"] for name, size in [*parts.items(), ("together", sum(parts.values()))]]
    return readme_tables.table(["before the first answer", "bytes"], rows)


def fill_readme(entries: list[dict[str, Any]]) -> bool:
    """Put the tables of the weights and the plan of one small network into the README; True when it changed."""
    plan = json.loads(ask("summary", "cnn-small", "--plan", "--json"))["plan"]
    tables = {
        "models": ask("index", MODELS),
        "plan": f"```\n{plan}\n```",
        "drawn": drawn_table(entries),
        "sources": sources_table(entries),
        "numbers": numbers_table(entries),
    }
    if step_kernels.wasm_inference():  # else there is nothing to export with, and the README keeps what it says
        with scratch("export") as work:
            words = ("export", MODELS / "digits.safetensors", work / "page")
            sizes = json.loads(ask(*words, "--json"))["files"]
            listed = ask(*words).replace(str(work / "page"), "page")
        tables |= {"export": f"```\n{listed.rstrip()}\n```", "first": first_table(sizes)}
    changed = [readme_tables.insert(name, content) for name, content in tables.items()]
    return any(changed)


def ensure() -> list[dict[str, Any]]:
    """The index of the present weights; made again when weights or core changed."""
    weights = sorted(MODELS.glob("*.safetensors"))
    if not weights:
        return []
    step_setup.python_environment()
    stamp = Stamp(STAMPS / "models.json")
    now = digest_of("models 2", *weights, *step_kernels.package_sources(), BUILD / "step_models.py")
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
    changed = fill_readme(entries)
    print(readme_tables.between("models"))
    say("models", f"{len(entries)} models; README.md {'updated' if changed else 'was up to date'}")
    return 0
