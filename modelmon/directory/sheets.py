"""Sheets: parts as they lie in a file, with the number of the schema they follow.

The first line is text; what follows is compressed.
A version that does not know a schema leaves such files alone: it neither shows nor removes them.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelmon.snapshot import text

if TYPE_CHECKING:
    from modelmon.parts import Part

SCHEMA: Final = 1
_MAGIC: Final = b"modelmon directory "
MOST_BYTES: Final = 256 << 20


class NewerError(ValueError):
    """A file follows a newer schema."""


class DamagedError(ValueError):
    """A file is none of ours, or not whole."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Hold what a file says.

    Attributes:
        name: of the directory, where its sum is kept; no other has it.
        parts: what was counted.
        included: the processes whose counts are in these parts although their files may still lie there.
    """

    name: str = ""
    parts: tuple[Part, ...] = ()
    included: frozenset[str] = frozenset()


def write(sheet: Sheet) -> bytes:
    """Return a sheet as bytes."""
    head = json.dumps({"name": sheet.name, "included": sorted(sheet.included)})
    body = f"{head}\n{text.write(sheet.parts)}"
    return _MAGIC + b"%d\n" % SCHEMA + zlib.compress(body.encode(), 1)


def read(data: bytes) -> Sheet:
    """Return the sheet that was written.

    Raises:
        NewerError: when it follows a newer schema.
        DamagedError: when it is none, or not whole.
    """
    first, _, rest = data.partition(b"\n")
    schema = first[len(_MAGIC) :]
    if not first.startswith(_MAGIC) or not schema.isdigit() or len(schema) > 9:  # noqa: PLR2004
        msg = "this file holds no counts"
        raise DamagedError(msg)
    if int(schema) > SCHEMA:
        msg = f"this file follows schema {int(schema)}; this modelmon reads up to {SCHEMA}: upgrade modelmon"
        raise NewerError(msg)
    try:
        unpacking = zlib.decompressobj()
        body = unpacking.decompress(rest, MOST_BYTES)
        if not unpacking.eof:
            msg = "this file is not whole"
            raise DamagedError(msg)
        head, _, parts = body.decode().partition("\n")
        said = json.loads(head)
        name, included = str(said["name"]), frozenset(said["included"])
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        msg = "this file is damaged"
        raise DamagedError(msg) from error
    try:
        return Sheet(name, text.read(parts), included)
    except ValueError as error:  # whole, so what it says is beyond us
        raise NewerError(str(error)) from error
