"""A snapshot is a mapping of models, a set of parts that merge, and text."""

from __future__ import annotations

import json

import counted
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmon.parts import SeriesPart
from modelmon.snapshot import Snapshot
from modelmon.tallies import Ledger, Tally
from modelmon.tasks import Multiclass


def worker(origin, calls, *, taken_at=1000.0, epoch=1, model="fraud", version="1"):
    """Return a process part that counted some calls."""
    ledger = Ledger()
    for tally in ledger.book(9):
        tally.counts("calls").add(("ok", ""), calls)
        tally.durations("duration:ok").update(np.arange(1, calls + 1) * 1_000_000)
    series = {(model, version): SeriesPart(ledgers={(): ledger}, active={(): 1})}
    return counted.part(origin, series=series, taken_at=taken_at, epoch=epoch, kind="process")


def whole(*parts):
    """Return a snapshot of these parts."""
    return Snapshot(parts)


def test_mapping_by_model_and_version():
    """Keys are (model, version) in order; a bare model name works where there is one version."""
    snapshot = whole(worker("a", 1), worker("b", 2, version="2"), worker("c", 3, model="digits", version=""))
    assert list(snapshot) == [("digits", ""), ("fraud", "1"), ("fraud", "2")]
    assert len(snapshot) == 3
    assert snapshot["fraud", "2"].calls == 2
    assert snapshot["digits"].calls == snapshot["digits", ""].calls == 3
    assert "digits" in snapshot
    assert ("fraud", "2") in snapshot
    assert "fraud" not in snapshot
    assert snapshot.get("nothing") is None
    assert [reading.version for reading in snapshot.values()] == ["", "1", "2"]


def test_unknown_keys_name_what_there_is():
    """A KeyError names the models there are, or the versions where there are several."""
    snapshot = whole(worker("a", 1), worker("b", 2, version="2"))
    with pytest.raises(KeyError, match=r"'fraud', '1'.*'fraud', '2'"):
        snapshot["frod"]
    with pytest.raises(KeyError, match=r"several versions.*'1', '2'"):
        snapshot["fraud"]
    with pytest.raises(KeyError, match="none yet"):
        Snapshot()["fraud", "1"]
    with pytest.raises(KeyError):
        snapshot[3]


def test_different_origins_add():
    """Parts of different origins add up."""
    merged = whole(worker("a", 1)).merge(whole(worker("b", 2)), whole(worker("c", 4)))
    fraud = merged["fraud", "1"]
    assert fraud.calls == fraud.duration.count == 7
    assert fraud.in_flight == 3
    assert fraud.duration.sum == pytest.approx((1 + 3 + 10) / 1000)


@pytest.mark.fault("X5", "L19")
def test_the_newest_part_of_an_origin_stays():
    """Of one origin the newest part counts, by its epoch and not by the clock, so merging again changes nothing."""
    old, new = whole(worker("a", 1, taken_at=2.0)), whole(worker("a", 5, taken_at=1.0, epoch=2))
    assert old.merge(new)["fraud"].calls == new.merge(old)["fraud"].calls == 5
    assert old.merge(new, new, old) == new


parts = st.builds(
    worker,
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 4),
    taken_at=st.sampled_from([1.0, 2.0]),
    epoch=st.integers(1, 2),
    version=st.sampled_from(["1", "2"]),
)
snapshots = st.lists(parts, max_size=4).map(lambda found: Snapshot(tuple(found)))


@pytest.mark.fault("L19")
@settings(max_examples=60, deadline=None)
@given(snapshots, snapshots, snapshots)
def test_merging_laws(a, b, c):
    """Merging is associative, commutative and idempotent, and the empty snapshot changes nothing."""
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(b) == b.merge(a)
    assert a.merge(a) == a
    assert a.merge(Snapshot()) == Snapshot().merge(a) == a


@settings(max_examples=30, deadline=None)
@given(snapshots)
def test_text_round_trip(snapshot):
    """A snapshot equals the one read back from its JSON."""
    assert Snapshot.from_json(snapshot.to_json()) == snapshot


def rich():
    """Return a snapshot of every task, with slices, store-wide counts and gauges."""
    generator = np.random.default_rng(8)
    truth, scores = generator.integers(0, 2, 50), generator.random(50)
    rows = generator.dirichlet([1, 1, 1], 50)
    series = {
        ("binary", ""): counted.binary(truth, scores, times=np.arange(50) * 7.0),
        ("classes", "é"): counted.multiclass(truth, rows, classes=("a", 2, 0.5), task=Multiclass(["a", 2, 0.5])),
        ("numbers", ""): counted.regression(scores, scores * 1.1),
        ("sets", ""): counted.multilabel(truth[:, None].repeat(2, 1), truth[:, None].repeat(2, 1), classes=("x", 1)),
        ("sliced", ""): SeriesPart(ledgers={(("country", "DE"),): Ledger()}, active={(("country", "DE"),): 2}),
    }
    counts = Tally()
    counts.counts("label_events").add(("joined",), 50)
    counts.counts("transitions").add(("none", "early"), 3)
    counts.counts("transitions").add(("early", "consumed"), 1)
    return whole(counted.part(series=series, counts=counts, gauges={"age": 3.0, "gone": float("inf")}))


def test_everything_survives_text():
    """Tasks, classes of mixed type, slots, slices, exact sums and gauges survive JSON, and read the same."""
    snapshot = rich()
    back = Snapshot.from_json(snapshot.to_json())
    assert back == snapshot
    assert back.parts[0].gauges["gone"] == float("inf")
    for key, reading in snapshot.items():
        assert repr(back[key]) == repr(reading)
        assert back[key].classes == reading.classes
        assert back[key].task == reading.task


def test_store_wide_readings():
    """Delivered labels count once for the whole store, and early labels have states of their own."""
    snapshot = rich()
    assert snapshot.label_events == {"joined": 50}
    assert snapshot.label_events["late"] == 0
    assert snapshot.transitions["none", "early"] == 3
    assert snapshot.occupancy == {"early": 2, "consumed": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no snapshot"),
        ('{"kind": "modelmon.snapshot", "schema": 99, "parts": []}', "schema 99.*upgrade"),
        ('{"kind": "modelmon.snapshot", "schema": 1, "parts": [{}]}', "damaged.*origin"),
        ('{"kind": "modelmon.snapshot", "schema": 1, "parts": 3}', "damaged"),
    ],
)
def test_other_texts_are_refused(text, words):
    """Text that is no snapshot, is damaged, or follows a newer schema is refused in words."""
    with pytest.raises(ValueError, match=words):
        Snapshot.from_json(text)


def test_text_is_plain_json():
    """The text is strict JSON with a kind and a schema number."""
    document = json.loads(rich().to_json(), parse_constant=pytest.fail)
    assert (document["kind"], document["schema"]) == ("modelmon.snapshot", 1)


def test_a_snapshot_is_frozen():
    """Neither a snapshot nor the parts in it can be assigned to."""
    snapshot = rich()
    with pytest.raises(AttributeError):
        snapshot.parts = ()
    with pytest.raises(AttributeError):
        snapshot.parts[0].origin = "x"


def test_repr_has_a_line_per_model():
    """The repr of a snapshot has one line per model and version."""
    assert repr(whole(worker("a", 1200))).splitlines() == [
        "Snapshot of 1 model(s), 1 part(s)",
        "  'fraud', '1': 1,200 calls, 0 labelled",
    ]


def test_class_orders_are_unified():
    """Origins that met the classes in different orders add up class by class."""
    first = counted.labelled([0, 1, 1], [0, 0, 1], classes=("b", "a"))
    second = counted.labelled([0, 0, 2], [0, 1, 2], classes=("a", 7, "__other__"))
    key = counted.KEY
    merged = whole(counted.part("x", series={key: first}), counted.part("y", series={key: second}))[key]
    assert merged.confusion.classes == (7, "a", "b", "__other__")
    assert merged.confusion.matrix.tolist() == [[0, 0, 0, 0], [1, 2, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert merged.recall("a") == 0.5
    assert merged.accuracy == 4 / 6


def test_score_histograms_follow_their_classes():
    """One-vs-rest areas of two origins with different class orders are those of the rows together."""
    generator = np.random.default_rng(4)
    truth, rows = generator.integers(0, 3, 90), generator.dirichlet([1, 1, 1], 90)
    together = counted.model(counted.multiclass(truth, rows, classes=("a", "b", "c")))
    order = [2, 0, 1]
    renamed = np.argsort(order)[truth[45:]]
    halves = (
        counted.multiclass(truth[:45], rows[:45], classes=("a", "b", "c")),
        counted.multiclass(renamed, rows[45:][:, order], classes=("c", "a", "b")),
    )
    key = counted.KEY
    merged = whole(*(counted.part(str(n), series={key: half}) for n, half in enumerate(halves)))[key]
    for value in "abc":
        assert merged.auc_of(value) == pytest.approx(together.auc_of(value), abs=1e-12)
    assert merged.confusion.matrix.tolist() == together.confusion.matrix.tolist()


def test_rejected_outputs_of_all_models():
    """Rejected outputs add up over models, by reason."""
    ledger = Ledger()
    ledger.total.counts("rejected").add(("nan",), 2)
    series = {("a", ""): SeriesPart(ledgers={(): ledger}), ("b", ""): SeriesPart(ledgers={(): ledger})}
    assert whole(counted.part(series=series)).rejected == {"nan": 4}


def test_points():
    """A snapshot lists every exported number."""
    points = rich().points()
    assert {"modelmon.calls", "modelmon.confusion", "modelmon.quality"} <= {point.name for point in points}


def test_origins_that_share_a_name():
    """Two parts of one origin, epoch and moment that differ are chosen between in the same way in any order."""
    one, two = whole(worker("a", 1)), whole(worker("a", 2))
    assert one.merge(two) == two.merge(one)
    assert one.merge(one) == one


def test_readings_are_kept():
    """What was added up for one reader is there for the next."""
    snapshot = rich()
    assert snapshot["binary"] is snapshot["binary", ""]
    assert snapshot["classes"].confusion.classes == ("a", 2, 0.5)
    assert "classes=('a', 2, 0.5)" in repr(snapshot["classes"].confusion)
