"""A model snapshot shows itself as a table."""

from __future__ import annotations

import counted
import numpy as np
import pytest

from modelmon.parts import SeriesPart
from modelmon.readings.table import number, period, shown
from modelmon.snapshot import Snapshot
from modelmon.tallies import Ledger
from modelmon.tasks import Binary

truth = np.arange(200) % 2
scores = np.where(np.arange(200) % 10 < 8, truth, 1 - truth) * 0.6 + 0.2


def test_a_person_can_read_it():
    """The table names model, task and main figures, and has one line per class; what does not apply is left out."""
    ledger = Ledger()
    ledger.total.counts("calls").add(("ok", ""), 1198)
    ledger.total.counts("calls").add(("error", "ValueError"), 2)
    ledger.total.durations("duration:ok").update(np.full(100, 5_000_000))
    ledger.total.counts("predicted").add(("fraud",), 1200)
    process = counted.part("p", series={counted.KEY: SeriesPart(None, (), {(): ledger}, active={(): 3})})
    task = Binary("fraud", "fine")
    store = counted.part("s", series={counted.KEY: counted.binary(truth, scores, task=task)})
    assert repr(Snapshot((process, store))[counted.KEY]).splitlines() == [
        "fraud 1 (Binary)",
        "  calls                1,200 (2 error)",
        "  in flight            3",
        "  duration             median 5 ms, 99 % within 5 ms",
        "  predictions          1,200",
        "  labelled             200 of 200 (100.0%)",
        "  accuracy             0.8000  (0.7391 to 0.8495)",
        "  balanced accuracy    0.8000  (0.7446 to 0.8554)",
        "  mcc                  0.6000  (0.4891 to 0.7109)",
        "  auc                  0.8000  (0.7385 to 0.8500)",
        "  average precision    0.7400  (0.6455 to 0.8165)",
        "  log loss             0.5004",
        "  brier                0.1600",
        "  calibration error    0.0000",
        "  class    precision  recall      f1  support  predicted",
        "  'fine'      0.8000  0.8000  0.8000      100        100",
        "  'fraud'     0.8000  0.8000  0.8000      100        100",
    ]


def test_a_store_alone_tells_of_no_calls():
    """What other processes called and predicted is unknown to a store, so its table does not say zero."""
    lines = repr(counted.model(counted.labelled([0, 1], [0, 1], classes=range(2)))).splitlines()
    assert not any(line.split()[0] in {"calls", "predictions"} for line in lines[1:])
    assert lines[1].split()[:2] == ["labelled", "2"]


def test_every_task_has_a_table():
    """Regressions show errors, sets of labels their labels, and many classes the ten with most support."""
    assert "r2" in repr(counted.model(counted.regression([1.0, 2.0, 3.0], [1.5, 2.0, 2.5])))
    flags = np.array([[1, 0], [0, 0]])
    assert "hamming loss" in repr(counted.model(counted.multilabel(flags, flags, classes=("a", "b"))))
    codes = np.concatenate([np.arange(30), np.arange(12)])
    table = repr(counted.model(counted.labelled(codes, codes, classes=range(30))))
    assert "and 20 more" in table
    assert len(table.splitlines()) < 20


@pytest.mark.fault("Z16")
def test_html_is_escaped():
    """Names of models and classes are escaped in HTML, and control characters never reach a terminal."""
    series = counted.labelled([0, 1], [1, 1], classes=("<b>", "&"))
    key = ("<script>\x1b[31m", "\n1")
    model = Snapshot((counted.part(series={key: series}),))[key]
    html = model._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<b>&lt;" not in repr(model)
    assert "'&lt;b&gt;'" in html or "&#x27;&lt;b&gt;&#x27;" in html
    assert "\x1b" not in html + repr(model)
    assert repr(model).splitlines()[0].endswith("\\n1 (Multiclass)")
    assert len(html) < 2000


def test_numbers_for_reading():
    """Spans of time come in their unit, numbers short, nan not at all."""
    assert [period(s) for s in (2e-6, 3e-3, 59.0, 3600 * 30)] == ["2 µs", "3 ms", "59 s", "1.25 d"]
    assert [number(v) for v in (float("nan"), 0.12345, 12345.678)] == ["", "0.1235", "12,345.7"]
    assert shown("a\nb") == "a\\nb"
