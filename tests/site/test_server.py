"""The server: a sub-path, correct types, nothing beside the site, clear words when it cannot listen."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import step_serve
from buildkit import BuildError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "ui").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("outside")
    (site / "index.html").write_text("<!doctype html>page")
    for name in (
        "a.mjs",
        "a.js",
        "a.wasm",
        "a.css",
        "a.json",
        "a.py",
        "a.safetensors",
        "a.whl",
        "a.zip",
        "a.svg",
        "a.txt",
    ):
        (site / name).write_text(name)
    (site / "ui" / "main.py").write_text("pass")
    return site


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with step_serve.running(folder) as url:
        yield url


def get(address: str, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mjs", "text/javascript"),
        ("a.js", "text/javascript"),
        ("a.wasm", "application/wasm"),
        ("a.css", "text/css"),
        ("a.json", "application/json"),
        ("a.py", "text/x-python"),
        ("a.svg", "image/svg+xml"),
        ("a.txt", "text/plain"),
        ("a.safetensors", "application/octet-stream"),
        ("a.whl", "application/octet-stream"),
        ("a.zip", "application/zip"),
        ("ui/main.py", "text/x-python"),
    ],
)
def test_types(address: str, name: str, kind: str) -> None:
    response = get(address, f"/handlens/{name}")
    assert response.status == 200
    assert response.headers["Content-Type"].split(";")[0] == kind


def test_page_is_under_the_sub_path_alone(address: str) -> None:
    assert urlsplit(address).path == "/handlens/"
    assert get(address, "/handlens/").body == b"<!doctype html>page"  # type: ignore[attr-defined]
    assert get(address, "/handlens/?backend=numpy").status == 200
    for path in ("/index.html", "/a.js", "/other/handlens/a.js", "/handlensa.js"):
        assert get(address, path).status == 404, path
    for path in ("/", "/handlens"):
        response = get(address, path)
        assert (response.status, response.headers["Location"]) == (302, "/handlens/")


@pytest.mark.parametrize(
    "path", ["/handlens/../secret.txt", "/handlens/%2e%2e/secret.txt", "/handlens/..%2fsecret.txt"]
)
def test_nothing_outside_the_site_is_served(address: str, path: str) -> None:
    response = get(address, path)
    assert response.status == 404
    assert b"outside" not in response.body  # type: ignore[attr-defined]


def test_no_listing_and_no_isolation_headers(address: str) -> None:
    assert get(address, "/handlens/ui/").status == 404
    headers = get(address, "/handlens/").headers
    # GitHub Pages cannot send these; a page that needs them would work here and fail there.
    assert "Cross-Origin-Opener-Policy" not in headers
    assert "Cross-Origin-Embedder-Policy" not in headers


def test_unchanged_file_is_not_sent_twice(address: str) -> None:
    first = get(address, "/handlens/a.js")
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request("GET", "/handlens/a.js", headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert connection.getresponse().status == 304


def test_port_in_use_is_one_sentence(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BuildError, match=rf"^port {port} is in use .* --port"):
            step_serve.make_server(folder, port)


def test_port_that_does_not_exist(folder: Path) -> None:
    with pytest.raises(BuildError, match="port 70000 does not exist"):
        step_serve.make_server(folder, 70000)
