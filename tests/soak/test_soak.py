"""The soak itself: a short one keeps every promise that a short one can show, and writes its report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_short_soak_loses_nothing(tmp_path: Path) -> None:
    """Twelve seconds of everything at once lose no acknowledged label, and show scikit-learn's matrix."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- soak -->\nold\n<!-- end of soak -->\nafter\n", "utf-8")
    line = [sys.executable, str(HERE), "--minutes", "0.2", "--out", str(tmp_path), "--page", str(page)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=False)
    state = json.loads((tmp_path / "soak.json").read_text("utf-8"))
    figures = {figure["name"]: figure for figure in state["figures"]}
    for name in ("acknowledged labels lost", "confusion matrix", "conservation laws", "counters that stepped back"):
        assert figures[name]["kept"] is True, done.stdout
    assert sum(map(sum, state["truth"]["matrix"])) > 5_000
    assert (tmp_path / "soak.svg").read_text("utf-8").startswith("<svg")
    assert page.read_text("utf-8").startswith("before\n<!-- soak -->\n0.2 minutes")
    assert page.read_text("utf-8").endswith("<!-- end of soak -->\nafter\n")
