"""Joins what the page needs for its first answer, so that all of it comes in one wave of requests.

A browser keeps six connections to a host, and a policy in a `<meta>` tag keeps Chromium from looking ahead: each script
and style sheet costs the first answer a turn. In `web/` they stay apart, to be read; on the site

- `early.js` stands in the page itself, allowed by its hash in the policy, and so do the style sheets;
- the scripts that follow one another are one file, `page.js`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from buildkit import BuildError, write_text

INLINE = re.compile(r'<script src="([\w.-]+)"></script>')
SHEET = re.compile(r'[ \t]*<link rel="stylesheet" href="([\w./-]+)">\n')
DEFERRED = re.compile(r'[ \t]*<script src="([\w.-]+)" defer></script>\n')
POLICY = "script-src 'self'"
JOINED = "page.js"


def join(site: Path) -> None:
    """Rewrite the site's index.html, and take away the files that now stand in it or in `page.js`.

    Raises BuildError when the page has no policy that a hash can be entered in, or a sheet that lies elsewhere than
    the page and names another file.
    """
    page = site / "index.html"
    html = page.read_text("utf-8")
    gone: list[Path] = []
    html, hashes = inlined_scripts(site, html, gone)
    if hashes:
        if POLICY not in html:
            raise BuildError(f"web/index.html has no `{POLICY}` in its policy; its early script would not run.")
        html = html.replace(POLICY, f"{POLICY} {' '.join(hashes)}", 1)
    html = inlined_sheets(site, html, gone)
    html = joined_scripts(site, html, gone)
    write_text(page, html)
    for path in gone:
        path.unlink()


def inlined_scripts(site: Path, html: str, gone: list[Path]) -> tuple[str, list[str]]:
    """Scripts that the parser waits for, in the page itself; and their hashes for the policy."""
    hashes = []
    for match in INLINE.finditer(html):
        path = site / match.group(1)
        text = path.read_text("utf-8")
        if "</script" in text:
            raise BuildError(f"web/{match.group(1)} holds `</script`, which would end it in the page; write it apart.")
        hashes.append(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")
        html = html.replace(match.group(0), f"<script>{text}</script>")
        gone.append(path)
    return html, hashes


def inlined_sheets(site: Path, html: str, gone: list[Path]) -> str:
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


def joined_scripts(site: Path, html: str, gone: list[Path]) -> str:
    """All deferred scripts as one file, in their order, where the first of them stood."""
    matches = list(DEFERRED.finditer(html))
    if not matches:
        return html
    paths = [site / match.group(1) for match in matches]
    write_text(site / JOINED, "".join(f"{path.read_text('utf-8').rstrip()}\n" for path in paths))
    for match in matches[1:]:
        html = html.replace(match.group(0), "")
    gone += paths
    return html.replace(matches[0].group(0), f'  <script src="{JOINED}" defer></script>\n')
