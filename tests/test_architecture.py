"""Keep the building in order: imports run downstairs only, and no file grows past reading."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import modelmon

PACKAGE = Path(modelmon.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Lowest first. A room is a file of the package or a folder; docs/architecture.md says what each is for.
FLOORS = (
    "errors timespans clocks events identity columns tasks copies accumulators",
    "tallies outputs quality intervals probes stores",
    "snapshot snapshots",
    "recorder draining points readers",
    "monitoring exporters sklearn",
    "testing pytest_plugin demo cli __main__ __init__",
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms.split()}
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "handler", "misc", "lib"}


def room(name: str) -> str:
    """Return the room of a dotted module name: the part after the package's name."""
    return [*name.split("."), "__init__"][1]


def imports(path: Path) -> set[str]:
    """Return the dotted modules of this package that a file imports, wherever in the file, for types or not."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                below = PACKAGE.parent.joinpath(*(node.module or "").split("."), alias.name)
                is_module = below.is_dir() or below.with_suffix(".py").exists()
                found.add(f"{node.module}.{alias.name}" if is_module else str(node.module))
    return {name for name in found if name.split(".")[0] == "modelmon"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file_stays_on_its_floor(path: Path) -> None:
    """A file has a room, is short, is not vaguely named, and imports from below or from its own floor's rooms."""
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert own in FLOOR, f"{own} has no floor: add it to FLOORS and to docs/architecture.md"
    assert path.stem not in VAGUE
    assert len(path.read_text("utf-8").splitlines()) <= 300
    upstairs = sorted(name for name in imports(path) if FLOOR[room(name)] > FLOOR[own])
    assert not upstairs, f"{path.name} (floor {FLOOR[own]}) imports from upstairs: {upstairs}"


def test_no_circles() -> None:
    """No file imports itself by way of others, so that on one floor too there is an up and a down."""
    names = {"modelmon." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in FILES}
    TopologicalSorter({name: imports(path) & names.keys() for name, path in names.items()}).prepare()
