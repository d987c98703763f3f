"""The whole snapshot: parts of many origins, read as a mapping from (model, version)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelmon.parts import Part


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Hold parts by (origin, epoch)."""

    parts: tuple[Part, ...] = ()
