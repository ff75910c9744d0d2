"""`serve`: build what is stale and serve `dist/site/` under a sub-path, as GitHub Pages does."""

from __future__ import annotations

import errno
import functools
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import step_site
from buildkit import BuildError, files_under, human, say, total_bytes

PREFIX = "/handlens/"
# Fixed here, because the standard library asks the machine, and machines disagree about .mjs and .wasm.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".py": "text/x-python; charset=utf-8",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".whl": "application/octet-stream",
    ".woff2": "font/woff2",
    ".zip": "application/zip",
}


class Handler(SimpleHTTPRequestHandler):
    """Serves one folder under PREFIX and nothing beside it; no cross-origin isolation, like GitHub Pages."""

    protocol_version = "HTTP/1.1"
    extensions_map: ClassVar = {"": "application/octet-stream", **TYPES}

    def __init__(self, *args: object, quiet: bool = True, **kwargs: object) -> None:
        self.quiet = quiet
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def send_head(self):  # type: ignore[no-untyped-def]
        path = unquote(urlsplit(self.path).path)
        if path in ("/", PREFIX.rstrip("/")):
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", PREFIX)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        if not path.startswith(PREFIX):
            self.send_error(HTTPStatus.NOT_FOUND, f"the site is served under {PREFIX}")
            return None
        return super().send_head()

    def translate_path(self, path: str) -> str:
        return super().translate_path("/" + urlsplit(path).path[len(PREFIX) :])

    def list_directory(self, path: object) -> None:
        self.send_error(HTTPStatus.NOT_FOUND, "no listing of folders")

    def end_headers(self) -> None:
        # The browser asks again each time and gets 304: a rebuilt site shows at once, an unchanged one stays cheap.
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        if not self.quiet:
            super().log_message(format, *args)


class Server(ThreadingHTTPServer):
    """One thread a request; a browser that goes away in the middle is no event worth a traceback."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        return


def make_server(
    folder: Path, port: int = 0, host: str = "127.0.0.1", handler: type[SimpleHTTPRequestHandler] = Handler
) -> Server:
    """A server of `folder` under PREFIX, bound but not running; port 0 takes any free one.

    Raises BuildError when the port is in use or not allowed.
    """
    try:
        return Server((host, port), functools.partial(handler, directory=str(folder)))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"port {port} is in use by another program; choose one with --port, or --port 0 for any."
            raise BuildError(text) from error
        if error.errno == errno.EACCES:
            raise BuildError(f"port {port} is not allowed here; choose one above 1023 with --port.") from error
        raise BuildError(f"cannot listen on {host} port {port}: {error.strerror}.") from error
    except OverflowError as error:
        raise BuildError(f"port {port} does not exist; choose one from 1 to 65535, or 0 for any.") from error


def address(server: Server) -> str:
    """The address of the page."""
    host, port = server.server_address[:2]
    return f"http://{host!s}:{port}{PREFIX}"


@contextmanager
def running(folder: Path, port: int = 0, handler: type[SimpleHTTPRequestHandler] = Handler) -> Iterator[str]:
    """Serve `folder` in a thread for as long as the block lasts; gives the address. For the browser tests."""
    server = make_server(folder, port, handler=handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield address(server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main(host: str, port: int, *, open_page: bool) -> int:
    """Build what is stale, then serve until Ctrl-C."""
    # Bound first: a port in use is said at once, not after the build.
    server = make_server(step_site.SITE, port, host)
    try:
        site = step_site.ensure()
        say("serve", f"{len(files_under(site))} files, {human(total_bytes(files_under(site)))}; stop with Ctrl-C")
        say("serve", address(server))
        if open_page:
            webbrowser.open(address(server))
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0
