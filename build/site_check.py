"""Checks that the finished site is complete, loads nothing from elsewhere, and says true sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from buildkit import BuildError, files_under

REQUIRED = (
    "index.html",
    ".nojekyll",
    "build.json",
    "engine.py",
    "licences/index.html",
    "vendor/pyscript/core.js",
    "vendor/micropython/micropython.mjs",
    "vendor/micropython/micropython.wasm",
    "vendor/pyodide/pyodide.mjs",
    "vendor/pyodide/pyodide.asm.wasm",
    "vendor/pyodide/pyodide-lock.json",
)
# Attributes whose address the browser loads by itself. An <a href> is followed by the visitor alone, and may lead away.
LOADING = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("audio", "src"),
    ("video", "src"),
    ("video", "poster"),
    ("object", "data"),
    ("embed", "src"),
    ("input", "src"),
    ("track", "src"),
    ("use", "href"),
    ("image", "href"),
    ("base", "href"),
    ("form", "action"),
}
IMPORT = re.compile(r"""(?:^|[;\s])(?:import|export)\s*(?:[\w*{}\s,$]+\s*from\s*)?\(?\s*["']([^"']+)["']""")
CSS_URL = re.compile(r"""url\(\s*["']?([^"')]+)["']?\s*\)|@import\s+["']([^"']+)["']""")
FOREIGN = re.compile(r"""["'`(\s=](?:(?:https?|wss?|ftp):)?//[\w.-]+\.[a-z]{2,}[^\s"'`)]*""", re.IGNORECASE)
NAMESPACES = ("http://www.w3.org/",)  # names of vocabularies (SVG, XLink), never fetched
COMMENTS = {
    ".js": re.compile(r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*", re.DOTALL),
    ".css": re.compile(r"/\*.*?\*/", re.DOTALL),
    ".py": re.compile(r"(?m)^\s*#.*$"),
    ".html": re.compile(r"<!--.*?-->", re.DOTALL),
}
COMMENTS[".mjs"] = COMMENTS[".js"]


class Page(HTMLParser):
    """Collects what one HTML page loads, links to and allows."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.configs: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        for name, value in values.items():
            if (tag, name) in LOADING:
                self.loads += [part.split()[0] for part in value.split(",")] if name == "srcset" else [value]
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if "config" in values:
            self.configs.append(values["config"])
        if tag == "meta" and values.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = values.get("content", "")


def wrong_address(site: Path, where: Path, address: str) -> str:
    """Why an address that `where` loads is wrong, or the empty string."""
    parts = urlsplit(address)
    if parts.scheme in ("data", "blob") or (not parts.path and not parts.netloc):
        return ""
    name = where.relative_to(site).as_posix()
    if parts.scheme or parts.netloc:
        return f"{name} loads {address}, which is not on the site"
    if parts.path.startswith("/"):
        return f"{name} loads {address}, which breaks under a sub-path; use a relative address"
    target = (where.parent / unquote(parts.path)).resolve()
    if not target.is_relative_to(site.resolve()):
        return f"{name} loads {address}, which lies outside the site"
    if target.is_dir():
        target /= "index.html"
    return "" if target.is_file() else f"{name} loads {address}, which is not there"


def check_config(site: Path, page: Path, config: str) -> Iterator[str]:
    """PyScript's `config`: inline JSON or the address of a file; interpreter and files must be there."""
    where = page
    if not config.lstrip().startswith("{"):
        wrong = wrong_address(site, page, config)
        if wrong:
            yield wrong
            return
        where = page.parent / config
        config = where.read_text("utf-8")
    try:
        value = json.loads(config)
    except ValueError as error:
        yield f"{where.relative_to(site).as_posix()}: its PyScript configuration is no JSON ({error})"
        return
    # PyScript resolves addresses against the file that names them: the configuration, or the page that holds it.
    for address in (value.get("interpreter", ""), *value.get("files", {})):
        wrong = wrong_address(site, where, address) if address else ""
        if wrong:
            yield wrong
    if value.get("packages"):
        yield f"{where.relative_to(site).as_posix()}: `packages` would ask a package index; use our own lock file"


def check_page(site: Path, path: Path) -> Iterator[str]:
    """One HTML page: addresses, links, configuration, policy."""
    page = Page()
    page.feed(path.read_text("utf-8"))
    name = path.relative_to(site).as_posix()
    for address in page.loads:
        yield wrong_address(site, path, address)
    for address in page.links:
        if not urlsplit(address).scheme:
            yield wrong_address(site, path, address)
    for config in page.configs:
        yield from check_config(site, path, config)
    if "default-src" not in page.policy:
        yield f"{name} has no Content-Security-Policy with a default-src"
    elif re.search(r"https?:|\*", page.policy):
        yield f"{name}: its Content-Security-Policy allows foreign origins"


def check_text(site: Path, path: Path) -> Iterator[str]:
    """One script, style or Python file: imports and addresses, and no foreign one in its code."""
    text = COMMENTS[path.suffix].sub("", path.read_text("utf-8"))
    name = path.relative_to(site).as_posix()
    if path.suffix in (".js", ".mjs"):
        for match in IMPORT.finditer(text):
            specifier = match.group(1)
            if specifier.startswith((".", "/")) or "://" in specifier:
                yield wrong_address(site, path, specifier)
    if path.suffix in (".css", ".html"):
        for match in CSS_URL.finditer(text):
            yield wrong_address(site, path, match.group(1) or match.group(2))
    if path.suffix != ".html":  # pages may link away; what they load is checked tag by tag
        for match in FOREIGN.finditer(text):
            address = match.group(0)[1:]
            if not address.startswith(NAMESPACES):
                yield f"{name} holds the foreign address {address}"


def check_record(site: Path) -> Iterator[str]:
    """build.json and models/index.json against the files themselves."""
    record = json.loads((site / "build.json").read_text("utf-8"))
    actual = {path.relative_to(site).as_posix(): path.stat().st_size for path in files_under(site)}
    actual.pop("build.json")
    for name in sorted(set(actual) | set(record["files"])):
        if actual.get(name) != record["files"].get(name):
            yield f"build.json says {record['files'].get(name)} bytes for {name}, the file has {actual.get(name)}"
    if record["engine_bytes"] != sum(actual.get(name, 0) for name in record["engine_files"]):
        yield "build.json: engine_bytes is not the sum of engine_files"
    index = site / "models" / "index.json"
    if index.is_file():
        for entry in json.loads(index.read_text("utf-8")):
            name = f"models/{entry['file']}"
            said, found = entry["bytes"], actual.get(name)
            if said != found:
                yield f"models/index.json says {said} bytes for {entry['file']}, the file has {found}"


def problems(site: Path) -> list[str]:
    """Everything that is wrong with the site, in words."""
    missing = [f"{name} is missing" for name in REQUIRED if not (site / name).is_file()]
    if missing:
        return missing
    found: list[str] = []
    for path in files_under(site):
        if path.relative_to(site).parts[0] == "vendor":
            continue
        if path.suffix == ".html":
            found += check_page(site, path)
        if path.suffix in COMMENTS:
            found += check_text(site, path)
    found += check_record(site)
    return [text for text in dict.fromkeys(found) if text]


def check(site: Path) -> None:
    """Raise BuildError naming the first things that are wrong with the site."""
    found = problems(site)
    if found:
        more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
        raise BuildError(f"the site is not complete: {'; '.join(found[:5])}{more}.")
