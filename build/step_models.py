"""`models`: write `web/models/index.json` and the README's table from the metadata of the shipped weights."""

from __future__ import annotations


def ensure() -> None:
    pass


def main() -> int:
    return 0
