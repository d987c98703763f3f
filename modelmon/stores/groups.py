"""Groups: what many rows have in common (series, slice, shape of their payload), as one small number; and scopes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.stores.series import Assumption, Series
from modelmon.stores.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.parts import Slice
    from modelmon.stores.objects import Objects
    from modelmon.tasks import Task

    Numbers = NDArray[np.int64]

MOST_SCOPES = 10_000
_NOTHING = np.float64(np.nan)


class Layout(NamedTuple):
    """Say what is kept of a prediction besides its class.

    Attributes:
        kind: ``"class"`` nothing; ``"score"`` one float64; ``"rows"`` a row of class probabilities; ``"best"`` one
            score and the codes of the five best classes; ``"flags"`` a row of uint8.
        codes: class codes of the columns of ``"rows"``.
        width: columns kept.
    """

    kind: str
    codes: tuple[int, ...] = ()
    width: int = 0


class Group(NamedTuple):
    """Name what rows have in common: number of the series, number of the ledger (series and slice), layout."""

    series: int
    ledger: int
    layout: Layout


class Groups:
    """Number series, ledgers, groups and scopes, and keep wide payloads by layout."""

    __slots__ = (
        "_columns",
        "_group_numbers",
        "_ledger_numbers",
        "_scopes",
        "_series_numbers",
        "all",
        "assumptions",
        "ledgers",
        "pools",
        "series",
    )

    def __init__(self) -> None:
        """Start empty."""
        self.series: list[Series] = []
        self.ledgers: list[tuple[int, Slice]] = []
        self.all: list[Group] = []
        self.pools: dict[Layout, Table] = {}
        self.assumptions: dict[tuple[str, str | None], Assumption] = {}
        self._columns = np.empty((2, 0), np.int64)
        self._series_numbers: dict[tuple[str, str], int] = {}
        self._ledger_numbers: dict[tuple[int, Slice], int] = {}
        self._group_numbers: dict[Group, int] = {}
        self._scopes: dict[tuple[str | None, str | None], int] = {(None, None): 0}

    def declare(self, key: tuple[str, str], task: Task | None, objects: Objects) -> int:
        """Return the number of a series, a new one if it is new."""
        number = self._series_numbers.get(key)
        if number is None:
            model, version = key
            scopes = (0, self.new_scope(model, None), self.new_scope(model, version))
            number = self._series_numbers[key] = len(self.series)
            self.series.append(Series(key, task, objects, scopes))
            self.series[number].assumption = self._assumption(key)
            self.ledger(number, ())
        elif task is not None and self.series[number].task is None:
            self.series[number].assign(task)
        return number

    def assume(self, model: str, version: str | None, assumption: Assumption) -> None:
        """Let a version, or all versions that have no assumption of their own, assume this from now on."""
        self.assumptions[model, version] = assumption
        for page in self.series:
            page.assumption = self._assumption(page.key)

    def _assumption(self, key: tuple[str, str]) -> Assumption | None:
        return self.assumptions.get(key) or self.assumptions.get((key[0], None))

    def patience(self, group: NDArray[Any], ttl: float) -> NDArray[np.float64] | float:
        """Return for how many seconds rows of each group await a label, where none is assumed for ``ttl``."""
        return self._by_series(group, [page.patience(ttl) for page in self.series]) if self.assumptions else ttl

    def assumed(self, group: NDArray[Any]) -> NDArray[np.float64]:
        """Return what rows of each group are assumed to mean; nan where nothing is."""
        if not self.assumptions:
            return np.broadcast_to(_NOTHING, group.shape)
        return self._by_series(group, [page.assumed for page in self.series])

    def _by_series(self, group: NDArray[Any], values: list[float]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.array([values[entry.series] for entry in self.all], np.float64)[group]
        return found

    def ledger(self, series: int, page: Slice) -> int:
        """Return the number of the ledger of one series and slice."""
        return _number(self._ledger_numbers, self.ledgers, (series, page))

    def group(self, group: Group) -> int:
        """Return the number of a group."""
        return _number(self._group_numbers, self.all, group)

    def scope(self, model: str | None, version: str | None) -> int | None:
        """Return the number of a label's scope; None where there are too many scopes of models never predicted."""
        known = self._scopes.get((model, version))
        if known is None and len(self._scopes) < MOST_SCOPES:
            return self.new_scope(model, version)
        return known

    def new_scope(self, model: str | None, version: str | None) -> int:
        """Return the number of a scope, a new one if it is new, however many there are."""
        return self._scopes.setdefault((model, version), len(self._scopes))

    def scopes(self, first: int = 0) -> list[tuple[str | None, str | None]]:
        """Return the scopes (model, version) in the order of their numbers, from ``first`` on."""
        return [*islice(self._scopes, first, None)]

    def series_of(self, groups: NDArray[Any]) -> Numbers:
        """Return the series' number of each group."""
        return self._column(0).take(groups)

    def ledger_of(self, groups: NDArray[Any]) -> Numbers:
        """Return the ledger's number of each group."""
        return self._column(1).take(groups)

    def _column(self, which: int) -> Numbers:
        if self._columns.shape[1] < len(self.all):
            pairs = [(group.series, group.ledger) for group in self.all]
            self._columns = np.ascontiguousarray(np.array(pairs, np.int64).T)
        column: Numbers = self._columns[which]
        return column

    def pool(self, layout: Layout) -> Table | None:
        """Return where rows of this layout keep their payload; None where it is one number or nothing."""
        if layout.kind in ("class", "score"):
            return None
        pool = self.pools.get(layout)
        if pool is None:
            dtype = np.uint8 if layout.kind == "flags" else np.float64
            pool = self.pools[layout] = Table({"values": (dtype, layout.width)})
        return pool


def _number(numbers: dict[Any, int], listed: list[Any], key: Any) -> int:
    number = numbers.get(key)
    if number is None:
        number = numbers[key] = len(listed)
        listed.append(key)
    return number
