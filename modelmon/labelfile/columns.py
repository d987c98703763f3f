"""Which columns of a file hold ids, labels, times and revisions: as told, or by their common names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMON: Final = {
    "id": ("id", "prediction_id"),
    "label": ("label", "truth", "y"),
    "at": ("at", "timestamp"),
    "rev": ("rev",),
}
"""Names that are found by themselves, whatever their case."""
_NEEDED: Final = ("id", "label")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Hold what the command line said about the columns and what is in them; None where it said nothing."""

    id: str | None = None
    label: str | None = None
    at: str | None = None
    rev: str | None = None
    retract_value: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Hold the names of the columns; None where the file has no times or no revisions."""

    id: str
    label: str
    at: str | None
    rev: str | None


def choose(there: Sequence[str], wanted: Wanted) -> Columns:
    """Return the columns to read.

    Raises:
        ConfigurationError: when one is missing or not clear; the message names the columns there are.

    >>> choose(["Prediction_ID", "truth", "rest"], Wanted())
    Columns(id='Prediction_ID', label='truth', at=None, rev=None)
    """
    found = {role: _column(role, getattr(wanted, role), there) for role in COMMON}
    return Columns(found["id"] or "", found["label"] or "", found["at"], found["rev"])


def _column(role: str, told: str | None, there: Sequence[str]) -> str | None:
    listed = ", ".join(map(repr, there[:50])) or "none"
    if told:
        if there.count(told) != 1:
            problem = "has no column" if told not in there else "has more than one column"
            msg = f"the file {problem} {told!r}; its columns are {listed}"
            raise ConfigurationError(msg)
        return told
    found = [] if told == "" else [name for name in there if name.strip().lower() in COMMON[role]]
    if len(found) > 1:
        unless = "" if role in _NEEDED else f", or --{role}= for none of them"
        msg = f"the {role} may be in {' or '.join(map(repr, found))}: say which by --{role} NAME{unless}"
        raise ConfigurationError(msg)
    if not found and role in _NEEDED:
        known = " or ".join(map(repr, COMMON[role]))
        msg = f"no column is called {known}: say which holds the {role} by --{role} NAME; there are {listed}"
        raise ConfigurationError(msg)
    return found[0] if found else None
