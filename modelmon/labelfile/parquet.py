"""Parquet: row group by row group, the columns that are needed alone; types stay what they are in the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelmon.labelfile.batches import Batch
from modelmon.labelfile.bytestreams import closing_on_failure
from modelmon.labelfile.columns import choose
from modelmon.moments import instants
from modelmon.written.items import as_truth
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

    from modelmon.labelfile.columns import Wanted


class Parquet:
    """Read a Parquet file."""

    format = "parquet"

    def __init__(self, path: str, wanted: Wanted) -> None:
        """Open the file and read its schema.

        Raises:
            OSError: when it cannot be read, or is no Parquet file.
            ConfigurationError: when the columns cannot be told.
        """
        self._raw = Path(path).open("rb")  # noqa: SIM115 - close() does
        with closing_on_failure(self):
            self._file = _parquet_file(self._raw, path)
            self._columns = choose(self._file.schema_arrow.names, wanted)
        self._retract_value = wanted.retract_value
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
        columns = self._columns
        label = found.column(columns.label)
        kind = label.type.value_type if pa.types.is_dictionary(label.type) else label.type
        textual = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        truths = label.to_pylist()
        retract = self._retract_value
        rows = Rows(
            ids=found.column(columns.id).to_pylist(),
            truths=list(map(as_truth, truths)) if pa.types.is_nested(kind) else truths,
            at=None if columns.at is None else _times(found.column(columns.at)),
            revs=None if columns.rev is None else found.column(columns.rev).to_pylist(),
            retracted=[] if retract is None else [place for place, value in enumerate(truths) if str(value) == retract],
            textual=textual,
        )
        return Batch(len(found), list(range(before + 1, before + 1 + len(found))), rows)


def _parquet_file(raw: Any, path: str) -> Any:
    try:
        return pq.ParquetFile(raw)
    except pa.ArrowInvalid as error:
        msg = f"{path} is no Parquet file: {error}"
        raise OSError(msg) from None


def _times(column: Any) -> list[Any]:
    """Return seconds since the epoch (a time without a zone is UTC, as numpy and pandas write it), None where null."""
    if not pa.types.is_timestamp(column.type):
        found: list[Any] = column.to_pylist()
        return found
    seconds = instants(column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False), len(column))
    return [None if math.isnan(second) else second for second in seconds.tolist()]
