"""The README tells the truth: its example runs, its plan is the one printed, its table is the one of the weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from handlens.cli import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def between(name: str) -> str:
    return README.split(f"<!-- {name}:start -->")[1].split(f"<!-- {name}:end -->")[0].strip()


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    monkeypatch.setenv("HANDLENS_MNIST", str(ROOT / ".cache" / "mnist"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    shown = capsys.readouterr().out
    accuracy = float(re.search(r"'accuracy': ([0-9.]+)", shown).group(1))  # type: ignore[union-attr]
    assert accuracy > 0.9 and "multiply-adds" in shown and (tmp_path / "my-digits.safetensors").is_file()


def test_the_printed_plan_is_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "cnn-small", "--plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert between("plan") == f"```\n{plan}\n```"


def test_the_table_is_that_of_the_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(ROOT / "web" / "models")]) == 0
    assert between("models") == capsys.readouterr().out.strip()


def test_every_command_of_the_readme_exists() -> None:
    from handlens.cli import COMMANDS

    named = set(re.findall(r"\.venv/bin/handlens (\w+)", README))
    assert named and named <= set(COMMANDS)


def test_every_file_the_readme_links_or_names_exists() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"`((?:tests|build|core|web|\.github)/[\w./-]+\.\w+)`", README):
        assert (ROOT / path).is_file(), path
