"""The side file: rows that were not taken, each with its line and reason, itself a file that can be delivered."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.labelfile.batches import Reject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADER: Final = list(Reject._fields)
_DIGITS: Final = 18


class Rejects:
    """Write rejected rows; the file is made with the first of them."""

    def __init__(self, path: Path) -> None:
        """Prepare.

        Raises:
            ConfigurationError: when the path holds a file that is not one of these, or no file.
        """
        self.path = path
        if path.exists() and (not path.is_file() or self._read()[:1] not in ([], [HEADER])):
            raise self._foreign()

    def _foreign(self) -> ConfigurationError:
        return ConfigurationError(f"{self.path} exists and holds no rejected rows: say --rejects with another name")

    def begin(self, line: int) -> None:
        """Keep what an earlier run found before a line, and drop the rest, which comes again."""
        kept = [row for row in self._read()[1:] if row[0].isdecimal() and int(row[0][:_DIGITS]) < line]
        if not kept:
            self.path.unlink(missing_ok=True)
            return
        beside = self.path.with_name(f"{self.path.name}.new")  # a full disk or a kill leaves the file as it was
        beside.unlink(missing_ok=True)
        _append(beside, kept)
        beside.replace(self.path)

    def add(self, rejected: Sequence[Reject]) -> None:
        """Write rows, and have them on the file when this returns."""
        if rejected:
            _append(self.path, rejected)

    def _read(self) -> list[list[str]]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
            try:
                return [row for row in csv.reader(file) if row]
            except csv.Error:  # a field longer than any of ours
                raise self._foreign() from None


def _append(path: Path, rows: Sequence[Sequence[object]]) -> None:
    new = not path.exists()
    if new:
        path.touch(mode=0o600)  # ids and labels are nobody else's business
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")  # which has it quote fields that hold either
        if new:
            writer.writerow(HEADER)
        writer.writerows(rows)
