"""Readings of devices: what a model had of graphics processors, and what a prediction took."""

from __future__ import annotations

import math

from modelmon.readings.calls import CallReadings
from modelmon.readings.classes import ClassReadings


class DeviceReadings(CallReadings, ClassReadings):
    """Read how long devices worked for a model, and what energy that took; nan where nobody measured it."""

    @property
    def gpu_busy(self) -> float:
        """Seconds that graphics processors worked for this model, or calls had them; see the page about GPUs."""
        counts = self._counts("gpu_busy")
        return counts.total / 1e9 if len(counts) else math.nan

    @property
    def gpu_energy(self) -> float:
        """Joules that graphics processors drew for this model."""
        counts = self._counts("gpu_energy")
        return counts.total / 1e6 if len(counts) else math.nan

    @property
    def energy_per_prediction(self) -> float:
        """Joules for each predicted value."""
        return self.gpu_energy / self.predictions if self.predictions else math.nan

    @property
    def energy_per_correct_prediction(self) -> float:
        """Joules for each predicted value that was right, if those without a label are right as often."""
        accuracy = self.accuracy
        return self.energy_per_prediction / accuracy if accuracy > 0 else math.nan
