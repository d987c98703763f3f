"""Which process of a machine may show again what it read last of a store that it cannot read now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from modelmon import MemoryStore, Monitor, Multiclass, Snapshot, StoreError
from modelmon.directory.latest import Latest
from modelmon.parts import Part

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a directory needs POSIX locks")


class Away:
    """A store that waits for input and output, several monitors share, and that may be away."""

    durable = shared = blocking = True

    def __init__(self) -> None:
        """Be there."""
        self.away = False
        self._inner = MemoryStore()
        self._open = False

    def open(self, *given: Any) -> None:
        """Open once, whoever asks."""
        if not self._open:
            self._inner.open(*given)
            self._open = True

    def __getattr__(self, name: str) -> Any:
        """Pass every call on while it is there."""
        act = getattr(self._inner, name)

        def call(*given: Any) -> Any:
            if self.away:
                msg = "the store is away"
                raise StoreError(msg, kind="down")
            return act(*given)

        return call


def labelled(worker: Monitor) -> int | None:
    """Return how many labelled predictions a scrape of a worker shows; None where it shows nothing of the store."""
    found = Snapshot(worker.home.scraped())
    return found["m"].labelled if found.stored else None


def test_no_worker_shows_less_than_another_did(tmp_path: Path) -> None:
    """Who read the store last goes on showing it while it is away; who read it before shows nothing of it."""
    store = Away()
    first, second = (Monitor(store=store, directory=tmp_path / "run") for _ in range(2))
    first.predictions(range(10), [0] * 10, model="m", task=Multiclass())
    first.labels(range(5), [0] * 5)
    assert labelled(first) == 5
    store.away = True
    assert labelled(first) == 5
    assert labelled(second) is None
    store.away = False
    first.home.delivery.backoff.clear()
    second.home.delivery.backoff.clear()
    first.labels(range(5, 8), [0] * 3)
    assert labelled(second) == 8
    store.away = True
    assert (labelled(first), labelled(second)) == (None, 8)
    (tmp_path / "run" / "latest").unlink()
    assert labelled(second) is None
    store.away = False
    first.home.delivery.backoff.clear()
    assert labelled(first) == 8
    first.close()
    second.close()


def test_what_was_shown_last(tmp_path: Path) -> None:
    """The newest part is kept, another store begins anew, and what cannot be read or written is no reason to raise."""
    latest = Latest(str(tmp_path / "run"))
    parts = {(origin, epoch): Part(origin, epoch, "store", 0.0, 1.0) for origin in ("a b", "c") for epoch in (1, 2, 10)}
    assert latest.passed(parts["a b", 1])
    latest.note(parts["a b", 2])
    latest.note(parts["a b", 1])
    assert [latest.passed(parts["a b", epoch]) for epoch in (1, 2, 10)] == [True, False, True]
    latest.note(parts["a b", 10])
    assert not latest.passed(parts["a b", 10])
    latest.note(parts["c", 1])
    assert not latest.passed(parts["c", 1])
    assert latest.passed(parts["a b", 10])
    file = tmp_path / "run" / "latest"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"\xff")
    assert latest.passed(parts["c", 1])
    latest.note(parts["c", 1])
    assert not latest.passed(parts["c", 1])
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    latest.note(parts["c", 1])
    assert latest.passed(parts["c", 1])
    assert not (tmp_path / "elsewhere").exists()
