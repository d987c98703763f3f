"""The frozen, mergeable read model."""

from __future__ import annotations

from modelmon.parts import Part, SeriesPart
from modelmon.snapshot.whole import Snapshot

__all__ = ["Part", "SeriesPart", "Snapshot"]
