"""What became of each row of the catalogue of faults in one run of its tests."""

from __future__ import annotations

import sys
from collections import Counter
from typing import NamedTuple

import pytest
from catalogue import CATALOGUE, PARTS, TESTS, Row, tried

_QUICK = "--quick"
_WORDS = ("survived", "failed", "untried", "pending")


class Verdict(NamedTuple):
    """What became of a row.

    Attributes:
        word: survived, failed, untried (its tests were left out or skipped here), or pending (it has none yet).
        tests: how many cases passed.
        why: the tests that failed, the reason why it was not tried, or what the row or the rest of it waits for.
    """

    word: str
    tests: int
    why: str


class Tally:
    """A plugin of pytest that notes the outcome of every test that names rows."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.named = tried()
        self.outcomes: dict[str, Counter[str]] = {}
        self.skips: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a test, which failed if any part of it did."""
        if report.when == "call" or not report.passed:
            name = report.nodeid.partition("[")[0]
            self.outcomes.setdefault(name, Counter())[report.outcome] += 1
            if report.skipped and isinstance(report.longrepr, tuple):
                self.skips[name] = report.longrepr[2].removeprefix("Skipped: ")

    def verdict(self, row: Row) -> Verdict:
        """Say what became of a row."""
        tests = self.named.get(row.id, [])
        outcomes = sum((self.outcomes.get(name, Counter()) for name in tests), Counter[str]())
        failed = [name for name in tests if self.outcomes.get(name, Counter())["failed"]]
        if not tests:
            return Verdict("pending", 0, row.waits or "its test")
        if failed:
            return Verdict("failed", outcomes["passed"], ", ".join(failed))
        if outcomes["passed"]:
            return Verdict("survived", outcomes["passed"], row.waits and f"the rest waits for {row.waits}")
        return Verdict("untried", 0, next((self.skips[name] for name in tests if name in self.skips), "left out"))


def main(arguments: list[str]) -> int:
    """Run the tests, print a line for each row and the sum; further arguments go to pytest."""
    chosen = "fault and not slow" if _QUICK in arguments else "fault"
    tally = Tally()
    rest = [argument for argument in arguments if argument != _QUICK]
    status = int(pytest.main(["-q", "--rootdir", str(TESTS.parent), "-m", chosen, str(TESTS), *rest], plugins=[tally]))
    verdicts = {row: tally.verdict(row) for row in CATALOGUE}
    sys.stdout.write("\n".join([*table(verdicts), "", *summary(verdicts), ""]))
    return status or int(any(verdict.word == "failed" for verdict in verdicts.values()))


def table(verdicts: dict[Row, Verdict]) -> list[str]:
    """Return a line for each row, by parts."""
    lines = []
    for letter, (title, _) in PARTS.items():
        lines += ["", title]
        for row, (word, tests, why) in verdicts.items():
            if row.id[0] == letter:
                lines.append(f"  {row.id:<4}{word:<9}{tests or '':>5}  {row.fault}{f' ({why})' if why else ''}")
    return lines


def summary(verdicts: dict[Row, Verdict]) -> list[str]:
    """Return the sum of a run: survived of tried, and the ids of all that is not among the survived."""
    ids = {word: [row.id for row, verdict in verdicts.items() if verdict.word == word] for word in _WORDS}
    survived, failed = len(ids["survived"]), len(ids["failed"])
    cases = sum(verdict.tests for verdict in verdicts.values())
    lines = [f"{survived}/{survived + failed} rows survived of those tried, by {cases:,} passing cases"]
    return lines + [f"{word}: {len(ids[word])} ({' '.join(ids[word])})" for word in _WORDS[1:] if ids[word]]
