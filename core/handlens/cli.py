"""The command line: ``handlens COMMAND``, one module each in ``commands/``; ``--json`` for machines."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from . import __version__
from .data.unipen import SPLITS
from .errors import HandlensError


def add_train(parser: argparse.ArgumentParser) -> None:
    """Options of ``train``."""
    parser.add_argument("name", help="linear, ann, ann-matched, cnn-small, convnet or digits")
    parser.add_argument("--out", help="file to write (default NAME.safetensors here)")
    parser.add_argument("--data", help="folder with the MNIST files (default: the project's .cache/mnist)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches (default 0)")
    parser.add_argument("--epochs", type=int, default=0, help="default: the network's own recipe")
    parser.add_argument("--batch-size", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=0.0, help="peak of the one-cycle schedule")
    parser.add_argument("--hold-out", type=int, default=0, help="choose on the last N training images, not the test")
    parser.add_argument("--images", type=int, default=0, help="train on the first N images of MNIST only")
    parser.add_argument("--sources", default="", help="instead of the recipe's: mnist,writers,generated,rejects")
    parser.add_argument("--sample", type=int, default=0, help="measure on at most N drawn digits (default: all)")
    parser.add_argument("--no-augment", action="store_true", help="show every image as it is")
    parser.add_argument("--checkpoint", help="file to keep the running training in, after every epoch and on Ctrl-C")
    parser.add_argument("--resume", help="checkpoint to go on from")
    parser.add_argument("--verbose", action="store_true", help="a line an epoch, also where there is no terminal")


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate``."""
    parser.add_argument("weights", help="a .safetensors file of a Handlens model")
    parser.add_argument("--data", help="folder with the MNIST files (default: the project's .cache/mnist)")
    parser.add_argument(
        "--drawn",
        nargs="?",
        const="",
        metavar="FILE",
        help="measure on drawn digits instead: a UNIPEN file (default: the UCI pen digits where they are at hand)",
    )
    parser.add_argument("--split", choices=SPLITS, help="whose digits are drawn (default report); see data/unipen.py")
    parser.add_argument("--sample", type=int, default=0, help="draw at most N of the digits (default: all)")
    parser.add_argument("--sheet", metavar="FILE", help="PNG to draw the mistakes in")


def add_predict(parser: argparse.ArgumentParser) -> None:
    """Options of ``predict``."""
    parser.add_argument("weights", help="a .safetensors file of a Handlens model")
    parser.add_argument("images", nargs="+", help="image files, or .npy arrays (28, 28) or (N, 28, 28), white on black")


def add_explain(parser: argparse.ArgumentParser) -> None:
    """Options of ``explain``."""
    parser.add_argument("weights", help="a .safetensors file of a Handlens model")
    parser.add_argument("image", help="an image file, or a .npy array, white on black")
    parser.add_argument("layer", help="as model.trace names it: conv1, conv1.linear, logits, probabilities, ..")
    parser.add_argument("index", help="the cell: map,row,column, or one number")
    parser.add_argument("--digit", type=int, default=0, help="which digit of the image, from 0 (default 0)")
    parser.add_argument("--program", action="store_true", help="print a NumPy program that makes the number again")


def add_why(parser: argparse.ArgumentParser) -> None:
    """Options of ``why``."""
    parser.add_argument("weights", help="a .safetensors file of a Handlens model")
    parser.add_argument("image", help="an image file, or a .npy array, white on black")
    parser.add_argument("--digit", type=int, default=0, help="which digit of the image, from 0 (default 0)")
    parser.add_argument("--target", type=int, default=-1, help="the class asked about (default: the most probable one)")
    parser.add_argument("--method", choices=("all", "saliency", "grad-cam", "occlusion"), default="all")
    parser.add_argument("--layer", default="", help="the convolution of grad-cam (default: the last one)")


def add_summary(parser: argparse.ArgumentParser) -> None:
    """Options of ``summary``."""
    parser.add_argument("model", help="a named network, or a .safetensors file")
    parser.add_argument("--plan", action="store_true", help="print the plan of one image, too")


def add_index(parser: argparse.ArgumentParser) -> None:
    """Options of ``index``."""
    parser.add_argument("folder", help="folder of .safetensors files, for instance web/models")


def add_measure(parser: argparse.ArgumentParser) -> None:
    """Options of ``measure``."""
    parser.add_argument("weights", help="a .safetensors file; what is found is written into it")
    parser.add_argument("--calibrate", action="store_true", help="first choose temperature and threshold anew")
    parser.add_argument("--compare", nargs="+", default=[], metavar="FILE", help="measured models to put beside it")
    parser.add_argument("--data", help="folder with the MNIST files (default: the project's .cache/mnist)")
    parser.add_argument("--sample", type=int, default=0, help="draw at most N of the digits (default: all)")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Options of ``export``."""
    parser.add_argument("weights", help="a .safetensors file of a Handlens model that reads digits")
    parser.add_argument("folder", help="folder to write; an earlier export there is replaced")


def add_story(parser: argparse.ArgumentParser) -> None:
    """Options of ``story``."""
    parser.add_argument("models", help="folder of the shipped .safetensors files, for instance web/models")
    parser.add_argument("samples", help="folder of the shipped samples of MNIST, for instance web/samples")
    parser.add_argument("--study", action="store_true", help="first train what the article's open questions need")
    parser.add_argument("--data", help="for --study: folder with the MNIST files (default: the project's .cache/mnist)")


def add_bench(parser: argparse.ArgumentParser) -> None:
    """Options of ``bench``."""
    parser.add_argument("--name", default="convnet", help="named network (default convnet)")
    parser.add_argument("--batch-size", type=int, default=128, help="images of a training step (default 128)")
    parser.add_argument("--images", type=int, default=256, help="images of the larger inference (default 256)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds, of which the median counts (default 15)")
    parser.add_argument("--ops", action="store_true", help="instead: each op of the compiled kernels beside the peak")


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """``doctor`` has no options of its own."""


COMMANDS = {
    "train": (add_train, "train a named network on MNIST"),
    "evaluate": (add_evaluate, "accuracy and calibration on the 10,000 MNIST test images, or on drawn digits"),
    "predict": (add_predict, "read digits from image files"),
    "explain": (add_explain, "how one number of a network came about, term by term, or as a NumPy program"),
    "why": (add_why, "which pixels an answer hangs on: saliency, Grad-CAM and occlusion"),
    "summary": (add_summary, "shapes, parameters, multiply-adds and bytes per layer"),
    "index": (add_index, "list the models of a folder from their metadata"),
    "measure": (add_measure, "measure a model as train does at its end, and keep the figures in its file"),
    "export": (add_export, "write a page that reads digits on any static host, without Python"),
    "story": (add_story, "every number of the article's text, and its figures, for the page"),
    "bench": (add_bench, "time training steps and inference on one thread: NumPy, compiled kernels, PyTorch"),
    "doctor": (add_doctor, "what can run here, and why not"),
}


BACKENDS = ("train", "evaluate", "predict", "explain", "why", "measure")  # commands that compute, and can say on what


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="handlens", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (add, help_text) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text)
        add(command)
        if name in BACKENDS:
            command.add_argument("--backend", default="numpy", help="what computes: numpy (default) or webgpu")
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it worked, 1 with one sentence on standard error when it did not, 2 for wrong usage."""
    args = build_parser().parse_args(argv)
    module = importlib.import_module(f".commands.{args.command}", __package__)
    try:
        result = module.run(args)
    except (HandlensError, OSError) as error:
        print(f"handlens {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"handlens {args.command}: stopped", file=sys.stderr)
        return 130
    print(json.dumps(result, indent=1) if args.json else module.text(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
