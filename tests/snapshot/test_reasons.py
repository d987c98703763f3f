"""Why a number is undefined, told of what was counted and not of something else."""

from __future__ import annotations

import counted
import numpy as np
import pytest

from modelmon import Monitor, Multilabel
from modelmon.parts import SeriesPart
from modelmon.snapshot import Snapshot
from modelmon.tasks import Binary, Multiclass

generator = np.random.default_rng(2)


def best_only():
    """Return a model of 40 classes, of whose probabilities the best are kept."""

    def count(tally, rows):
        counted.accepted(tally, len(rows), len(rows))
        tally.confusion.update(rows % 40, rows % 40)
        tally.losses.update_ranks(rows % 5)

    return counted.model(SeriesPart(Multiclass(), tuple(range(40)), {(): counted.ledgers(count, np.zeros(100))}))


@pytest.mark.parametrize("name", ["log_loss", "brier", "calibration_error", "auc"])
def test_probabilities_that_are_not_kept(name):
    """Above 32 classes it is not the scores' fault that there is no loss."""
    assert "above 32 classes only the best scores" in best_only().why(name)


def test_a_ratio_names_the_class_that_is_meant():
    """The denominator is that of the class asked for, of a binary task the positive one."""
    never = counted.model(counted.binary([1] * 10, [0.2] * 10))
    assert never.why("precision") == "its denominator is 0: class 1 was never predicted"
    assert never.why("recall", of=0) == "its denominator is 0: class 0 was not met"
    assert never.why("specificity", of=1) == "its denominator is 0: class 1 is all that was met"
    assert never.why("negative_predictive_value", of=0) == "its denominator is 0: class 0 is all that was predicted"
    three = counted.model(counted.labelled([0, 1], [1, 0], classes=("a", "b", "c"), task=Multiclass(("a", "b", "c"))))
    assert three.why("f1", of="c") == "its denominator is 0: class 'c' was neither met nor predicted"
    assert "one class is all" in never.why("mcc")
    scored = counted.multiclass([0, 1, 0], generator.dirichlet([1, 1, 1], 3), classes=("a", "b", "c"))
    assert counted.model(scored).why("auc", of="c") == "all or none with scores are of 'c'"


def test_whole_rows_of_several_labels():
    """Partial truths judge no whole row; an average over rows that is not kept is said to be so."""
    monitor = Monitor(gpu=False)
    monitor.predictions(range(5), [[]] * 5, model="m", task=Multilabel(classes=("a", "b")))
    monitor.labels(range(4), [{"a": True}] * 4)
    partial = monitor.snapshot()["m"]
    for asked in ({"metric": "accuracy"}, {"metric": "f1", "average": "samples"}):
        assert "of none the truth of every label is known" in partial.why(**asked)
    assert partial.why("jaccard", average="samples") == "no average over rows is kept of jaccard"
    assert partial.why("recall", of="b") == "its denominator is 0: class 'b' was not met"
    assert partial.why("precision", average="macro") == "its denominator is 0 for every label"
    monitor.labels([4], [{"a": False, "b": False}])
    assert monitor.snapshot()["m"].why("precision", average="samples") == "its denominator is 0 for every row"


def test_one_row_has_no_variance():
    """Of one row there is no variance to explain."""
    assert "one row" in counted.model(counted.regression([2.0], [1.0])).why("r2")
    assert "not varied" in counted.model(counted.regression([2.0, 2.0], [1.0, 1.0])).why("r2")


def many(hits_past_the_bound, extra=0):
    """Return an open task whose 257th class stands for all further ones: ten rows, of which so many predicted as it."""
    truth = np.r_[np.arange(256), np.full(10, 256)]
    predicted = np.r_[np.arange(256), np.where(np.arange(10) < hits_past_the_bound, 256, 0)]
    classes = (*(f"c{n:03}" for n in range(256)), "__other__")
    return counted.labelled(truth[: len(truth) - extra], predicted[: len(truth) - extra], classes=classes)


MIXED = counted.model(many(4))
APART = counted.model(many(0))
UNMET = counted.model(many(0, extra=10))


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "mcc", "kappa", "precision", "f1", "top_k"])
def test_no_row_past_the_bound_of_classes_is_taken_for_right(metric):
    """What cannot be known of classes counted as one is undefined, with its reason, and has no interval."""
    of = 1 if metric == "top_k" else None
    assert np.isnan(MIXED.value(metric, of=of))
    assert np.isnan(MIXED.interval(metric, of=of)[0])
    assert "declare the classes" in MIXED.why(metric, of=of)


def test_what_is_known_past_the_bound_of_classes():
    """Named classes are exact, and so are shares of all rows while no row was both of and predicted as the rest."""
    assert np.isnan(MIXED.recall("__other__"))
    assert np.isnan(MIXED.recall(average=None)["__other__"])
    assert np.isnan(MIXED.interval("recall", of="__other__")[0])
    assert "declare" in MIXED.why("recall", of="__other__")
    assert "declare" in MIXED.why("precision", average="micro")
    assert MIXED.precision("c001") == MIXED.recall("c000") == 1
    assert MIXED.interval("recall", of="c001")[0] > 0
    assert "declare" in MIXED.why("accuracy", method="poststratified")
    assert APART.accuracy == APART.f1(average="micro") == pytest.approx(256 / 266)
    assert APART.recall("__other__") == 0
    assert np.isnan(APART.balanced_accuracy)
    assert UNMET.accuracy == UNMET.balanced_accuracy == UNMET.f1() == 1
    assert counted.model(counted.labelled([0], [0], classes=("__other__",))).accuracy == 1
    assert counted.model(SeriesPart(Binary())).merged is None


def test_counters_past_the_bound_of_classes():
    """Rows of classes counted as one are counted as rows, and never as right."""
    whole = Snapshot((counted.part(series={counted.KEY: many(4)}),))
    shown = {p.name: p.value for p in whole.points() if ("class", "__other__") in p.attributes}
    assert shown["modelmon.class.support"] == 10
    assert shown["modelmon.class.predicted"] == 4
    assert shown["modelmon.class.true_positives"] == 0


def test_predictions_past_the_bound_of_classes_are_counted_as_overflow():
    """Each prediction that is counted under the rest is told of under the budget of classes, calls under theirs."""
    monitor = Monitor(gpu=False)
    for _ in range(2):
        monitor.predictions(range(300), range(300), model="m")
    snapshot = monitor.snapshot()
    assert snapshot["m"].predicted["__other__"] == 88
    assert dict(snapshot.counts("self:overflow").items()) == {("classes",): 88}
