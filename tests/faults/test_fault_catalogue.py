"""The catalogue of faults is whole: each row is tried, or says what it waits for."""

from __future__ import annotations

from collections import Counter

from catalogue import CATALOGUE, PARTS, tried
from verdicts import Tally, summary


def test_every_row_stands_once() -> None:
    """Rows are numbered from one in every part, without a gap."""
    expected = [f"{letter}{number}" for letter, (_, size) in PARTS.items() for number in range(1, size + 1)]
    assert [row.id for row in CATALOGUE] == expected
    assert len(expected) == 130


def test_no_row_is_silently_absent() -> None:
    """A row without a test says which room it waits for."""
    named = tried()
    assert [row.id for row in CATALOGUE if row.id not in named and not row.waits] == []


def test_tests_name_rows_there_are() -> None:
    """No mark names a row that is not in the catalogue, and no test the same row twice."""
    named = Counter((row, test) for row, tests in tried().items() for test in tests)
    assert {row for row, _ in named} <= {row.id for row in CATALOGUE}
    assert [pair for pair, n in named.items() if n > 1] == []


def test_one_failure_spoils_a_row() -> None:
    """A row is survived where a test of it passed and none failed; what was left out is said to be untried."""
    tally = Tally()
    forks, streams, locks = (tally.named[row][0] for row in ("F5", "C3", "S5"))
    tally.outcomes = {forks: Counter(passed=3, failed=1), streams: Counter(passed=2, skipped=1)}
    verdicts = {row: tally.verdict(row) for row in CATALOGUE}
    found = {row.id: (verdict.word, verdict.tests) for row, verdict in verdicts.items()}
    assert (found["F5"], found["C3"], found["S5"]) == (("failed", 3), ("survived", 2), ("untried", 0))
    assert locks not in tally.outcomes
    assert "failed: 1 (F5)" in summary(verdicts)
