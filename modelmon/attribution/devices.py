"""One device: its counter, the calls that ran, and what each model is given for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from modelmon.attribution.exposures import FEW, Calls, exposures, swept
from modelmon.attribution.learning import IdlePower, Learner, Power, differ
from modelmon.attribution.settlements import Book, Settlement
from modelmon.attribution.splitting import split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from modelmon.attribution.settlements import Key, Method

MODELS: Final = 16
"""Models whose power is learnt apart; further ones are learnt as if they were one."""
LIMIT_W: Final = 10_000.0
"""More than this is no power of a device, but a fault of its counter."""
_SLACK_NS: Final = 200_000_000
_STILL_NS: Final = 2_000_000_000
_IDLE: Final = 0


_Batch: TypeAlias = "tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]"


class _Interval(NamedTuple):
    """What was read between two moments; ``energy`` None where it is not known, ``unseen`` where the calls are not."""

    end: int
    energy: int | None
    util: float | None
    unseen: bool


class Attribution:
    """Give each model its part of one device; one thread at a time.

    Attributes:
        share: this process's part of what the device works for all processes, from 0 to 1.
    """

    __slots__ = (
        "_begin",
        "_calls",
        "_columns",
        "_energy",
        "_glitches",
        "_idle",
        "_intervals",
        "_keys",
        "_learner",
        "_limit",
        "_resets",
        "_unseen",
        "_utils",
        "share",
    )

    def __init__(self, *, limit_w: float = LIMIT_W) -> None:
        """Start with nothing known; ``limit_w`` is what no device can draw."""
        self.share = 1.0
        self._limit = limit_w
        self._keys: list[Key] = []
        self._columns: dict[Key, int] = {}
        self._calls: list[_Batch] = []
        self._begin: int | None = None
        self._energy: tuple[int, int] | None = None
        self._intervals: list[_Interval] = []
        self._utils: list[tuple[int, float]] = []
        self._idle = IdlePower()
        self._learner = Learner(MODELS + 1)
        self._resets = self._glitches = 0
        self._unseen = False

    def sample(self, t_ns: int, energy_uj: int | None, util: float | None = None) -> None:
        """Take a reading; one whose counter stands where it stood tells nothing yet, and ends no interval.

        Args:
            t_ns: the moment that it tells of.
            energy_uj: what the counter of energy shows, if there is one.
            util: the share of the time before in which the device worked, from 0 to 1, if known.
        """
        edge = self._intervals[-1].end if self._intervals else self._begin
        if edge is None:
            self._begin = t_ns
            self._energy = None if energy_uj is None else (t_ns, energy_uj)
            return
        if t_ns <= edge:
            return
        if util is not None:
            self._utils.append((t_ns, util))
        still = self._energy is not None and (energy_uj is None or energy_uj == self._energy[1])
        if still and t_ns - edge < _STILL_NS:
            return
        drawn = self._drawn(t_ns, energy_uj)
        self._intervals.append(_Interval(t_ns, drawn, self._mean_util(edge), self._unseen))
        if energy_uj is not None or self._energy is None:  # else the next one tells what was drawn in this one too
            self._unseen = False

    def calls(self, key: Key, starts_ns: ArrayLike, ends_ns: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Take calls of one model; what lies before the last settlement changes nothing any more.

        Args:
            key: the model.
            starts_ns: when they began.
            ends_ns: when they ended.
            weights: how much of a moment each takes, beside others; 1 if left out.
        """
        starts, ends = np.asarray(starts_ns, np.int64), np.asarray(ends_ns, np.int64)
        shares = np.ones(len(starts)) if weights is None else np.asarray(weights, np.float64)
        self._calls.append((self._column(key), starts, ends, shares))

    def forget(self) -> None:
        """Keep no calls while the device cannot be read: what it draws until it can be belongs to none."""
        if not self._intervals:  # else some are needed still
            self._calls = []
            self._unseen = self._begin is not None

    def settle(self, until_ns: int, running: Iterable[tuple[Key, int, int]] = ()) -> Settlement:
        """Settle all intervals that ended by ``until_ns``; every call of theirs is known by now.

        Args:
            until_ns: the moment.
            running: calls of which only this is known: the model, about when they began, how many.
        """
        n = next((i for i, held in enumerate(self._intervals) if held.end > until_ns), len(self._intervals))
        resets, self._resets = self._resets, 0
        glitches, self._glitches = self._glitches, 0
        if not n or self._begin is None:
            begin = until_ns if self._begin is None else self._begin
            return Settlement(begin, resets=resets, glitches=glitches, powers=self._powers())
        taken, self._intervals = self._intervals[:n], self._intervals[n:]
        edges = [self._begin, *(held.end for held in taken)]
        self._begin = taken[-1].end
        exposed = self._exposed(edges, running)
        book = Book()
        for held, since, row in zip(taken, edges, exposed, strict=False):  # the last edge begins nothing
            self._give(book, held, held.end - since, row)
        keys = self._keys
        return Settlement(
            until_ns=self._begin,
            energy={(keys[column], method): n for (column, method), n in book.energy.items()},
            busy={(keys[column], source): n for (column, source), n in book.busy.items()},
            unattributed=book.unattributed,
            drawn=book.drawn,
            resets=resets,
            glitches=glitches,
            powers=self._powers(),
        )

    # -- inside ------------------------------------------------------------------------------------------------------

    def _drawn(self, t_ns: int, energy_uj: int | None) -> int | None:
        """Return what was drawn since the counter was last known; None where that is not known."""
        if energy_uj is None:
            return None
        before, self._energy = self._energy, (t_ns, energy_uj)
        if before is None:
            return None
        drawn = energy_uj - before[1]
        if drawn < 0:
            self._resets += 1
        elif drawn > self._limit * (t_ns - before[0] + _SLACK_NS) / 1000:
            self._glitches += 1
        else:
            return drawn
        return None

    def _mean_util(self, edge: int) -> float | None:
        read, self._utils = self._utils, []
        weighed, known = 0.0, 0
        for at, util in read:
            weighed, known, edge = weighed + util * (at - edge), known + at - edge, at
        return weighed / known if known else None

    def _exposed(self, edges: list[int], running: Iterable[tuple[Key, int, int]]) -> list[list[float]]:
        """Return exposures, and keep those calls that run on."""
        first, last = edges[0], edges[-1]
        more = [
            (self._column(key), np.array([since]), np.array([last]), np.array([float(n)])) for key, since, n in running
        ]
        taken, self._calls = [*self._calls, *more], []
        if sum(len(batch[1]) for batch in taken) > FEW:
            return self._exposed_many(edges, taken)
        calls = []
        for column, starts, ends, weights in taken:
            if (ends > last).any():
                self._calls.append((column, starts, ends, weights))
            rows = zip(starts.tolist(), ends.tolist(), weights.tolist(), strict=True)
            calls += [
                (column, start, end, weight)
                for start, end, weight in rows
                if end > first and end > start and weight > 0
            ]
        return swept(edges, calls, len(self._keys))

    def _exposed_many(self, edges: list[int], taken: list[_Batch]) -> list[list[float]]:
        calls = Calls.joined([Calls(np.full(len(batch[1]), batch[0]), *batch[1:]) for batch in taken])
        calls = calls.chosen((calls.ends > calls.starts) & (calls.weights > 0) & (calls.ends > edges[0]))
        lasting = calls.chosen(calls.ends > edges[-1])
        for column in np.unique(lasting.columns).tolist():
            mine = lasting.chosen(lasting.columns == column)
            self._calls.append((column, mine.starts, mine.ends, mine.weights))
        found: list[list[float]] = exposures(np.array(edges), calls, len(self._keys)).tolist()
        return found

    def _give(self, book: Book, held: _Interval, lasting: int, row: list[float]) -> None:
        """Give the models their parts of one interval."""
        if held.unseen:
            book.lose(held.energy or 0)
            self._idle.see(None)
            self._learner.skip()
            return
        columns = [column for column, share in enumerate(row) if share > 0]
        shares = [row[column] for column in columns]
        ran = min(sum(shares), float(lasting))
        book.work(columns, shares, held.util, lasting, ran)
        if held.energy is None:
            self._learner.skip()
            return
        book.drawn += held.energy
        given = held.energy - self._idled(held.energy, lasting, ran) if columns else 0
        given = min(round(given * self.share), given)
        book.unattributed += held.energy - given
        if columns:
            method, weighed = self._weighed(columns, shares)
            for column, part in zip(columns, split(given, weighed), strict=True):
                book.add(column, method, part)
        self._idle.see(None if columns else held.energy * 1000 / lasting)
        self._learn(held.energy, lasting - ran, columns, shares)

    def _idled(self, energy: int, lasting: int, ran: float) -> int:
        """Return what the device would have drawn anyway while no call ran."""
        watts = self._idle.clean
        if watts is None:
            learnt = self._known().get(_IDLE)
            watts = self._idle.doubtful if learnt is None or not learnt.is_sure else learnt.watts
        if watts is None:
            watts = energy * 1000 / lasting
        return min(max(round(watts * (lasting - ran) / 1000), 0), energy)

    def _weighed(self, columns: Sequence[int], shares: Sequence[float]) -> tuple[Method, Sequence[float]]:
        if len(columns) == 1:
            return "exclusive", shares
        powers = self._known()
        known = [powers[learnt] for learnt in map(_learnt, columns) if learnt in powers]
        if len(known) == len(columns) and all(power.is_sure for power in known) and differ(known):
            return "power_weighted", [share * power.watts for share, power in zip(shares, known, strict=True)]
        return "time_share", shares

    def _learn(self, energy: int, idle_ns: float, columns: Sequence[int], shares: Sequence[float]) -> None:
        seconds = [(_learnt(column), share / 1e9) for column, share in zip(columns, shares, strict=True)]
        self._learner.see(energy / 1e6, [(_IDLE, idle_ns / 1e9), *seconds])

    def _known(self) -> dict[int, Power]:
        return self._learner.powers(self._idle.clean)

    def _powers(self) -> dict[Key, Power]:
        known = self._known()
        alone = self._keys[: MODELS - 1] if len(self._keys) > MODELS else self._keys
        return {key: known[column + 1] for column, key in enumerate(alone) if column + 1 in known}

    def _column(self, key: Key) -> int:
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = len(self._keys)
            self._keys.append(key)
        return column


def _learnt(column: int) -> int:
    """Return under which column of the learner a model is learnt."""
    return min(column + 1, MODELS)
