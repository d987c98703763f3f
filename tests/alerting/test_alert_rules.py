"""Rules and objectives as they are declared."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError

import pytest

import modelmon
from modelmon import Burn, Objective, Rule
from modelmon.errors import ConfigurationError
from modelmon.points.catalogue import CATALOGUE
from modelmon.rules.subjects import SUBJECTS, subject_named


def test_a_rule_reads_back_as_it_was_declared():
    """Spans are seconds, attributes are pairs of text, and the sides of the threshold are told apart."""
    rule = Rule("misses", "recall", of="fraud", below=0.8, hold="1h", min_support=200, confidence=0.95, window="24h")
    assert (rule.hold, rule.window, rule.threshold, rule.side) == (3600.0, 86400.0, 0.8, "below")
    errors = Rule("errors", "modelmon.calls", where={"outcome": "error"}, per="modelmon.calls", above=0.01)
    assert (errors.where, errors.side, errors.subject.kind) == ((("outcome", "error"),), "above", "counter")
    assert Rule("r", "recall", below=1, mature="3d").mature == 3 * 86400
    assert rule.changed(below=None, above=0.9).side == "above"


@pytest.mark.parametrize(
    "made", [Rule("slow", "duration", quantile=0.99, above=0.25), Objective("o", within=1, target=0.9)]
)
def test_declarations_are_values(made):
    """They compare, hash, copy and pickle as values, and cannot be changed."""
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made.changed() == made  # noqa: S301
    assert hash(made) == hash(made.changed())
    with pytest.raises(FrozenInstanceError):
        made.name = "other"


@pytest.mark.parametrize(
    ("metric", "given", "said"),
    [
        ("duration", {}, "exactly one of above= and below="),
        ("duration", {"above": 1, "below": 2}, "exactly one of above= and below="),
        ("duration", {"above": "high"}, "must be a finite number"),
        ("duration", {"above": float("nan")}, "must be a finite number"),
        ("duration", {"above": 1, "quantile": 99}, "between 0 and 1"),
        ("duration", {"above": 1, "window": 0}, "window= must be more than 0"),
        ("duration", {"above": 1, "hold": "soon"}, "no span of time"),
        ("duration", {"above": 1, "confidence": 0.95}, "no interval of duration is known"),
        ("duration", {"above": 1, "average": "macro"}, "are for quality metrics"),
        ("duration", {"above": 1, "where": {"outcome": "ok"}}, "where= is for points"),
        ("duration", {"above": 1, "per": "calls"}, "divides counts by counts; duration is none"),
        ("errors", {"above": 1, "per": "duration"}, "divides counts by counts; duration is none"),
        ("errors", {"above": 1, "per": "nonsense"}, "nothing is called 'nonsense'"),
        ("calls", {"above": 1, "quantile": 0.5}, "for distributions"),
        ("calls", {"above": 1, "min_support": 5}, "min_support= is for"),
        ("calls", {"above": 1, "min_support": -1}, "whole number"),
        ("calls", {"above": 1, "version": "1"}, "version= without model="),
        ("items", {"above": 1, "of": "x"}, "does not take of="),
        ("modelmon.calls", {"above": 1, "of": "error"}, "use where="),
        ("modelmon.calls", {"above": 1, "where": {"model": "x"}}, "use model="),
        ("modelmon.calls", {"above": 1, "where": {"outcome": [1]}}, "no text, number or bool"),
        ("modelmon.store.errors", {"above": 1, "model": "x"}, "belongs to no model"),
        ("recall", {"below": 1, "quantile": 0.5}, "do not apply to recall"),
        ("recall", {"below": 1, "average": "mean"}, "there are micro, macro"),
        ("recall", {"below": 1, "average": "macro", "of": 1}, "not both"),
        ("recall", {"below": 1, "confidence": 1}, "be neither"),
        ("accuracy", {"below": 1, "of": "x"}, "of the whole model"),
        ("log_loss", {"above": 1, "confidence": 0.9}, "none is known of log_loss"),
        ("accuracy", {"below": 1, "min_coverage": 2}, "between 0 and 1"),
        ("accuracy", {"below": 1, "severity": ""}, "severity='' must be text"),
        ("nonsense", {"above": 1}, "nothing is called 'nonsense'"),
        ("f1", {"below": 1, "average": "samples", "confidence": 0.9}, "none is known of samples f1"),
        ("recall", {"below": 80}, "recall is 1 at most"),
        ("coverage", {"below": 50}, "coverage is 1 at most"),
        ("errors", {"above": 5, "per": "calls"}, "errors per calls is 1 at most"),
        ("errors", {"above": 1, "of": ValueError}, "must be text, such as 'ValueError'"),
        ("duration", {"above": 1, "of": "okay"}, "none of ok, error, cancelled, abandoned"),
        ("errors", {"above": 1, "model": 3}, "model=3 must be text"),
        ("errors", {"above": 1, "note": 3}, "note=3 must be text"),
        ("modelmon.calls", {"above": 1, "where": "error"}, "must be a mapping"),
        ("modelmon.calls", {"above": 1, "where": {"outcome": "failed"}}, "'failed' is none of ok, error, cancelled"),
        ("modelmon.call.duration", {"above": 1, "where": {"outcome": "OK"}}, "where: outcome='OK' is none of ok"),
        ("modelmon.call.device_duration", {"above": 1, "where": {"timing": "gpu"}}, "none of device_event, host_sync"),
        ("modelmon.join.occupancy", {"above": 1, "where": {"state": "none"}}, "'none' is none of pending, joined"),
        ("modelmon.join.transitions", {"above": 1, "where": {"from": "new"}}, "'new' is none of none, pending"),
        ("modelmon.confusion", {"above": 1, "where": {"correct": False}}, "'False' is none of true, false"),
        ("modelmon.quality", {"above": 1, "where": {"average": "mean"}}, "'mean' is none of micro, macro, weighted"),
        ("modelmon.label.assumed", {"above": 1, "where": {"event": "x"}}, "'x' is none of made, confirmed"),
        ("modelmon.quality", {"above": 1, "where": {"window": "1 day"}}, "'1 day' is no span of time"),
        ("modelmon.exporter.failures", {"above": 1, "per": "calls"}, "one is counted by model, and the other by none"),
        ("errors", {"above": 1, "per": "modelmon.self.dropped"}, "one is counted by model, and the other by none"),
        ("label_events", {"above": 1, "of": "join"}, "of='join' is none of joined, corrected"),
        ("prediction_events", {"above": 1, "of": "lost"}, "of='lost' is none of pending, joined_early"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(metric, given, said):
    """The message names the rule and what is wrong with it, at the line that declares it."""
    with pytest.raises(ConfigurationError, match=r"^rule 'r': ") as caught:
        Rule("r", metric, **given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "given", "said"),
    [
        ("duration", {}, "say what is good by within="),
        ("duration", {"within": 1, "target": 1}, "be neither"),
        ("calls", {"within": 1}, "is a count: say what is bad"),
        ("predictions", {}, "is a count: say what is bad"),
        ("in_flight", {}, "neither a distribution nor a count"),
        ("recall", {}, "neither a distribution nor a count"),
        ("nonsense", {}, "nothing is called"),
        ("calls", {"min_support": 0.5}, "whole number"),
        ("calls", {"version": "1"}, "version= without model="),
        ("calls", {"burns": ()}, "one burn or more"),
        ("calls", {"burns": ("fast",)}, "burns= holds 'fast'"),
        ("calls", {"target": 0.75}, "nothing burns 4 times as fast"),
        ("calls", {"bad": "error"}, "must be a mapping"),
        ("calls", {"bad": {"outcome": "failed"}}, "bad: outcome='failed' is none of ok, error, cancelled, abandoned"),
        ("modelmon.label.events", {"bad": {"outcome": "failed"}}, "outcome='failed' is none of joined, corrected"),
        ("calls", {"min_support": -1}, "whole number"),
        ("duration", {"within": -1}, "must be more than 0"),
        ("calls", {"burns": (Burn("a", 1, 60, 60), Burn("a", 2, 60, 60))}, "a name of its own"),
    ],
)
def test_an_objective_that_cannot_work_is_refused(metric, given, said):
    """The message names the objective and what is wrong with it."""
    with pytest.raises(ConfigurationError, match=r"^rule 'o': ") as caught:
        Objective("o", metric, **({"target": 0.99} | given))
    assert said in str(caught.value)


def test_attributes_that_may_be_a_slice_s_have_any_value():
    """A name that the point does not have itself may be one of a slice, and an error's type may be any."""
    where = {"outcome": "error", "error.type": "shop.Late", "country": "DE", "outcom": "failed"}
    assert dict(Rule("r", "modelmon.calls", where=where, above=1).where) == where
    assert dict(Objective("o", "calls", bad=where, target=0.99).bad) == where


@pytest.mark.parametrize("given", [(0, 60, 60), (1, 60, 120), (1, 60, 0), ("x", 60, 60)])
def test_a_burn_that_cannot_work_is_refused(given):
    """Its factor is more than nothing, and its short window no longer than the long one."""
    with pytest.raises(ConfigurationError):
        Burn("fast", *given)


def test_an_objective_knows_its_budget_and_what_is_bad():
    """Failed calls are bad without being named, and the budget is what the target leaves."""
    objective = Objective("answers", "calls", target=0.75, burns=(Burn("any", 1, "1h", "5m"),))
    assert (objective.budget, objective.bad) == (0.25, (("outcome", "error"),))
    assert objective.subject.point == "modelmon.calls"


def test_every_subject_has_its_point():
    """What a rule may be about is carried by a point of the catalogue, under attributes that it has."""
    for subject in SUBJECTS.values():
        own = CATALOGUE[subject.point].attributes
        assert {name for name, _ in subject.where} | {subject.narrowed} <= {*own, ""}
    assert subject_named("recall").where == (("metric", "recall"),)
    assert subject_named("modelmon.store.lag").sort == "point"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("r", "duration", above=1), "mean duration"),
        (Rule("r", "recall", average="macro", below=1), "macro recall"),
        (Rule("r", "errors", of="ValueError", per="calls", above=1), "errors of 'ValueError' per calls"),
    ],
    ids=["mean", "average", "ratio"],
)
def test_a_rule_says_what_it_looks_at(rule, said):
    """The words are those of the declaration."""
    assert rule.subject_text == said


def test_the_face_hands_them_out():
    """They are names of the package itself."""
    assert {"Rule", "Objective", "Burn", "Alerts", "Alert"} <= set(modelmon.__all__)
    assert modelmon.Alerts.__name__ == "Alerts"
