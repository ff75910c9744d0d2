"""The licences and credits of everything that the site ships, as texts and as one readable page."""

from __future__ import annotations

import html
import shutil
import zipfile
from pathlib import Path

import step_vendor
from buildkit import BUILD, ROOT, human, write_bytes, write_text

TEXTS = BUILD / "licences"


def write(folder: Path, sources: list[step_vendor.Source]) -> None:
    """Write the licence texts and `index.html` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
