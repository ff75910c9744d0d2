"""Puts what the page needs for its first answer into the page itself, so that one request brings all of it.

Each request costs the first answer a turn: a browser keeps six connections to a host, and a policy in a `<meta>` tag
keeps Chromium from looking ahead. In `web/` scripts and style sheets stay apart, to be read; on the site they stand in
the page, the scripts allowed by their hashes in its policy. A module is enclosed with those that it imports, and runs
where it stands, not after the page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from buildkit import BuildError, write_text

SCRIPT = re.compile(r'<script( type="module")? src="([\w.-]+)"></script>')
DATA = re.compile(r'<script type="application/json" id="([\w-]+)" src="([\w./-]+)"></script>')
SHEET = re.compile(r'[ \t]*<link rel="stylesheet" href="([\w./-]+)">\n')
IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "(\.[\w./-]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
POLICY = "script-src 'self'"


def join(site: Path) -> None:
    """Rewrite the site's index.html, and take away the files that now stand in it.

    Raises BuildError when the page has no policy that a hash can be entered in, or a file cannot stand in it.
    """
    page = site / "index.html"
    html = page.read_text("utf-8")
    gone: list[Path] = []
    html, hashes = with_scripts(site, html, gone)
    if hashes:
        if POLICY not in html:
            raise BuildError(f"web/index.html has no `{POLICY}` in its policy; its scripts would not run.")
        html = html.replace(POLICY, f"{POLICY} {' '.join(hashes)}", 1)
    write_text(page, with_sheets(site, with_data(site, html), gone))
    for path in gone:
        path.unlink()


def with_scripts(site: Path, html: str, gone: list[Path]) -> tuple[str, list[str]]:
    """Scripts that the parser waits for, and modules, in the page; and their hashes for the policy."""
    hashes: list[str] = []

    def text_of(match: re.Match[str]) -> str:
        path = site / match.group(2)
        text = f"{enclosed(path, gone)};\n" if match.group(1) else path.read_text("utf-8")
        if "</script" in text:
            raise BuildError(f"web/{match.group(2)} holds `</script`, which would end it in the page; write it apart.")
        hashes.append(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
        if path not in gone:
            gone.append(path)
        return f"<script>{text}</script>"

    return SCRIPT.sub(text_of, html), hashes


def enclosed(path: Path, gone: list[Path]) -> str:
    """A module as an expression: a function that runs it with what it imports, and gives what it exports."""
    text = path.read_text("utf-8")
    names = ", ".join(EXPORT.findall(text))

    def imported(match: re.Match[str]) -> str:
        return f"const {{ {match.group(1)} }} = {enclosed((path.parent / match.group(2)).resolve(), gone)};\n"

    text = IMPORT.sub(imported, EXPORT.sub("", text))
    if re.search(r"^(?:import|export)\b", text, re.MULTILINE):
        raise BuildError(
            f"{path.name} imports or exports in a way that cannot stand in the page: see build/site_join.py."
        )
    gone.append(path)
    return f'(() => {{\n"use strict";\n{text}return {{ {names} }};\n}})()'


def with_data(site: Path, html: str) -> str:
    """Files of JSON, in the page; nothing where a file is not there, as `first/` without compiled kernels."""

    def text_of(match: re.Match[str]) -> str:
        path = site / match.group(2)
        text = path.read_text("utf-8").replace("<", "\\u003c") if path.is_file() else ""
        return f'<script type="application/json" id="{match.group(1)}">{text.strip()}</script>'

    return DATA.sub(text_of, html)


def with_sheets(site: Path, html: str, gone: list[Path]) -> str:
    """All style sheets as one, where the first of them stood."""
    matches = list(SHEET.finditer(html))
    if not matches:
        return html
    paths = [site / match.group(1) for match in matches]
    text = "".join(path.read_text("utf-8") for path in paths)
    if "url(" in text or "@import" in text or "</style" in text:
        raise BuildError("A style sheet names another file, which the page would look for beside itself; join by hand.")
    for match in matches[1:]:
        html = html.replace(match.group(0), "")
    gone += paths
    return html.replace(matches[0].group(0), f"<style>\n{text}</style>\n")
