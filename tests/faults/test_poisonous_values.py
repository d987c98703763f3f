"""Outputs and labels that no sum should ever meet; row X12 of the catalogue of faults, and the names of X14."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelmon import Binary, Monitor, Regression
from modelmon.exporters.prometheus import PrometheusExporter


class NoNumber(float):
    """A number that fails whenever it is converted."""

    def __float__(self) -> float:
        """Fail."""
        raise ZeroDivisionError

    __int__ = __index__ = __round__ = __float__  # type: ignore[assignment]


def poisons() -> list[Any]:
    """Return outputs that no sum should ever meet."""
    huge = [10**400, -(10**400), float("1e308"), "nan", "1e999", b"\xff", complex(1, 2), object()]
    arrays = [
        np.array([]),
        np.zeros((2, 2, 2)),
        np.array([math.nan]),
        np.array([math.inf]),
        np.array("nan"),
        {"a": math.nan},
    ]
    return [math.nan, math.inf, -math.inf, *huge, *arrays, [[math.nan]], [None], NoNumber(2.0), None]


@pytest.mark.fault("X12")
@pytest.mark.parametrize("task", [Binary(positive=1), Regression(), None], ids=["binary", "regression", "undeclared"])
def test_values_that_poison_sums(task: Any) -> None:
    """Whatever comes as output and label, laws hold, and what is scraped and sent has finite numbers only."""
    good = 0 if task is None else 0.25
    plain, poisoned = Monitor(), Monitor()
    for own, bad in ((plain, []), (poisoned, poisons())):
        predict = own(model="m", task=task, id="key")(lambda key, value: value)  # noqa: ARG005
        for number in range(20):
            predict(number, good)
            for value in bad:
                assert predict(f"bad-{number}", value) is value
            own.label(number, number % 2)
            for value in bad:
                own.label(f"bad-{number}", value)
        own.check_invariants()
    left, right = plain.snapshot()["m"], poisoned.snapshot()["m"]
    assert right.labelled >= left.labelled == 20
    exporter = poisoned.add(PrometheusExporter(0))
    for family in text_string_to_metric_families(scrape(exporter.port)):
        for sample in family.samples:
            assert math.isfinite(sample.value), sample
    json.loads(poisoned.snapshot().to_json(), parse_constant=pytest.fail)
    poisoned.close()


def scrape(port: int) -> str:
    """Return what is served on a port of loopback."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())
