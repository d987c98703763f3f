"""What panels say of labels that replicas counted, by the real promtool: accuracy, its band, and how many labels."""

from __future__ import annotations

import math

import promtool
import pytest
from asking import Asker
from servers import needs

from modelmon import Binary, Monitor, Multiclass, Multilabel
from modelmon.dashboards.gpu import GPU
from modelmon.dashboards.quality import accuracy, coverage, joined, labelled, wilson, without_labels
from modelmon.dashboards.scopes import ALL, ONE
from modelmon.intervals import proportion
from modelmon.readings.calls import TIMINGS
from modelmon.testing import FakeClock

BY = ("model", "version")
MANY = [f"c{place:02}" for place in range(33)]


class Replica:
    """A process that a server reads once a minute."""

    def __init__(self, instance: str, **settings):
        """Start with nothing counted."""
        self.instance, self.clock = instance, FakeClock(1.8e9)
        self.monitor = Monitor(clock=self.clock, **settings)
        self.ids = 0

    def labelled(self, task, said, true):
        """Predict rows, and have them labelled unless there are no truths."""
        ids = [f"{self.instance}-{self.ids + place}" for place in range(len(said))]
        self.ids += len(said)
        self.monitor.predictions(ids, said, model="m", version="1", task=task)
        if true is not None:
            self.monitor.labels(ids, true)
        return ids

    def read(self):
        """Return what the server reads, a minute after it read before."""
        self.clock.advance(60)
        return promtool.read(self.monitor.snapshot().points(), job="j", instance=self.instance)


def asked(expression: str, value: float, at: str = "5m") -> dict:
    """Ask that a panel shows a value where the last five minutes were chosen; nothing where it is nan."""
    expr = Asker(0, 0.0, 1.0, {"span": "5m", "model": "m"}).text(expression)
    return {"eval_time": at, **promtool.close(f"({expr})", value, 1e-5)}


@needs("promtool")
@pytest.mark.parametrize("by", [(), BY], ids=["one", "each"])
def test_replicas_with_cells_and_with_sums_of_classes_are_added_up(tmp_path, by):
    """A replica of 33 classes, which shows no cells, counts as one of two classes does."""
    few, many, steps = Replica("few"), Replica("many"), []
    for _ in range(6):
        few.labelled(Multiclass(["c00", "c01"]), ["c00"], ["c00"])
        many.labelled(Multiclass(MANY), ["c00"] * 9, ["c00"] * 3 + ["c07"] * 6)
        steps.append(few.read() | many.read())
    low, high = proportion(20, 50)
    values = {accuracy: 0.4, labelled: 50}
    wanted = [asked(panel(ONE, by), value) for panel, value in values.items()]
    wanted += [asked(wilson(ONE, end, by), value) for end, value in (("-", low), ("+", high))]
    promtool.verify(tmp_path, "groups: []\n", steps, promql_expr_test=wanted)


@needs("promtool")
@pytest.mark.parametrize("by", [(), BY], ids=["one", "each"])
def test_a_class_too_many_hides_no_new_labels(tmp_path, by):
    """From the 33rd class on there are sums instead of cells; labels of both times are shown."""
    one, steps = Replica("one"), []
    for turn in range(6):
        one.labelled(Multiclass(), ["a"] * 4, ["a"] * 4)
        if turn > 1:
            one.labelled(Multiclass(), ["a"] * 40, [*MANY, *MANY[:7]])
        steps.append(one.read())
    shares = (f"({accuracy(ONE, by)}) < bool 0.5", f"({labelled(ONE, by)}) > bool 130")
    promtool.verify(tmp_path, "groups: []\n", steps, promql_expr_test=[asked(share, 1) for share in shares])


@needs("promtool")
@pytest.mark.parametrize("by", [(), BY], ids=["one", "each"])
def test_labels_of_a_row_have_no_band(tmp_path, by):
    """Micro F1 has no interval, nor while the gauges are gone that tell what it is."""
    one, steps = Replica("one"), []
    for _ in range(4):
        one.labelled(Multilabel(["a", "b"]), [["a"]], [["a", "b"]])
        steps.append(one.read())
    wanted = [asked(accuracy(ONE, by), 2 / 3, at) for at in ("3m", "5m")]
    wanted += [asked(wilson(ONE, end, by), math.nan, at) for end in "-+" for at in ("3m", "5m")]
    promtool.verify(tmp_path, "groups: []\n", [*steps, {}, {}], promql_expr_test=wanted)


@needs("promtool")
def test_what_is_assumed_is_no_label(tmp_path):
    """A model whose labels are all assumed is one without labels; the first that comes for it is one."""
    one, steps, ids = Replica("one"), [], []
    one.monitor.assume_label("ok", after="2m", model="m")
    for turn in range(11):
        ids += one.labelled(Binary("fraud", "ok"), ["ok"] * 4, None)
        if turn > 6:
            one.monitor.label(ids[turn], "fraud" if turn % 2 else "ok")
        steps.append(one.read())
    seen = one.monitor.snapshot()["m"]
    assert (seen.labelled, seen.assumed > 20) == (4, True)
    wanted = [asked(joined(ALL, by), 0, "6m") for by in ((), BY)]
    wanted += [asked(without_labels(ALL), 1, "6m"), asked(coverage(ALL), 0, "6m")]
    wanted += [asked(f"({joined(ALL)}) > bool 2", 1, "10m"), asked(without_labels(ALL), 0, "10m")]
    promtool.verify(tmp_path, "groups: []\n", steps, promql_expr_test=wanted)


def test_time_on_a_device_is_what_the_device_or_who_waited_for_it_says():
    """The host's time is no device's where the host may have left first."""
    (panel,) = (panel for panel in GPU.panels if panel.title == "Duration on the device")
    assert all(f'timing=~"{"|".join(TIMINGS[:2])}"' in query.expr for query in panel.queries)
