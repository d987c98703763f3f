"""All readings of one model and version together."""

from __future__ import annotations

from modelmon.readings.calls import CallReadings
from modelmon.readings.errors import ErrorReadings
from modelmon.readings.lateness import LatenessReadings
from modelmon.readings.scores import ScoreReadings


class Readings(CallReadings, LatenessReadings, ScoreReadings, ErrorReadings):
    """Read calls, the join, classes, scores and errors."""
