"""Who may import whom: the rooms of the house keep their doors."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

# Room -> rooms of the package that it must never import.
FORBIDDEN = {
    "graph": {"layers", "ops", "model", "training", "backends", "plan", "io", "cli", "commands"},
    "ops": {"layers", "model", "training", "backends", "io", "cli", "commands"},
    "layers": {"model", "training", "backends", "io", "cli", "commands"},
    "autodiff": {"layers", "model", "training", "backends", "io", "cli", "commands"},
    "fuse": {"layers", "model", "training", "backends", "io", "cli", "commands"},
    "memory": {"layers", "model", "training", "backends", "io", "cli", "commands"},
    "plan": {"layers", "model", "training", "backends", "io", "cli", "commands"},
    "backends": {"layers", "model", "training", "io", "cli", "commands"},
    "strokes": {"layers", "model", "training", "backends", "ops", "cli", "commands"},
    "images": {"layers", "model", "training", "backends", "ops", "cli", "commands"},
}


def imports(path: Path, package: Path) -> set[str]:
    """Rooms of the package that a module imports when it is loaded, type-checking blocks left out."""
    parts = path.relative_to(package).with_suffix("").parts
    found: set[str] = set()
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("handlens.")}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = list(parts[: len(parts) - node.level]) + (node.module or "").split(".")
                base = [part for part in base if part]
            elif (node.module or "").partition(".")[0] == "handlens":
                base = (node.module or "").split(".")[1:]
            else:
                continue
            found |= {base[0]} if base else {name.name for name in node.names}
    return found


def room_files(package: Path, room: str) -> list[Path]:
    folder = package / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [package / f"{room}.py"]


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_no_import_against_the_arrows(room: str, root: Path) -> None:
    package = root / "core" / "handlens"
    wrong = {
        path.relative_to(package).as_posix(): sorted(against)
        for path in room_files(package, room)
        if (against := imports(path, package) & FORBIDDEN[room])
    }
    assert wrong == {}


def test_looking_inside_is_asked_for_by_the_model_and_the_commands_alone(root: Path) -> None:
    package = root / "core" / "handlens"
    allowed = {"inside", "commands", "cli.py", "model.py"}
    asking = {
        path.relative_to(package).parts[0] for path in package.rglob("*.py") if "inside" in imports(path, package)
    }
    assert "model.py" in asking and asking <= allowed


def test_the_core_imports_numpy_and_the_standard_library_alone(root: Path) -> None:
    optional = {"tqdm", "PIL", "torch", "wgpu"}  # asked for inside a function, and done without when they are not there
    for path in sorted((root / "core" / "handlens").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                tops = {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                tops = {(node.module or "").partition(".")[0]}
            else:
                continue
            foreign = tops - set(sys.stdlib_module_names) - {"numpy", "handlens"}
            assert foreign <= optional, f"{path.name} imports {foreign}"
            if foreign:
                assert node.col_offset > 0, f"{path.name} imports {foreign} when it is loaded"


def test_build_and_page_do_not_reach_into_the_core(root: Path) -> None:
    for path in [*(root / "build").glob("*.py"), *(root / "web" / "ui").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(name.partition(".")[0] == "handlens" for name in names), path.name


def test_ink_is_taken_by_a_short_script_without_dependencies(root: Path) -> None:
    text = (root / "web" / "pad.js").read_text("utf-8")
    assert text.count("\n") <= 200
    assert "import" not in text.replace("important", "")
