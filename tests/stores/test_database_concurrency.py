"""What databases do for several threads and processes, and in random programs; see `test_database_contract`."""

from __future__ import annotations

import gc
import math
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from databases import head, put, read, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelmon.stores.database import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from databases import Another, Fresh

    from modelmon.stores.database import Database, Head

ONE = np.array([1], np.int64)


def add_to_a_document(database: Database, found: Head, name: str) -> Changes:
    """Append to a document what was read from it and a name."""
    before = database.fetch(ONE)
    return Changes(now=1.0, keys=ONE, before=before, after=[(before[0] or b"") + name.encode()])


def add_an_entry(database: Database, found: Head, name: str) -> Changes:
    """Append an entry that says how many there were."""
    entries = database.entries(0)
    assert len(entries) == found.entries
    return Changes(now=1.0, known=len(entries), entries=[b"%d%s" % (len(entries), name.encode())])


def halve_the_rate(database: Database, found: Head, name: str) -> Changes:
    """Halve the rate that was read."""
    return Changes(now=1.0, rate=found.rate / 2, held_rate=found.rate)


def take_a_reminder(database: Database, found: Head, name: str) -> Changes:
    """Take one reminder away and write its body into the journal."""
    reminder = database.due(math.inf, 1)[0]
    return Changes(now=1.0, reminded=[reminder.number], journal=reminder.body + name.encode())


def until_applied(database: Database, step: Callable[..., Changes], name: str) -> None:
    """Repeat a step until it is applied."""
    while not database.apply(step(database, database.begin(durable=False), name)):
        pass


STEPS = (add_to_a_document, add_an_entry, halve_the_rate, take_a_reminder)


@pytest.mark.fault("L16")
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_what_was_read_still_holds_when_it_is_written(
    database: Database, another: Another, step: Callable[..., Changes]
) -> None:
    """Of two transactions at once one waits, or is told to begin again; neither writes on what has changed."""
    write(database, rate=1.0, reminders=[(1.0, b"r0"), (2.0, b"r1")])
    view = another()
    changes = step(database, database.begin(durable=False), "a")
    thread = threading.Thread(target=until_applied, args=(view, step, "b"))
    thread.start()
    thread.join(0.3)
    if not database.apply(changes):
        until_applied(database, step, "a")
    thread.join(30)
    assert not thread.is_alive()
    found = database.counted(-1, 0)
    if step is add_to_a_document:
        assert read(database, [1])[0] in {b"ab", b"ba"}
    elif step is add_an_entry:
        database.begin(durable=False)
        assert database.entries(0) in ([b"0a", b"1b"], [b"0b", b"1a"])
        database.abandon()
    elif step is halve_the_rate:
        assert found.head.rate == 0.25
    else:
        assert list(found.journal) in ([b"r0a", b"r1b"], [b"r0b", b"r1a"])
        assert found.head.due == math.inf


def test_threads_with_objects_of_their_own_lose_no_step(another: Another) -> None:
    """Four threads append to one document; every step of each is there once, in its order."""
    views = [another() for _ in range(4)]

    def work(number: int) -> None:
        for _ in range(15):
            until_applied(views[number], add_to_a_document, str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    body = read(views[0], [1])[0]
    assert body is not None
    assert sorted(body) == sorted(b"0123" * 15)
    assert head(views[1]).sequence == 60


def test_one_object_may_be_used_by_several_threads_in_turn(database: Database) -> None:
    """A transaction begun on one thread may be read and applied on another."""
    done: list[Any] = []

    def on_a_thread(function: Callable[[], Any]) -> Any:
        thread = threading.Thread(target=lambda: done.append(function()))
        thread.start()
        thread.join(30)
        return done[-1]

    assert on_a_thread(lambda: database.begin(durable=True)).sequence == 0
    assert on_a_thread(lambda: database.fetch(ONE)) == [None]
    assert on_a_thread(lambda: database.apply(Changes(now=1.0, keys=ONE, before=[None], after=[b"x"])))
    assert read(database, [1]) == [b"x"]


def in_a_child(function: Callable[[], None]) -> int:
    """Run a function in a forked child and return its exit status: 0 if it did not raise."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            gc.collect()
        except BaseException:  # the child must not run on into the test session
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.fault("F13")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_connection_of_its_own(database: Database, another: Another) -> None:
    """A child writes through a connection of its own while its parent's goes on working."""
    put(database, {1: b"parent"})

    def child() -> None:
        database.open()
        assert read(database, [1]) == [b"parent"]
        put(database, {1: b"child"})
        database.close()

    for _ in range(2):
        assert in_a_child(child) == 0
        assert read(database, [1]) == [b"child"]
        put(database, {1: b"parent"})
        assert read(another(), [1]) == [b"parent"]


@pytest.mark.fault("F13")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_within_a_transaction_leaves_it_alone(database: Database, another: Another) -> None:
    """A transaction that was under way at a fork goes on in the parent, whatever the child calls."""
    database.begin(durable=False)
    assert database.fetch(ONE) == [None]

    def child() -> None:
        database.abandon()
        database.close()

    assert in_a_child(child) == 0
    assert database.apply(Changes(now=1.0, keys=ONE, before=[None], after=[b"x"]))
    assert read(another(), [1]) == [b"x"]


KEYS = st.integers(-4, 4)
BODIES = st.none() | st.binary(max_size=40)
STEP = st.fixed_dictionaries(
    {
        "view": st.integers(0, 1),
        "abandon": st.booleans(),
        "documents": st.dictionaries(KEYS, BODIES, max_size=6),
        "reminders": st.lists(st.tuples(st.sampled_from([1.5, 2.0, 7.25]), st.binary(max_size=3)), max_size=3),
        "remind": st.integers(0, 2),
        "entries": st.lists(st.binary(min_size=1, max_size=9), max_size=2),
        "journal": st.none() | st.binary(min_size=1, max_size=9),
        "awaiting": st.integers(-3, 3),
        "now": st.sampled_from([0.0, 1.0, 2.0]),
        "durable": st.booleans(),
        "fold": st.none() | st.dictionaries(st.sampled_from("abc"), st.binary(max_size=5), min_size=1),
    }
)


class Plain:
    """Keep the same in dictionaries and lists."""

    def __init__(self) -> None:
        """Start empty."""
        self.documents: dict[int, bytes] = {}
        self.reminders: list[tuple[float, bytes]] = []
        self.entries: list[bytes] = []
        self.journal: list[bytes] = []
        self.pages: dict[str, bytes] = {}
        self.folded = self.awaiting = self.sequence = 0
        self.now = 0.0

    def run(self, step: dict[str, Any], database: Database) -> None:
        """Do a step on both, and compare what is read on the way."""
        found = database.begin(durable=step["durable"])
        assert (found.sequence, found.awaiting, found.now) == (self.sequence, self.awaiting, self.now)
        assert (found.documents, found.entries) == (len(self.documents), len(self.entries))
        assert found.due == min((due for due, _ in self.reminders), default=math.inf)
        keys = np.array(sorted(step["documents"]), np.int64)
        before = database.fetch(keys)
        assert before == [self.documents.get(key) for key in keys.tolist()]
        due = database.due(5.0, step["remind"])
        assert len(due) == min(step["remind"], sum(at < 5.0 for at, _ in self.reminders))
        if step["abandon"]:
            database.abandon()
            return
        after = [step["documents"][key] for key in keys.tolist()]
        plain = {name: step[name] for name in ("now", "reminders", "entries", "journal", "awaiting")}
        known = {"known": len(self.entries), "reminded": [reminder.number for reminder in due]}
        assert database.apply(Changes(keys=keys, before=before, after=after, **plain, **known))
        self.follow(step, dict(zip(keys.tolist(), after, strict=True)))
        for reminder in due:
            self.reminders.remove((reminder.due, reminder.body))

    def follow(self, step: dict[str, Any], documents: dict[int, bytes | None]) -> None:
        """Do what an applied step did."""
        for key, body in documents.items():
            self.documents.pop(key, None)
            if body is not None:
                self.documents[key] = body
        self.reminders += step["reminders"]
        self.entries += step["entries"]
        self.journal += [step["journal"]] if step["journal"] else []
        self.awaiting += step["awaiting"]
        self.now = max(self.now, step["now"])
        self.sequence += 1

    def fold(self, pages: dict[str, bytes], database: Database) -> None:
        """Fold the journal into some pages on both."""
        if len(self.journal) == self.folded:
            return
        assert not database.fold(pages, len(self.journal), self.folded + 1)
        assert database.fold(pages, len(self.journal), self.folded)
        self.folded = len(self.journal)
        self.pages.update(pages)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(STEP, min_size=1, max_size=12))
def test_random_programs_do_what_dictionaries_do(fresh: Fresh, program: list[dict[str, Any]]) -> None:
    """Any program over two processes reads and keeps what plain dictionaries would."""
    make, plain = fresh(), Plain()
    views = [make(), make()]
    for view in views:
        view.open()
    for step in program:
        plain.run(step, views[step["view"]])
        if step["fold"]:
            plain.fold(step["fold"], views[step["view"]])
    for view in views:
        counted = view.counted(-1, 0)
        assert {name: body for name, body in counted.pages.items() if body} == {
            name: body for name, body in plain.pages.items() if body
        }
        assert (list(counted.journal), counted.folded) == (plain.journal[plain.folded :], plain.folded)
        assert counted.head.backlog == sum(map(len, plain.journal[plain.folded :]))
        view.begin(durable=False)
        assert view.entries(0) == plain.entries
        documents, after = {}, None
        while True:
            keys, bodies, after = view.scan(after, 4)
            documents.update(zip(keys.tolist(), bodies, strict=True))
            if after is None:
                break
        assert {key: body for key, body in documents.items() if body is not None} == plain.documents
        view.abandon()
        view.close()
