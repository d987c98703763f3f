"""What a snapshot becomes when it is exported."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from small_worlds import BINARY, HOUR, NOW, WORLDS, class_ledger, of_parts, process_ledger, snapshot

from modelmon import Monitor, Rule
from modelmon.accumulators.losses import SCORE_EDGES
from modelmon.alerting.findings import Seen
from modelmon.parts import DevicePart, Part, SeriesPart
from modelmon.points import timings
from modelmon.points.attributes import RESERVED, label_name, safe_text, slice_attributes
from modelmon.points.catalogue import CATALOGUE, HistogramValue, Point
from modelmon.points.reading import points
from modelmon.points.sheets import CLASSES
from modelmon.rules import prometheus
from modelmon.snapshot import Snapshot
from modelmon.tasks import Multiclass, Multilabel


def found(of: list[Point], name: str, **attributes: str) -> list[Point]:
    """Return the points of that name that carry these attributes."""
    wanted = {key.replace("error_type", "error.type").rstrip("_"): value for key, value in attributes.items()}
    return [point for point in of if point.name == name and wanted.items() <= dict(point.attributes).items()]


def value(of: list[Point], name: str, **attributes: str) -> float:
    """Return the value of the one point of that name that carries these attributes."""
    (point,) = found(of, name, **attributes)
    assert not isinstance(point.value, HistogramValue)
    return point.value


@pytest.mark.parametrize("world", WORLDS)
def test_every_point_stands_in_the_catalogue(world):
    """Name, kind, unit, help and attribute names of every point are those of its row; values are sound."""
    for point in points(WORLDS[world]):
        row = CATALOGUE[point.name]
        assert (point.kind, point.unit, point.help) == (row.kind, row.unit, row.help)
        names = [name for name, _ in point.attributes]
        own = [name for name in names if name not in {"model", "version"}]
        assert set(own) <= set(row.attributes)
        assert len(set(names)) == len(names)
        assert all(text for _, text in point.attributes if _ != "version")
        if isinstance(point.value, HistogramValue):
            assert row.kind == "histogram"
            assert len(point.value.counts) == len(row.bounds) + 1
            assert list(point.value.counts) == sorted(point.value.counts)
            assert point.value.counts[-1] == point.value.count
        else:
            assert type(point.value) in {int, float}
            assert math.isfinite(point.value)
            assert row.kind != "counter" or point.value >= 0
            assert row.kind != "counter" or type(point.value) is (float if row.unit in {"s", "J"} else int)


@pytest.mark.parametrize("world", WORLDS)
def test_no_series_comes_twice(world):
    """A name and its attributes name one point."""
    counted = Counter((point.name, point.attributes) for point in points(WORLDS[world]))
    assert not [series for series, n in counted.items() if n > 1]


@pytest.mark.parametrize("world", WORLDS)
def test_snapshots_hand_out_their_points(world):
    """``Snapshot.points()`` is the same list."""
    assert WORLDS[world].points() == points(WORLDS[world])


def on_devices(snapshot):
    """Return a snapshot whose process read a device, and whose models had their part of it."""
    part, *others = Snapshot.from_json(snapshot.to_json()).parts
    gauges = dict.fromkeys(("utilization", "memory_usage", "memory_limit", "memory_utilization"), 0.5)
    gauges |= dict.fromkeys(("power", "temperature", "memory_process"), 70.0)
    device = DevicePart("H100", "nvidia", "", "580", "ok", "gpu", gauges, tuple((*key, 300.0, 2.0) for key in snapshot))
    for name in ("hw_energy", "gpu_unattributed"):
        part.counts.counts(name).add(("GPU-1",), 10**9)
    for name in ("gpu_errors", "gpu_throttled", "gpu_counter_faults"):
        part.counts.counts(name).add(("GPU-1", "x"), 10**9)
    part.counts.counts("sampler_overruns").add((), 2)
    part.counts.counts("sampler_calls").add((), 6)
    part.counts.counts("sampler_errors").add(("DeviceGetPowerUsage", "GpuIsLost"), 1)
    part.counts.durations("sampler_tick").add(10**6)
    for series in part.series.values():
        for tally in series.ledgers[()].book(1):
            tally.counts("predicted").add(("x",), 8)
            tally.counts("gpu_energy").add(("GPU-1", "exclusive", "device"), 16 * 10**6)
            tally.counts("gpu_busy").add(("GPU-1", "calls"), 2 * 10**9)
    return Snapshot((replace(part, devices={"GPU-1": device}, gauges={**part.gauges, "gpu_available": 1.0}), *others))


def test_devices_and_what_models_had_of_them():
    """Busy time and energy stand under model and device; energy for each correct prediction takes labels."""
    whole = on_devices(WORLDS["binary"])
    fraud = whole["fraud"]
    assert fraud.gpu_energy == 16
    assert fraud.gpu_busy == 2
    assert fraud.energy_per_correct_prediction == pytest.approx(16 / fraud.predictions / fraud.accuracy)
    of = points(whole)
    assert value(of, "modelmon.gpu.energy", model="fraud") == 16
    assert value(of, "modelmon.gpu.energy_per_prediction", model="fraud") == 16 / fraud.predictions
    assert value(of, "modelmon.gpu.model_power", model="fraud") == 300
    assert {dict(point.attributes)["hw.id"] for point in of if point.name.startswith("hw.")} == {"GPU-1"}
    assert math.isnan(WORLDS["binary"]["fraud"].energy_per_prediction)


def test_overruns_are_known_from_the_first_round_on():
    """No rate sees the first event of a counter that begins with it; where nothing is read it is unknown."""
    counts = of_parts({}, {})
    assert not [point for point in points(counts) if point.name == "modelmon.sampler.overruns"]
    counts.parts[0].counts.durations("sampler_tick").add(10**6)
    assert value(points(counts), "modelmon.sampler.overruns") == 0


def test_everything_in_the_catalogue_occurs():
    """No row stands in the catalogue that nothing can fill."""
    worlds = (*WORLDS.values(), on_devices(WORLDS["binary"]))
    seen = {point.name for world in worlds for point in points(world)}
    rare = {"modelmon.call.batch_size", "modelmon.stream.items", "modelmon.self.sanitized", "modelmon.self.overflow"}
    rare |= {"modelmon.stream.time_to_first_item", "modelmon.stream.time_per_item", "modelmon.self.internal_errors"}
    rare |= {"modelmon.label.assumed", "modelmon.receipts", "modelmon.intake.labels", "modelmon.intake.refused"}
    rare |= {"modelmon.self.overhead", "modelmon.self.restarts", "modelmon.exporter.refused", "modelmon.store.lag"}
    rare |= {"modelmon.exporter.last_success_age", *(row.name for row in timings.ROWS)}
    ledger = process_ledger()
    for tally in ledger.book(1):
        tally.sizes("batch_size").add(32)
        tally.counts("items").add((), 5)
        tally.counts("assumed").add(("made",))
        tally.durations("time_to_first_item").add(10**6)
        tally.durations("time_per_item").add(10**5)
        for name in ("device_duration:device_event", "queue_delay", "device_first_item"):
            tally.durations(name).add(10**6)
        tally.sizes("memory_peak:torch").add(10**9)
        tally.counts("timers_dropped").add(("capturing",), 2)
    streams = of_parts({("stream", ""): SeriesPart(None, (), {(): ledger})}, {})
    for name in ("internal_errors", "sanitized", "overflow", "receipts", "overhead", "restarts", "refused"):
        streams.parts[0].counts.counts(f"self:{name}").add(("x",), 1)
    streams.parts[0].gauges.update({"store_lag": 0.5, "exporter_age:log": 3.0})
    streams.parts[0].counts.counts("intake_labels").add(("shop", "joined"), 1)
    streams.parts[0].counts.counts("intake_refused").add(("token",), 1)
    assert {point.name for point in points(streams)} >= rare
    assert seen | rare == set(CATALOGUE)


def test_calls_and_predictions():
    """Calls by outcome and error, durations, active calls and predicted classes read as in the snapshot."""
    of = points(WORLDS["binary"])
    fraud = WORLDS["binary"]["fraud"]
    assert value(of, "modelmon.calls", outcome="ok") == fraud.outcomes["ok"] == 97
    assert value(of, "modelmon.calls", outcome="error", error_type="ValueError") == 3
    assert value(of, "modelmon.calls", outcome="cancelled") == value(of, "modelmon.calls", outcome="abandoned") == 0
    assert value(of, "modelmon.call.active") == 2
    assert value(of, "modelmon.predictions", predicted="fraud") == fraud.predicted["fraud"]
    assert value(of, "modelmon.predictions.rejected", reason="nan") == 2
    (duration,) = found(of, "modelmon.call.duration", outcome="ok")
    assert duration.value.count == 97
    assert duration.value.bounds[0] == 0.0001
    assert duration.value.bounds[-1] == 100.0
    assert len(duration.value.bounds) == 19


def test_histogram_buckets_are_exact():
    """A value on a bound belongs to that bound's bucket, one nanosecond more does not."""
    ledger = process_ledger(0, 0)
    for nanoseconds in (100_000, 100_001, 250_000, 5_000_000, 5_000_001, 10**11, 10**11 + 1):
        ledger.total.durations("duration:ok").add(nanoseconds)
    of = points(of_parts({("m", ""): SeriesPart(None, (), {(): ledger})}, {}))
    (point,) = found(of, "modelmon.call.duration", outcome="ok")
    below = dict(zip((*point.value.bounds, math.inf), point.value.counts, strict=True))
    assert [below[bound] for bound in (0.0001, 0.00025, 0.0025, 0.005, 0.01, 50.0, 100.0, math.inf)] == [
        *(1, 3, 3, 4, 5, 5, 6, 7)
    ]


def test_the_join():
    """Events, transitions, occupancy, delay and coverage read as in the snapshot; parked labels belong to no model."""
    of = points(WORLDS["binary"])
    assert value(of, "modelmon.prediction.events", outcome="pending") == 800
    assert value(of, "modelmon.label.events", outcome="joined") == 400
    assert value(of, "modelmon.join.transitions", from_="pending", to="joined") == 400
    assert value(of, "modelmon.join.occupancy", state="pending", model="fraud") == 400
    assert value(of, "modelmon.join.occupancy", state="closed") == 0
    assert value(of, "modelmon.label.coverage", window="total") == 0.5
    (delay,) = found(of, "modelmon.label.delay")
    assert delay.value.count == 400
    (early,) = found(of, "modelmon.join.occupancy", state="early")
    assert early.attributes == (("state", "early"),)
    assert early.value == 7


@pytest.mark.parametrize("world", ["binary", "multiclass"])
def test_confusion_cells(world):
    """All cells among the known classes are there, added minus retracted is the matrix, ``correct`` is right."""
    of, fraud = points(WORLDS[world]), WORLDS[world]["fraud"]
    size = len(fraud.classes)
    added, retracted = found(of, "modelmon.confusion"), found(of, "modelmon.confusion.retracted")
    assert len(added) == len(retracted) == size * size
    net = np.array([p.value for p in added]).reshape(size, size) - np.array([p.value for p in retracted]).reshape(
        size, size
    )
    assert net.tolist() == fraud.confusion.matrix.tolist()
    assert sum(p.value for p in retracted) == 5
    right = [p for p in added if dict(p.attributes)["correct"] == "true"]
    assert sum(p.value for p in right) - 5 <= np.trace(fraud.confusion.matrix) <= sum(p.value for p in right)
    for point in added:
        own = dict(point.attributes)
        assert (own["actual"] == own["predicted"]) == (own["correct"] == "true")


def test_declared_classes_are_there_before_any_label():
    """A declared model that nobody called shows zeros: calls, predictions, active calls and every cell."""
    series = {("fraud", ""): SeriesPart(BINARY, ("ok", "fraud"))}
    of = points(of_parts(series, series))
    cells = found(of, "modelmon.confusion")
    assert len(cells) == 4
    assert all(point.value == 0 for point in cells)
    assert value(of, "modelmon.calls", outcome="ok") == value(of, "modelmon.call.active") == 0
    assert value(of, "modelmon.predictions", predicted="fraud") == 0
    assert not found(of, "modelmon.quality")
    assert not found(of, "modelmon.label.coverage")


def test_classes_of_equal_text_are_told_apart():
    """The text "3" is quoted where the number 3 is a class too."""
    of = points(WORLDS["multiclass"])
    assert {dict(point.attributes)["actual"] for point in found(of, "modelmon.confusion")} == {
        *("3", '"3"', "cat", "dog")
    }
    assert value(of, "modelmon.predictions", predicted='"3"') == value(of, "modelmon.predictions", predicted="3") == 24


def test_many_classes_are_sums():
    """Above 32 classes there are sums of each class instead of cells, and they are those of the matrix."""
    of, fraud = points(WORLDS["many classes"]), WORLDS["many classes"]["fraud"]
    assert not found(of, "modelmon.confusion")
    matrix = fraud.confusion.matrix
    for place, name in enumerate(fraud.classes):
        for kind, expected in (
            ("true_positives", matrix[place, place]),
            ("support", matrix[place].sum()),
            ("predicted", matrix[:, place].sum()),
        ):
            full = f"modelmon.class.{kind}"
            assert value(of, full, class_=name) - value(of, f"{full}.retracted", class_=name) == expected
    assert len(found(of, "modelmon.class.support")) == 40


@pytest.mark.fault("X14", "L12")
def test_a_flood_of_classes_is_bounded():
    """X14: of 100,000 classes the first ones keep series of their own, the rest is one, and nothing is lost."""
    names = tuple(f"c{n}" for n in range(100_000))
    ledger, shared = class_ledger(100_000, 3000)
    process = process_ledger(100_000, 0, tuple((name,) for name in names))
    of = points(
        of_parts(
            {("m", ""): SeriesPart(Multiclass(), (), {(): process})},
            {("m", ""): SeriesPart(Multiclass(), names, {(): ledger}, shared)},
        )
    )
    per_name = Counter(point.name for point in of)
    assert max(per_name.values()) <= 1001
    assert per_name["modelmon.class.support"] == per_name["modelmon.predictions"] == CLASSES + 1
    assert sum(p.value for p in found(of, "modelmon.class.support")) == 3005
    assert sum(p.value for p in found(of, "modelmon.predictions")) == 100_000
    assert value(of, "modelmon.class.support", class_="c0") is not None


def test_several_labels_per_row():
    """Tasks with several labels per row show each label's sums."""
    of, fraud = points(WORLDS["multilabel"]), WORLDS["multilabel"]["fraud"]
    for place, name in enumerate(fraud.classes):
        cells = fraud.confusion.matrix[place]
        assert value(of, "modelmon.class.true_positives", class_=name) == cells[1, 1]
        assert value(of, "modelmon.class.support", class_=name) == cells[1].sum()
        assert value(of, "modelmon.class.predicted", class_=name) == cells[:, 1].sum()


def test_score_bins():
    """Scores of both truths stand in bins that are not cumulative and add up to the labelled rows."""
    of = points(WORLDS["binary"])
    bins = found(of, "modelmon.score.bins")
    assert len(bins) == 2 * (len(SCORE_EDGES) + 1)
    assert sum(point.value for point in bins) == 400
    assert value(of, "modelmon.score.bins", actual="1", le="0.5") >= 0
    assert len(found(of, "modelmon.score.bins", le="+Inf")) == 2


def test_quality():
    """Every metric of the task that is defined is there with its interval, equal to the snapshot's."""
    of, fraud = points(WORLDS["binary"]), WORLDS["binary"]["fraud"]
    total = {"window": "total"}
    for metric in ("accuracy", "balanced_accuracy", "mcc", "kappa", "auc", "average_precision", "log_loss", "brier"):
        assert value(of, "modelmon.quality", metric=metric, **total) == fraud.value(metric)
    for metric in ("precision", "recall", "f1"):
        assert value(of, "modelmon.quality", metric=metric, class_="fraud", **total) == fraud.value(metric)
        for average in ("micro", "macro", "weighted"):
            expected = fraud.value(metric, average=average)
            assert value(of, "modelmon.quality", metric=metric, average=average, **total) == expected
    low, high = fraud.interval("accuracy")
    assert value(of, "modelmon.quality.low", metric="accuracy") == low
    assert value(of, "modelmon.quality.high", metric="accuracy") == high
    assert not found(of, "modelmon.quality.low", metric="log_loss")


def test_quality_of_regression():
    """A regression shows its errors and no classes."""
    of, fraud = points(WORLDS["regression"]), WORLDS["regression"]["fraud"]
    assert value(of, "modelmon.quality", metric="mae") == fraud.mae
    assert {dict(point.attributes)["metric"] for point in found(of, "modelmon.quality")} >= {"rmse", "r2", "bias"}
    assert not found(of, "modelmon.confusion")
    assert value(of, "modelmon.predictions") == 97


def test_windows():
    """Asked for, quality and coverage of a window stand beside the total, and counters do not."""
    of, fraud = points(WORLDS["binary"], windows=("1h", "1d")), WORLDS["binary"]["fraud"]
    assert value(of, "modelmon.quality", metric="accuracy", window="1d") == fraud.window("1d").accuracy
    assert value(of, "modelmon.quality", metric="auc", window="1d") == fraud.window("1d").auc
    assert {dict(point.attributes)["window"] for point in found(of, "modelmon.label.coverage")} >= {"total", "1d"}
    assert len(found(of, "modelmon.confusion")) == 4


def sliced() -> Snapshot:
    """Return a model that is called with a country, and sometimes without."""
    ledgers, wholes = {}, []
    for seed, page in enumerate(((), (("country", "DE"),), (("country", "FR"),))):
        ledgers[page], whole = class_ledger(2, 100 * (seed + 1), seed=seed)
        wholes.append(whole)
    for other in wholes[1:]:
        wholes[0].merge(other)
    process = {page: process_ledger(10 * place + 10) for place, page in enumerate(ledgers)}
    return of_parts(
        {("fraud", "1"): SeriesPart(BINARY, (), process)},
        {("fraud", "1"): SeriesPart(BINARY, ("ok", "fraud"), ledgers, wholes[0])},
    )


def test_slices_are_shown_apart_and_not_in_total():
    """Sums over slices are the whole; what is kept for the whole only carries no slice."""
    world = sliced()
    of, fraud = points(world), world["fraud"]
    assert value(of, "modelmon.calls", outcome="ok", country="DE") == fraud.slice(country="DE").outcomes["ok"]
    assert sum(point.value for point in found(of, "modelmon.calls", outcome="ok")) == fraud.outcomes["ok"]
    net = sum(p.value for p in found(of, "modelmon.confusion")) - sum(
        p.value for p in found(of, "modelmon.confusion.retracted")
    )
    assert net == fraud.confusion.matrix.sum() == 600
    assert value(of, "modelmon.quality", metric="accuracy", country="FR") == fraud.slice(country="FR").accuracy
    (area,) = found(of, "modelmon.quality", metric="auc")
    assert area.value == fraud.auc
    assert "country" not in dict(area.attributes)
    bins = found(of, "modelmon.score.bins")
    assert sum(point.value for point in bins) == 600
    assert not [point for point in bins if "country" in dict(point.attributes)]
    assert len(found(of, "modelmon.quality", metric="accuracy")) == 3


def test_merging_replicas_adds_their_points():
    """Counters of two processes add up in the merged snapshot, and a store that both know counts once."""
    one = WORLDS["binary"]
    other = Snapshot((type(one.parts[0])("host:2", 1, "process", NOW, HOUR, one.parts[0].series), one.parts[1]))
    of = points(one.merge(other))
    assert value(of, "modelmon.calls", outcome="ok") == 194
    assert value(of, "modelmon.label.events", outcome="joined") == 400


@pytest.mark.fault("X13")
@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        'a"b',
        "a\\b",
        "a\x00b",
        "\udc80",
        "a" * 10_000_000,
        "ü" * 200,
        "\x1b[31m",
        "</script>",
        "",
        "\r",
        "\u2028",
    ],
    ids=lambda text: repr(text[:9]),
)
def test_safe_text(text):
    """X13: whatever a name holds, its text can be encoded, has no NUL and is at most 128 characters long."""
    safe = safe_text(text)
    assert len(safe) <= 128
    assert "\x00" not in safe
    assert safe.encode("utf-8").decode("utf-8") == safe
    assert safe_text(safe) == safe


@pytest.mark.fault("X13")
def test_safe_text_tells_texts_apart():
    """Texts that were changed still differ."""
    hostile = ["a\x00", "a", "a\x00\x00", "\udc80", "x" * 1000, "x" * 1001]
    assert len({safe_text(text) for text in hostile}) == len(hostile)


def test_attribute_names_do_not_clash():
    """Names of slices that read like names of ours, or like each other, get a prefix; Prometheus gets letters only."""
    pairs = tuple(
        (name, "v") for name in ("model", "le", "outcome", "error.type", "a.b", "a_b", "attr_model", "1st", "")
    )
    named = slice_attributes(pairs)
    assert dict(named).keys() >= {"attr_model", "attr_le", "attr_outcome", "attr_error.type", "a.b", "attr_a_b"}
    labels = [label_name(name) for name, _ in named]
    assert len(set(labels)) == len(pairs)
    assert not RESERVED.intersection(labels)
    assert all(label.isascii() and label.isidentifier() and not label.startswith("__") for label in labels)


@pytest.mark.fault("X13")
def test_hostile_names_reach_points_safely():
    """X13: model, version and slice texts of any kind give points whose texts are safe."""
    page = (("na\nme\udc80", "va\x00lue"), ("model", "x" * 10_000))
    part = SeriesPart(None, (), {page: process_ledger()})
    for point in points(of_parts({("m\x00\n", "\ud800"): part}, {})):
        for name, text in point.attributes:
            assert (name + text).encode("utf-8")
            assert "\x00" not in text
            assert len(text) <= 128


def test_points_are_frozen():
    """A point cannot be changed."""
    point = points(snapshot(BINARY, ("ok", "fraud")))[0]
    with pytest.raises(AttributeError):
        point.value = 1


def test_zeros_of_a_store_take_a_store():
    """Where no store was read, nothing is shown of what one counts: a counter that fell to 0 would count all again."""
    task = Multilabel(classes=("red", "green"))
    process = {
        ("fraud", ""): SeriesPart(BINARY, (), {(): process_ledger(predicted=(("ok",),))}),
        ("colours", ""): SeriesPart(task, (), {(): process_ledger()}),
    }
    read = of_parts(process, {})
    unread = Snapshot(tuple(part for part in read.parts if part.kind == "process"))
    assert read.stored
    assert not unread.stored
    ours = ("modelmon.confusion", "modelmon.class.", "modelmon.quality", "modelmon.label.", "modelmon.join.")
    shown, hidden = ({point.name for point in points(of, windows=("1h",))} for of in (read, unread))
    assert {"modelmon.confusion", "modelmon.class.support", "modelmon.quality.support"} <= shown
    assert not {name for name in hidden if name.startswith(ours)}
    assert {name for name in shown if not name.startswith(ours)} == hidden


def test_the_slice_of_an_empty_text_is_no_slice_without_attributes():
    """Calls whose attribute is the empty text have lines of their own, and rules and slices find them."""
    monitor = Monitor(gpu=False)

    @monitor(model="m", attributes=("country",))
    def answer(country):
        return "x"

    for country in ("", "", "DE"):
        answer(country)
    of = points(monitor.snapshot())
    assert value(of, "modelmon.calls", outcome="ok", country="__empty__") == 2
    assert all(text for point in of for name, text in point.attributes if name == "country")
    assert monitor.snapshot()["m"].slice(country="").calls == 2
    rule = Rule("many", "modelmon.calls", above=1, where={"country": ""})
    assert 'country="__empty__"' in prometheus([rule])
    assert Seen(monitor.snapshot()).points("modelmon.calls", "m", None, rule.where)["m", ""] == [2, 0, 0]


def test_several_labels_per_row_are_one_prediction():
    """A row of several labels counts once, under no class; declared labels are no classes that it could be of."""
    of, fraud = points(WORLDS["multilabel"]), WORLDS["multilabel"]["fraud"]
    assert value(of, "modelmon.predictions") == fraud.predictions > 0
    assert not found(of, "modelmon.predictions", predicted=fraud.classes[0])


@pytest.mark.fault("X14")
def test_classes_of_many_processes_do_not_depend_on_their_names():
    """Of more undeclared classes than are shown the same ones have points whatever the processes are called.

    When one more process comes, what is counted under other classes does not fall, nor does any class that stays.
    """

    def worker(origin, letter):
        series = {
            ("m", ""): SeriesPart(
                Multiclass(), (), {(): process_ledger(200, 0, tuple((f"{letter}{n}",) for n in range(200)))}
            )
        }
        return Part(origin, 1, "process", NOW, HOUR, series=series)

    def shown(*parts):
        of = found(points(Snapshot(parts)), "modelmon.predictions")
        return {dict(point.attributes)["predicted"]: point.value for point in of}

    alone = shown(worker("x", "d"))
    both = shown(worker("x", "d"), worker("a", "c"))
    assert both == shown(worker("x", "c"), worker("a", "d")) == shown(worker("a", "d"), worker("x", "c"))
    assert len(both) == CLASSES + 1
    assert sum(both.values()) == 400
    assert both["__other__"] == 400 - CLASSES
    assert all(both.get(name, n) >= n for name, n in alone.items())


def test_slices_name_classes_alike():
    """The text 1 of one slice and the number 1 of another are two classes, and not shown as one."""
    pages = {(("a", letter),): process_ledger(3, 0, ((one,),)) for letter, one in (("A", "1"), ("B", 1))}
    of = points(of_parts({("m", ""): SeriesPart(Multiclass(), (), pages)}, {}))
    assert value(of, "modelmon.predictions", predicted='"1"', a="A") == value(
        of, "modelmon.predictions", predicted="1", a="B"
    )
    assert not found(of, "modelmon.predictions", predicted="1", a="A")
