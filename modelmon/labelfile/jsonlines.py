"""JSON lines: one object per line, with the names of items or with others that the command line says."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final

from modelmon.errors import ConfigurationError
from modelmon.labelfile.batches import Batch, Reject
from modelmon.labelfile.bytestreams import ByteStream
from modelmon.labelfile.columns import COMMON, choose
from modelmon.written.strict import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.labelfile.batches import Names
    from modelmon.labelfile.columns import Wanted

_LONGEST_LINE: Final = 1 << 20
_PASSED_ON: Final = ("model", "version", "retract")


class JsonLines:
    """Read a file of JSON lines."""

    format = "jsonl"

    def __init__(self, path: str, wanted: Wanted) -> None:
        """Open the file.

        Raises:
            OSError: when it cannot be read.
            ConfigurationError: when it is in UTF-16.
        """
        self._stream = ByteStream(path)
        self._wanted = wanted
        self.names: Names = {}
        self._line = 0

    def batches(self, skip: int, size: int) -> Iterator[Batch]:
        """Yield batches of ``size`` lines after the first ``skip``.

        Raises:
            ConfigurationError: when the first object has no id or label under a name that is known.
        """
        for _ in range(skip):
            self._read()
        while (batch := self._next(size)).records:
            yield batch

    def progress(self) -> float:
        """Return how much of the file is read, 0 to 1."""
        return self._stream.progress()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _next(self, size: int) -> Batch:
        batch = Batch()
        while batch.records < size and (line := self._read()):
            batch.records += 1
            if not line.strip():
                continue
            try:
                batch.items.append(self._item(_parsed(line)))
                batch.lines.append(self._line)
            except ValueError as error:
                if isinstance(error, ConfigurationError):
                    raise
                record = line[:1000].decode("utf-8", "backslashreplace").rstrip()
                batch.unreadable.append(Reject(self._line, str(error), record=record))
        return batch

    def _read(self) -> bytes:
        """Return the next line, cut where it is too long; nothing at the end."""
        line = self._stream.buffered.readline(_LONGEST_LINE + 1)
        end = line
        while len(end) > _LONGEST_LINE and not end.endswith(b"\n"):
            end = self._stream.buffered.readline(_LONGEST_LINE + 1)
        self._line += 1
        return line.removeprefix(codecs.BOM_UTF8) if self._line == 1 else line

    def _item(self, found: Any) -> dict[str, Any]:
        if not isinstance(found, dict):
            msg = "no object"
            raise ValueError(msg)  # noqa: TRY004  (a bad line among many, which is counted)
        if not self.names:
            self.names = self._named(found)
        item = {name: found[name] for name in _PASSED_ON if name in found}
        for role, names in self.names.items():
            name = next((name for name in names if name in found), None)
            if name is not None:
                item[role] = found[name]
        if self._wanted.retract_value is not None and str(item.get("label")) == self._wanted.retract_value:
            item["retract"] = True
            item.pop("label")
        return item

    def _named(self, first: dict[str, Any]) -> Names:
        """Return the names under which each role may stand; a line need not have times because the first one has."""
        there = [*first]
        if first.get("retract") is True and not self._wanted.label:
            there.append("label")
        chosen = choose(list(dict.fromkeys(there)), self._wanted)
        told = {role: getattr(self._wanted, role) for role in COMMON}
        found = {role: getattr(chosen, role) for role in COMMON}
        return {role: (found[role],) if found[role] else () if told[role] == "" else COMMON[role] for role in COMMON}


def _parsed(line: bytes) -> Any:
    if len(line) > _LONGEST_LINE:
        msg = f"a line longer than {_LONGEST_LINE} bytes"
        raise ValueError(msg)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        msg = "not UTF-8"
        raise ValueError(msg) from None
    return read_json(text)
