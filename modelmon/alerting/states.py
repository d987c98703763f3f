"""The states of an alert, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

State: TypeAlias = Literal["inactive", "pending", "firing", "resolved"]
Sign: TypeAlias = Literal["beyond", "held", "clear"]
"""``beyond``: the number lies beyond the threshold; ``held``: and has for as long as it must; ``clear``: neither."""

TABLE: Final[dict[tuple[State, Sign], State]] = {
    ("inactive", "clear"): "inactive",
    ("inactive", "beyond"): "pending",
    ("inactive", "held"): "firing",
    ("pending", "clear"): "inactive",
    ("pending", "beyond"): "pending",
    ("pending", "held"): "firing",
    ("firing", "clear"): "resolved",
    ("firing", "beyond"): "firing",
    ("firing", "held"): "firing",
    ("resolved", "clear"): "resolved",
    ("resolved", "beyond"): "pending",
    ("resolved", "held"): "firing",
}
_TOLERANCE_S = 1e-6


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold where an alert stands.

    Attributes:
        state: its state.
        since: when it took that state, seconds since the epoch.
        beyond_since: when the number began to lie beyond the threshold, in seconds that never go back; None while it
            does not.
    """

    state: State = "inactive"
    since: float = 0.0
    beyond_since: float | None = None

    def step(self, *, beyond: bool, hold: float, now: float, at: float) -> Standing:
        """Return where it stands next.

        Args:
            beyond: whether the number lies beyond the threshold now.
            hold: how long it must, in seconds.
            now: seconds that never go back.
            at: the same moment, seconds since the epoch.
        """
        if not beyond:
            begun, sign = None, "clear"
        else:
            begun = now if self.beyond_since is None else self.beyond_since
            sign = "held" if now - begun >= hold - _TOLERANCE_S else "beyond"
        state = TABLE[self.state, sign]  # type: ignore[index]  # one of the three signs
        return Standing(state, self.since if state == self.state else at, begun)
