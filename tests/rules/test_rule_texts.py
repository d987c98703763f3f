"""Rules as text: what a reader of YAML and of PromQL gets back, and what is refused."""

from __future__ import annotations

import promtool
import pytest
from servers import needs

from modelmon import Burn, ConfigurationError, Objective, Rule
from modelmon.points.attributes import safe_text
from modelmon.rules import prometheus, windows
from modelmon.rules.recorded import Alerting, Group, Recording, quoted, rule_file, span

HOSTILE = 'a"b\\c\n{{ $labels.x }} \u2028\x07 é 中 😀 : # - yes'


@needs("promtool")
def test_hostile_names_are_kept_apart_from_syntax(tmp_path):
    """Names of models, classes and rules that look like YAML, PromQL or templates stay names."""
    rules = [
        Rule(HOSTILE, "recall", of=HOSTILE, below=0.5, model=HOSTILE[:30], version="", note=HOSTILE),
        Rule("on", "modelmon.predictions", above=-1, where={"predicted": HOSTILE}, severity=HOSTILE),
    ]
    text = prometheus(rules, arrivals=None)
    assert "SUCCESS" in promtool.check(tmp_path, text)
    up = (("instance", "a"), ("job", "j"))
    class_ = (("predicted", HOSTILE),)
    read = [{("up", up): 1.0, ("modelmon_predictions_total", up + class_): float(n)} for n in range(3)]
    alert = {"exp_labels": {"severity": safe_text(HOSTILE)}}
    summary = f"modelmon.predictions (predicted={HOSTILE}) is 2, above -1"
    alert["exp_annotations"] = {"summary": f" : {summary}"}
    asked = [{"eval_time": "2m", "alertname": "on", "exp_alerts": [alert]}]
    promtool.verify(tmp_path, text, read, alert_rule_test=asked)


@needs("promtool")
def test_gauges_and_levels_take_the_worst(tmp_path):
    """Of several gauges the one furthest beyond counts, and what adds up is added."""
    rules = [
        Rule("old", "modelmon.exporter.last_success_age", above=5, where={"exporter": "log"}),
        Rule("fresh", "modelmon.exporter.last_success_age", below=2),
        Rule("full", "in_flight", above=5, model="m"),
    ]
    gauge, active = "modelmon_exporter_last_success_age_seconds", "modelmon_call_active"
    step = {
        (gauge, (("exporter", "log"), ("instance", "a"))): 1.0,
        (gauge, (("exporter", "log"), ("instance", "b"))): 9.0,
        (active, (("instance", "a"), ("model", "m"))): 3.0,
        (active, (("instance", "b"), ("model", "m"))): 4.0,
    }
    asked = {"expr": "sum by (alertname) (ALERTS)", "eval_time": "1m"}
    asked["exp_samples"] = [{"labels": f'{{alertname="{rule.name}"}}', "value": 1} for rule in rules]
    values = [("old", 9), ("fresh", 1), ("full", 7)]
    promtool.verify(tmp_path, prometheus(rules, arrivals=None), [step, step], promql_expr_test=[asked])
    said = [
        {"alertname": name, "eval_time": "1m", "exp_alerts": [{"exp_labels": labels, "exp_annotations": notes}]}
        for (name, value), rule in zip(values, rules, strict=True)
        for labels in [{"severity": "warning"} | ({"model": "m"} if name == "full" else {})]
        for about in ["m : " if name == "full" else " : "]
        for notes in [{"summary": f"{about}{rule.subject_text} is {value}, {rule.side} {rule.threshold:g}"}]
    ]
    promtool.verify(tmp_path, prometheus(rules, arrivals=None), [step, step], alert_rule_test=said)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("a", "recall", below=0.5), "say of= or average="),
        (Rule("a", "specificity", of=1, below=0.5), "not among the exported points"),
        (Rule("a", "auc", of=1, below=0.5), "not among the exported points"),
        (Rule("a", "f1", average="samples", below=0.5), "not among the exported points"),
        (Rule("a", "mcc", below=0.5, confidence=0.9), "only the interval of 95% is exported"),
        (Objective("a", "duration", within=0.3, target=0.9), "within=0.3 is none of the bounds"),
    ],
    ids=["which class", "no gauge", "of a class", "of samples", "confidence", "bound"],
)
def test_what_the_points_cannot_tell_is_refused(rule, said):
    """A rule that could never fire for want of numbers is an error that names the rule."""
    with pytest.raises(ConfigurationError, match=f"rule 'a': .*{said}"):
        prometheus([rule])


@pytest.mark.parametrize(
    "given",
    [{"keep": ["a b"]}, {"arrivals": ["soon"]}, {"interval": "often"}, {"rules": [Rule("a", "calls", above=1)] * 2}],
    ids=["label", "span", "interval", "twice"],
)
def test_settings_that_cannot_work_are_refused(given):
    """Labels that are none, spans that are none, and two rules of one name are refused."""
    with pytest.raises(ConfigurationError):
        prometheus(**given)


def test_nothing_to_write_is_an_empty_file():
    """Without rules and without quality the file is empty, and still YAML of the right shape."""
    assert prometheus(arrivals=None) == "groups: []\n"


def test_windows_of_rules_about_quality():
    """Exporters are told each window once, in one way to write it."""
    rules = [
        Rule("a", "recall", of=1, below=0.5, window="24h"),
        Rule("b", "coverage", below=0.5, window=86400.0),
        Rule("c", "accuracy", below=0.5, window="90m", mature=False),
        Rule("d", "accuracy", below=0.5, window="1h", mature="36h"),
        Rule("e", "calls", above=1),
        Rule("g", "modelmon.label.coverage", below=0.5, where={"window": "2h"}),
        Rule("h", "modelmon.quality", below=0.5, where={"window": "total", "metric": "accuracy"}),
        Objective("f", "calls", target=0.9, burns=(Burn("x", 2, "1h", "5m"),)),
    ]
    assert windows(rules) == ("1d:mature", "90m", "1h:36h", "2h")


def test_text_of_a_file():
    """A file reads as people write it: spans, quotes only where they are needed, comments above groups."""
    group = Group(
        "g",
        (
            Recording("m:x", "1 +\n1", (("le", "+Inf"),)),
            Alerting("too slow", 'up{a="\u2028"}', 90.0, (("severity", "page"),), (("summary", "50%: é"),)),
        ),
        60.0,
        "first\nsecond",
    )
    assert rule_file([group]) == (
        "groups:\n  # first\n  # second\n  - name: g\n    interval: 1m\n    rules:\n"
        '      - record: m:x\n        expr: |-\n          1 +\n          1\n        labels:\n          le: "+Inf"\n'
        '      - alert: "too slow"\n        expr: "up{a=\\"\\u2028\\"}"\n        for: 90s\n'
        '        labels:\n          severity: page\n        annotations:\n          summary: "50%: é"\n'
    )
    assert [quoted(text) for text in ("ok", "No", "7", "", "\U000e0001")] == [
        "ok", '"No"', '"7"', '""', '"\\U000e0001"',
    ]  # fmt: skip
    assert [span(seconds) for seconds in (0.0001, 1.5, 7 * 86400, 0)] == ["1ms", "1500ms", "1w", "0s"]


@needs("promtool")
def test_rules_without_numbers_are_told(tmp_path):
    """Where a model's quality is shown and a window that rules read is not, an alert says so, and else none."""
    rules = [
        Rule("misses", "recall", of=1, below=0.5, window="24h"),
        Rule("inexact", "accuracy", below=0.5, window="1d"),
        Rule("elsewhere", "accuracy", below=0.5, window="1d", model="other"),
        Rule("blind", "coverage", below=0.5, window="1h", mature=False),
    ]
    shown = (("metric", "coverage"), ("model", "m"), ("version", "1"))
    name = "modelmon_quality_support"
    step = {(name, (*shown, ("window", "total"))): 7.0, (name, (*shown, ("window", "60m"))): 0.0}
    text = prometheus(rules, arrivals=None)
    said = "no exporter shows window 1d:mature to the rules misses, inexact: give it windows=('1d:mature',)"
    alert = {"exp_labels": {"model": "m", "version": "1", "severity": "warning", "window": "1d:mature"}}
    alert["exp_annotations"] = {"summary": said}
    asked = [{"eval_time": "16m", "alertname": "modelmon rules without numbers", "exp_alerts": [alert]}]
    promtool.verify(tmp_path, text, [step] * 17, alert_rule_test=asked)
    whole = step | {(name, (*shown, ("window", "24h:mature"))): 0.0}
    asked = [{"eval_time": "16m", "expr": "ALERTS", "exp_samples": []}]
    promtool.verify(tmp_path, text, [whole] * 17, promql_expr_test=asked)


@needs("promtool")
def test_alerts_of_one_window_and_several_models_differ(tmp_path):
    """Rules about different models in one window give alerts of different labels, which a server can tell apart."""
    rules = [
        Rule("misses", "recall", of="fraud", below=0.8, model="fraud"),
        Rule("inexact", "recall", of="fraud", below=0.7, model="fraud"),
        Rule("newer", "recall", of="fraud", below=0.7, model="fraud", version="2"),
        Rule("far", "mae", above=3, model="price"),
        Rule("any", "accuracy", below=0.5),
    ]
    text = prometheus(rules, arrivals=None)
    assert text.count("no exporter shows window") == 4
    assert text.count("no quality by class is exported") == 2
    assert "duplicate" not in promtool.check(tmp_path, text)
