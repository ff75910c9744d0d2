"""The article's text: no number typed, every fact used, every row answered, every slip put right with its proof."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import step_article
from buildkit import BuildError
from handlens.inside import story

# Years of publications and a channel's name; all other digits come from the core.
ALLOWED = re.compile(r"\b(19[5-9]\d|20[012]\d)\b|3Blue1Brown")
# Section 3.3 of article-rows.md: where the article slips.
SLIPS = {6, 8, 9, 12, 14, 19, 22, 24, 25, 28, 33, 36, 41, 42, 44, 45, 56, 57, 58, 60, 61}
NOT_IN_THE_TEXT: dict[int, str] = {}  # none: with its reason, if one ever is


class Text(HTMLParser):
    """Words, and every element with its classes, rows and what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[dict[str, str]] = []
        self.rows: set[int] = set()
        self.slips: dict[int, str] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.figures: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs} | {"tag": tag}
        if tag not in ("meta", "link", "br"):
            self.open.append(values)
        rows = [int(row) for row in values.get("data-row", "").split()]
        self.rows |= set(rows)
        if values.get("class") == "slip":
            self.slips |= dict.fromkeys(rows, "")
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.figures += [values["data-live"]] if "data-live" in values else []

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop()["tag"] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if any(one["tag"] in ("title", "style") for one in self.open):
            return
        self.words.append(data)
        slip = next((one for one in self.open if one.get("class") == "slip"), None)
        if slip and any(one.get("class") == "proof" for one in self.open):
            for row in slip["data-row"].split():
                self.slips[int(row)] += data


@pytest.fixture(scope="module")
def template() -> str:
    return step_article.without_comments(step_article.TEMPLATE.read_text("utf-8"))


@pytest.fixture(scope="module")
def text(template: str) -> Text:
    parsed = Text()
    parsed.feed(template)
    return parsed


def test_no_number_is_typed(template: str) -> None:
    words = re.sub(r"<[^>]*>", " ", step_article.NAME.sub("", template[template.index("<body") :]))
    left = ALLOWED.sub("", words)
    assert re.findall(r".{0,20}\d.{0,20}", left) == []
    assert not re.search(r"[{}]", left)


def test_every_row_is_answered(text: Text) -> None:
    assert text.rows | set(NOT_IN_THE_TEXT) == set(range(1, 65))
    assert not text.rows & set(NOT_IN_THE_TEXT)


def test_every_slip_is_put_right_with_a_computed_proof(text: Text) -> None:
    assert set(text.slips) == SLIPS
    for row, proof in text.slips.items():
        assert step_article.NAME.search(proof), f"row {row}: its proof names no fact"


def test_every_figure_stands_once_and_has_its_view(text: Text, root: Path) -> None:
    assert sorted(text.figures) == sorted(story.FIGURES)
    views = "".join(path.read_text("utf-8") for path in (root / "web/ui/article").glob("*.py"))
    for name in story.FIGURES:
        assert f'"{name}": ' in views


def test_sections_have_places_and_every_place_is_linked(text: Text) -> None:
    places = [link[1:] for link in text.links if link.startswith("#")]
    sections = [name for name in text.ids if name.startswith("article-") and name != "article-text"]
    assert places == sections
    assert len(set(text.ids)) == len(text.ids)


def test_sources_are_links_of_a_good_form(text: Text) -> None:
    sources = [link for link in text.links if not link.startswith(("#", "../"))]
    assert len(sources) >= 12 and len(set(sources)) == len(sources)
    for link in sources:
        assert re.fullmatch(
            r"https://(doi\.org/10\.\d{4,}/\S+|arxiv\.org/abs/\d{4}\.\d{4,5}|[\w.-]+\.[a-z]+/\S*)", link
        )


def test_the_words_stay_within_reason(text: Text) -> None:
    assert 2_000 <= len(" ".join(text.words).split()) <= 4_100


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (78500, None, "78\u202f500"),
        (-2.0, None, "\u22122"),
        (0.05, None, "0.05"),
        (0.9268, "percent", "92.68\u202f%"),
        (0.985, "percent", "98.5\u202f%"),
        (0.25, "percent0", "25\u202f%"),
        (0.0312, "points", "3.1 percentage points"),
        (58887.11, "0", "58\u202f887"),
        (4.768e-07, "e", "4.8\u202f·\u202f10<sup>\u22127</sup>"),
        ("a <b>", None, "a &lt;b&gt;"),
    ],
)
def test_how_numbers_are_written(value: float | str, form: str | None, shown: str) -> None:
    assert step_article.written(value, form) == shown


def test_a_name_without_a_fact_stops_the_build_and_so_does_an_idle_fact() -> None:
    assert step_article.fill("<p>{a} {b:1}</p><!-- {c} -->", {"a": 1, "b": 2.0}).count("<data ") == 2
    with pytest.raises(BuildError, match=r"no fact for \['b'\]"):
        step_article.fill("{a} {b}", {"a": 1})
    with pytest.raises(BuildError, match=r"no use for \['b'\]"):
        step_article.fill("{a}", {"a": 1, "b": 2})
    with pytest.raises(BuildError, match="no number is written as 'odd'"):
        step_article.fill("{a:odd}", {"a": 1.5})


def test_the_built_page_holds_the_numbers(site_dir: Path) -> None:
    page = (site_dir / step_article.PAGE).read_text("utf-8")
    assert not step_article.NAME.search(page[page.index("<body") :])
    shown = dict(re.findall(r'<data class="fact" value="([^"]*)" data-fact="hidden_(parameters|biases)"', page))
    assert shown == {"78500": "parameters", "100": "biases"}
    figures = json.loads((site_dir / step_article.FIGURES).read_text("utf-8"))
    assert set(figures) == set(story.FIGURES)
    assert figures["hadamard"]["product"]["values"] == [1, -1, 0, 0, 0, 0, 1, -1, 0]
