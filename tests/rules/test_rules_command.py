"""The command ``modelmon rules``: Python, YAML and JSON in, a rule file out that promtool takes."""

from __future__ import annotations

import errno
import json
import os
import sys

import promtool
import pytest
from servers import needs

from modelmon import Burn, Objective, Rule
from modelmon.cli import main
from modelmon.rules import prometheus

PROGRAM = """
from modelmon import Alerts, Objective, Rule
import thresholds

slow = Rule("slow", "duration", quantile=0.99, above=thresholds.SLOW, hold=60)
ratios = [Rule("fails", "errors", per="calls", above=0.1), "no rule"]
alerts = Alerts(slow, Rule("misses", "recall", of="fraud", below=0.8, window="24h"), notify=print)
objectives = (Objective("answers", "calls", target=0.99),)
"""
DATA = {
    "rules": [
        {"name": "slow", "metric": "duration", "quantile": 0.99, "above": 0.25, "hold": 60},
        {"name": "fails", "metric": "errors", "per": "calls", "above": 0.1},
        {"name": "misses", "metric": "recall", "of": "fraud", "below": 0.8, "window": "24h"},
    ],
    "objectives": [{"name": "answers", "metric": "calls", "target": 0.99}],
}
RULES = (
    Rule("slow", "duration", quantile=0.99, above=0.25, hold=60),
    Rule("fails", "errors", per="calls", above=0.1),
    Rule("misses", "recall", of="fraud", below=0.8, window="24h"),
    Objective("answers", "calls", target=0.99),
)


@pytest.mark.parametrize("kind", ["py", "yml", "json"])
def test_the_same_rules_from_every_kind_of_file(tmp_path, capsys, kind):
    """Python, YAML and JSON give the same rule file, and what an exporter must show is said."""
    text = PROGRAM
    if kind != "py":
        yaml = pytest.importorskip("yaml")
        text = yaml.safe_dump(DATA, sort_keys=False) if kind == "yml" else json.dumps(DATA)
    file = tmp_path / f"alerts.{kind}"
    file.write_text(text, "utf-8")
    tmp_path.joinpath("thresholds.py").write_text("SLOW = 0.25\n", "utf-8")
    assert main(["rules", str(file)]) == 0
    sys.modules.pop("thresholds", None)
    told = capsys.readouterr()
    assert told.out == prometheus(RULES)
    assert "windows=('1d:mature',)" in told.err


@needs("promtool")
def test_without_a_file_quality_is_recorded(tmp_path, capsys):
    """Without a file there are recording rules alone, apart by namespace, and promtool takes them."""
    out = tmp_path / "quality.yml"
    words = ["--arrivals", "1h", "--arrivals", "1d", "--keep", "namespace", "--interval", "30s"]
    assert main(["rules", "-o", str(out), *words]) == 0
    assert capsys.readouterr() == ("", "")
    text = out.read_text("utf-8")
    assert "interval: 30s" in text
    assert "sum by (model, version, namespace) (modelmon:tp:1d)" in text
    assert "SUCCESS" in promtool.check(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", "x = 1", "there is no Rule or Objective in it"),
        ("a.toml", "", "ends in .py, .yml, .yaml or .json"),
        ("a.json", "[", "Expecting value"),
        ("a.json", '{"rules": [], "groups": []}', "or both, and not 'groups'"),
        ("a.json", '{"rules": [{"name": "a", "above": 1, "above": 2}]}', "above: stands twice in one mapping"),
        ("a.json", "[]", "a file of rules holds a list under rules:"),
        ("a.json", '{"rules": {}}', "rules: must be a list"),
        ("a.json", '{"rules": [7]}', "rules[0] must be a mapping"),
        ("a.json", '{"rules": [{"metric": "duration", "above": 1}]}', "missing 1 required positional argument: 'name'"),
        ("a.json", '{"rules": [{"name": "a", "metrik": "duration"}]}', "rules[0]: 'metrik' is none of name, metric"),
        ("a.json", '{"rules": [{"name": "a", "metric": "durations", "above": 1}]}', "nothing is called 'durations'"),
        ("a.json", '{"objectives": [{"name": "a", "target": 0.9, "burns": 3}]}', "burns: must be a list"),
        ("a.json", '{"rules": [{"name": "a", "metric": "recall", "above": 0.9}]}', "say of= or average="),
        ("a.json", '{"rules": [' + ", ".join(2 * ['{"name": "a", "metric": "calls", "above": 1}']) + "]}", "two rules"),
    ],
)
def test_what_cannot_work_is_said(tmp_path, capsys, name, text, said):
    """A file without rules, or with one that cannot work, is refused with the reason and the place."""
    tmp_path.joinpath(name).write_text(text, "utf-8")
    assert main(["rules", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith(f"modelmon: {tmp_path / name}: ")


def test_a_disk_that_is_full_is_said_with_the_file(tmp_path, capsys, monkeypatch):
    """The system does not say which file could not be written, so the command does."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("modelmon.commands.rules.Path.write_text", full)
    assert main(["rules", "-o", str(tmp_path / "rules.yml")]) == 1
    assert str(tmp_path / "rules.yml") in capsys.readouterr().err


def test_burns_of_an_objective_are_read(tmp_path, capsys):
    """An objective's burns are mappings too."""
    burn = {"name": "fast", "factor": 10, "window": "30m", "short": "5m"}
    data = {"objectives": [{"name": "good", "metric": "calls", "target": 0.99, "burns": [burn]}]}
    file = tmp_path / "a.json"
    file.write_text(json.dumps(data), "utf-8")
    assert main(["rules", str(file), "--no-quality"]) == 0
    rule = Objective("good", "calls", target=0.99, burns=(Burn("fast", 10, "30m", "5m"),))
    assert capsys.readouterr().out == prometheus([rule], arrivals=None)


def test_broken_yaml_and_missing_files_are_said(tmp_path, capsys, monkeypatch):
    """YAML that is none, a file that is missing, and PyYAML that is missing, are one line each."""
    pytest.importorskip("yaml")
    file = tmp_path / "a.yml"
    file.write_text("rules: [", "utf-8")
    assert main(["rules", str(file)]) == 2
    capsys.readouterr()
    assert main(["rules", str(tmp_path / "b.yml")]) == 2
    assert capsys.readouterr().err == f"modelmon: {tmp_path}/b.yml: no such file or directory\n"
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert main(["rules", str(file)]) == 1
    assert "modelmon[rules]" in capsys.readouterr().err


def test_yaml_and_json_of_any_editor_are_read(tmp_path, capsys):
    """A mark before the text is passed over, YAML can merge, and bytes that are no text are said with the file."""
    yaml = pytest.importorskip("yaml")
    rule = {"name": "a", "metric": "errors", "above": 1}
    marked, merged, broken, twice = (tmp_path / name for name in ("a.json", "b.yml", "c.json", "d.yml"))
    marked.write_text(json.dumps({"rules": [rule]}), "utf-8-sig")
    entries = "- &a {name: a, metric: errors, above: 1}\n- &b {<<: *a, name: b}\n- {<<: *b, name: c, above: 2}\n"
    merged.write_text(f"rules:\n{entries}", "utf-8-sig")
    broken.write_bytes(b"\xff\xba")
    twice.write_text(yaml.safe_dump({"rules": [rule]}).replace("name: a", "name: a\n  name: b"), "utf-8")
    assert main(["rules", str(marked), "--no-quality"]) == 0
    assert capsys.readouterr().out == prometheus([Rule(**rule)], arrivals=None)
    assert main(["rules", str(merged), "--no-quality"]) == 0
    thresholds = [Rule("a", "errors", above=1), Rule("b", "errors", above=1), Rule("c", "errors", above=2)]
    assert capsys.readouterr().out == prometheus(thresholds, arrivals=None)
    assert main(["rules", str(broken)]) == 2
    assert str(broken) in capsys.readouterr().err
    assert main(["rules", str(twice)]) == 2
    assert f"{twice}: name: stands twice in one mapping" in capsys.readouterr().err


def test_words_that_older_yaml_takes_for_booleans_are_text(tmp_path, capsys):
    """A class called no is that class; true and false alone are booleans, and other readers of YAML are left alone."""
    yaml = pytest.importorskip("yaml")
    words = ("no", "Yes", "on", "OFF", "y", "n", "'true'", "TRUE", "False")
    file = tmp_path / "a.yml"
    entries = (f"- {{name: r{place}, metric: recall, of: {word}, below: 0.5}}\n" for place, word in enumerate(words))
    file.write_text("rules:\n" + "".join(entries) + "- {name: m, metric: mcc, below: 0.5, mature: false}\n", "utf-8")
    assert main(["rules", str(file), "--no-quality"]) == 0
    classes = (*words[:6], "true", True, False)
    rules = [Rule(f"r{place}", "recall", of=of, below=0.5) for place, of in enumerate(classes)]
    rules.append(Rule("m", "mcc", below=0.5, mature=False))
    assert capsys.readouterr().out == prometheus(rules, arrivals=None)
    assert yaml.safe_load("[no, on]") == [False, True]
    file.write_text("rules: [{name: m, metric: mcc, below: 0.5, mature: no}]", "utf-8")
    assert main(["rules", str(file)]) == 2
    assert "mature='no'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--arrivals", "0s"], "nothing arrives within no time"),
        (["--keep", "class"], "'class' is no label of yours"),
        (["--keep", "a-b"], "'a-b' is no label of Prometheus"),
    ],
)
def test_settings_that_would_break_the_server_s_rules_are_refused(tmp_path, capsys, words, said):
    """A window of no length, and a label that the rules tell apart themselves, are refused when the file is written."""
    file = tmp_path / "a.json"
    file.write_text(json.dumps(DATA), "utf-8")
    assert main(["rules", str(file), *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert str(file) not in err, "it is none of the file's"


def test_what_is_said_twice_is_recorded_once(capsys):
    """The same window of arrival, however written, and the same label give no rule twice."""
    assert main(["rules", "--arrivals", "1h", "--keep", "namespace"]) == 0
    once = capsys.readouterr().out
    assert main(["rules", *"--arrivals 1h --arrivals 60m --keep namespace --keep namespace".split()]) == 0
    assert capsys.readouterr().out == once


def test_options_take_several_with_commas(capsys):
    """One option with commas says what two options say."""
    assert main("rules --arrivals 1h --arrivals 1d --keep namespace --keep team".split()) == 0
    apart = capsys.readouterr().out
    assert main(["rules", "--arrivals", "1h, 1d", "--keep", "namespace,team"]) == 0
    assert capsys.readouterr().out == apart
    assert main(["rules", "--arrivals", "1h,"]) == 2
    assert "is no span of time" in capsys.readouterr().err
