"""What the first answer needs comes in one wave: early script and style sheets in the page, the others in one file."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
import site_join
from buildkit import BuildError

PAGE = """<head>
  <meta http-equiv="Content-Security-Policy" content="default-src 'self'; script-src 'self' blob:">
  <script src="a.js"></script>
  <script src="b.js" defer></script>
  <script src="c.js" defer></script>
  <link rel="stylesheet" href="style/x.css">
  <link rel="stylesheet" href="style/y.css">
</head>
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of a page, three scripts and two sheets."""
    (tmp_path / "style").mkdir()
    for name, text in {
        "index.html": PAGE,
        "a.js": "a();\n",
        "b.js": "b();\n\n",
        "c.js": "c();",
        "style/x.css": "p { margin: 0 }\n",
        "style/y.css": "p { margin: 1px }\n",
    }.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_scripts_and_sheets_are_joined_in_their_order(site: Path) -> None:
    site_join.join(site)
    html = (site / "index.html").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(b"a();\n").digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}' blob:" in html and "<script>a();\n</script>" in html
    assert (site / "page.js").read_text("utf-8") == "b();\nc();\n"
    assert html.count('<script src="page.js" defer></script>') == 1 and "b.js" not in html and "c.js" not in html
    assert "<style>\np { margin: 0 }\np { margin: 1px }\n</style>" in html and "stylesheet" not in html
    assert {path.name for path in site.rglob("*") if path.is_file()} == {"index.html", "page.js"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("index.html", PAGE.replace("script-src", "script-elem"), "no `script-src 'self'` in its policy"),
        ("a.js", "'</script>'", "web/a.js holds `</script`"),
        ("style/x.css", "p { background: url(x.svg) }", "names another file"),
    ],
)
def test_what_cannot_be_joined_is_named(site: Path, name: str, text: str, words: str) -> None:
    (site / name).write_text(text, "utf-8")
    with pytest.raises(BuildError, match=re.escape(words)):
        site_join.join(site)


def test_early_and_lens_ask_for_the_same_instruction(root: Path) -> None:
    """Which kernels are fetched ahead and which are run are decided by the same bytes."""
    asked = [
        re.findall(r"const RELAXED = (\[[\d, ]+\]);", (root / name).read_text("utf-8"))
        for name in ("web/early.js", "core/handlens/exported/lens.js")
    ]
    assert asked[0] == asked[1] and len(asked[0]) == 1
