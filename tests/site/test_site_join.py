"""What the first answer needs comes with the page: scripts, modules with what they import, data and style sheets."""

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
  <script type="module" src="b.js"></script>
  <script type="application/json" id="there" src="d/there.json"></script>
  <script type="application/json" id="absent" src="d/absent.json"></script>
  <link rel="stylesheet" href="style/x.css">
  <link rel="stylesheet" href="style/y.css">
</head>
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of a page, a script, a module with one that it imports, data and two sheets."""
    for name in ("style", "d"):
        (tmp_path / name).mkdir()
    for name, text in {
        "index.html": PAGE,
        "a.js": "a();\n",
        "b.js": 'import { c, K } from "./d/c.js";\nwindow.b = c(K);\n',
        "d/c.js": "const inner = 1;\nexport async function c() { return inner; }\nexport const K = 2;\n",
        "d/there.json": '{"a": "</script>"}\n',
        "style/x.css": "p { margin: 0 }\n",
        "style/y.css": "p { margin: 1px }\n",
    }.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


MODULE = """(() => {
"use strict";
const { c, K } = (() => {
"use strict";
const inner = 1;
async function c() { return inner; }
const K = 2;
return { c, K };
})();
window.b = c(K);
return {  };
})();
"""


def test_scripts_data_and_sheets_are_put_into_the_page(site: Path) -> None:
    site_join.join(site)
    html = (site / "index.html").read_text("utf-8")
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in ("a();\n", MODULE)]
    assert "script-src 'self' " + " ".join(f"'sha256-{text}'" for text in hashes) + " blob:" in html
    assert "<script>a();\n</script>" in html and f"<script>{MODULE}</script>" in html and "src=" not in html
    assert """<script type="application/json" id="there">{"a": "\\u003c/script>"}</script>""" in html
    assert """<script type="application/json" id="absent"></script>""" in html
    assert "<style>\np { margin: 0 }\np { margin: 1px }\n</style>" in html and "stylesheet" not in html
    assert {path.name for path in site.rglob("*") if path.is_file()} == {"index.html", "there.json"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("index.html", PAGE.replace("script-src", "script-elem"), "no `script-src 'self'` in its policy"),
        ("a.js", "'</script>'", "web/a.js holds `</script`"),
        ("b.js", 'import * as c from "./d/c.js";', "b.js imports or exports in a way"),
        ("d/c.js", "export default 1;", "c.js imports or exports in a way"),
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
        for name in ("web/early.js", "core/handlens/exported/lens.js", "core/handlens/exported/index.html")
    ]
    assert asked[0] == asked[1] == asked[2] and len(asked[0]) == 1
