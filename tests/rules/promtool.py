"""The real ``promtool test rules``: points become series, and what should come of them is asked in PromQL."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from modelmon.exporters.exposition import samples
from modelmon.points.families import escape, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from modelmon.points.catalogue import Point

Series = tuple[str, tuple[tuple[str, str], ...]]


def read(points: Iterable[Point], **labels: str) -> dict[Series, float]:
    """Return what a server would read from points: a value for each series, with further labels."""
    return {(name, (*own, *labels.items())): float(value) for point in points for name, own, value in samples(point)}


def inputs(steps: Sequence[Mapping[Series, float]]) -> list[dict[str, str]]:
    """Return series over steps of time as promtool reads them; a series that is not there at a step goes stale."""
    written = []
    for series in dict.fromkeys(key for step in steps for key in step):
        values, last = [], False
        for step in steps:
            there = series in step
            values.append(number(step[series]) if there else ("stale" if last else "_"))
            last = there
        written.append({"series": selector(*series), "values": " ".join(values)})
    return written


def selector(name: str, labels: Iterable[tuple[str, str]]) -> str:
    """Return a series as it is written in PromQL."""
    inner = ",".join(f'{key}="{escape(value)}"' for key, value in labels if value)
    return f"{name}{{{inner}}}"


def close(expression: str, value: float, tolerance: float = 1e-12) -> dict[str, Any]:
    """Ask that one series comes out near a value; that none does if the value is nan."""
    if math.isnan(value):
        return {"expr": f"count({expression}) or vector(0)", "exp_samples": [{"labels": "{}", "value": 0}]}
    slack = tolerance * max(1.0, abs(value))
    question = f"count(abs({expression} - ({number(value)})) <= {number(slack)}) or vector(0)"
    return {"expr": question, "exp_samples": [{"labels": "{}", "value": 1}]}


def verify(
    folder: Path, rules: str, steps: Sequence[Mapping[Series, float]], *, interval: str = "1m", **asked: Any
) -> None:
    """Run rules over series and hold them to what is asked; raise with promtool's own words if it differs."""
    folder.joinpath("rules.yml").write_text(rules, "utf-8")
    case = {"interval": interval, "input_series": inputs(steps), **asked}
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": interval, "tests": [case]}
    folder.joinpath("test.yml").write_text(_yaml(whole), "utf-8")
    run(folder, "test", "rules", "test.yml")


def _yaml(data: object) -> str:
    """Return JSON that YAML reads alike: it knows no pairs of surrogates."""
    pair = re.compile(r"\\ud[89ab]\w\w\\ud[cdef]\w\w")
    return pair.sub(lambda found: "\\U" + format(ord(json.loads('"' + found[0] + '"')), "08x"), json.dumps(data))


def check(folder: Path, rules: str) -> str:
    """Return what ``promtool check rules`` says of rules; raise if it does not take them."""
    folder.joinpath("rules.yml").write_text(rules, "utf-8")
    return run(folder, "check", "rules", "rules.yml")


def run(folder: Path, *words: str) -> str:
    """Run promtool in a folder and return what it printed."""
    line = [shutil.which("promtool") or "promtool", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
    return done.stdout + done.stderr
