"""Tests of what a machine adds up and puts aside; here every other machine of the same process has ended."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelmon import LabelClient
from modelmon.directory import sheets, sums
from modelmon.directory.lives import Lives
from modelmon.directory.machine import Machine
from modelmon.directory.sheets import Scribe, Sheet
from modelmon.parts import Part, SeriesPart
from modelmon.serving.metrics import StoreMetrics
from modelmon.tallies import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system lacks the locks")
HOUR = 3600.0


def part(origin: str, slots: Iterable[int], *, width: float = HOUR) -> Part:
    """Return what a process counted: a call in each slot, of a class that compresses badly."""
    ledger = Ledger()
    for slot in slots:
        for tally in ledger.book(slot):
            tally.counts("calls").add(("ok", ""), 1)
            tally.counts("predicted").add((os.urandom(50).hex(),), 1)
    return Part(origin, 1, "process", 0.0, width, {("m", ""): SeriesPart(None, (), {(): ledger})})


def machine(root: Path) -> Machine:
    """Return the machine of another process, or so it seems to all others."""
    return Machine(str(root), Lives())


def publish(root: Path, origin: str, slots: Iterable[int], *, history: float | None = None) -> Machine:
    """Return the machine of a process that published a part and has ended."""
    made = machine(root)
    made.publish(part(origin, slots), news=True, history=history)
    return made


def fold(root: Path, *, now: float = 0.0, history: float | None = None) -> Machine:
    """Return a machine that added up all that ended."""
    made = machine(root)
    made.fold(now, history, 100, anew=True)
    return made


def calls(parts: Iterable[Part]) -> tuple[int, list[int]]:
    """Return the calls of some parts, and the slots that stand apart."""
    ledgers = [ledger for one in parts for series in one.series.values() for ledger in series.ledgers.values()]
    slots = sorted({number for ledger in ledgers for number in ledger.slots})
    return sum(ledger.total["calls"].total for ledger in ledgers), slots


def test_a_sum_that_would_be_too_large_loses_its_oldest_slots_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process reads all calls, as does the one that wrote them; and that is named once."""
    publish(tmp_path, "a", range(20))
    publish(tmp_path, "b", range(20, 40))
    for origin in ("a", "b"):
        folding = machine(tmp_path)
        size = (tmp_path / "workers" / f"{origin}.part").stat().st_size
        monkeypatch.setattr(sheets, "MOST_BYTES", int(1.5 * size))
        folding.fold(0.0, None, 1, anew=True)
    folding.fold(0.0, None, 1, anew=True)
    found, slots = calls(machine(tmp_path).parts())
    assert found == 40
    assert slots == list(range(slots[0], 40))
    assert 0 < slots[0] < 35
    assert calls(folding.parts()) == (found, slots)
    assert (tmp_path / "ended.part").stat().st_size <= sheets.MOST_BYTES
    assert folding.passed_over() == ["too_large"]
    assert folding.passed_over() == []


def test_a_process_that_counts_too_much_is_written_without_its_oldest_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps them itself; that its file lacks them is named once, however often it is written."""
    own, counted = machine(tmp_path), part("a", range(20))
    size = own.publish(counted, news=True)
    monkeypatch.setattr(sheets, "MOST_BYTES", size - 1)
    for _ in range(2):
        assert own.publish(counted, news=True) < size
    assert calls(own.parts(counted)) == (20, list(range(20)))
    assert calls(machine(tmp_path).parts()) == (20, list(range(1, 20)))
    assert own.passed_over() == ["too_large"]


@pytest.mark.parametrize("bound", [2000, 100], ids=["file", "piece"])
def test_what_could_not_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    """Totals that are too much by themselves are refused; what was written before stays."""
    own = publish(tmp_path, "a", range(3))
    before = (tmp_path / "workers" / "a.part").read_bytes()
    monkeypatch.setattr(sheets, "MOST_BYTES", 0)
    monkeypatch.setattr(sheets, "READ_BYTES", bound if bound < 2000 else len(Scribe().write(_emptied(3))) - 1)
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        own.publish(part("a", range(3)), news=True)
    assert (tmp_path / "workers" / "a.part").read_bytes() == before


def _emptied(slots: int) -> Sheet:
    """Return the sheet of a part of which no slot is left."""
    return Sheet(parts=(sums.without_slots(part("a", range(slots)), slots * HOUR),))


@pytest.mark.fault("S3")
@pytest.mark.parametrize("which", ["ended.part", "workers/b.part"])
def test_a_damaged_file_is_put_aside(tmp_path: Path, which: str) -> None:
    """It is counted, and lies in the directory as it was, whoever adds up; the others are added up all the same."""
    publish(tmp_path, "a", [1])
    fold(tmp_path)
    for origin in ("b", "c"):
        publish(tmp_path, origin, [1, 2])
    data = (tmp_path / which).read_bytes()[:-7]
    (tmp_path / which).write_bytes(data)
    folding = fold(tmp_path)
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == data
    assert aside.name.startswith(Path(which).name)
    assert calls(machine(tmp_path).parts())[0] == (4 if which == "ended.part" else 3)
    assert folding.passed_over() == ["damaged"]
    assert list((tmp_path / "workers").iterdir()) == []


def test_what_was_added_up_is_not_kept_in_memory(tmp_path: Path) -> None:
    """A process that nobody scrapes reads others only to add them up."""
    for number in range(5):
        publish(tmp_path, f"a{number}", [number])
    folding = fold(tmp_path)
    assert list(folding._copies._held) == ["ended"]
    assert calls(folding.parts())[0] == 5


def test_who_has_no_history_of_his_own_keeps_that_of_the_processes(tmp_path: Path) -> None:
    """What a process wrote last counts; where that is not known, what the sum was made with, and else all is kept."""
    now = 1000 * HOUR
    publish(tmp_path, "a", [1, 990])
    assert calls(fold(tmp_path, now=now).parts()) == (2, [1, 990])
    publish(tmp_path, "b", [880, 910], history=100 * HOUR)
    assert calls(fold(tmp_path, now=now).parts()) == (4, [910, 990])
    publish(tmp_path, "c", [880, 930])
    assert calls(fold(tmp_path, now=now).parts()) == (6, [910, 930, 990])
    publish(tmp_path, "d", [880], history=200 * HOUR)
    assert calls(fold(tmp_path, now=now).parts()) == (7, [880, 910, 930, 990])
    publish(tmp_path, "e", [920])
    assert calls(fold(tmp_path, now=now, history=50 * HOUR).parts()) == (8, [990])


def test_serving_adds_up_as_the_processes_do_and_shows_what_it_passed_over(tmp_path: Path) -> None:
    """Slots older than the default history stay, and a file of a newer version is counted and not remembered."""
    publish(tmp_path, "a", [1], history=1e12)
    machine(tmp_path).publish(part("b", [1]), news=True)
    newer = tmp_path / "workers" / "b.part"
    with LabelClient(tmp_path / "labels.db") as client:
        metrics = StoreMetrics(client, str(tmp_path))
        for number in range(3):
            newer.write_bytes(b"modelmon directory 2\n" + number * b"x")
            text = metrics.render({}, "text").decode()
    assert 'modelmon_exporter_failures_total{exporter="directory",reason="newer_schema"} 3' in text
    assert metrics._machine is not None
    assert metrics._machine.passed_over() == []
    assert calls(machine(tmp_path).parts()) == (1, [1])


def test_widths_that_differ_little_are_parts_of_their_own() -> None:
    """Common widths are spelled as ever, so that what was written before is replaced and not added."""
    widths = (60.0, HOUR, 0.1, 1234567.0, 1234568.0)
    found = sums.added([part(str(width), [1], width=width) for width in widths], "o", living=False)
    assert [one.origin for one in found] == ["o:0.1", "o:60", "o:3600", "o:1234567.0", "o:1234568.0"]


def test_a_lock_that_lies_there_is_known_as_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread that finds the file the moment it lies there must not open it, which would drop the lock."""
    lives, path, plain, over = Lives(), tmp_path / "a.live", Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        done = plain(self, target)
        over.append(lives.is_over(path))
        return done

    monkeypatch.setattr(Path, "replace", replace)
    lives.begin(path)
    assert over == [False]
    path.unlink()
    lives.begin(path)
    assert over == [False, False]
    lives.forget()


def test_a_lock_that_cannot_be_put_in_place_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is held stays held; where there was none, there is none."""
    lives, path = Lives(), tmp_path / "a.live"

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="full"):
            lives.begin(path)
    assert lives._held == {}
    lives.begin(path)
    held = dict(lives._held)
    path.unlink()
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="full"):
        lives.begin(path)
    assert lives._held == held
    os.fstat(held[path.name])
    lives.forget()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_that_a_copy_dropped_is_taken_again(tmp_path: Path) -> None:
    """Whatever the program did with the file, its process is known to live from the next look at the others on."""
    own = publish(tmp_path, "a", [1])
    path, over = tmp_path / "workers" / "a.live", []
    path.read_bytes()  # as a backup does; closing it drops the lock
    for _ in range(2):
        child = os.fork()
        if not child:
            os._exit(Lives().is_over(path))
        over.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        own.fold(0.0, None, 100, anew=True)
    assert over == [1, 0]
    assert own.place.found().keys() == {"a"}
