"""Journal entries and pages of counts, split and folded anyhow, add up to what a memory store counts."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import worlds
from hypothesis import HealthCheck, given, settings

import modelmon.stores.counting
from modelmon.errors import StoreError
from modelmon.stores.books import Books
from modelmon.stores.catalogue import Catalogue
from modelmon.stores.counting import Counting
from modelmon.stores.database import Counted, Head
from modelmon.stores.holdings import Holdings
from modelmon.stores.journal import VERSION, pack, unpack
from modelmon.stores.series import Assumption
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

SLICES = [(), (("region", "eu"),), (("region", "us"),)]
TASKS: dict[str, Any] = {
    "open": Multiclass(),
    "rows": Multiclass(["a", "b", "c"]),
    "two": Binary("a"),
    "number": Regression(),
    "flags": Multilabel(["a", "b"]),
}
LABELS: dict[str, list[Any]] = {
    "open": ["a", "b", 3, worlds.RETRACT],
    "rows": ["a", "b", "c", worlds.RETRACT],
    "two": ["a", "other", worlds.RETRACT],
    "number": [1.5, 2, -7, worlds.RETRACT],
    "flags": [{"a"}, {"a", "b"}, (1, None), (0, 1), worlds.RETRACT],
}
SPANS = {"ttl": 100.0, "early_ttl": 50.0, "correction_horizon": 80.0, "forget_after": 40.0, "window": 5.0}

models = st.sampled_from(sorted(TASKS))
ids = st.lists(st.integers(0, 5), min_size=1, max_size=5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), models, ids, st.integers(0, 1 << 20)),
        st.tuples(st.just("label"), models, ids, st.integers(0, 1 << 20)),
        st.tuples(st.just("pass"), models, st.just([0]), st.sampled_from([1, 4, 7, 60])),
        st.tuples(st.sampled_from(["read", "fold"]), models, st.just([0]), st.integers(0, 3)),
    ),
    max_size=25,
)


def predict(world: worlds.World, model: str, names: list[int], choice: int) -> None:
    """Predict for one model, in the form that its task has."""
    n, random = len(names), np.random.default_rng(choice)
    slices = [SLICES[at] for at in random.integers(0, len(SLICES), n)]
    columns: dict[str, Any] = {}
    classes = random.choice(["a", "b"], n).tolist()
    if model == "rows":
        columns = {"scores": random.dirichlet([1.0] * 3, n), "columns": ("a", "b", "c")}
    elif model == "flags":
        classes, columns = None, {"flags": random.integers(0, 2, (n, 2), np.uint8), "columns": ("a", "b")}
    elif model == "two":
        classes, columns = random.choice(["a", "other"], n).tolist(), {"scores": random.random(n)}
    elif model == "number":
        classes, columns = None, {"scores": random.integers(0, 5, n) / 2}
    times = world.clock.now - random.choice([0.0, 0.0, 3.0, 12.0], n)
    world.predict(named(model, names), classes, model=model, task=TASKS[model], at=times, slices=slices, **columns)


def named(model: str, names: list[int]) -> list[str]:
    """Return ids, of which some are the same for all models."""
    return [f"{model}-{name}" if name % 4 else str(name) for name in names]


def label(world: worlds.World, model: str, names: list[int], choice: int) -> None:
    """Label for one model, or for all."""
    random = np.random.default_rng(choice)
    given = [LABELS[model][at] for at in random.integers(0, len(LABELS[model]), len(names))]
    scope = model if choice % 3 else None
    flags = [value for value in given if isinstance(value, (set, tuple))]
    values = given if not flags or len(flags) == len(given) else [worlds.RETRACT] * len(given)
    world.label(named(model, names), values, model=scope)


class Ledgers:
    """What a database keeps of counts: entries, pages and the journal."""

    def __init__(self) -> None:
        """Begin empty."""
        self.entries: list[bytes] = []
        self.journal: list[bytes] = []
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.folded = 0

    def counted(self, fold: int, journal: int) -> Counted:
        """Return what came after a fold and a journal entry."""
        head = Head("o", 0.0, 0, len(self.entries), 0, 0, 0.0, "", np.inf, len(self.journal), 0)
        pages = {name: body for name, (written, body) in self.pages.items() if written > fold}
        return Counted(head, self.folded, pages, self.journal[max(self.folded, journal) :])

    def fold(self, pages: dict[str, bytes], upto: int, held: int) -> bool:
        """Write pages, unless somebody folded meanwhile."""
        if held != self.folded:
            return False
        self.pages.update({name: (upto, body) for name, body in pages.items()})
        self.folded = upto
        return True


class Reader:
    """A process that reads counts and now and then folds them."""

    def __init__(self, ledgers: Ledgers, history: float) -> None:
        """Begin with nothing."""
        self.ledgers, self.history = ledgers, history
        self.catalogue = Catalogue()
        self.books: Books | None = None

    def read(self) -> Books:
        """Take in all that is new."""
        self.catalogue.apply(self.ledgers.entries[self.catalogue.known :])
        books = self.books
        if books is not None and books.follow(self.ledgers.counted(books.folded, books.journal)):
            return books
        books = self.books = Books(self.catalogue, SPANS["window"], self.history)
        books.follow(self.ledgers.counted(-1, 0))
        return books

    def fold(self, now: float) -> None:
        """Fold what was read so far, however much came since."""
        books = self.books
        if books is None or books.journal <= books.folded:
            return
        if self.ledgers.fold(books.changed(now), books.journal, books.folded):
            books.folded = books.journal
            books.written()
        else:
            self.books = None


class Writer:
    """A memory store, and beside it batches whose counts go to a journal."""

    def __init__(self, history: float) -> None:
        """Open both."""
        self.ledgers = Ledgers()
        self.whole = worlds.World(**SPANS, history=history)
        self.batch = worlds.World(**SPANS, history=history)
        self.catalogue = Catalogue()
        self.holdings = Holdings(self.batch.settings, self.catalogue.groups, self.catalogue.objects)
        self.batch.store._holdings = self.holdings
        self.history = history
        for world in (self.whole, self.batch):
            world.store.assume("two", None, Assumption("other", 9.0))
            world.store.assume("flags", None, Assumption(("set", ("a",)), 30.0))
        self.cut()

    def cut(self) -> None:
        """End a batch: what is new in the catalogue and what was counted are written."""
        entry = pack(self.holdings.counting, self.catalogue)
        self.ledgers.entries += [line for line in self.catalogue.news() if line not in self.ledgers.entries]
        if entry is not None:
            self.ledgers.journal.append(entry)
        self.holdings.counting = Counting(self.catalogue.groups, SPANS["window"], self.history)

    def step(self, kind: str, model: str, names: list[int], choice: int) -> None:
        """Do one step in both."""
        for world in (self.whole, self.batch):
            if kind == "predict":
                predict(world, model, names, choice)
            elif kind == "label":
                label(world, model, names, choice)
            elif kind == "pass":
                world.clock.now += choice
                world.store.sweep()


def same(writer: Writer, books: Books) -> None:
    """Check that books hold what the memory store counted."""
    part = writer.whole.store.part()
    series = books.series(writer.whole.clock.now)
    assert books.counts == part.counts
    assert series.keys() == part.series.keys()
    for key, expected in part.series.items():
        found = series[key]
        assert (found.task, found.classes) == (expected.task, expected.classes)
        assert found.ledgers == expected.ledgers
        assert found.shared == expected.shared


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.sampled_from([20.0, 1e6]))
def test_any_split_and_fold_counts_the_same(program: list[Any], history: float) -> None:
    """Two readers, of which either folds at any moment, count what a memory store does."""
    writer = Writer(history)
    readers = [Reader(writer.ledgers, history) for _ in range(2)]
    for kind, what, names, choice in program:
        if kind == "read":
            readers[choice % 2].read()
        elif kind == "fold":
            readers[choice % 2].fold(writer.whole.clock.now)
        else:
            writer.step(kind, what, names, choice)
        if choice % 2 or kind == "fold":
            writer.cut()
    writer.step("pass", "open", [0], 0)
    writer.cut()
    for reader in readers:
        same(writer, reader.read())
    readers[0].fold(writer.whole.clock.now)
    same(writer, readers[0].read())
    same(writer, readers[1].read())
    same(writer, Reader(writer.ledgers, history).read())


def test_a_fold_of_less_than_was_counted_begins_anew() -> None:
    """Who has counted more than somebody else then folds loses nothing of it, and counts nothing twice."""
    writer = Writer(1e6)
    slow, quick = Reader(writer.ledgers, 1e6), Reader(writer.ledgers, 1e6)
    for choice in (1, 2, 4):
        writer.step("predict", "two", [choice], choice)
        writer.step("label", "two", [choice], choice)
        writer.cut()
        if choice < 4:
            slow.read()
    before = quick.read()
    slow.fold(writer.whole.clock.now)
    same(writer, quick.read())
    assert quick.books is not before
    same(writer, slow.read())


def test_a_fold_takes_old_slots_away() -> None:
    """Pages of slots older than the history are dropped, and stay dropped where late rows are counted into them."""
    writer = Writer(20.0)
    reader = Reader(writer.ledgers, 20.0)
    for _ in range(3):
        writer.step("predict", "rows", [1, 2], 0)
        writer.step("label", "rows", [1, 2], 1)
        writer.cut()
        reader.read()
        now = writer.whole.clock.now
        reader.fold(now)
        kept = {
            int(name.split("/")[2]) for name, (_, body) in writer.ledgers.pages.items() if name[-1].isdigit() and body
        }
        assert kept
        assert min(kept) >= (now - 20.0) // SPANS["window"]
        writer.step("pass", "open", [0], 60)


@pytest.mark.parametrize("model", sorted(TASKS))
def test_large_batches_count_the_same(model: str) -> None:
    """Batches in which every label joins, more rows than wait before they are counted, and rows taken back."""
    writer = Writer(1e6)
    reader = Reader(writer.ledgers, 1e6)
    for start in range(0, 35_000, 5_000):
        writer.step("predict", model, [*range(start, start + 5_000)], start)
        writer.cut()
        for world in (writer.whole, writer.batch):
            given = [value for value in LABELS[model] if value is not worlds.RETRACT]
            world.clock.now += 1.25
            names = named(model, [*range(start, start + 4_000)])
            world.label(names, [given[at % len(given)] for at in range(len(names))])
        writer.cut()
        writer.step("label", model, [*range(start, start + 5_000, 50)], 1)
        writer.cut()
    assert {section.kind for entry in writer.ledgers.journal for section in unpack(entry, 5.0).sections} >= {"joins"}
    same(writer, reader.read())


def test_coarser_slots_are_pages_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots whose score histograms are made coarser to save memory are written, and so is how often that was."""
    monkeypatch.setattr(modelmon.stores.counting, "SLOT_BYTES", 0)
    writer = Writer(1e6)
    reader = Reader(writer.ledgers, 1e6)
    writer.step("predict", "rows", [1, 2], 0)
    writer.step("label", "rows", [1, 2], 1)
    writer.cut()
    books = reader.read()
    assert any(name.startswith("s/0/") for name in books.changed(0.0))
    books.written()
    assert {name.split("/")[0] for name in books.changed(0.0)} == {"s", "counts"}


def test_wide_values_stay_exact() -> None:
    """Truths past 32 bits and slots as far are packed as they are."""
    writer = Writer(1e6)
    reader = Reader(writer.ledgers, 1e6)
    for world in (writer.whole, writer.batch):
        world.predict(
            ["a", "b", "old"], model="number", task=Regression(), at=[0.0, -1.0, -1e11], scores=[0.5, -1e300, 2.0]
        )
        world.label(["a", "b"], [1e12, -3e9 - 0.25])
    writer.cut()
    same(writer, reader.read())


def test_nothing_is_no_entry() -> None:
    """A transaction that counted nothing writes no entry."""
    catalogue = Catalogue()
    assert pack(Counting(catalogue.groups, 5.0, 50.0), catalogue) is None


def test_newer_entries_are_refused() -> None:
    """An entry of a newer version asks for an upgrade instead of being misread."""
    with pytest.raises(StoreError, match="upgrade"):
        unpack(bytes([VERSION + 1]) + bytes(15), 5.0)
