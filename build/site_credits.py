"""The licences and credits of everything that the site ships, as texts and as one readable page."""

from __future__ import annotations

import html
import zipfile
from dataclasses import dataclass
from pathlib import Path

import step_vendor
from buildkit import BUILD, ROOT, BuildError, human, write_bytes, write_text

TEXTS = BUILD / "licences"


@dataclass(frozen=True)
class Credit:
    """One thing that the site ships: what it does here, under which licence, and where its texts come from.

    `texts` maps the name of a shipped text to its origin: a file of build/licences/, `source:file` for a vendored
    file, `numpy:member` for a text inside the NumPy wheel, or `own`.
    """

    title: str
    use: str
    licence: str
    home: str
    texts: tuple[tuple[str, str], ...]
    source: str = ""  # its entry in vendor.lock.json, for version and size
    code: str = ""  # where its source code is, where the licence asks to say so


CREDITS = (
    Credit("Handlens", "the network library and this page", "MIT", "", (("Handlens-MIT.txt", "own"),)),
    Credit(
        "MNIST",
        "70,000 handwritten digits by Yann LeCun, Corinna Cortes and Christopher J. C. Burges; the networks "
        "in models/ learned from the training images; gallery/ holds test images, and samples/ 500 training and 1,000 "
        "test images (235 kB), with which a network is taught and measured: all unchanged",
        "CC BY-SA 3.0",
        "https://en.wikipedia.org/wiki/MNIST_database",
        (("CC-BY-SA-3.0.txt", "CC-BY-SA-3.0.txt"),),
    ),
    Credit(
        "Pen-Based Recognition of Handwritten Digits",
        "pen strokes of 30 people, collected by E. Alpaydin and F. Alimoglu (UCI Machine Learning Repository): the "
        "model digits learned from 18 of them and is measured on others; the strokes themselves are not shipped",
        "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/81/pen+based+recognition+of+handwritten+digits",
        (("CC-BY-4.0.txt", "CC-BY-4.0.txt"),),
    ),
    Credit(
        "Single-stroke fonts",
        "letters that taught the model digits what is no digit: the Hershey fonts by Dr. A. V. Hershey (data format by "
        "James Hurt) and the EMS fonts by S. B. Michaels; the fonts themselves are not shipped",
        "Hershey fonts: free with this acknowledgement; EMS fonts: SIL OFL 1.1",
        "https://github.com/techninja/hersheytextjs",
        (),
    ),
    Credit(
        "Pyodide",
        "Python in WebAssembly, unchanged; it runs the network in a worker",
        "MPL-2.0",
        "https://pyodide.org/",
        (("MPL-2.0.txt", "MPL-2.0.txt"),),
        "pyodide",
        "https://github.com/pyodide/pyodide/tree/0.27.7",
    ),
    Credit(
        "CPython",
        "the interpreter and standard library inside Pyodide",
        "PSF-2.0",
        "https://www.python.org/",
        (("Python-PSF-2.0.txt", "Python-PSF-2.0.txt"),),
    ),
    Credit(
        "NumPy",
        "arrays and matrix products under the network",
        "BSD-3-Clause",
        "https://numpy.org/",
        (
            ("NumPy-BSD-3-Clause.txt", "numpy:numpy-2.0.2.dist-info/LICENSE.txt"),
            ("NumPy-random.txt", "numpy:numpy/random/LICENSE.md"),
            ("NumPy-masked-arrays.txt", "numpy:numpy/ma/LICENSE"),
        ),
        "numpy",
    ),
    Credit(
        "PyScript",
        "joins Python to the page",
        "Apache-2.0",
        "https://pyscript.net/",
        (("PyScript-Apache-2.0.txt", "pyscript-licence:LICENSE"), ("PyScript-parts.txt", "PyScript-parts.txt")),
        "pyscript",
    ),
    Credit(
        "MicroPython",
        "draws the page, half a second after it opens",
        "MIT",
        "https://micropython.org/",
        (("MicroPython-MIT.txt", "MicroPython-MIT.txt"),),
        "micropython",
    ),
)

STYLE = """
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
body { max-width: 44rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { line-height: 1.2; } h2 { margin: 2rem 0 .25rem; font-size: 1.1rem; } p, ul { margin: .25rem 0; }
a { color: LinkText; } a:focus-visible { outline: 2px solid; outline-offset: 2px; }
"""


def text_of(origin: str, sources: dict[str, step_vendor.Source]) -> bytes:
    """The bytes of one licence text."""
    if origin == "own":
        return (ROOT / "LICENSE").read_bytes()
    name, colon, member = origin.partition(":")
    if not colon:
        return (TEXTS / origin).read_bytes()
    source = sources[name]
    if name == "numpy":
        with zipfile.ZipFile(source.path(source.files[0])) as archive:
            return archive.read(member)
    return source.path(next(file for file in source.files if file.name == member)).read_bytes()


def section(credit: Credit, sources: dict[str, step_vendor.Source]) -> str:
    """One credit as HTML."""
    source = sources.get(credit.source)
    shipped = sum(file.bytes for file in source.files if file.ship) if source else 0
    version = f" {source.version}" if source else ""
    facts = [html.escape(credit.licence), *([human(shipped)] if shipped else [])]
    if credit.home:
        facts.append(f'<a href="{html.escape(credit.home)}">{html.escape(credit.home)}</a>')
    if credit.code:
        facts.append(f'source code: <a href="{html.escape(credit.code)}">{html.escape(credit.code)}</a>')
    texts = "".join(f'<li><a href="{html.escape(name)}">{html.escape(name)}</a></li>' for name, _ in credit.texts)
    use = html.escape(credit.use[0].upper() + credit.use[1:])
    return (
        f"<section><h2>{html.escape(credit.title + version)}</h2><p>{use}.</p>"
        f"<p>{' · '.join(facts)}</p><ul>{texts}</ul></section>"
    )


def write(folder: Path, listed: list[step_vendor.Source]) -> None:
    """Write the licence texts and `index.html` into `folder`.

    Raises BuildError when something is shipped that no credit names.
    """
    sources = {source.name: source for source in listed}
    credited = {credit.source for credit in CREDITS}
    for source in listed:
        if any(file.ship for file in source.files) and source.name not in credited:
            raise BuildError(f"{source.title} is shipped but build/site_credits.py does not name it; add its licence.")
    folder.mkdir(parents=True, exist_ok=True)
    for credit in CREDITS:
        for name, origin in credit.texts:
            write_bytes(folder / name, text_of(origin, sources))
    body = "".join(section(credit, sources) for credit in CREDITS)
    write_text(
        folder / "index.html",
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Handlens: credits and licences</title>"
        f'<style>{STYLE}</style></head>\n<body><main><p><a href="../index.html">Back to the page</a></p>'
        f"<h1>Credits and licences</h1><p>Everything this site ships, and to whom it is owed.</p>"
        f"{body}</main></body></html>\n",
    )
