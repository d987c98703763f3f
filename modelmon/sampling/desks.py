"""Desks: what one recorder's part shows of graphics processors, and where its models' shares are written down."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelmon.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from modelmon.attribution import Settlement
    from modelmon.parts import DevicePart, Part
    from modelmon.recorder import Recorder
    from modelmon.sampling.accounts import Account
    from modelmon.sampling.watched import Watched


class Desk:
    """Count for one recorder, with its lock held.

    Attributes:
        counts: those that belong to no model.
        known: who the devices are that were counted here, also when somebody else reads them.
        look: returns current values, by name, and devices, by UUID.
        account: what the sampler itself did, for the one that shows it.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.counts = Tally()
        self.known: dict[str, DevicePart] = {}
        self.account: Account | None = None
        self.look: Callable[[], tuple[Mapping[str, float], Mapping[str, DevicePart]]] = lambda: ({}, {})

    def shown(self, part: Part) -> Part:
        """Return a part with what is known of devices added."""
        gauges, devices = self.look()
        if self.account is not None:
            self.account.write_ticks(self.counts)
        part.counts.merge(self.counts.copy())
        return replace(part, gauges={**part.gauges, **gauges}, devices={**self.known, **devices})

    def settle(self, device: Watched, settled: Settlement) -> None:
        """Count what a device drew, and what of it no call was given."""
        counts, name = self.counts, (device.id.id,)
        if settled.drawn or settled.unattributed:
            counts.counts("hw_energy").add(name, settled.drawn)
            counts.counts("gpu_unattributed").add(name, settled.unattributed)
        for what, n in (("reset", settled.resets), ("glitch", settled.glitches)):
            if n:
                counts.counts("gpu_counter_faults").add((*name, what), n)


def give(recorder: Recorder, number: int, settled: Iterable[tuple[Watched, Settlement]]) -> None:
    """Count what the models of one recorder were given; the caller holds its lock."""
    entries: dict[tuple[str, str], Tally] = {}
    for device, one in settled:
        for (key, method), energy in one.energy.items():
            if key.feed == number:  # type: ignore[attr-defined]  # the keys are ours
                tally = entries.setdefault(key[1:], Tally())  # type: ignore[index]
                tally.counts("gpu_energy").add((device.id.id, method, device.scope), energy)
        for (key, source), busy in one.busy.items():
            if key.feed == number:  # type: ignore[attr-defined]
                tally = entries.setdefault(key[1:], Tally())  # type: ignore[index]
                tally.counts("gpu_busy").add((device.id.id, source), busy)
    moment = recorder.moment()
    slot = (recorder.clock.monotonic_ns() + moment.offset) // moment.window
    for (model, version), entry in entries.items():
        recorder.series(model, version).enter((), slot, entry)
