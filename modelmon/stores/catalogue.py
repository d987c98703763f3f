"""The catalogue: what numbers mean in a durable store, the same in every process that shares it.

Series, ledgers, groups, scopes, classes and some objects of labels are numbered in the order in which they came.
Whoever adds one, or assumes a truth, writes an *entry*; who replays all entries in order gets the same numbers.

Rules:

1. Numbers of one kind are independent of those of every other, so news need to be in order only within a kind; scopes
   and ledgers come before the series that would make them.
2. Entries are applied only where nothing was added since; whoever failed to write news takes a new catalogue.
3. Objects whose codes are below ``catalogued`` are entries; those above are temporary, and go with the batch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modelmon.errors import StoreError
from modelmon.stores.groups import Group, Groups, Layout
from modelmon.stores.objects import Objects
from modelmon.stores.series import Assumption
from modelmon.tasks import task_from_state, to_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelmon.stores.series import Series

MOST_OBJECTS = 4096
MOST_BYTES = 1024
"""What an object may take as an entry; longer ones stay temporary."""


class Catalogue:
    """Keep groups and objects whose numbers are entries.

    Attributes:
        groups: series, ledgers, groups and scopes.
        objects: what labels carry that is no number.
        known: entries applied so far.
        catalogued: objects that are entries; they have the first codes.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.groups = Groups()
        self.objects = Objects()
        self.known = 0
        self.catalogued = 0
        self._told: list[tuple[bool, int]] = []
        self._assumed: dict[tuple[str, str | None], Assumption] = {}
        self._scopes = self._ledgers = self._groups = 0
        self._mark()
        self._apply: dict[str, Callable[..., object]] = {
            "scope": self.groups.new_scope,
            "ledger": self._apply_ledger,
            "series": self._apply_series,
            "task": self._apply_task,
            "class": self._apply_class,
            "group": self._apply_group,
            "object": self._apply_object,
            "assume": self._apply_assumption,
        }

    def apply(self, entries: Sequence[bytes]) -> None:
        """Replay entries in order.

        Raises:
            StoreError: when an entry was written by a newer version.
        """
        if not entries:
            return
        self._forget_temporary()
        for entry in entries:
            kind, *values = json.loads(entry)
            apply = self._apply.get(kind)
            if apply is None:
                msg = f"this store holds {kind!r}, which this modelmon does not know: upgrade modelmon"
                raise StoreError(msg, kind="schema")
            apply(*values)
        self.known += len(entries)
        self._mark()

    def news(self) -> list[bytes]:
        """Return entries for all that was added since entries were applied or settled."""
        return [_entry(*parts) for parts in self._news()]

    def settle(self, entries: Sequence[bytes]) -> None:
        """Take note that the news were written; the batch's temporary objects go."""
        self._forget_temporary()
        if not entries:
            return
        for entry in entries:
            if entry.startswith(_OBJECT):
                self._apply_object(json.loads(entry)[1])
        self.known += len(entries)
        self._mark()

    def release(self) -> None:
        """Forget what only one batch needs: temporary objects, and payloads."""
        self._forget_temporary()
        self.groups.pools.clear()

    def _forget_temporary(self) -> None:
        if len(self.objects) > self.catalogued:
            self.objects.truncate(self.catalogued)
            for series in self.groups.series:
                series.forget_objects(self.catalogued)

    def _mark(self) -> None:
        groups = self.groups
        self._told = [(series.task is not None, len(series.classes)) for series in groups.series]
        self._assumed = dict(groups.assumptions)
        self._scopes, self._ledgers, self._groups = len(groups.scopes()), len(groups.ledgers), len(groups.all)

    def _news(self) -> Iterator[tuple[Any, ...]]:
        groups = self.groups
        for scope in groups.scopes(self._scopes):
            yield ("scope", *scope)
        for series, page in groups.ledgers[self._ledgers :]:
            yield ("ledger", series, page)
        for number, entry in enumerate(groups.series):
            yield from self._series_news(number, entry)
        for group in groups.all[self._groups :]:
            yield ("group", *group)
        for key, assumption in groups.assumptions.items():
            if self._assumed.get(key) != assumption:
                yield ("assume", *key, *assumption)
        yield from self._object_news()

    def _series_news(self, number: int, series: Series) -> Iterator[tuple[Any, ...]]:
        is_new = number >= len(self._told)
        had_task, told = (False, 0) if is_new else self._told[number]
        task = series.task
        if is_new:
            yield ("series", *series.key, None if task is None else to_state(task))
        elif task is not None and not had_task:
            yield ("task", number, to_state(task))
        if task is not None and not had_task:
            told = len(task.declared or ())
        for value in series.classes[told:]:
            yield ("class", number, value)

    def _object_news(self) -> Iterator[tuple[Any, ...]]:
        room = MOST_OBJECTS - self.catalogued
        if not room:
            return
        for value in self.objects.after(self.catalogued):
            if room and not isinstance(value, bytes) and len(_entry("object", value)) <= MOST_BYTES:
                room -= 1
                yield ("object", value)

    def _apply_ledger(self, series: int, page: list[list[str]]) -> None:
        self.groups.ledger(series, _tuples(page))

    def _apply_series(self, model: str, version: str, task: dict[str, Any] | None) -> None:
        self.groups.declare((model, version), None if task is None else task_from_state(task), self.objects)

    def _apply_task(self, number: int, task: dict[str, Any]) -> None:
        self.groups.series[number].assign(task_from_state(task))

    def _apply_class(self, number: int, value: Any) -> None:
        self.groups.series[number].add(value)

    def _apply_group(self, series: int, ledger: int, layout: list[Any]) -> None:
        kind, codes, width = layout
        self.groups.group(Group(series, ledger, Layout(kind, tuple(codes), width)))

    def _apply_assumption(self, model: str, version: str | None, truth: Any, after: float) -> None:
        self.groups.assume(model, version, Assumption(_tuples(truth), after))

    def _apply_object(self, value: Any) -> None:
        self.objects.intern(_tuples(value))
        self.catalogued = len(self.objects)


def _entry(*parts: Any) -> bytes:
    return json.dumps(parts, separators=(",", ":")).encode()


_OBJECT = b'["object",'


def _tuples(value: Any) -> Any:
    """Return a value with tuples where JSON made lists of them."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
