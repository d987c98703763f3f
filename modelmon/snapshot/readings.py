"""All readings of one model and version together."""

from __future__ import annotations

from modelmon.snapshot.calls import CallReadings
from modelmon.snapshot.errors import ErrorReadings
from modelmon.snapshot.joins import JoinReadings
from modelmon.snapshot.scores import ScoreReadings


class Readings(CallReadings, JoinReadings, ScoreReadings, ErrorReadings):
    """Read calls, the join, classes, scores and errors."""
