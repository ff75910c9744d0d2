"""The article's page: the numbers of its text and the first state of its figures, computed by the wheel's core.

`web/article/index.html` holds names in braces, `{hidden_parameters}` or `{small_accuracy:percent}`; what they stand for
comes from `handlens story`. A name without a fact, or a fact without a name, is a defect of the text.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from buildkit import WEB, BuildError, run, venv_tool, write_text

TEMPLATE = WEB / "article" / "index.html"
PAGE = "article/index.html"
FIGURES = "article/figures.json"
STYLE = "article/base.css"  # its own copy: on the site the page's sheets stand in index.html (site_join.py)
MADE = (FIGURES, STYLE)
NAME = re.compile(r"\{([a-z][a-z0-9_]*)(?::([a-z0-9]+))?\}")
THIN = "\u202f"  # between groups of three digits, as everywhere on the page


def grouped(value: float, digits: int = 0) -> str:
    """A number with thin spaces in groups of three, and a minus sign proper."""
    return f"{value:,.{digits}f}".replace(",", THIN).replace("-", "\u2212")


def written(value: Any, form: str | None) -> str:
    """A fact as the text shows it.

    form: digits after the point; "percent" (two of them where they say something), "percent0", "points" (of percent),
    "e" (a power of ten); none for whole numbers, texts, and the shortest way to write any other number.
    """
    if isinstance(value, str):
        return html.escape(value)
    if form is None:
        return grouped(value) if isinstance(value, int) else f"{round(value, 6):g}".replace("-", "\u2212")
    if form == "percent":
        digits = 1 if round(value * 1000, 6) == round(value * 1000) else 2
        return f"{100 * value:.{digits}f}{THIN}%"
    if form == "percent0":
        return f"{100 * value:.0f}{THIN}%"
    if form == "points":
        return f"{grouped(100 * value, 1)} percentage points"
    if form == "e":
        size, power = f"{value:.1e}".split("e")
        return f"{size}{THIN}·{THIN}10<sup>{grouped(int(power))}</sup>"
    if form.isdigit():
        return grouped(value, int(form))
    raise BuildError(f"web/article: no number is written as {form!r}")


def fill(template: str, facts: dict[str, Any]) -> str:
    """The page with its numbers, each in an element that says which fact it is. BuildError where names do not fit."""
    template = without_comments(template)
    used = {match.group(1) for match in NAME.finditer(template)}
    if used != set(facts):
        lost, idle = sorted(used - set(facts)), sorted(set(facts) - used)
        raise BuildError(f"web/article: no fact for {lost or 'nothing'}, no use for {idle or 'nothing'}")

    def number(match: re.Match[str]) -> str:
        name, form = match.groups()
        kind = f' data-form="{form}"' if form else ""
        return f'<data class="fact" value="{html.escape(str(facts[name]))}" data-fact="{name}"{kind}>' + (
            f"{written(facts[name], form)}</data>"
        )

    return NAME.sub(number, template)


def without_comments(text: str) -> str:
    """The text without notes to its authors."""
    return re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)


def computed() -> dict[str, Any]:
    """What `handlens story` says: facts and figures."""
    shown = run(
        [venv_tool("handlens"), "story", WEB / "models", WEB / "samples", "--json"], why="`handlens story` failed."
    )
    result: dict[str, Any] = json.loads(shown)
    return result


def write(site: Path) -> None:
    """Fill the article's page of a site, and put its figures beside it."""
    story = computed()
    write_text(site / PAGE, fill(TEMPLATE.read_text("utf-8"), story["facts"]))
    write_text(site / STYLE, (WEB / "style" / "base.css").read_text("utf-8"))
    write_text(site / FIGURES, json.dumps(story["figures"], separators=(",", ":")) + "\n")
