"""``handlens evaluate``: a model on the whole MNIST test set, or with ``--drawn`` on digits drawn with a pen."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from .. import drawn
from ..data import generator, mnist, unipen
from ..errors import DataError
from ..io.model_file import load
from ..model import Sequential
from ..reading import DIGITS
from . import contact_sheet

GENERATED = 1500  # digits, where there is no file
NO_FILE = (
    "no pen strokes are at hand, so these are digits of the project's own generator, in the styles that training uses; "
    "name a UNIPEN file after --drawn, or set HANDLENS_PENDIGITS"
)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure on MNIST's 10,000 test images, or on drawn digits."""
    if args.drawn is None and (args.sheet or args.sample or args.split):
        raise DataError("--sheet, --sample and --split belong to --drawn")
    model = load(args.weights, args.backend)
    try:
        drawn.check_reads_digits(model)
    except DataError as error:
        raise DataError(f"{args.weights}: {error}") from None
    return on_drawn(model, args) if args.drawn is not None else on_mnist(model, args)


def on_mnist(model: Sequential, args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy, loss, calibration and confusion matrix on the test images, and on them moved by 2 pixels."""
    data = mnist.load(args.data)
    began = time.perf_counter()
    result = model.evaluate(data.test_images, data.test_labels)
    seconds = time.perf_counter() - began
    measured = drawn.measure_mnist(model, data.test_images, data.test_labels)
    images = measured.pop("count")
    right = sum(row[k] for k, row in enumerate(measured["confusion"]))
    return {
        "name": model.name,
        "images": images,
        **measured,
        **result,
        "errors": images - right,
        "images_per_second": round(images / seconds, 1),
    }


def on_drawn(model: Sequential, args: argparse.Namespace) -> dict[str, Any]:
    """Every condition, the stages, the refusal of what is no digit, and the contact sheet."""
    sheet = contact_sheet.checked_path(args.sheet) if args.sheet else None
    digits, source = find_digits(args)
    mistakes: list[drawn.Mistake] = []
    began = time.perf_counter()
    found = drawn.measure(
        model,
        digits,
        sample=args.sample,
        rejects=drawn.held_out(drawn.REJECTS),
        mistakes=mistakes,
        progress=(lambda what: print(f"measuring: {what}", file=sys.stderr)) if sys.stderr.isatty() else None,
    )
    result = {"name": model.name, "source": source, "drawn": found, "mistakes": len(mistakes)}
    if sheet is not None:
        title = (
            f"{model.name}: {len(mistakes)} of {found['digits']} digits were read wrongly under one condition or more"
        )
        contact_sheet.draw(mistakes, len(found["conditions"]), title).save(sheet, format="PNG")
        result["sheet"] = str(sheet)
    return result | {"seconds": round(time.perf_counter() - began, 1)}


def find_digits(args: argparse.Namespace) -> tuple[list[unipen.Digit], dict[str, Any]]:
    """The digits to draw, and where they come from."""
    path, split = args.drawn or unipen.find_file(), args.split or "report"
    if path:
        return unipen.split(unipen.read(path), split), {"file": str(path), "split": split}
    return generator.digits(GENERATED, drawn.SEED), {"file": None, "note": NO_FILE}


def text(result: dict[str, Any]) -> str:
    """The result in words and tables."""
    return "\n".join(drawn_lines(result) if "drawn" in result else mnist_lines(result))


def mnist_lines(result: dict[str, Any]) -> list[str]:
    """The result on MNIST."""
    moved = result["shifted"]
    return [
        f"{result['name']}: accuracy {result['accuracy']:.2%} ({result['errors']} of {result['images']:,} wrong), "
        f"loss {result['loss']:.4f}, {result['images_per_second']:,.0f} images/s",
        f"calibration error {result['ece']:.2%}, not answered {result['refused']:.2%}",
        f"moved by {moved['pixels']} pixels in eight directions, not centred again: accuracy {moved['accuracy']:.2%}, "
        f"lowest {min(moved['by_direction'].values()):.2%}",
        *confusion_lines(result["confusion"]),
    ]


def confusion_lines(confusion: list[list[int]]) -> list[str]:
    """The confusion matrix; an eleventh column is the reject class."""
    width = max(len(str(n)) for row in confusion for n in row)
    none = ", the last one: none" if len(confusion[0]) > DIGITS else ""
    rows = [f"{k}  " + " ".join(str(n).rjust(width) for n in row) for k, row in enumerate(confusion)]
    return [f"row: true digit, column: digit read{none}", *rows]


def drawn_lines(result: dict[str, Any]) -> list[str]:
    """The result on drawn digits."""
    found, source = result["drawn"], result["source"]
    by = f"{source['file']}, writers {', '.join(map(str, found['writers'])) or 'unknown'}"
    of = f"a sample of {found['digits']:,} of {found['of']:,}" if found["digits"] < found["of"] else f"{found['of']:,}"
    lines = [
        f"{result['name']}: {of} digits drawn ({by if source['file'] else source['note']}), {result['seconds']:.0f} s",
        f"answered from a share of {found['rules']['answer']:.3g}",
        "",
        f"{'condition':27}{'right':>9}{'refused':>9}{'right of answered':>19}{'calibration error':>19}  worst writer",
    ]
    for row in found["conditions"]:
        worst = row.get("worst_writer")
        named = f"{worst['accuracy']:.2%} (writer {worst['writer']})" if worst else "unknown"
        answered = "none" if row["right_of_answered"] is None else f"{row['right_of_answered']:.2%}"
        lines.append(
            f"{row['name']:27}{row['accuracy']:>9.2%}{row['refused']:>9.2%}{answered:>19}{row['ece']:>19.2%}  {named}"
        )
    stages = found["stages"]
    lines += ["", f"{stages['drawn']}: {stages['on']:.2%} right"]
    lines += [f"  without {name:10}{accuracy:>9.2%}" for name, accuracy in stages["off"].items()]
    lines += ["", "reliability, usual condition: share of the answer, digits, mean share, right"]
    lines += [
        f"  {row['low']:.3f}-{row['high']:.3f}{row['count']:>7}{row['confidence']:>9.2%}{row['accuracy']:>9.2%}"
        for row in found["reliability"]
        if row["count"]
    ]
    lines += ["", *refusal_lines(found), "", *confusion_lines(found["confusion"])]
    if "sheet" in result:
        lines += ["", f"{result['mistakes']} digits read wrongly under one condition or more: {result['sheet']}"]
    return lines


def refusal_lines(found: dict[str, Any]) -> list[str]:
    """What is refused of drawings that are no digit, and at which price."""
    rejects = found.get("rejects")
    if rejects is None:
        return ["no drawings that are no digit were measured"]
    lines = [
        f"not digits, by families and fonts never trained on: {rejects['refused']:.2%} of {rejects['count']:,} refused"
    ]
    lines += [f"  {name:27}{row['count']:>6}{row['refused']:>9.2%}" for name, row in rejects["families"].items()]
    if rejects["missing"]:
        lines.append(f"  missing here: {', '.join(rejects['missing'])}")
    lines.append("answered from: digits not answered, drawings refused")
    lines += [
        f"  {row['answer']:<6.4g}{row['digits_refused']:>9.2%}{row['rejects_refused']:>9.2%}"
        for row in found["thresholds"]
    ]
    return lines
