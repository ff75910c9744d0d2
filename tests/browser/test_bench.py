"""The bench's own watchers, on the page as it is now: `make.py bench` must not be the first to meet a change of it."""

from __future__ import annotations

from typing import Any

from bench import page_times


def test_a_visit_is_timed_from_the_first_frame_to_the_engine(browser: Any, site_url: str) -> None:
    context = browser.new_context()
    found = page_times.visit(context, site_url)
    context.close()
    assert {name for name, _ in page_times.TIMES} <= set(found.times)
    assert found.times["paint"] > 0
    assert max(found.times["answer"], found.times["views"]) < found.times["ready"]  # no Python is needed to answer
    titles = [row[0] for row in page_times.weight(found.files)]
    assert titles[-1] == "together" and all(row[1] > 0 for row in page_times.weight(found.files))
    assert page_times.report([found], [found], "here").count("| --- |") == 2
