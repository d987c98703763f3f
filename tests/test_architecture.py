"""Keep the building in order: imports run downstairs only, and no file grows past reading."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import modelmon

PACKAGE = Path(modelmon.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Lowest first; a room (a file or a folder) imports only rooms named before it; docs/architecture.md says what each is
FLOORS = (
    "errors faults clocks forking memos notices reports identity hashing timespans signing settings suppression tasks",
    "copies classcodes idtexts moments columns truths events accumulators devices fakedriver attribution",
    "tallies parts quality intervals probes issuing outputs stores receipts",
    "readings points snapshot rules dashboards",
    "exemplars callcounts grouping timings draining process spending seating troubles exiting ticking readers",
    "spool storecounts pausing leasing writing delivering directory reaching starting recorder sampling redeeming",
    "intake written",
    "sources wiring watching labelling monitoring client sklearn exporters alerting",
    "__init__ testing pytest_plugin demo labelfile serving commands cli __main__",
)
ROOMS = " ".join(FLOORS).split()
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "handler", "misc", "lib"}


def room(name: str) -> str:
    """Return the room of a dotted module name: the part after the package's name."""
    return [*name.split("."), "__init__"][1]


def imports(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, wherever in it, for types or not."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in [node for node in nodes if isinstance(node, ast.ImportFrom)]:
        for alias in node.names:
            below = PACKAGE.parent.joinpath(*str(node.module).split("."), alias.name)
            inside = below.is_dir() or below.with_suffix(".py").exists()
            found.add(f"{node.module}.{alias.name}" if inside else str(node.module))
    return {name for name in found if name.split(".")[0] == "modelmon"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file_keeps_the_house_rules(path: Path) -> None:
    """A file has a room, is short and not vaguely named, and imports from its own room and those before it only."""
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert own in ROOMS, f"{own} has no floor: give it one in FLOORS and a line in docs/architecture.md"
    assert path.stem not in VAGUE
    assert len(path.read_bytes().splitlines()) <= 300, "too long to be read at a sitting: split it"
    upstairs = sorted(name for name in imports(path) if ROOMS.index(room(name)) > ROOMS.index(own))
    assert not upstairs, f"{path.name} imports from upstairs"


def test_no_circles() -> None:
    """No file imports itself by way of others, so within a room too there is an up and a down."""
    names = {"modelmon." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in FILES}
    TopologicalSorter({name: imports(path) & names.keys() for name, path in names.items()}).prepare()
