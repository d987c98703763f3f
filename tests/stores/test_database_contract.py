"""What every database under a durable store must do; a new one joins `DATABASES` in `databases.py` and passes."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from databases import head, keyed, put, read, write

from modelmon.stores.database import LONGEST_LEASE_S, Changes, Reminder

if TYPE_CHECKING:
    from databases import Another, Fresh

    from modelmon.stores.database import Database

LEAST, GREATEST = -(2**63), 2**63 - 1


def test_a_new_state_is_empty(database: Database) -> None:
    """A new state has a name of its own, no time, no documents, no deadline, no rate and no settings."""
    found = database.begin(durable=False)
    database.abandon()
    assert found.origin
    assert tuple(found[1:-1]) == (0.0, 0, 0, 0, 0, 0.0, "", math.inf, 0, 0)
    counted = database.counted(-1, 0)
    assert (counted.head, counted.folded, dict(counted.pages), list(counted.journal)) == (found, 0, {}, [])


def test_origins_differ_between_states_and_last(fresh: Fresh) -> None:
    """Each state has its own origin, the same in all processes and after closing."""
    states = [fresh(), fresh()]
    origins = []
    for make in states:
        first, second = make(), make()
        first.open()
        second.open()
        assert head(first).origin == head(second).origin
        assert head(first).history == head(first).history
        first.close()
        first.close()
        first.open()
        assert head(first).origin == head(second).origin
        origins.append(head(first).origin)
    assert origins[0] != origins[1]


def test_all_parts_of_a_change_are_written_together(database: Database, another: Another) -> None:
    """One transaction writes documents, reminders, entries, a journal entry, the awaiting count, rate and settings."""
    write(
        database,
        now=5.0,
        **keyed({-7: b"one", 9: b"two"}),
        reminders=[(30.0, b"later"), (20.0, b"sooner")],
        entries=[b"e0", b"e1"],
        journal=b"counts",
        awaiting=2,
        rate=0.5,
        settings="{}",
        durable=True,
    )
    for view in (database, another()):
        found = view.begin(durable=False)
        assert tuple(found[1:-1]) == (5.0, 1, 2, 2, 2, 0.5, "{}", 20.0, 1, len(b"counts"))
        assert view.fetch(np.array([-7, 0, 9])) == [b"one", None, b"two"]
        assert view.entries(0) == [b"e0", b"e1"]
        assert view.entries(1) == [b"e1"]
        assert view.entries(2) == []
        assert [reminder[1:] for reminder in view.due(math.inf, 10)] == [(20.0, b"sooner"), (30.0, b"later")]
        view.abandon()
        assert list(view.counted(-1, 0).journal) == [b"counts"]


def test_abandoned_transactions_leave_nothing(database: Database) -> None:
    """Abandoning ends a transaction without a trace, and is harmless at any time."""
    database.abandon()
    database.begin(durable=True)
    assert database.fetch(np.array([1])) == [None]
    database.abandon()
    database.abandon()
    write(database, **keyed({1: b"x"}))
    database.abandon()
    assert read(database, [1]) == [b"x"]
    assert head(database).sequence == 1


def test_the_greatest_time_is_kept(database: Database) -> None:
    """The head's time never goes back; the awaiting count adds up; rate and settings stay unless given."""
    write(database, now=7.0, awaiting=5, rate=1.0, settings="a")
    write(database, now=3.0, awaiting=-2)
    found = head(database)
    assert (found.now, found.awaiting, found.rate, found.settings, found.sequence) == (7.0, 3, 1.0, "a", 2)
    write(database, now=3.0, rate=0.25, held_rate=1.0)
    assert (head(database).rate, head(database).settings) == (0.25, "a")


def test_documents_come_in_the_order_of_the_keys(database: Database) -> None:
    """Documents come as asked, wherever keys lie, however many they are, and however long they are."""
    keys = [LEAST, LEAST + 1, -5, -1, 0, 1, 2**32, GREATEST - 1, GREATEST]
    documents = {key: b"%d" % key for key in keys} | {0: b"\0" * 100_000, 1: b""[:0] + b"\xff"}
    put(database, documents)
    assert read(database, keys) == [documents[key] for key in keys]
    assert read(database, [LEAST + 2, -5, 3, GREATEST]) == [None, documents[-5], None, documents[GREATEST]]
    assert read(database, []) == []


def test_many_documents_in_one_transaction(database: Database, another: Another) -> None:
    """A transaction may hold tens of thousands of documents."""
    random = np.random.default_rng(1)
    keys = np.unique(random.integers(LEAST, GREATEST, 20_000))
    bodies: list[bytes | None] = [b"%d" % key * (key % 9 + 1) for key in keys.tolist()]
    write(database, keys=keys, before=[None] * len(keys), after=bodies)
    view = another()
    assert view.begin(durable=False).documents == len(keys)
    assert view.fetch(keys) == bodies
    after: list[bytes | None] = [None if number % 3 else body for number, body in enumerate(bodies)]
    assert view.apply(Changes(now=1.0, keys=keys, before=bodies, after=after))
    database.begin(durable=True)
    assert database.fetch(keys[::7]) == after[::7]
    database.abandon()
    assert head(database).documents == len([body for body in after if body is not None])


def test_documents_go_and_come_back(database: Database, another: Another) -> None:
    """A document that goes is gone for every process, and may come back."""
    view = another()
    put(database, {1: b"a", 2: b"b"})
    put(view, {1: None, 3: None, 2: b"c"})
    assert read(database, [1, 2, 3]) == [None, b"c", None]
    assert head(database).documents == 1
    put(database, {1: b"d"})
    assert read(view, [1, 2]) == [b"d", b"c"]
    assert head(view).documents == 2


def test_reminders_come_earliest_first_and_go_when_told(database: Database, another: Another) -> None:
    """Reminders due before a time come in order, up to a limit, stay until they are told to go, and may be equal."""
    view = another()
    write(database, reminders=[(30.0, b"c"), (10.0, b"a"), (20.0, b"b"), (10.0, b"a")])
    view.begin(durable=False)
    assert view.due(10.0, 9) == []
    first = view.due(25.0, 2)
    assert [reminder[1:] for reminder in first] == [(10.0, b"a"), (10.0, b"a")]
    assert first[0].number != first[1].number
    assert isinstance(first[0], Reminder)
    assert [reminder.body for reminder in view.due(25.0, 9)] == [b"a", b"a", b"b"]
    assert view.apply(Changes(now=1.0, reminded=[first[0].number], reminders=[(15.0, b"x")]))
    database.begin(durable=False)
    found = database.due(math.inf, 9)
    assert [reminder.body for reminder in found] == [b"a", b"x", b"b", b"c"]
    assert database.apply(Changes(now=1.0, reminded=[reminder.number for reminder in found[:3]]))
    assert head(view).due == 30.0
    view.begin(durable=False)
    assert view.apply(Changes(now=1.0, reminded=[view.due(math.inf, 1)[0].number]))
    assert head(view).due == math.inf


def test_a_scan_sees_every_document_that_stays(database: Database, another: Another) -> None:
    """A walk over the documents, with changes between its steps, shows all that are there all the time."""
    random = np.random.default_rng(2)
    keys = np.unique(random.integers(LEAST, GREATEST, 3000))
    stay, come_and_go = keys[::2], keys[1::2]
    put(database, {int(key): b"stays" for key in stay})
    view, seen, after, steps = another(), {}, None, 0
    while True:
        database.begin(durable=False)
        found, bodies, after = database.scan(after, 200)
        database.abandon()
        assert np.all(found[1:] > found[:-1])
        assert len(found) == len(bodies)
        seen.update(dict(zip(found.tolist(), bodies, strict=True)))
        steps += 1
        assert steps < 1000
        if after is None:
            break
        some = random.choice(come_and_go, 50, replace=False).tolist()
        put(view, {key: random.choice([b"x", None]) for key in some})
        put(view, dict.fromkeys(random.choice(stay, 20, replace=False).tolist(), b"stays"))
    assert {key: seen.get(key) for key in stay.tolist()} == dict.fromkeys(stay.tolist(), b"stays")
    assert set(seen) <= set(keys.tolist())


def test_pages_and_the_journal_are_of_one_moment(database: Database, another: Another) -> None:
    """Two processes count the journal, fold it in turns, and each learns only what it does not have."""
    view = another()
    for number in range(1, 4):
        write(database, journal=b"j%d" % number)
    assert (head(view).journal, head(view).backlog) == (3, 6)
    assert list(view.counted(0, 2).journal) == [b"j3"]
    assert view.fold({"p/1": b"one", "p/2": b"two"}, 2, 0)
    assert not database.fold({"p/1": b"wrong"}, 3, 0)
    found = database.counted(-1, 0)
    assert (found.folded, dict(found.pages), list(found.journal)) == (2, {"p/1": b"one", "p/2": b"two"}, [b"j3"])
    assert (found.head.journal, found.head.backlog) == (3, 2)
    assert list(database.counted(2, 3).journal) == []
    write(database, journal=b"j4")
    assert database.fold({"p/1": b"", "p/3": b"three"}, 4, 2)
    found = view.counted(2, 3)
    assert (found.folded, dict(found.pages), list(found.journal)) == (4, {"p/1": b"", "p/3": b"three"}, [])
    pages = {name: body for name, body in view.counted(-1, 0).pages.items() if body}
    assert pages == {"p/2": b"two", "p/3": b"three"}
    assert dict(view.counted(4, 4).pages) == {}
    write(view, journal=b"j5")
    found = database.counted(4, 4)
    assert (found.head.journal, found.head.backlog, list(found.journal)) == (5, 2, [b"j5"])


def test_leases_have_one_holder_and_end(database: Database, another: Another) -> None:
    """A lease has one holder, who may extend it or give it back; it ends by itself."""
    view = another()
    assert database.lease("exporter", "a", 60.0)
    assert database.lease("exporter", "a", 120.0)
    assert not view.lease("exporter", "b", 60.0)
    assert view.lease("sweeper", "b", 60.0)
    view.release("exporter", "b")
    assert not view.lease("exporter", "b", 60.0)
    assert database.lease("exporter", "a", 0.1)
    time.sleep(0.2)
    assert view.lease("exporter", "b", 60.0)
    assert not database.lease("exporter", "a", 60.0)
    view.release("exporter", "b")
    assert database.lease("exporter", "a", 60.0)


def test_whoever_only_asks_for_a_lease_leaves_none(database: Database, another: Another) -> None:
    """Asking for no seconds tells who could have a lease, and changes nothing."""
    view = another()
    assert database.lease("exporter", "a", 0.0)
    assert database.lease("exporter", "b", 60.0)
    assert not view.lease("exporter", "a", 0.0)
    assert view.lease("exporter", "b", 0.0)
    assert not view.lease("exporter", "a", 60.0)


def test_a_lease_that_ends_far_ahead_is_over(database: Database, another: Another) -> None:
    """Nobody asks for so long a lease: the clock that it ends by was set back since."""
    assert database.lease("exporter", "a", LONGEST_LEASE_S + 60.0)
    assert another().lease("exporter", "b", 60.0)
    assert not database.lease("exporter", "a", 60.0)


def test_notes_are_kept_by_name(database: Database, another: Another) -> None:
    """Notes are written, read by other processes, replaced and taken away; a name may hold any text."""
    name = "file:'; DROP TABLE documents; --\u2028é"
    assert database.noted(name) is None
    database.note(name, b"\0\xff")
    assert another().noted(name) == b"\0\xff"
    database.note(name, b"")
    assert another().noted(name) == b""
    database.note(name, None)
    database.note(name, None)
    assert another().noted(name) is None


def test_the_check_finds_nothing_wrong(database: Database) -> None:
    """A sound database passes its own integrity check."""
    put(database, {1: b"a"}, reminders=[(1.0, b"x")], journal=b"j", entries=[b"e"])
    assert database.check() == []


def test_the_clock_is_near_ours(database: Database) -> None:
    """A database with a clock of its own tells the time within a transaction."""
    database.begin(durable=False)
    now = database.time()
    database.abandon()
    assert now is None or abs(now - time.time()) < 60.0
