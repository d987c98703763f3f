"""The store does what a plain, slow model of the join does, event by event, and keeps every law on the way."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import reference
import worlds
from hypothesis import HealthCheck, given, settings

from modelmon.columns import encode_ids
from modelmon.errors import ConfigurationError
from modelmon.stores.assuming import read_assumption
from modelmon.stores.contract import JoinSettings
from modelmon.stores.holdings import KEY_SEED, in_sample
from modelmon.tasks import Binary, Multiclass, Regression

TASKS: dict[tuple[str, str], Any] = {
    ("open", "1"): Multiclass(),
    ("open", "2"): Multiclass(),
    ("fixed", ""): Multiclass(["a", "b"]),
    ("two", ""): Binary("a"),
    ("number", ""): Regression(),
}
KEYS = list(TASKS)
IDS = [0, 1, "x", "uuid-7", 17, 18, 19, 20]
SPANS = {"ttl": 10.0, "early_ttl": 5.0, "correction_horizon": 8.0, "forget_after": 4.0, "window": 5.0, "history": 1e6}

ids = st.sampled_from(IDS)
values = st.sampled_from(["a", "a", "b", "c", 2, "2", 0.5, None, reference.RETRACT])
scopes = st.sampled_from(
    [(None, None)] * 4 + [("open", None), ("open", "1"), ("two", None), ("fixed", ""), ("nobody", None)]
)
predicted = st.tuples(
    st.just("predict"),
    st.sampled_from(KEYS),
    st.lists(st.tuples(ids, st.booleans(), st.sampled_from([0.0, 0.0, -3.0, -20.0, 5000.0])), min_size=1, max_size=6),
)
labelled = st.tuples(
    st.just("label"),
    scopes,
    st.lists(
        st.tuples(ids, values, st.sampled_from([None, None, None, 1.0, 2.0]), st.sampled_from([None, None, 1.0, 3.0])),
        min_size=1,
        max_size=6,
    ),
)
passed = st.tuples(st.just("pass"), st.sampled_from([0.0, 0.5, 2.0, 4.0, 9.0]), st.none())
assumed = st.tuples(
    st.just("assume"),
    st.sampled_from([("open", None), ("open", "1"), ("fixed", ""), ("two", None), ("number", "")]),
    st.tuples(st.sampled_from(["a", "b", "b", 2.0, 0.5, "new", None]), st.sampled_from([0.0, 2.0, 5.0, 10.0])),
)
forgotten = st.tuples(st.just("forget"), ids, st.none())
programs = st.lists(st.one_of(predicted, predicted, labelled, labelled, labelled, passed, forgotten), max_size=14)


def sampled(identity: Any, rate: float) -> bool:
    """Return whether one id is in a sample."""
    return bool(in_sample(*encode_ids([identity]).hashes(KEY_SEED), rate)[0])


class Pair:
    """A store and the reference, told the same things."""

    def __init__(self, store: Any = None, **changes: Any) -> None:
        """Begin both with all series declared; a memory store unless another is given."""
        self.world = worlds.World(store, **{**SPANS, **changes})
        self.model = reference.Reference(JoinSettings(**{**SPANS, **changes}), sampled)
        for (name, version), task in TASKS.items():
            self.world.store.declare(name, version, task)
            self.model.declare(name, version, task)
        for version in ("1", "2"):
            self.predict(("open", version), [("first", True, 0.0)])

    def predict(self, key: tuple[str, str], given: list[tuple[Any, bool, float]]) -> None:
        """Predict in both."""
        self.model.sweep(self.world.clock.now)
        self.model.begin()
        task = TASKS[key]
        good, bad = {"open": (2, "b"), "fixed": ("a", "b"), "two": ("a", "other"), "number": (2.0, 7.0)}[key[0]]
        said = [good if flag else bad for _, flag, _ in given]
        times = [self.world.clock.now + shift for _, _, shift in given]
        expected = Counter(
            self.model.predict((identity, *key), value, time)
            for (identity, _, _), value, time in zip(given, said, times, strict=True)
        )
        self.model.finish()
        names = [identity for identity, _, _ in given]
        numeric = isinstance(task, Regression)
        columns = {"scores": said} if numeric else {"values": said}
        found = self.world.predict(names, model=key[0], version=key[1], task=task, at=times, **columns)
        assert found == expected

    def label(self, scope: tuple[Any, Any], given: list[tuple[Any, Any, Any, Any]]) -> None:
        """Label in both."""
        self.model.sweep(self.world.clock.now)
        self.model.begin()
        expected = Counter(self.model.label((identity, *scope), value, rev, at) for identity, value, rev, at in given)
        self.model.finish()
        names, labels, revs, instants = map(list, zip(*given, strict=True))
        labels = [worlds.RETRACT if value is reference.RETRACT else value for value in labels]
        assert self.world.label(names, labels, rev=revs, at=instants, model=scope[0], version=scope[1]) == expected

    def assume(self, scope: tuple[Any, Any], value: Any, after: float) -> None:
        """Assume in both."""
        self.model.sweep(self.world.clock.now)
        self.world.store.sweep()
        readable = self.model.assume(*scope, value, after)
        with nullcontext() if readable else pytest.raises(ConfigurationError, match="is no truth of"):
            self.world.store.assume(*scope, read_assumption(value, after))

    def step(self, kind: str, what: Any, given: Any) -> None:
        """Run one step of a program in both."""
        if kind == "predict":
            self.predict(what, given)
        elif kind == "label":
            self.label(what, given)
        elif kind == "assume":
            self.assume(what, *given)
        elif kind == "pass":
            self.world.clock.now += what
        else:
            self.model.sweep(self.world.clock.now)
            self.model.forget(what)
            self.world.store.forget(encode_ids([what]))

    def compare(self) -> None:
        """Check that both counted the same, in every series, slot and cell."""
        self.world.store.check_invariants()
        self.model.sweep(self.world.clock.now)
        part = self.world.store.part()
        assert plain(part.counts, "label_events") == +Counter({(name,): n for name, n in self.model.delivered.items()})
        assert plain(part.counts, "transitions") == +self.model.parked
        for key, series in self.model.series.items():
            ledger = part.series[key].ledgers[()]
            assert plain(ledger.total, "transitions") == +series.transitions
            assert plain(ledger.total, "assumed") == Counter({(name,): n for name, n in series.assumed.items()})
            assert plain(ledger.total, "prediction_events") == Counter({(n,): c for n, c in series.predictions.items()})
            assert plain(ledger.total, "label_events") == Counter({(n,): c for n, c in series.labels.items()})
            if isinstance(series.task, Regression):
                count = sum(series.added.values()) - sum(series.removed.values())
                error = sum((p - t) * n for (t, p), n in (series.added - Counter()).items())
                error -= sum((p - t) * n for (t, p), n in series.removed.items())
                found = ledger.total.get("residuals", None)
                assert (count, error) == (0, 0.0) if found is None else (found.n, found.error.value()) == (count, error)
                continue
            if "confusion" in ledger.total:
                for side in ("added", "removed"):
                    counted = getattr(series, side)
                    assert worlds.as_cells(ledger.total["confusion"], part.series[key].classes, side) == +counted
            slots: Counter[Any] = Counter()
            for slot, tally in ledger.slots.items():
                if "confusion" in tally:
                    for (actual, said), n in worlds.as_cells(tally["confusion"], part.series[key].classes).items():
                        slots[slot, actual, said] = n
            assert slots == +series.slots


def plain(tally: Any, name: str) -> Counter[Any]:
    """Return counts without zeros."""
    return Counter({key: n for key, n in tally[name].items() if n} if name in tally else {})


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs)
def test_every_program_ends_as_in_the_reference(program: list[Any]) -> None:
    """Any mix of predictions, labels, retractions, time and erasure gives the reference's counts after every step."""
    pair = Pair()
    for step in program:
        pair.step(*step)
        pair.compare()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs)
def test_every_program_ends_as_in_the_reference_when_the_last_prediction_wins(program: list[Any]) -> None:
    """The same where a conflicting prediction replaces the first."""
    pair = Pair(on_conflict="last")
    for step in program:
        pair.step(*step)
        pair.compare()


@pytest.mark.fault("L17")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, st.sampled_from([{"max_awaiting": 3}, {"max_awaiting": 8}, {"max_awaiting": 3, "sample_rate": 0.75}]))
def test_every_program_ends_as_in_the_reference_at_capacity(program: list[Any], changes: dict[str, Any]) -> None:
    """The same where more predictions await than there is room for, so that the sample halves and is restored."""
    pair = Pair(**changes)
    for step in program:
        pair.step(*step)
        pair.compare()


few = st.sampled_from([0, 1])
said = st.tuples(few, st.sampled_from(["a", "b", reference.RETRACT]), st.none(), st.none())
assuming = st.one_of(
    st.tuples(
        st.just("assume"), st.just(("fixed", None)), st.tuples(st.sampled_from("ab"), st.sampled_from([0.0, 2.0]))
    ),
    st.tuples(
        st.just("predict"), st.just(KEYS[2]), st.tuples(st.tuples(few, st.booleans(), st.sampled_from([0.0, -3.0])))
    ),
    st.tuples(st.just("label"), st.sampled_from([(None, None), ("fixed", "")]), st.lists(said, min_size=1, max_size=2)),
    st.tuples(st.just("pass"), st.sampled_from([0.0, 3.0, 3.0, 6.0]), st.none()),
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(assuming, min_size=8, max_size=30))
def test_labels_and_assumptions_take_turns_as_in_the_reference(program: list[Any]) -> None:
    """Assumptions are made, confirmed, corrected and restored as in the reference."""
    pair = Pair()
    for step in [("assume", ("fixed", ""), ("b", 2.0)), *program]:
        pair.step(*step)
        pair.compare()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(assumed, st.lists(st.one_of(predicted, labelled, labelled, passed, passed, assumed, forgotten), max_size=14))
def test_every_program_with_assumptions_ends_as_in_the_reference(first: Any, program: list[Any]) -> None:
    """The same where rows that nobody labels in time are joined with what is assumed."""
    pair = Pair()
    for step in [first, *program]:
        pair.step(*step)
        pair.compare()


@pytest.mark.fault("L1", "L2")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(ids, st.sampled_from(["a", "b", reference.RETRACT]), st.integers(0, 4)), max_size=20),
    st.randoms(use_true_random=False),
)
def test_the_order_of_delivery_does_not_matter_with_explicit_revisions(labels: list[Any], random: Any) -> None:
    """Labels with revisions, shuffled and delivered twice, in any batches, end in the same matrix."""
    matrices = []
    for twice in (False, True):
        world = worlds.World()
        world.predict(IDS, ["a", "b"] * (len(IDS) // 2), task=TASKS["fixed", ""])
        order = list(labels) * (1 + twice)
        if twice:
            random.shuffle(order)
        while order:
            size = random.randint(1, len(order))
            batch, order = order[:size], order[size:]
            names, said, revs = map(list, zip(*batch, strict=True))
            said = [worlds.RETRACT if value is reference.RETRACT else value for value in said]
            world.label(names, said, rev=[float(rev) for rev in revs])
        world.store.check_invariants()
        matrices.append(world.cells())
    assert matrices[0] == matrices[1]


def test_the_sample_of_a_smaller_rate_lies_within_the_larger() -> None:
    """Halving the rate keeps a subset, close to the rate in size."""
    low, high = encode_ids(list(range(20_000))).hashes(KEY_SEED)
    half, quarter = in_sample(low, high, 0.5), in_sample(low, high, 0.25)
    assert not (quarter & ~half).any()
    np.testing.assert_allclose([half.mean(), quarter.mean()], [0.5, 0.25], atol=0.02)


def test_a_new_class_in_a_batch_does_not_make_the_unreadable_readable() -> None:
    """A label that means nothing to an open task still means nothing in the batch that brings a new class."""
    pair = Pair()
    pair.predict(("open", "1"), [(0, False, 0.0), (18, False, 0.0)])
    pair.label((None, None), [(0, "2", None, None)])
    pair.label((None, None), [(0, "a", None, None), (18, "2", None, None)])
    pair.compare()
