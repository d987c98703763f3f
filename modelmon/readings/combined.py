"""All readings of one model and version together."""

from __future__ import annotations

from modelmon.readings.devices import DeviceReadings
from modelmon.readings.errors import ErrorReadings
from modelmon.readings.lateness import LatenessReadings
from modelmon.readings.scores import ScoreReadings


class Readings(DeviceReadings, LatenessReadings, ScoreReadings, ErrorReadings):
    """Read calls, devices, the join, classes, scores and errors."""
