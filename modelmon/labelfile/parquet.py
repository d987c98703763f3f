"""Parquet: row group by row group, the columns that are needed alone; types stay what they are in the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelmon.errors import ConfigurationError
from modelmon.labelfile.batches import Batch, Reject
from modelmon.labelfile.bytestreams import closing_on_failure
from modelmon.labelfile.columns import choose
from modelmon.written.items import as_truth, is_flat
from modelmon.written.rows import Rows

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "pyarrow":
        raise
    message = 'Parquet files need pyarrow: pip install "modelmon[backfill]"'
    raise ImportError(message, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.labelfile.batches import Names
    from modelmon.labelfile.columns import Wanted

_PER_SECOND: Final = {"s": (1, 1), "ms": (1, 1000), "us": (1, 1_000_000), "ns": (1000, 1_000_000)}
_UNREADABLE: Final = (ValueError, OverflowError, LookupError, pa.ArrowException)
"""What reading a value raises that Python, or its calendar, cannot hold."""


class Parquet:
    """Read a Parquet file."""

    format = "parquet"

    def __init__(self, path: str, wanted: Wanted) -> None:
        """Open the file and read its schema.

        Raises:
            OSError: when it cannot be read, or is no Parquet file.
            ConfigurationError: when the columns cannot be told, or the times have no zone.
        """
        self._raw = Path(path).open("rb")  # noqa: SIM115 - close() does
        with closing_on_failure(self):
            self._file = _parquet_file(self._raw, path)
            self._columns = choose(self._file.schema_arrow.names, wanted)
            _check_zone(self._file.schema_arrow, self._columns.at)
        self._retract_value = wanted.retract_value
        self.names: Names = {}
        self._done = 0

    def batches(self, skip: int, size: int) -> Iterator[Batch]:
        """Yield batches of up to ``size`` rows after the first ``skip``."""
        metadata, groups = self._file.metadata, list[int]()
        self._done = 0
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            if not groups and self._done + rows <= skip:
                self._done += rows
            else:
                groups.append(group)
        columns = self._columns
        names = list(dict.fromkeys(filter(None, (columns.id, columns.label, columns.at, columns.rev))))
        if not groups:
            return
        for found in self._file.iter_batches(size, row_groups=groups, columns=names, use_threads=False):
            left = found.slice(min(len(found), max(0, skip - self._done)))
            self._done += len(found)
            if len(left):
                yield self._batch(left, self._done - len(left))

    def progress(self) -> float:
        """Return how much of the file is read, 0 to 1."""
        rows = self._file.metadata.num_rows
        return self._done / rows if rows else math.nan

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def _batch(self, found: Any, before: int) -> Batch:
        columns, trouble = self._columns, dict[int, str]()
        label = found.column(columns.label)
        kind = label.type.value_type if pa.types.is_dictionary(label.type) else label.type
        truths = _truths(label, kind, trouble)
        parts = [
            _cells(found.column(columns.id), trouble),
            truths,
            None if columns.at is None else _times(found.column(columns.at), trouble),
            None if columns.rev is None else _cells(found.column(columns.rev), trouble),
        ]
        lines = list(range(before + 1, before + 1 + len(found)))
        batch = Batch(len(found), [line for place, line in enumerate(lines) if place not in trouble])
        batch.unreadable = [Reject(lines[place], trouble[place]) for place in sorted(trouble)]
        ids, truths, at, revs = (_without(part, trouble) for part in parts)
        retract = self._retract_value
        taken_back = [] if retract is None else [place for place, value in enumerate(truths) if str(value) == retract]
        textual = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        batch.rows = Rows(ids, truths, at, revs, taken_back, textual)
        return batch


def _parquet_file(raw: Any, path: str) -> Any:
    try:
        return pq.ParquetFile(raw)
    except pa.ArrowInvalid as error:
        msg = f"{path} is no Parquet file: {error}"
        raise OSError(msg) from None


def _check_zone(schema: Any, at: str | None) -> None:
    """Refuse a column of times without a zone, before any row is delivered."""
    kind = None if at is None else schema.field(at).type
    if kind is not None and pa.types.is_timestamp(kind) and kind.tz is None:
        msg = (
            f"the times in column {at!r} have no zone: write the file with one (pandas: .dt.tz_localize('UTC'); "
            "polars: .dt.replace_time_zone('UTC'); arrow: pa.timestamp('us', 'UTC')), or say --at= to leave them out"
        )
        raise ConfigurationError(msg)


def _cells(column: Any, trouble: dict[int, str]) -> list[Any]:
    """Return the values of a column; of one that cannot be read, None, and the reason by its place."""
    try:
        found: list[Any] = column.to_pylist()
    except _UNREADABLE:
        found = [_cell(part, place, trouble) for place, part in enumerate(column)]
    return found


def _cell(part: Any, place: int, trouble: dict[int, str]) -> Any:
    try:
        return part.as_py()
    except _UNREADABLE as error:
        trouble.setdefault(place, "not UTF-8" if isinstance(error, UnicodeError) else f"out of range for {part.type}")
        return None


def _truths(column: Any, kind: Any, trouble: dict[int, str]) -> list[Any]:
    """Return labels: a list of names is the set of those that hold, and a map is an object."""
    found = _cells(column, trouble)
    if not pa.types.is_nested(kind):
        return found
    for place, value in enumerate(found):
        given = dict(value) if value is not None and pa.types.is_map(kind) else value
        if is_flat(given):
            found[place] = as_truth(given)
        else:
            found[place] = None
            trouble.setdefault(place, "the label is nested too deeply")
    return found


def _times(column: Any, trouble: dict[int, str]) -> list[Any]:
    """Return seconds since the epoch, None where null.

    What is below a microsecond is cut off, as it is everywhere.
    """
    if not pa.types.is_timestamp(column.type):
        return _cells(column, trouble)
    whole, parts = _PER_SECOND[column.type.unit]
    return [None if count is None else count // whole / parts for count in column.cast(pa.int64()).to_pylist()]


def _without(column: list[Any] | None, trouble: dict[int, str]) -> Any:
    """Return a column without the rows that are in trouble."""
    if column is None or not trouble:
        return column
    return [value for place, value in enumerate(column) if place not in trouble]
