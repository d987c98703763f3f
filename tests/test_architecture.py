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
    "exemplars callcounts grouping timings taking draining process spending seating troubles exiting ticking readers",
    "spool storecounts pausing leasing writing delivering directory reaching starting recorder sampling redeeming",
    "intake written",
    "sources wiring declarations watching labelling monitoring client sklearn exporters alerting",
    "__init__ testing pytest_plugin demo labelfile serving commands cli __main__",
)
ROOMS = " ".join(FLOORS).split()
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "handler", "misc", "lib"}


def room(name: str) -> str:
    """Return the room of a dotted module name: the part after the package's name."""
    return [*name.split("."), "__init__"][1]


def gathers(package: str) -> bool:
    """Return whether a package loads modules of its own as it is loaded."""
    own = PACKAGE.parent.joinpath(*package.split("."), "__init__.py")
    statements = ast.parse(own.read_text("utf-8")).body if own.exists() else []
    return any(isinstance(node, ast.ImportFrom) and str(node.module).startswith(package) for node in statements)


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_threads_never_wait_for_each_others_imports(path: Path) -> None:
    """What gathers its own modules is entered by its own name: a module's lock is held while its package is loaded.

    So ``from package.module import name`` in one thread and ``import package`` in another may each hold what the other
    waits for, and one of them gets a ``_DeadlockError``.
    """
    tree = ast.parse(path.read_text("utf-8"))
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    named = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    own = path.relative_to(PACKAGE.parent).with_suffix("").parts
    for name in sorted(name for name in named if name.split(".")[0] == "modelmon"):
        parts = name.split(".")
        packages = [parts[:depth] for depth in range(1, len(parts)) if list(own[:depth]) != parts[:depth]]
        gathering = [".".join(package) for package in packages if gathers(".".join(package))]
        assert not gathering, f"write: from {gathering[0]} import …, not: from {name} import …"
