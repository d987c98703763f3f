"""However rows are spread over origins, slices and slots, the readings are scikit-learn's on all rows together."""

from __future__ import annotations

import warnings

import counted
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from modelmon.parts import SeriesPart
from modelmon.snapshot import Snapshot
from modelmon.tallies import Ledger
from modelmon.tasks import Multiclass

VALUES = ("b", 10, "a", 2, 0.5)
rows = st.lists(
    st.tuples(
        st.sampled_from(VALUES),
        st.sampled_from(VALUES),
        st.sampled_from(["first", "second"]),
        st.sampled_from([(), (("country", "DE"),), (("country", "FR"),)]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=50,
)


def spread(found):
    """Return a snapshot of rows (truth, predicted, origin, slice, slot), each origin with its own order of classes."""
    parts = []
    for origin in sorted({row[2] for row in found}):
        mine = [row for row in found if row[2] == origin]
        classes = list(dict.fromkeys(value for row in mine for value in row[:2]))
        ledgers = {page: Ledger() for page in {row[3] for row in mine}}
        for truth, predicted, _, page, slot in mine:
            for tally in ledgers[page].book(slot):
                tally.confusion.update(np.array([classes.index(truth)]), np.array([classes.index(predicted)]))
                counted.moved(tally, "none", "joined", 1)
        series = {counted.KEY: SeriesPart(Multiclass(), tuple(classes), ledgers)}
        parts.append(counted.part(origin, series=series, taken_at=399.0))
    return Snapshot(tuple(parts))[counted.KEY]


def check(model, found):
    """Compare a reading with scikit-learn's on the rows it is about."""
    places = {value: place for place, value in enumerate(model.classes)}
    truth, predicted = ([places[row[column]] for row in found] for column in (0, 1))
    assert model.labelled == len(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.confusion_matrix(truth, predicted, labels=range(len(places)))
        assert model.confusion.matrix.tolist() == expected.tolist()
        assert abs(model.f1() - sk.f1_score(truth, predicted, average="macro", zero_division=np.nan)) < 1e-12
        assert abs(model.balanced_accuracy - sk.balanced_accuracy_score(truth, predicted)) < 1e-12


@settings(max_examples=25, deadline=None)
@given(rows)
def test_rows_add_up(found):
    """The whole, each slice and each window read exactly the rows they are about."""
    model = spread(found)
    assert list(model.classes) == sorted(model.classes, key=lambda value: (isinstance(value, str), value))
    check(model, found)
    for page, reading in model.slices().items():
        check(reading, [row for row in found if row[3] == page])
    for start, reading in model.windows().items():
        check(reading, [row for row in found if row[4] * 100.0 == start])
    recent = [row for row in found if row[4] >= 2]
    if recent:
        check(model.window(199), recent)
