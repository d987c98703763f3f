"""What a test makes of the calls into a pretended driver: errors, delays, and the count of them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Event, Lock


@dataclass(slots=True)
class Rule:
    """An error for the calls of one function, or of all: those after so many, as often as that."""

    function: str
    code: int
    uuid: str | None
    after: int
    times: int | None

    def strikes(self, function: str, uuid: str | None) -> bool:
        """Tell whether this call fails; each call it is about brings it nearer to its start and its end."""
        if self.function not in (function, "*") or self.uuid not in (None, uuid) or self.times == 0:
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """Count every call, hold it up, and decide how it ends."""

    __slots__ = ("_calls", "_delays", "_freed", "_lock", "rules")

    def __init__(self) -> None:
        """Let every call succeed at once."""
        self._calls: Counter[str] = Counter()
        self._delays: dict[str, float] = {}
        self._freed = Event()
        self._lock = Lock()
        self.rules: list[Rule] = []

    def renew(self) -> None:
        """Take a new lock, and hold up no call that a forked child did not make."""
        self._lock = Lock()
        self._freed = Event()

    def enter(self, function: str, uuid: str | None) -> int:
        """Count a call, wait as long as it takes, and return the code it fails with, or 0."""
        with self._lock:
            self._calls[function] += 1
            code = next((rule.code for rule in self.rules if rule.strikes(function, uuid)), 0)
            delay = self._delays.get(function, self._delays.get("*", 0.0))
        if delay:
            self._freed.wait(delay)
        return code

    def calls(self, function: str | None = None) -> int:
        """Return the number of calls of a function, or of all."""
        with self._lock:
            return self._calls.total() if function is None else self._calls[function]

    def delay(self, function: str, seconds: float) -> None:
        """Have each call of a function take so long."""
        with self._lock:
            self._delays[function] = seconds

    def free(self) -> None:
        """Let every call go that is held up, and hold up none from now on."""
        self._freed.set()
