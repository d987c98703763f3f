"""Rules about one class, against the real promtool: numbers and texts that read alike, and models of too many."""

from __future__ import annotations

import json

import promtool
from servers import needs

from modelmon import Monitor, Multiclass, Multilabel, Rule
from modelmon.alerting import Evaluation
from modelmon.cli import main
from modelmon.points.reading import points
from modelmon.rules import prometheus, windows
from modelmon.testing import FakeClock

UP = (("instance", "a"), ("job", "j"))
SILENT = "modelmon rules without numbers"


def shown(monitor: Monitor, rules: list[Rule]) -> dict:
    """Return what a server reads of a monitor that shows the windows of rules."""
    return promtool.read(points(monitor.snapshot(), windows=windows(rules)), **dict(UP))


def classified(
    model: str, rules: list[Rule], predicted: list, true: list, task: object = None
) -> tuple[Monitor, list[tuple[str, str]]]:
    """Return a monitor of a model that predicted and got labels, and which rules fire for it in the process."""
    clock = FakeClock()
    monitor, evaluation = Monitor(clock=clock), Evaluation(rules)
    monitor.predictions([], [], model=model, version="1", task=task or Multiclass())
    evaluation.evaluate(monitor.snapshot())
    ids = [f"{model}-{place}" for place in range(len(predicted))]
    monitor.predictions(ids, predicted, model=model, version="1", task=task or Multiclass())
    monitor.labels(ids[: len(true)], true)
    clock.advance(15)
    evaluation.evaluate(monitor.snapshot())
    return monitor, [(alert.name, model) for alert in evaluation.alerts if alert.state == "firing"]


def firing(*names: tuple[str, str], at: str = "1m") -> dict:
    """Ask that these alerts fire for these models, and no others."""
    wanted = [{"labels": promtool.selector("", (("alertname", name), ("model", of))), "value": 1} for name, of in names]
    return {"eval_time": at, "expr": 'count by (alertname, model) (ALERTS{alertstate="firing"})', "exp_samples": wanted}


@needs("promtool")
def test_a_number_and_a_text_that_reads_alike_are_told_apart(tmp_path):
    """Where 1 and "1" are both classes each rule reads its own, as the process does; elsewhere "1" is the text."""
    kinds = {"number": 1, "text": "1", "quoted": "cat"}
    rules = [
        Rule(f"{name} {kind}", metric, of=of, mature=False, window="1h", **given)
        for name, metric, given in (
            ("misses", "recall", {"below": 0.5}),
            ("sure", "recall", {"below": 0.6, "confidence": 0.95, "min_support": 20}),
            ("rare", "precision", {"below": 0.5}),
        )
        for kind, of in kinds.items()
    ]
    rules += [
        Rule("many", "predictions", of="1", above=30, window="1h"),
        Rule("some", "predictions", of=True, above=3, window="1h"),
        Rule("most", "predictions", of="1", per="predictions", above=0.9, window="1h"),
    ]
    # 1 is always right, "1" never is; where it has no labels its recall is undefined, and not that of 1
    task = Multiclass(classes=[1, "1", "cat"])
    worlds = {
        "both": ([1] * 30 + ["cat"] * 30, [1] * 30 + ["1"] * 30, task),
        "lone": (["cat"] * 30 + ["1"] * 3, ["1"] * 30),
        "none": (["1"] * 40 + [1] * 20, []),
        "undefined": (["cat"] * 30 + ["1"] * 2 + [1], ["cat"] * 3 + [1] * 27, task),
    }
    made = {model: classified(model, rules, *world) for model, world in worlds.items()}
    step = {key: value for monitor, _ in made.values() for key, value in shown(monitor, rules).items()}
    wanted = [fired for _, names in made.values() for fired in names]
    assert {("misses text", "both"), ("misses number", "undefined"), ("many", "none")} <= set(wanted)
    # the points of a model without the number 1 do not tell that its 1 is a text
    wanted += [("misses number", "lone"), ("sure number", "lone")]
    up = {("up", UP): 1.0}
    steps = [up, up | step]
    promtool.verify(tmp_path, prometheus(rules, arrivals=None), steps, promql_expr_test=[firing(*wanted)])


@needs("promtool")
def test_models_of_too_many_classes_are_told(tmp_path):
    """Above 32 classes no quality by class is exported, which an alert says; of others it says nothing."""
    rules = [
        Rule("misses", "recall", of=7, below=0.5, mature=False, window="1h"),
        Rule("inexact", "precision", of=7, below=0.5, mature=False, window="1h"),
        Rule("other", "recall", of="never", below=0.5, mature=False, window="1h"),
        Rule("named", "recall", of="never", below=0.5, mature=False, window="1h", model="large"),
        Rule("whole", "accuracy", below=-1, mature=False, window="1h"),
    ]
    tags = [f"tag{place}" for place in range(33)]
    worlds = {
        "fits": ([n % 32 for n in range(64)], [0] * 64, None),
        "large": ([n % 33 for n in range(66)], [0] * 66, None),
        "larger": ([n % 300 for n in range(300)], [0] * 300, None),
        "texts": ([f"c{n}" for n in range(40)], ["c0"] * 40, None),
        "tags": ([["tag1"]] * 9, [["tag2"]] * 9, Multilabel(classes=tags)),
        "few tags": ([["tag1"]] * 9, [["tag2"]] * 9, Multilabel(classes=tags[:32])),
    }
    made = {model: classified(model, rules, *world) for model, world in worlds.items()}
    step = {key: value for monitor, _ in made.values() for key, value in shown(monitor, rules).items()}
    text = prometheus(rules, arrivals=None)
    assert "SUCCESS" in promtool.check(tmp_path, text)
    said = "no quality by class is exported of more than 32 classes, to the rules"
    alerts = [
        {
            "exp_labels": {"model": model, "version": "1", "severity": "warning", "class": of},
            "exp_annotations": {"summary": f"{said} {names}"},
        }
        for model, of, names in (
            ("large", "7", "misses, inexact"),
            ("larger", "7", "misses, inexact"),
            ("large", "never", "named"),
        )
    ]
    asked = [{"eval_time": "16m", "alertname": SILENT, "exp_alerts": alerts}]
    promtool.verify(tmp_path, text, [step | {("up", UP): 1.0}] * 17, alert_rule_test=asked)
    assert ("inexact", "larger") in made["larger"][1], "the process knows the quality of every class"


def test_the_command_says_which_rules_large_models_have_no_numbers_for(tmp_path, capsys):
    """Rules about a class are named on standard error; where there are none nothing is said."""
    file = tmp_path / "a.json"
    rule = {"name": "misses", "metric": "recall", "of": "fraud", "below": 0.5}
    said = (
        "modelmon: models of more than 32 classes export no quality by class, as these rules read it: misses, inexact"
    )
    of_none = [rule | {"of": None, "average": "macro"}, {"name": "slow", "metric": "duration", "above": 1, "of": "ok"}]
    for rules, told in (([rule, rule | {"name": "inexact"}], [said]), (of_none, [])):
        file.write_text(json.dumps({"rules": rules}), "utf-8")
        assert main(["rules", str(file), "-o", str(tmp_path / "out.yml")]) == 0
        assert capsys.readouterr().err.splitlines()[1:] == told
