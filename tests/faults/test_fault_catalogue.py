"""The catalogue of faults is whole: each row is tried, or says what it waits for."""

from __future__ import annotations

from collections import Counter

from catalogue import CATALOGUE, PARTS, tried


def test_every_row_stands_once() -> None:
    """Rows are numbered from one in every part, without a gap."""
    expected = [f"{letter}{number}" for letter, (_, size) in PARTS.items() for number in range(1, size + 1)]
    named = Counter((row, test) for row, tests in tried().items() for test in tests)
    assert [pair for pair, n in named.items() if n > 1] == []
