"""CSV: quotes as in RFC 4180, a header line, any of four delimiters, with or without a byte order mark."""

from __future__ import annotations

import csv
import io
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.labelfile.batches import Batch, Reject
from modelmon.labelfile.bytestreams import ByteStream, closing_on_failure
from modelmon.labelfile.columns import choose
from modelmon.written.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.labelfile.batches import Names
    from modelmon.labelfile.columns import Wanted

_DELIMITERS: Final = ",;\t|"
_LONGEST_LINE: Final = 1 << 20  # a longer one is cut, so that a file without line ends fills no memory
_NOT_UTF8: Final = "not UTF-8"


class Table:
    """Read a CSV file."""

    format = "csv"

    def __init__(self, path: str, wanted: Wanted) -> None:
        """Open the file and read its header.

        Raises:
            OSError: when it cannot be read.
            ConfigurationError: when the columns cannot be told.
        """
        self.names: Names = {}
        self._stream = ByteStream(path)
        text = io.TextIOWrapper(self._stream.buffered, "utf-8-sig", errors="surrogateescape", newline="")
        with closing_on_failure(self):
            first = text.readline(_LONGEST_LINE)
            delimiter = max(_DELIMITERS, key=first.count)
            lines = iter(partial(text.readline, _LONGEST_LINE), "")
            self._reader = csv.reader(chain([first], lines), delimiter=delimiter)
            self._header = _header(self._reader)
            self._columns = choose(self._header, wanted)
        self._retract_value = wanted.retract_value
        self._text = text  # keeps the file open

    def batches(self, skip: int, size: int) -> Iterator[Batch]:
        """Yield batches of ``size`` records after the first ``skip``."""
        self._skip(skip)
        while (batch := self._next(size)).records:
            yield batch

    def progress(self) -> float:
        """Return how much of the file is read, 0 to 1."""
        return self._stream.progress()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _skip(self, records: int) -> None:
        while records > 0:
            try:
                for _ in islice(self._reader, records):
                    records -= 1
            except csv.Error:  # noqa: PERF203  (it was one record when it was met first, too)
                records -= 1
            else:
                return

    def _next(self, size: int) -> Batch:
        batch, found = Batch(), []
        reader, width = self._reader, len(self._header)
        begun = reader.line_num
        while batch.records < size:
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                batch.unreadable.append(Reject(begun + 1, f"{error} (a quote that is not closed?)"))
                row = []
            batch.records += 1
            if len(row) == width:
                found.append(row)
                batch.lines.append(begun + 1)
            elif row:
                reason = f"{len(row)} fields where the header has {width}"
                batch.unreadable.append(Reject(begun + 1, reason, record=_joined(row)))
            begun = reader.line_num
        batch.rows = self._rows(found, batch)
        return batch

    def _rows(self, found: list[list[str]], batch: Batch) -> Rows:
        columns = self._columns
        used = [name for name in (columns.id, columns.label, columns.at, columns.rev) if name]
        places = {name: self._header.index(name) for name in used}
        if not _is_text("".join(row[place] for place in places.values() for row in found)):
            found = _readable(found, [*places.values()], batch)

        def column(name: str) -> list[str]:
            return list(map(itemgetter(places[name]), found))

        truths, retract = column(columns.label), self._retract_value
        return Rows(
            ids=column(columns.id),
            truths=truths,
            at=None if columns.at is None else column(columns.at),
            revs=None if columns.rev is None else column(columns.rev),
            retracted=[] if retract is None else [place for place, text in enumerate(truths) if text == retract],
        )


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        return [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        msg = f"the header line cannot be read: {error}"
        raise ConfigurationError(msg) from None


def _readable(found: list[list[str]], used: list[int], batch: Batch) -> list[list[str]]:
    kept = []
    lines, batch.lines = batch.lines, []
    for row, line in zip(found, lines, strict=True):
        if _is_text("".join(row[place] for place in used)):
            kept.append(row)
            batch.lines.append(line)
        else:
            batch.unreadable.append(Reject(line, _NOT_UTF8, record=_joined(row)))
    return kept


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _joined(row: list[str]) -> str:
    return ",".join(row).encode("utf-8", "backslashreplace").decode()[:1000]
