"""The record of the article's study (story_study.json beside this file): read once, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("story_study.json")
ROW = re.compile(r"\[\s+((?:-?[\d.e-]+,\s+)*-?[\d.e-]+)\s+\]")


@cache
def record() -> dict[str, Any]:
    """What `keep` wrote."""
    found: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return found


def keep(found: Mapping[str, Any], path: Path = RECORD) -> None:
    """Write a record; a row of numbers stands on one line."""
    text = ROW.sub(lambda row: f"[{' '.join(row[1].split())}]", json.dumps(found, indent=1))
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(text + "\n", "utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    record.cache_clear()
