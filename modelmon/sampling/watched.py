"""One device as the sampler sees it: its readings, what they say now, and what they add to the counts."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal

from modelmon.attribution import Attribution
from modelmon.parts import DevicePart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.devices.facts import DeviceId, Reading
    from modelmon.sampling.claims import Claim
    from modelmon.tallies import Tally

LAG_NS: Final = 50_000_000
"""How far a counter of energy is behind in the mean: drivers bring it up to date about every 100 ms."""
MEAN_NS: Final = 10_000_000_000
"""For how long utilisation is averaged."""
STALE: Final = 3
"""After so many periods without a reading a device's current values are absent."""
_SPREAD: Final = 2
_SLOWED: Final = 0xE8
"""NVIDIA's bits for clocks that heat or a lack of power holds down; a power cap at full load is none of them."""


class Watched:
    """Follow one device; written by the sampler's thread alone, and read by any.

    Attributes:
        id: who it is.
        attribution: what each model is given of it.
        claim: on showing it.
        shown: whether this process had the claim at the last tick.
        divided: whether others are parts of it, so that no call is known to have run on the whole.
        lost: the driver's word for why it cannot be read, or nothing.
    """

    def __init__(self, device: DeviceId, claim: Claim, *, divided: bool) -> None:
        """Know nothing but who it is."""
        self.id = device
        self.attribution = Attribution()
        self.claim = claim
        self.divided = divided
        self.shown = False
        self.lost = ""
        self.driver = ""
        self._fast: Reading | None = None
        self._slow: Reading | None = None
        self._utils: deque[tuple[int, float]] = deque(maxlen=128)
        self._totals: dict[tuple[str, str], int] = {}
        self._news: list[tuple[str, tuple[str, ...], int]] = []
        self._powers: dict[Any, Any] = {}

    def take(self, reading: Reading, tier: Literal["fast", "slow"]) -> None:
        """Take a reading."""
        self.lost = ""
        self._fast = reading
        if reading.util is not None:
            self._utils.append((reading.t_ns, reading.util))
        if tier == "slow":
            self._slow = reading
            self.attribution.share = 1.0 if reading.sm_share is None else min(max(reading.sm_share, 0.0), 1.0)
            for name, totals in (("throttled", reading.throttled_ns), ("errors", reading.errors)):
                for kind, total in (totals or {}).items():
                    self._advance(name, kind, total)
        if reading.energy_j is None:
            self.attribution.sample(reading.t_ns, None, reading.util)
        else:
            at = reading.t_ns if reading.energy_t_ns is None else reading.energy_t_ns
            lag = LAG_NS if reading.energy_source == "counter" else 0
            self.attribution.sample(at - lag, round(reading.energy_j * 1e6), reading.util)

    @property
    def scope(self) -> str:
        """What energy covers, and whether processes other than this one had their part of it."""
        whole = "module" if self._fast is not None and self._fast.power_scope == "module" else "device"
        slow = self._slow
        shared = slow is not None and (slow.n_procs or 0) >= _SPREAD and slow.sm_share is None
        return f"{whole}_shared" if shared else whole

    def learn(self, powers: Mapping[Any, Any]) -> None:
        """Keep what each model is known to draw."""
        self._powers = dict(powers)

    def count_into(self, counts: Tally) -> None:
        """Add what the driver counted since the last time, if this process shows it; the caller holds a lock."""
        taken, self._news = self._news, []
        for name, key, n in taken if self.shown else ():
            counts.counts(name).add(key, n)

    @property
    def who(self) -> DevicePart:
        """Who it is, without what is known of it now."""
        return DevicePart(self.id.name, self.id.vendor, self.id.parent or "", self.driver, status="")

    def part(self, now: int, period: int) -> DevicePart:
        """Return what is known now.

        Args:
            now: the monotonic clock in nanoseconds.
            period: nanoseconds between two readings.
        """
        fast, slow = self._fast, self._slow
        fresh = fast is not None and not self.lost and now - fast.t_ns <= STALE * period
        slowed = slow is not None and self.id.vendor == "nvidia" and bool((slow.throttle or 0) & _SLOWED)
        known: dict[tuple[str, str], Any] = {}
        for key, power in self._powers.items():  # of two monitors with models of one name the first
            known.setdefault((key.model, key.version), power)
        return DevicePart(
            name=self.id.name,
            vendor=self.id.vendor,
            parent=self.id.parent or "",
            driver=self.driver,
            status="failed" if self.lost else "degraded" if slowed else "ok",
            scope="module" if fast is not None and fast.power_scope == "module" else "gpu",
            gauges=self._gauges(fast, slow, now) if fresh and fast is not None else {},
            powers=tuple((*key, *power) for key, power in known.items()),
        )

    def _gauges(self, fast: Reading, slow: Reading | None, now: int) -> dict[str, float]:
        limit = fast.mem_total
        found = {
            "utilization": self._utilization(now),
            "memory_usage": fast.mem_used,
            "memory_limit": limit,
            "memory_utilization": fast.mem_used / limit if fast.mem_used is not None and limit else None,
            "power": fast.power_w,
            "temperature": slow.temp_c if slow is not None else None,
            **self._own_memory(fast, slow),
        }
        return {name: float(value) for name, value in found.items() if value is not None}

    @staticmethod
    def _own_memory(fast: Reading, slow: Reading | None) -> dict[str, float | None]:
        """Return this process's memory: as the driver says, or all there is in use where no other process works."""
        if slow is None or slow.proc_mem is not None:
            return {"memory_process": None if slow is None else slow.proc_mem}
        return {"memory_exclusive": fast.mem_used if slow.n_procs == 1 else None}

    def _utilization(self, now: int) -> float | None:
        read = [util for at, util in list(self._utils) if now - at <= MEAN_NS]
        return sum(read) / len(read) if read else None

    def _advance(self, name: str, kind: str, total: int) -> None:
        """Note how far one of the driver's own counts went since it was first read."""
        before = self._totals.get((name, kind))
        self._totals[name, kind] = total
        if before is not None and total > before:
            self._news.append((f"gpu_{name}", (self.id.id, kind), total - before))
        elif before is None:
            self._news.append((f"gpu_{name}", (self.id.id, kind), 0))
