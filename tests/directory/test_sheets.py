"""Tests of sheets and sums: what a file says, and parts added up."""

from __future__ import annotations

import random

import pytest

from modelmon.directory import sums
from modelmon.directory.sheets import DamagedError, NewerError, Scribe, Sheet
from modelmon.parts import Part, SeriesPart
from modelmon.snapshot import Snapshot
from modelmon.tallies import Ledger, Tally

PAGES = ((), (("country", "at"),), (("country", "de"),))


def part(seed: int, *, window: float = 3600.0) -> Part:
    """Return what some process could have counted."""
    chance = random.Random(seed)
    series = {}
    for model in chance.sample(["a", "b", "c"], 2):
        ledgers = {page: Ledger() for page in chance.sample(PAGES, 2)}
        for ledger in ledgers.values():
            for slot in chance.sample(range(10), 3):
                for tally in ledger.book(slot):
                    tally.counts("calls").add(("ok", ""), chance.randrange(5))
                    tally.counts("predicted").add((chance.choice([1, "1", 1.5, "x"]),), chance.randrange(5))
                    tally.durations("duration:ok").add(chance.randrange(10**9), 3)
        series[model, "1"] = SeriesPart(None, (), ledgers, Ledger(), {(): chance.randrange(3)})
    counts = Tally()
    counts.counts("exporter_failures").add(("directory", "full"), seed)
    counts.counts("store_spooled").add((), 5)
    return Part(f"origin-{seed}", seed + 1, "process", 1000.0 + seed, window, series, counts)


@pytest.mark.parametrize("count", range(4))
def test_a_sheet_comes_back_as_it_was(count: int) -> None:
    """What is written is read, by who remembers an earlier version and by who does not."""
    sheet = Sheet("name", tuple(part(seed) for seed in range(count)), frozenset({"x", "y"}))
    scribe, reader = Scribe(), Scribe()
    for _ in range(2):
        assert reader.read(scribe.write(sheet)) == sheet
        assert Scribe().read(scribe.write(sheet)) == sheet
    assert scribe.write(sheet) == Scribe().write(sheet)


def test_slots_that_stay_are_neither_written_nor_read_again() -> None:
    """Both sides keep the very objects of slots that did not change, and take the ones that did."""
    scribe, reader = Scribe(), Scribe()
    ledger = Ledger()
    seen = []
    for step in range(3):
        for slot in (1, 2 + step):
            for tally in ledger.book(slot):
                tally.counts("calls").add(("ok", ""), 1)
        now = Part("o", step, "process", 0.0, 60.0, {("m", ""): SeriesPart(None, (), {(): ledger.copy()})})
        read = reader.read(scribe.write(Sheet(parts=(now,)))).parts[0]
        assert read == now
        seen.append(read.series["m", ""].ledgers[()].slots)
    assert seen[2][2] is seen[0][2]
    assert seen[2][1] is not seen[0][1]
    assert [slots[1]["calls"].total for slots in seen] == [1, 2, 3]


def test_every_piece_that_is_cut_off_is_noticed() -> None:
    """No beginning of a file passes for the whole."""
    data = Scribe().write(Sheet(parts=(part(1),)))
    for end in range(len(data)):
        with pytest.raises(DamagedError):
            Scribe().read(data[:end])


def test_schemas_of_the_future_are_told_from_damage() -> None:
    """So is a kind of count that this version does not know."""
    data = Scribe().write(Sheet(parts=(part(1),)))
    with pytest.raises(NewerError, match="upgrade"):
        Scribe().read(data.replace(b" 1\n", b" 22\n", 1))
    unknown = Part("o", 1, "process", 0.0, 60.0, counts=Tally({"new": Gyroscope()}))  # type: ignore[dict-item]
    with pytest.raises(NewerError, match="Gyroscope"):
        Scribe().read(Scribe().write(Sheet(parts=(unknown,))))


class Gyroscope:
    """A kind of count that only the future knows."""

    def to_state(self) -> list[int]:
        """Return nothing much."""
        return []


def test_sums_say_what_their_parts_say() -> None:
    """Adding up changes no reading, leaves the parts as they were, and does not depend on the grouping."""
    parts = [part(seed) for seed in range(6)]
    before = [part(seed) for seed in range(6)]
    whole = sums.added(parts, "m", living=True)
    assert parts == before
    apart, together = Snapshot(tuple(parts)), Snapshot(whole)
    assert list(apart) == list(together)
    for key in apart:
        assert apart[key].calls == together[key].calls
        assert apart[key].in_flight == together[key].in_flight
        assert apart[key].slices().keys() == together[key].slices().keys()
        assert [point.value for point in apart.points()] == [point.value for point in together.points()]
    stepwise = sums.added((*sums.added(parts[:3], "m", living=True), *parts[3:]), "m", living=True)
    assert Snapshot(stepwise).points() == together.points()
    assert whole[0].epoch == sum(found.epoch for found in parts)


def test_what_ended_runs_no_more_and_widths_stay_apart() -> None:
    """Calls in flight and rows under way are dropped; a part for each width of slots."""
    found = sums.added([part(1), part(2), part(3, window=60.0)], "m", living=False)
    assert [one.window for one in found] == [60.0, 3600.0]
    assert all(not series.active for one in found for series in one.series.values())
    assert all("store_spooled" not in one.counts for one in found)
    assert sum(one.counts["exporter_failures"].total for one in found) == 6


def test_slots_past_the_history_are_in_the_total_only() -> None:
    """What is kept apart is bounded."""
    (whole,) = sums.added([part(seed) for seed in range(5)], "m", living=False)
    total = Snapshot((whole,)).points()
    kept = sums.without_slots(whole, 5 * 3600.0)
    numbers = {number for series in kept.series.values() for held in series.ledgers.values() for number in held.slots}
    assert min(numbers) >= 5
    assert Snapshot((kept,)).points() == total


def test_slices_past_the_budget_are_counted_together() -> None:
    """Attributes of many short-lived processes do not grow the file for ever."""
    parts = []
    for seed in range(sums.SLICES + 10):
        ledger = Ledger()
        ledger.total.counts("calls").add(("ok", ""), 1)
        parts.append(
            Part(str(seed), 1, "process", 0.0, 60.0, {("m", ""): SeriesPart(None, (), {(("k", str(seed)),): ledger})})
        )
    (whole,) = sums.added(parts, "m", living=False)
    ledgers = whole.series["m", ""].ledgers
    assert len(ledgers) == sums.SLICES + 1
    assert ledgers[(("k", sums.OTHER),)].total["calls"].total == 10
