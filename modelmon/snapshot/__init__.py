"""The frozen, mergeable read model."""

from __future__ import annotations

from modelmon.parts import Part, SeriesPart
from modelmon.readings.model import ModelSnapshot
from modelmon.snapshot.whole import Snapshot

__all__ = ["ModelSnapshot", "Part", "SeriesPart", "Snapshot"]
