"""Files as bytes: plain, gzip, or standard input; how far they are read, and which file this is."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

STDIN: Final = "-"
_END: Final = 65_536
_SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")


class Closable(Protocol):
    """Something with a file to close."""

    def close(self) -> None:
        """Close it."""
        ...


class _Unzipped(gzip.GzipFile):
    """Decompress, and tell damage as what it is: a file that cannot be read."""

    def read(self, size: int | None = -1) -> bytes:
        """Return up to so many bytes.

        Raises:
            OSError: when the file is damaged or cut off.
        """
        try:
            return super().read(size)
        except (zlib.error, EOFError, gzip.BadGzipFile) as error:
            msg = f"the compressed file is damaged or cut off: {error}"
            raise OSError(msg) from None


class ByteStream:
    """Read a file's bytes, decompressed where its name ends in ``.gz``."""

    def __init__(self, path: str) -> None:
        """Open it.

        Raises:
            OSError: when it cannot be opened.
            ConfigurationError: when it is text in UTF-16.
        """
        self._size = 0 if path == STDIN else Path(path).stat().st_size
        self._raw = cast("BinaryIO", sys.stdin.buffer) if path == STDIN else Path(path).open("rb")  # noqa: SIM115 - close() does
        opened = _Unzipped(fileobj=self._raw) if path.endswith(".gz") else self._raw
        self.buffered = io.BufferedReader(cast("io.RawIOBase", opened), 1 << 20)
        with closing_on_failure(self):
            self._check()

    def progress(self) -> float:
        """Return how much of the file is read, 0 to 1; nan for standard input."""
        return min(1.0, self._raw.tell() / self._size) if self._size else math.nan

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._raw is not sys.stdin.buffer:
            self.buffered.close()
            self._raw.close()

    def _check(self) -> None:
        if self.buffered.peek(2)[:2] in _WIDE:
            msg = "the file is UTF-16: save it as UTF-8"
            raise ConfigurationError(msg)


@contextmanager
def closing_on_failure(thing: Closable) -> Iterator[None]:
    """Close a thing whose making fails within the block."""
    try:
        yield
    except BaseException:
        thing.close()
        raise


@contextmanager
def alone_with(path: str) -> Iterator[None]:
    """Be the only delivery of a file on this machine; the lock ends with the process, however that ends.

    Raises:
        OSError: when another delivery of it is under way, or it cannot be opened.
    """
    if path == STDIN or fcntl is None:
        yield
        return
    with Path(path).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{path} is being delivered by another process: wait for it to end"
            raise OSError(msg) from None
        except OSError:  # a file system without such locks
            pass
        yield


def format_of(path: str, told: str | None) -> str:
    """Return the format of a file, as told or by the end of its name; standard input is CSV.

    Raises:
        ConfigurationError: when its name does not tell.

    >>> format_of("labels.csv.gz", None), format_of("labels.ndjson", None)
    ('csv', 'jsonl')
    """
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    found = told or ("csv" if path == STDIN else _SUFFIXES.get(suffix))
    if found is None:
        msg = f"{path}: its name does not tell the format: say --format csv, jsonl or parquet"
        raise ConfigurationError(msg)
    if found == "parquet" and (path == STDIN or path.endswith(".gz")):
        msg = "Parquet is read from a plain file only: its index stands at the end"
        raise ConfigurationError(msg)
    return found


def fingerprint(path: str, meaning: str) -> str | None:
    """Return a name for the content of a file as it is read this way; None for standard input.

    Args:
        path: the file.
        meaning: the options that make another delivery of the same file.
    """
    if path == STDIN:
        return None
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(repr((Path(path).name, size, meaning)).encode("utf-8", "surrogateescape"))
        digest.update(file.read(_END))
        file.seek(max(0, size - _END))
        digest.update(file.read(_END))
    return digest.hexdigest()[:32]
