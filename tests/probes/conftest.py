"""Desks in place of the recorder."""

from __future__ import annotations

import itertools

import pytest
from probe_desk import Desk


@pytest.fixture
def desk() -> Desk:
    """Return a desk with the machine's clock."""
    return Desk()


@pytest.fixture
def ticking() -> Desk:
    """Return a desk whose clock advances by a second at every reading."""
    return Desk(itertools.count(0, 1_000_000_000).__next__)
