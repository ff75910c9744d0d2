"""The finished site is complete, loads nothing from elsewhere, credits everything; and the checker sees it if not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import site_check
import site_credits
import step_article
import step_site
import step_vendor
from buildkit import BuildError, files_under


def test_site_has_no_problem(site_dir: Path) -> None:
    assert site_check.problems(site_dir) == []


JOINED = (
    "early.js",
    "pad.js",
    "pixels.js",
    "store.js",
    "engine-start.js",
)  # by site_join.py, as first.js and these are
SHEETS = ("style/base.css", "style/desk.css", "style/findings.css", "style/teach.css")


def test_site_is_web_verbatim_plus_what_the_build_adds(site_dir: Path, root: Path) -> None:
    web = {path.relative_to(root / "web").as_posix(): path for path in files_under(root / "web")}
    page = (site_dir / "index.html").read_text("utf-8")
    for name in (*JOINED, *SHEETS):
        assert web.pop(name).read_text("utf-8").rstrip() in page, name
    _, first = web.pop("first.js").read_text("utf-8").split('import { openLens } from "./first/lens.js";\n')
    lens = (root / "core" / "handlens" / "exported" / "lens.js").read_text("utf-8")
    assert first in page and lens.replace("export async function", "async function") in page
    assert json.loads((site_dir / "first" / "digits.json").read_text("utf-8")) == json.loads(
        page.partition('<script type="application/json" id="first-model">')[2].partition("</script>")[0]
    )
    del web["index.html"]
    for name, path in web.items():
        if name == step_article.PAGE:  # its numbers are filled in: test_article_text.py
            continue
        assert (site_dir / name).read_bytes() == path.read_bytes(), name
    added = {path.relative_to(site_dir).as_posix() for path in files_under(site_dir)} - set(web)
    built = {name for name in added if not name.startswith(("vendor/", "licences/", "first/"))}
    assert built == {".nojekyll", "build.json", "index.html", *step_article.MADE}


def test_build_record_says_what_the_worker_fetches(site_dir: Path) -> None:
    record = json.loads((site_dir / "build.json").read_text("utf-8"))
    names = {name.rpartition("/")[2].partition("-")[0] for name in record["engine_files"]}
    assert names == {"pyodide.asm.wasm", "python_stdlib.zip", "pyodide", "numpy", "handlens"}
    assert record["bytes"] == sum(record["files"].values())


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Handlens-MIT.txt", "Permission is hereby granted, free of charge"),
        ("CC-BY-SA-3.0.txt", "Attribution-ShareAlike 3.0 Unported"),
        ("MPL-2.0.txt", "Mozilla Public License Version 2.0"),
        ("PyScript-Apache-2.0.txt", "Version 2.0, January 2004"),
        ("MicroPython-MIT.txt", "Damien P. George"),
        ("NumPy-BSD-3-Clause.txt", "NumPy Developers"),
        ("Python-PSF-2.0.txt", "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2"),
    ],
)
def test_licence_texts_are_whole_and_linked(site_dir: Path, text: str, phrase: str) -> None:
    body = (site_dir / "licences" / text).read_text("utf-8")
    assert phrase in body
    assert len(body) > 1000
    assert f'href="{text}"' in (site_dir / "licences" / "index.html").read_text("utf-8")


def test_credits_name_everything_that_is_shipped(site_dir: Path) -> None:
    page = (site_dir / "licences" / "index.html").read_text("utf-8")
    for source in step_vendor.read_lock():
        if any(file.ship for file in source.files):
            assert f"{source.version}</h2>" in page, source.title
            assert source.licence in page
    assert "MNIST" in page
    assert "CC BY-SA 3.0" in page


def test_shipping_without_credit_is_refused(tmp_path: Path) -> None:
    pin = step_vendor.Pinned("x.js", "0" * 64, 1, "vendor/x/x.js")
    source = step_vendor.Source("x", "Uncredited", "1.0.0", "MIT", "", (), "vendor/x", (pin,))
    with pytest.raises(BuildError, match="Uncredited is shipped"):
        site_credits.write(tmp_path, [source])


POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'self\'">'
PAGE = f'<!doctype html><html><head>{POLICY}<link rel="stylesheet" href="style.css"></head><body>%s</body></html>'


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small site without a problem, to spoil."""
    site = tmp_path / "site"
    for name in site_check.REQUIRED:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("")
    (site / "index.html").write_text(PAGE % '<script src="a.js"></script><a href="licences/index.html">credits</a>')
    (site / "licences/index.html").write_text(
        f'<html><head>{POLICY}</head><a href="https://example.org/">away</a></html>'
    )
    (site / "a.js").write_text('import "./b.mjs"; // see https://example.org/why\n')
    (site / "b.mjs").write_text('export const ns = "http://www.w3.org/2000/svg";\n')
    (site / "style.css").write_text("body { background: url(dot.svg) } /* https://example.org */")
    (site / "dot.svg").write_text("<svg/>")
    record(site)
    assert site_check.problems(site) == []
    return site


def record(site: Path) -> None:
    files = {path.relative_to(site).as_posix(): path.stat().st_size for path in files_under(site)}
    files.pop("build.json")
    (site / "build.json").write_text(json.dumps({"files": files, "engine_files": {}, "engine_bytes": 0}))


def spoil_page(body: str) -> Callable[[Path], None]:
    return lambda site: (site / "index.html").write_text(PAGE % body) and None


def spoil_file(name: str, text: str) -> Callable[[Path], None]:
    return lambda site: (site / name).write_text(text) and None


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (spoil_page('<script src="https://cdn.example.org/x.js"></script>'), "not on the site"),
        (spoil_page('<script src="//cdn.example.org/x.js"></script>'), "not on the site"),
        (spoil_page('<script src="/a.js"></script>'), "breaks under a sub-path"),
        (spoil_page('<img src="gone.png">'), "gone.png, which is not there"),
        (spoil_page('<a href="gone.html">x</a>'), "gone.html, which is not there"),
        (spoil_page('<img srcset="dot.svg 1x, gone.svg 2x">'), "gone.svg, which is not there"),
        (spoil_page('<img src="../outside.png">'), "outside the site"),
        (spoil_page("""<script type="py" config='{"packages": ["numpy"]}'></script>"""), "package index"),
        (spoil_page("""<script type="mpy" config='{"interpreter": "./gone.mjs"}'></script>"""), "gone.mjs"),
        (spoil_page("""<script type="mpy" config="gone.json"></script>"""), "gone.json"),
        (spoil_page("""<script type="mpy" config='{oops'></script>"""), "no JSON"),
        (spoil_file("index.html", "<html><body>no policy</body></html>"), "Content-Security-Policy"),
        (spoil_file("index.html", PAGE.replace("'self'", "https:") % ""), "allows foreign origins"),
        (spoil_file("a.js", 'fetch("https://example.org/data.json")'), "foreign address"),
        (spoil_file("a.js", "const u = `//example.org/x`;"), "foreign address"),
        (spoil_file("a.js", 'import "./gone.mjs";'), "gone.mjs, which is not there"),
        (spoil_file("b.mjs", 'export { x } from "/abs.mjs";'), "breaks under a sub-path"),
        (spoil_file("b.mjs", 'const m = await import("./gone.js");'), "gone.js, which is not there"),
        (spoil_file("style.css", "@import 'gone.css';"), "gone.css, which is not there"),
        (spoil_file("style.css", "a { background: url(https://example.org/x.png) }"), "not on the site"),
        (spoil_file("engine.py", 'fetch("https://example.org/x")'), "foreign address"),
    ],
)
def test_checker_sees(small: Path, spoil: Callable[[Path], None], complaint: str) -> None:
    spoil(small)
    record(small)
    assert any(complaint in problem for problem in site_check.problems(small)), site_check.problems(small)
    with pytest.raises(BuildError, match="not complete"):
        site_check.check(small)


def test_checker_sees_wrong_sizes_and_missing_files(small: Path) -> None:
    (small / "a.js").write_text("")
    assert any("a.js" in problem for problem in site_check.problems(small))
    record(small)
    (small / "models").mkdir()
    (small / "models/x.safetensors").write_bytes(b"1234")
    (small / "models/index.json").write_text(json.dumps([{"file": "x.safetensors", "bytes": 5}]))
    record(small)
    assert any("x.safetensors" in problem for problem in site_check.problems(small))
    (small / "engine.py").unlink()
    assert site_check.problems(small) == ["engine.py is missing"]


def test_site_that_is_not_complete_does_not_replace_the_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    web = tmp_path / "web"
    shutil.copytree(root / "web", web)
    (web / "extra.js").write_text('fetch("https://example.org/")')
    good = tmp_path / "dist" / "site"
    good.mkdir(parents=True)
    (good / "index.html").write_text("good")
    for name, value in {"WEB": web, "SITE": good, "STAMPS": tmp_path / "stamps", "DIST": tmp_path / "dist"}.items():
        monkeypatch.setattr(step_site, name, value)
    with pytest.raises(BuildError, match="foreign address"):
        step_site.ensure()
    assert (good / "index.html").read_text() == "good"
