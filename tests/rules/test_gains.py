"""How much counters grew, as the server records it: what is new, begins anew, was not read, or is taken over."""

from __future__ import annotations

import promtool
import pytest
from servers import needs

from modelmon import Burn, Objective, Rule
from modelmon.readings.calls import TIMINGS
from modelmon.rules import prometheus
from modelmon.rules.subjects import subject_named

UP = ("up", (("instance", "a:1"), ("job", "j")))


def steps(name: str, counts: list[float | None], up: str, **labels: str) -> list[dict]:
    """Return series over steps: a counter, None where it is not there, and whether the target was read (1 or 0)."""
    own = tuple(sorted({"instance": "a:1", "job": "j", "model": "m", **labels}.items()))
    made = []
    for count, read in zip(counts, up, strict=True):
        there = {} if read == "." else {UP: float(read)}
        made.append(there | ({} if count is None else {(name, own): count}))
    return made


@needs("promtool")
@pytest.mark.parametrize(
    ("counts", "up", "grown"),
    [
        ([7, 7, 8, 9, 9, 12], "111111", 5),  # it was always there
        ([None, None, None, None, 2, 3], "111111", 3),  # the first ones came when the process was long read
        ([None, None, None, None, None, 1], "111111", 1),  # even a single one
        ([7, 8, 9, 10, 1, 2], "111111", 5),  # the process began anew: three before, two after
        ([None, None, None, 40, 41, 43], "...111", 3),  # the process is only read now; what it had counted is no growth
        ([None, None, None, 40, 41, 43], "000111", 3),  # as where it could not be read
        ([7, 9, 11, None, 1, 2], "111111", 6),  # the process began anew, and was read before its first one: 4 and 2
        ([7, 9, None, None, 1, 2], "110111", 4),  # as where it was away for a while
        ([7, None, None, None, 7, 9], "110111", 9),  # where it soon holds as much again, what it holds is growth
        ([None, 40, 42, 1, 1, 3], ".11111", 6.25),  # it is only read now, and began anew since: 5 in 4 of 5 minutes
    ],
    ids=["there", "new", "single", "restarted", "found", "down", "begun", "away", "level", "found and restarted"],
)
def test_growth_of_a_counter_of_a_process(tmp_path, counts, up, grown):
    """What a new series holds is growth where its process was read before, and not where it was not."""
    read = steps("modelmon_calls_total", counts, up, outcome="error", error_type="E")
    text = prometheus([Rule("fails", "errors", above=0)], arrivals=None)
    asked = [{"eval_time": "5m", **promtool.close('modelmon:calls:5m{model="m"}', grown)}]
    promtool.verify(tmp_path, text, read, promql_expr_test=asked)


@needs("promtool")
def test_growth_of_what_a_store_holds(tmp_path):
    """A process that takes over a shared store begins with what others counted, and that is no growth."""
    read = steps("modelmon_label_events_total", [None, None, None, 400, 401, 403], "111111", outcome="late")
    text = prometheus([Rule("late", "label_events", of="late", above=50)], arrivals=None)
    asked = [{"eval_time": "5m", "expr": "ALERTS", "exp_samples": []}]
    promtool.verify(tmp_path, text, read, promql_expr_test=asked)


@needs("promtool")
def test_time_on_a_device_is_what_the_device_or_who_waited_for_it_says(tmp_path):
    """A host that left before the device had done its work tells no time of the device, to rules and objectives."""
    rules = [Rule("slow", "device_duration", above=1), Rule("any", "modelmon.call.device_duration", above=1)]
    good = Objective("good", "device_duration", within=0.5, target=0.9, burns=(Burn("b", 2, "5m", "5m"),))
    read = [{}] * 6
    for timing, seconds in (("device_event", 0.01), ("host_sync", 0.02), ("host_async", 9.0)):
        for part, each in (("count", 1.0), ("sum", seconds), ("bucket", float(seconds < 0.5)), ("bucket", 1.0)):
            name, bound = f"modelmon_call_device_duration_seconds_{part}", "+Inf" if each == 1 else "0.5"
            labels = {"timing": timing} | ({"le": bound} if part == "bucket" else {})
            counts = [turn * each for turn in range(6)]
            read = [old | new for old, new in zip(read, steps(name, counts, "111111", **labels), strict=True)]
    asked = [
        {
            "eval_time": "5m",
            "expr": "count by (alertname) (ALERTS)",
            "exp_samples": [{"labels": '{alertname="any"}', "value": 1}],
        }
    ]
    promtool.verify(tmp_path, prometheus([*rules, good], arrivals=None), read, promql_expr_test=asked)
    assert subject_named("device_duration").among == (("timing", "|".join(TIMINGS[:2])),)


@needs("promtool")
def test_replicas_are_added_up_and_namespaces_are_not(tmp_path):
    """Gains of two replicas add up, and a label to keep tells deployments apart."""
    read = [{}] * 6
    for place, space in (("a:1", "east"), ("b:1", "east"), ("c:1", "west")):
        labels = {"instance": place, "namespace": space, "outcome": "ok"}
        read = [
            old | new
            for old, new in zip(read, steps("modelmon_calls_total", [*range(6)], "......", **labels), strict=True)
        ]
    text = prometheus([Rule("busy", "calls", above=7)], arrivals=None, keep=["namespace"])
    alert = {"exp_labels": {"severity": "warning", "model": "m", "namespace": "east"}}
    alert["exp_annotations"] = {"summary": "m : calls is 10, above 7"}
    asked = [{"eval_time": "5m", "alertname": "busy", "exp_alerts": [alert]}]
    promtool.verify(tmp_path, text, read, alert_rule_test=asked)
