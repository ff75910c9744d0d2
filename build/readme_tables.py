"""Put generated tables into README.md, between markers such as `<!-- models:start -->` and `<!-- models:end -->`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from buildkit import ROOT, BuildError, write_text

README = ROOT / "README.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int = 1) -> str:
    """A Markdown table; columns from `numeric_from` on are aligned to the right."""
    rule = ["---" if column < numeric_from else "---:" for column in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def between(name: str, readme: Path = README) -> str | None:
    """The text between the markers of `name`, or None when the README has no such markers."""
    text = readme.read_text("utf-8") if readme.is_file() else ""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if start not in text or end not in text:
        return None
    return text.split(start, 1)[1].split(end, 1)[0].strip("\n")


def insert(name: str, content: str, readme: Path = README) -> bool:
    """Replace the text between the markers of `name`; True when the README changed.

    Raises BuildError when the README has no such markers.
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if between(name, readme) is None:
        raise BuildError(f"README.md has no {start} and {end} lines; add them where the table goes.")
    text = readme.read_text("utf-8")
    before, rest = text.split(start, 1)
    after = rest.split(end, 1)[1]
    new = f"{before}{start}\n{content.strip()}\n{end}{after}"
    if new != text:
        write_text(readme, new)
    return new != text
