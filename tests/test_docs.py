"""Keep the documentation true: its code runs, its links lead somewhere, the files it names exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import modelmon

ROOT = Path(__file__).parent.parent
PACKAGE = Path(modelmon.__file__).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)$")


def python_of(page: Path) -> str:
    """Return a page as a program: what is not a python block becomes a blank line, so that line numbers stay."""
    language, lines = None, []
    for line in page.read_text("utf-8").splitlines():
        fence = FENCE.match(line)
        if fence:
            language = None if language is not None else fence[1]
        lines.append(line if language == "python" and not fence else "")
    return "\n".join(lines) + "\n"


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that the headings of a page make."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def run(program: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a new interpreter, warnings being errors, with this package and an empty working folder."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    line = [sys.executable, "-W", "error", str(program)]
    return subprocess.run(
        line,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page).strip()], ids=lambda page: page.name)
def test_code_of_page_runs(page: Path, tmp_path: Path) -> None:
    """All python blocks of a page run from top to bottom as one program."""
    program = tmp_path / f"page_{page.stem}.py"  # a name that no library has
    # a port of the system's choice, so that pages can be tried side by side
    program.write_text(python_of(page).replace("port=9464", "port=0"), "utf-8")
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    """Every example runs as a program and ends by itself."""
    if "import FastAPI" in example.read_text("utf-8"):
        pytest.importorskip("fastapi")
    if "gunicorn" in example.name:
        pytest.importorskip("gunicorn")
    if "import torch" in example.read_text("utf-8"):
        pytest.importorskip("torch")  # gigabytes where it is not built for the CPU alone; no part of the dev extra
    done = run(example, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_page_resolve(page: Path) -> None:
    """Every relative link leads to a file, every anchor to a heading."""
    text = page.read_text("utf-8")
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text)):
        if target.startswith(("http://", "https://")):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {target}, which does not exist"
        assert not anchor or anchor in anchors_of(there), f"{page.name} links to {target}#{anchor}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_on_page_exist(page: Path) -> None:
    """Every `modelmon/…` file or folder and every `tests/…` file that a page names is there."""
    for name in re.findall(r"`((?:modelmon|tests)/[\w/]+(?:\.py)?)/?`", page.read_text("utf-8")):
        base = PACKAGE.parent if name.startswith("modelmon") else ROOT
        assert (base / name).exists(), f"{page.name} names {name}, which does not exist"


def test_every_page_is_listed() -> None:
    """The index links to every page of the documentation."""
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    missing = [page.name for page in PAGES[1:] if page.name != "index.md" and f"]({page.name})" not in index]
    assert not missing


def test_every_room_is_on_the_plan() -> None:
    """The architecture page has a line for each file and folder of the package."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    plan = set(re.findall(r"`(\w+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)))
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    missing = sorted(rooms - plan)
    assert not missing
