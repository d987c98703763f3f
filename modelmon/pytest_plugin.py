"""The pytest plugin: the fixture ``modelmon_capture``; it imports the library only in tests that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.testing import Captured


@pytest.fixture
def modelmon_capture() -> Iterator[Captured]:
    """Capture the default monitor for one test: an empty store, a clock of its own, silent exporters."""
    from modelmon.testing import capture  # noqa: PLC0415  (a plugin is imported in every run of its user)

    with capture() as seen:
        yield seen
