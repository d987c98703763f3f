"""Remains: what slices had shown of a counter when it was made coarse, beside the whole model from then on.

Rules:

1. Slices stay as they were last shown, and the whole model shows what came since: so whoever adds up sees each call
   once, be it by totals or by differences, and with whatever reader.
2. Where the whole model is not shown, its slices are not either; where it fell, it began anew, and they are forgotten.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from modelmon.exporters.opentelemetry.observed import observables
from modelmon.points.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelmon.exporters.opentelemetry.observed import Numbers
    from modelmon.points.instruments import Attributes

_Shown = dict["Attributes", dict["Attributes", float]]  # of each whole model, by slice
_COUNTERS: Final = {row.name: row.row for row in observables() if row.kind == "counter"}
_PER_MODEL: Final = ("model", "version")


def unsliced(row: str, attributes: Attributes) -> Attributes:
    """Return what the whole model is shown under, of a row of the catalogue, for the attributes of one of its slices.

    >>> unsliced("modelmon.stream.items", (("model", "m"), ("country", "DE")))
    (('model', 'm'),)
    """
    own = (*_PER_MODEL, *CATALOGUE[row].attributes)
    return tuple(pair for pair in attributes if pair[0] in own)


class Remains:
    """Remember what slices had shown."""

    def __init__(self) -> None:
        """Start with nothing shown."""
        self._last: dict[str, _Shown] = {}
        self._kept: dict[str, _Shown] = {}

    def beside(self, page: dict[str, Numbers], coarse: Collection[str]) -> dict[str, Numbers]:
        """Return a page with the remains of slices on it.

        Args:
            page: what each instrument shows.
            coarse: rows of the catalogue that are shown without slices.
        """
        changed = dict(page)
        for name, held in page.items():
            row = _COUNTERS.get(name)
            if row is None:
                continue
            if row in coarse:
                kept = self._kept.setdefault(name, self._last.pop(name, {}))
                changed[name] = _shared(kept, held)
            else:
                self._last.setdefault(name, {}).update(_by_whole(row, held))
        return changed


def _by_whole(row: str, held: Numbers) -> _Shown:
    """Return what slices of each whole model show; what has no attributes of a slice goes on as the whole."""
    found: _Shown = {}
    for value, given in held:
        attributes = tuple(given.items())
        whole = unsliced(row, attributes)
        if whole != attributes:
            found.setdefault(whole, {})[attributes] = value
    return found


def _shared(kept: _Shown, held: Numbers) -> Numbers:
    """Return whole models less what their slices show, and these."""
    found: Numbers = []
    for value, given in held:
        whole = tuple(given.items())
        rest = value - sum(kept.get(whole, {}).values())
        if rest < 0 and not math.isclose(value, value - rest):
            rest = value
            del kept[whole]
        found += [(n, dict(attributes)) for attributes, n in kept.get(whole, {}).items()]
        found.append((max(rest, 0), given))
    return found
