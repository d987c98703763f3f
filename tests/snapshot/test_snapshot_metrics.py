"""Metrics by name: their values against scikit-learn, their intervals, and why they are undefined."""

from __future__ import annotations

import math

import counted
import numpy as np
import pytest
from sklearn import metrics as sk

from modelmon.parts import SeriesPart
from modelmon.readings.metrics import METRICS
from modelmon.snapshot import Snapshot
from modelmon.tasks import Binary, Multiclass

EXACT = {"rel": 0, "abs": 1e-12}
generator = np.random.default_rng(11)
TRUTH = generator.integers(0, 2, 600)
SCORES = np.clip(0.3 * TRUTH + 0.7 * generator.random(600), 0, 1)
CLASSES = ("x", "y", "z")
ACTUAL = generator.integers(0, 3, 600)
ROWS = generator.dirichlet([1, 1, 1], 600) + 0.7 * np.eye(3)[ACTUAL]
ROWS = ROWS / ROWS.sum(axis=1, keepdims=True)
FLAGS = generator.integers(0, 2, (2, 400, 3))
NUMBERS = generator.normal(size=(2, 400)) + np.array([[5.0], [5.5]])

binary = counted.model(counted.binary(TRUTH, SCORES))
several = counted.model(counted.multiclass(ACTUAL, ROWS, classes=CLASSES))
sets = counted.model(counted.multilabel(*FLAGS, classes=("a", "b", "c")))
numbers = counted.model(counted.regression(*NUMBERS))


def test_binary_ranks_either_class():
    """Area and average precision of the negative class are those of the reversed score."""
    assert binary.auc_of(1) == binary.auc == pytest.approx(sk.roc_auc_score(TRUTH, SCORES), **EXACT)
    assert binary.auc_of(0) == pytest.approx(sk.roc_auc_score(1 - TRUTH, -SCORES), **EXACT)
    assert binary.average_precision_of(0) == pytest.approx(sk.average_precision_score(1 - TRUTH, -SCORES), **EXACT)


def test_several_classes_rank_one_against_the_rest():
    """Macro area and average precision are means over classes, as in scikit-learn, within their bounds."""
    low, high = several.auc_bounds
    assert low <= sk.roc_auc_score(ACTUAL, ROWS, multi_class="ovr") <= high
    assert high - low < 2e-3
    low, high = several.average_precision_bounds
    assert low <= sk.average_precision_score(np.eye(3)[ACTUAL], ROWS) <= high
    assert several.average_precision_of("y") == pytest.approx(
        sk.average_precision_score(ACTUAL == 1, ROWS[:, 1]), abs=1e-3
    )
    assert several.log_loss == pytest.approx(sk.log_loss(ACTUAL, ROWS), **EXACT)
    assert several.top_k(2) == pytest.approx(sk.top_k_accuracy_score(ACTUAL, ROWS, k=2), **EXACT)


def test_a_class_without_rows_has_no_area():
    """A class that is never true takes no part in the mean over classes."""
    rows = np.hstack([ROWS, np.zeros((600, 1))])
    model = counted.model(counted.multiclass(ACTUAL, rows, classes=(*CLASSES, "never")))
    assert model.auc == pytest.approx(several.auc, **EXACT)
    assert math.isnan(model.auc_of("never"))


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_sets_of_labels(name):
    """Ratios of several labels per row equal scikit-learn's in every average, by sample too."""
    score = getattr(sk, f"{name}_score")
    for average in ("micro", "macro", "weighted", "samples"):
        expected = score(FLAGS[0], FLAGS[1], average=average, zero_division=np.nan)
        assert getattr(sets, name)(average=average) == pytest.approx(expected, **EXACT), average
    expected = score(FLAGS[0], FLAGS[1], average=None)
    assert list(getattr(sets, name)(average=None).values()) == pytest.approx(expected, **EXACT)


def test_sets_as_a_whole():
    """Accuracy of several labels per row is of whole rows; their confusion is (L, 2, 2)."""
    assert sets.accuracy == pytest.approx(sk.accuracy_score(FLAGS[0], FLAGS[1]), **EXACT)
    assert sets.hamming_loss == pytest.approx(sk.hamming_loss(FLAGS[0], FLAGS[1]), **EXACT)
    assert sets.confusion.matrix.tolist() == sk.multilabel_confusion_matrix(FLAGS[0], FLAGS[1]).tolist()
    assert math.isnan(sets.mcc)
    assert math.isnan(sets.ratio("jaccard", average="samples"))


def test_errors_of_a_regression():
    """Every metric of a regression equals scikit-learn's."""
    truth, predicted = NUMBERS
    assert numbers.mae == pytest.approx(sk.mean_absolute_error(truth, predicted), **EXACT)
    assert numbers.mse == pytest.approx(sk.mean_squared_error(truth, predicted), **EXACT)
    assert numbers.rmse == pytest.approx(sk.root_mean_squared_error(truth, predicted), **EXACT)
    assert numbers.r2 == pytest.approx(sk.r2_score(truth, predicted), **EXACT)
    assert numbers.explained_variance == pytest.approx(sk.explained_variance_score(truth, predicted), **EXACT)
    assert numbers.mape == pytest.approx(sk.mean_absolute_percentage_error(truth, predicted), **EXACT)
    assert numbers.bias == pytest.approx((predicted - truth).mean(), **EXACT)


def test_default_averages():
    """Without a class or an average it is the positive class of two, and the macro average of more."""
    assert binary.recall() == binary.recall(1) == binary.recall(True) == binary.recall(np.int64(1))
    assert several.recall() == several.recall(average="macro")
    assert several.precision(average=None) == {value: several.precision(value) for value in CLASSES}


def test_wrong_questions_are_answered_in_words():
    """Unknown classes, averages and metrics, and both at once, are refused with what there is."""
    with pytest.raises(KeyError, match="'x', 'y', 'z'"):
        several.recall("w")
    with pytest.raises(KeyError, match="no class"):
        several.auc_of(float("nan"))
    with pytest.raises(ValueError, match="not both"):
        several.recall("x", average="macro")
    with pytest.raises(ValueError, match="micro, macro"):
        several.recall(average="mean")
    with pytest.raises(KeyError, match="balanced_accuracy"):
        several.value("accurracy")
    with pytest.raises(ValueError, match="whole model"):
        several.value("accuracy", of="x")
    with pytest.raises(ValueError, match="averaged"):
        several.interval("auc", average="macro")
    with pytest.raises(ValueError, match="1 or more"):
        several.why("top_k")
    with pytest.raises(ValueError, match="one class or more"):
        several.top_k(0)


def test_values_by_name():
    """Every metric can be read by its name, as rules and exporters do."""
    assert several.value("recall", of="x") == several.recall("x")
    assert several.value("recall", average="weighted") == several.recall(average="weighted")
    assert several.value("auc", of="y") == several.auc_of("y")
    assert several.value("top_k", of=2) == several.top_k(2)
    for name, metric in METRICS.items():
        of = 1 if metric.takes == "count" else None
        for model in (binary, several, sets, numbers):
            assert isinstance(model.value(name, of=of), float)


MATRIX = {"accuracy", "balanced_accuracy", "precision", "recall", "f1", "specificity", "jaccard", "mcc", "kappa"}
SOUND = {
    "binary": (binary, {*MATRIX, "auc", "average_precision", "coverage"}),
    "several": (several, {*MATRIX, "auc", "average_precision", "top_k"}),
    "sets": (sets, {"accuracy"}),
    "numbers": (numbers, {"mae", "bias"}),
}


@pytest.mark.parametrize("kind", SOUND)
def test_intervals_hold_their_value(kind):
    """Where an interval is known it holds the value, and shrinks with less confidence; elsewhere it is nan."""
    model, sound = SOUND[kind]
    for name, metric in METRICS.items():
        of = 1 if metric.takes == "count" else None
        low, high = model.interval(name, of=of)
        if name in sound and name != "coverage":
            value = model.value(name, of=of)
            assert low < value < high, name
            inner = model.interval(name, of=of, confidence=0.5)
            assert low < inner[0] < value < inner[1] < high, name
        else:
            assert math.isnan(low) == math.isnan(high), name
            assert math.isnan(low) or low <= model.value(name, of=of) <= high, name


def test_intervals_of_averages():
    """Micro, macro and weighted averages have intervals around their value; sets of labels only per label."""
    for name in ("precision", "recall", "f1", "jaccard"):
        for average in ("micro", "macro", "weighted"):
            low, high = several.interval(name, average=average)
            assert low < several.value(name, average=average) < high
    assert all(map(math.isnan, several.interval("specificity", average="micro")))
    assert all(map(math.isnan, sets.interval("f1")))
    low, high = sets.interval("f1", of="b")
    assert low < sets.f1("b") < high
    assert several.interval("auc", of="x")[0] < several.auc_of("x") < several.interval("auc", of="x")[1]


def test_interval_of_coverage():
    """Coverage is a proportion of accepted predictions."""
    assert binary.interval("coverage")[1] == 1
    assert binary.interval("coverage")[0] == pytest.approx(0.9936, abs=1e-4)


@pytest.mark.parametrize("model", [binary, several, numbers])
@pytest.mark.parametrize("name", ["accuracy", "mcc", "auc", "log_loss", "mae", "coverage"])
def test_confidence_is_checked(model, name):
    """A confidence given in percent is refused for every metric."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.interval(name, confidence=95)


EMPTY = counted.model(SeriesPart(Binary()))
PLAIN = counted.model(counted.labelled([0, 1] * 20, [0, 1] * 20, classes=("a", "b")))
ONE_CLASS = counted.model(counted.binary([1, 1], [0.5, 0.7]))
LOGITS = counted.model(counted.binary([0, 1, 1], [-3.0, 2.0, 4.0]))
CONSTANT = counted.model(counted.regression([2.0, 2.0], [1.0, 3.0]))


@pytest.mark.parametrize(
    ("model", "name", "of", "words"),
    [
        (EMPTY, "accuracy", None, "with an id"),
        (binary, "accuracy", None, "^$"),
        (binary, "mae", None, "task Binary"),
        (numbers, "accuracy", None, "task Regression"),
        (binary, "hamming_loss", None, "task Binary"),
        (sets, "mcc", None, "task Multilabel"),
        (ONE_CLASS, "auc", None, "one class"),
        (ONE_CLASS, "mcc", None, "denominator is 0"),
        (ONE_CLASS, "recall", 0, "class 0 was not met"),
        (PLAIN, "auc", None, "without scores"),
        (PLAIN, "brier", None, "without scores"),
        (PLAIN, "top_k", 2, "without scores"),
        (LOGITS, "log_loss", None, r"outside \[0, 1\]"),
        (CONSTANT, "r2", None, "not varied"),
    ],
)
def test_why_a_number_is_undefined(model, name, of, words):
    """Whoever reads nan can ask why and gets the reason in words."""
    import re  # noqa: PLC0415 - only this test reads patterns

    assert re.search(words, model.why(name, of=of))


@pytest.mark.fault("L14")
def test_why_nothing_is_labelled():
    """Before labels come, and after all predictions with ids were refused, the reason says so."""
    refused, waiting = SeriesPart(Binary()), counted.Ledger()
    waiting.total.counts("prediction_events").add(("pending",), 3)
    waiting.total.counts("transitions").add(("none", "pending"), 3)
    assert "yet" in counted.model(SeriesPart(Binary(), (), {(): waiting})).why("accuracy")
    only_invalid = counted.Ledger()
    only_invalid.total.counts("prediction_events").add(("invalid",), 3)
    assert "accepted" in counted.model(SeriesPart(Binary(), (), {(): only_invalid})).why("accuracy")
    assert counted.model(refused).why("coverage") != ""


def test_many_classes_keep_the_best_only():
    """Above 32 classes only ranks of the best five are known: top 5 is exact, top 6 and the area are undefined."""

    def count(tally, rows):
        counted.accepted(tally, len(rows), len(rows))
        tally.confusion.update(rows % 40, rows % 40)
        tally.losses.update_ranks(np.where(rows % 10 == 0, -1, rows % 5))

    ledger = counted.ledgers(count, np.zeros(100))
    model = counted.model(SeriesPart(Multiclass(), tuple(range(40)), {(): ledger}))
    assert model.top_k(5) == 0.9
    assert math.isnan(model.top_k(6))
    assert all(map(math.isnan, model.interval("top_k", of=6)))
    assert "best" in model.why("top_k", of=6)
    assert "above 32" in model.why("auc")
    assert model.interval("top_k", of=5)[0] < 0.9


def test_slices_say_why_they_have_no_area():
    """A slice explains that score histograms are kept for the whole."""
    half = counted.binary(TRUTH[:300], SCORES[:300])
    pages = {(("country", "DE"),): half.ledgers[()], (): half.ledgers[()]}
    model = counted.model(SeriesPart(Binary(), (0, 1), pages, half.shared))
    assert "not by slice" in model.slice(country="DE").why("auc")


def test_thousands_of_classes_have_no_matrix_interval():
    """Intervals that need the whole matrix are left out where it would be too large to hold."""
    codes = np.arange(6000) % 600
    model = counted.model(counted.labelled(codes, np.roll(codes, 1), classes=range(600)))
    assert all(map(math.isnan, model.interval("kappa")))
    assert model.interval("accuracy")[1] > 0


def test_matrices_of_margins_only_have_no_matrix_interval():
    """Past so many pairs of classes only margins are kept: what needs single cells is left out, and nothing raises."""
    truth, predicted = generator.integers(0, 300, (2, 20_000))
    whole = Snapshot((counted.part(series={counted.KEY: counted.labelled(truth, predicted, classes=range(300))}),))
    model = whole[counted.KEY]
    with pytest.raises(ValueError, match="single cells are not kept"):
        _ = model.confusion
    for name in ("kappa", "mcc", "balanced_accuracy", "precision", "recall", "f1", "jaccard"):
        assert not math.isnan(model.value(name)), name
        assert all(map(math.isnan, model.interval(name))), name
        assert math.isnan(model.estimated(name)), name
    assert model.interval("accuracy")[0] < model.accuracy < model.interval("accuracy")[1]
    assert any(point.name == "modelmon.quality" for point in whole.points())


@pytest.mark.parametrize("offset", [1e7, 1e8, 1e9, 0.1])
def test_intervals_of_errors_beside_a_large_mean(offset):
    """The width of the intervals of bias and mean absolute error is that of the spread, however far off a model is."""
    errors = offset + (generator.normal(size=500) if offset > 1 else np.zeros(500))
    model = counted.model(counted.regression(np.zeros(500), errors))
    half = 1.959964 * errors.std(ddof=1) / math.sqrt(500)
    for name in ("bias", "mae"):
        low, high = model.interval(name)
        assert (high - low) / 2 == pytest.approx(half, rel=1e-6 if offset > 1 else 0, abs=1e-7)
