#!/usr/bin/env python3
"""The one entry to everything Handlens builds: `python3 build/make.py --help`."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(f"make.py: this is Python {found}; Handlens needs 3.11 or newer: run `python3.12 build/make.py ...`.")

# A build must not leave bytecode in build/, and must not read stale bytecode of an older checkout.
sys.dont_write_bytecode = True

import argparse

import buildkit
import step_bench
import step_clean
import step_doctor
import step_kernels
import step_models
import step_serve
import step_setup
import step_site
import step_test
import step_vendor
import step_wheel

EPILOG = """\
Each command builds what it needs and skips what is not stale, by content. Downloads go to .cache/, output to dist/.
Two commands are enough:

  python3 build/make.py serve      build the site and serve it at http://127.0.0.1:8000/handlens/
  python3 build/make.py test       run everything: style, types, units, site, browser

Environment: HANDLENS_CHROMIUM names the browser to use; HANDLENS_PYTHON the Python that `.venv` is made from;
HANDLENS_OFFLINE=1 forbids every download, so that only .cache/ is used.
"""


BENCHES = {
    "peers": "onnxruntime-web, tfjs, jax-js and Handlens at the same work, in Chromium",
    "first": "the first answer from a cold cache, beside the smallest pages of tfjs and onnxruntime-web",
    "ops": "each op of the compiled kernels beside the peak of one core",
    "views": "from a stroke to what Look inside shows, and the longest tasks of the main thread",
}


def parser() -> argparse.ArgumentParser:
    """The command line of make.py."""
    top = argparse.ArgumentParser(
        prog="make.py",
        description="Build, serve and test Handlens.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="build what is stale and serve dist/site/ under /handlens/")
    serve.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes any free one (default 8000)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    serve.add_argument("--open", action="store_true", help="open the page in the default browser")
    serve.set_defaults(action=lambda args: step_serve.main(args.host, args.port, open_page=args.open))

    test = commands.add_parser("test", help="run every check; further arguments go to pytest", add_help=False)
    test.add_argument("-h", "--help", action="help", help="show this help; `make.py test -- --help` shows pytest's")
    test.set_defaults(action=lambda args: step_test.main(args.rest))

    simple = {
        "setup": ("make .venv and node_modules, find or install Chromium", step_setup.main),
        "vendor": ("fetch the pinned third-party files and check their hashes", step_vendor.main),
        "models": ("write web/models/index.json and the README's table from the weights' metadata", step_models.main),
        "site": ("put the complete static site into dist/site/ and check it", step_site.main),
        "clean": ("remove dist/ and tool caches; --all also .venv, node_modules and .cache", None),
        "doctor": ("say what is there, what is missing, and how to get it", step_doctor.main),
    }
    for name, (text, action) in simple.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == "clean":
            sub.add_argument("--all", action="store_true", help="also remove .venv, node_modules and .cache/")
            sub.set_defaults(action=lambda args: step_clean.main(everything=args.all))
        else:
            sub.set_defaults(action=lambda args, action=action: action())

    kernels = commands.add_parser("kernels", help="compile core/kernels/ for WebAssembly and for this machine")
    kernels.add_argument("--all", action="store_true", help="for every system and processor, all from this machine")
    kernels.set_defaults(action=lambda args: step_kernels.main(everything=args.all))

    wheel = commands.add_parser("wheel", help="build the wheel of the core for Pyodide and its lock file")
    wheel.add_argument("--host", action="store_true", help="instead: one for this machine, with its compiled kernels")
    wheel.set_defaults(action=lambda args: step_wheel.host() if args.host else step_wheel.main())

    bench = commands.add_parser("bench", help="measure the core and the page, and update the README's tables")
    bench.add_argument("--no-page", action="store_true", help="leave the browser out")
    for part, text in BENCHES.items():
        help_text = f"instead: {text}; several may be given"
        bench.add_argument(f"--{part}", dest="parts", action="append_const", const=part, default=[], help=help_text)
    bench.add_argument(
        "--torch", default="", metavar="PYTHON", help="a Python that has PyTorch and NumPy, to measure it"
    )
    bench.add_argument(
        "--quick", action="store_true", help="one round each, to see that all of it runs; changes nothing"
    )
    bench.set_defaults(
        action=lambda args: step_bench.main(args.parts, page=not args.no_page, quick=args.quick, torch=args.torch)
    )
    return top


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code, 1 after a BuildError with its one sentence on stderr."""
    args, rest = parser().parse_known_args(arguments)
    if rest and args.command != "test":
        parser().error(f"unknown arguments: {' '.join(rest)}")
    args.rest = [word for word in rest if word != "--"]
    try:
        return int(args.action(args) or 0)
    except buildkit.BuildError as error:
        print(f"make.py {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmake.py: stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
