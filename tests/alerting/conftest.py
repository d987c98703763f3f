"""Make the doubles of the exporters' tests importable by name, and let every notice be said anew."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelmon import notices

sys.path.insert(0, str(Path(__file__).parent.parent / "exporters"))


@pytest.fixture(autouse=True)
def _fresh_notices():
    notices.forget()


@pytest.fixture
def source():
    """What counts failures."""
    from fake_sources import FakeSource  # noqa: PLC0415  (importable from here on)

    return FakeSource()
