"""What the sampler itself did: ticks, those it missed, and what it and the driver got wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from modelmon.devices.backend import Telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelmon.devices.backend import GpuBackend
    from modelmon.sampling.watched import Watched
    from modelmon.tallies import Tally


_MOST_TICKS: Final = 1000


class Account:
    """Add up until somebody writes it down; used by the sampler's thread alone.

    Attributes:
        overruns: ticks that were due and left out.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.overruns = 0
        self._asked: GpuBackend | None = None
        self._tells = False
        self._ticks: list[int] = []
        self._errors: dict[tuple[str, str], int] = {}
        self._before: dict[tuple[str, ...], int] = {}
        self._news: dict[tuple[str, ...], int] = {}

    def tick(self, nanoseconds: int) -> None:
        """Count a tick, and how long it took."""
        self._ticks.append(max(nanoseconds, 0))

    def failed(self, call: str, code: str) -> None:
        """Count an error that is none of the driver's."""
        self._errors[call, code] = self._errors.get((call, code), 0) + 1

    def note(self, backend: GpuBackend, devices: Iterable[Watched]) -> None:
        """Take what a backend says of itself, as far as that is news."""
        if backend is not self._asked:
            self._asked, self._tells = backend, isinstance(backend, Telling)
        if not self._tells:
            return
        state = backend.state()  # type: ignore[attr-defined]  # it tells
        self._advance({("calls",): state.driver_calls, ("reopened",): state.reopened})
        self._advance({("error", *key): n for key, n in (state.errors or {}).items()})
        self._advance({("sentinel", name): n for name, n in (state.sentinels or {}).items()})
        for device in devices:
            device.driver = state.driver_version or ""

    def write_ticks(self, counts: Tally) -> None:
        """Write down how long ticks took, when somebody reads; the caller holds the recorder's lock."""
        taken = self._ticks[:]
        del self._ticks[: len(taken)]
        if taken:
            counts.durations("sampler_tick").update(np.array(taken, np.int64))

    def write(self, counts: Tally) -> None:
        """Write down the rest; the caller holds the recorder's lock."""
        if len(self._ticks) > _MOST_TICKS:
            self.write_ticks(counts)
        _count(counts, "sampler_overruns", (), self.overruns)
        self.overruns = 0
        errors, self._errors = self._errors, {}
        for error, n in errors.items():
            _count(counts, "sampler_errors", error, n)
        news, self._news = self._news, {}
        for key, n in news.items():
            if key[0] == "calls":
                _count(counts, "sampler_calls", (), n)
            elif key[0] == "error":
                _count(counts, "sampler_errors", key[1:], n)
            else:  # values that cannot be true, and drivers that somebody else had shut down
                _count(counts, "sampler_errors", (*key, "")[:2], n)

    def _advance(self, totals: Mapping[tuple[str, ...], int]) -> None:
        for key, total in totals.items():
            more = total - self._before.get(key, 0)
            self._before[key] = total
            if more > 0:
                self._news[key] = self._news.get(key, 0) + more


def _count(counts: Tally, name: str, key: tuple[str, ...], n: int) -> None:
    held = counts.counts(name)
    if n:
        held.add(key, n)
