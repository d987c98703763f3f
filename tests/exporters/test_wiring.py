"""Exporters that the environment names: made where something is watched, added at the first call, each for itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from modelmon import Monitor, notices, wiring
from modelmon.errors import ConfigurationError
from modelmon.exporters import environment
from modelmon.exporters.log import LogExporter
from modelmon.exporters.pushgateway import PushgatewayExporter

OWN = {
    "good": "good = custom:Good",
    "noisy": "noisy = custom:noisy",
    "missing": "missing = no_such_module:make",
    "nothing": "nothing = custom:nothing",
    "leaves": "leaves = custom:leaves",
    "number": "number = custom:number",
    "sticky": "sticky = custom:Sticky",
    "broken": "broken = custom:Broken",
}
CUSTOM = """
    from modelmon.readers import Periodic
    import os, sys

    class Good(Periodic):
        def __init__(self):
            super().__init__(3600, self.export, name="good")
        def export(self, snapshot):
            os.write(1, f"good {sum(model.calls for model in snapshot.values())}\\n".encode())

    class Broken(Periodic):
        def __init__(self):
            super().__init__(3600, self.export, name="broken")
        def export(self, snapshot):
            raise SystemExit(3)

    class Sticky(Good):
        def attach(self, source):
            raise OSError(13, "no")

    def noisy():
        raise ValueError("cannot")
    def nothing():
        return None
    def leaves():
        sys.exit(4)
    def number():
        return 7
"""
PROGRAM = """
    import logging, os, sys, json
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(message)s")
    from modelmon import monitor

    @monitor(model="m")
    def predict(x):
        return x

    assert not monitor._readers
    made = [predict(n) for n in range(5)]
    assert made == [0, 1, 2, 3, 4]
    monitor.flush()
    points = monitor.snapshot().points()
    failed = {"/".join(v for _, v in p.attributes): p.value for p in points if p.name == "modelmon.exporter.failures"}
    os.write(1, f"FAILED {json.dumps(failed)}\\n".encode())
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a program under these variables, beside a distribution with exporters of its own."""
    site = tmp_path / "site"
    about = site / "custom-1.0.dist-info"
    about.mkdir(parents=True)
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: custom\nVersion: 1.0\n")
    about.joinpath("entry_points.txt").write_text("[modelmon.exporters]\n" + "\n".join(OWN.values()) + "\n")
    site.joinpath("custom.py").write_text(textwrap.dedent(CUSTOM))

    def run(program=PROGRAM, **variables):
        given = {name: value for name, value in os.environ.items() if not name.startswith("MODELMON_")}
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        line = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)]
        environ = {**given, "PYTHONPATH": path, **{f"MODELMON_{name}": value for name, value in variables.items()}}
        done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.fault("X1", "X10")
def test_bad_exporters_cost_the_good_ones_nothing(run):
    """X1, X10: whatever a factory or an exporter does, calls go on, the others export, and each failure is counted."""
    out = run(EXPORTERS=",".join(["noisy", "unheard-of", *OWN, "log"]))
    failed = json.loads(out.partition("FAILED ")[2].partition("\n")[0])
    assert failed == {
        "broken/SystemExit": 1,
        "leaves/SystemExit": 1,
        "missing/ModuleNotFoundError": 1,
        "noisy/ValueError": 1,
        "nothing/none": 1,
        "number/ConfigurationError": 1,
        "sticky/PermissionError": 1,
        "unheard-of/unknown": 1,
    }
    assert "good 5" in out
    assert "INFO m: 5 calls" in out
    assert out.count("WARNING MODELMON_EXPORTERS names") == 7
    assert "no distribution has an entry point of that name" in out


def test_zero_lines_of_code(run):
    """With the variables alone a program has an endpoint and a log of JSON lines on a stream, its own log untouched."""
    program = """
        import logging, urllib.request
        from modelmon import monitor
        @monitor(model="m")
        def predict(x): return x
        predict(1)
        exporter = next(r for r in monitor._readers if hasattr(r, "asgi_app"))
        text = urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}/metrics", timeout=5).read()
        assert b'modelmon_calls_total{error_type="",model="m",outcome="ok",version=""} 1' in text
        assert not logging.getLogger().handlers and not logging.getLogger("modelmon").handlers
    """
    out = run(program, EXPORTERS="Prometheus, log", PROMETHEUS_PORT="0", LOG_TO="stdout", LOG_FORM="json")
    assert json.loads(out.strip())["calls"] == 1


def test_recorded_predictions_wake_it_too(run):
    """A program that records predictions and watches no call has its exporters as well."""
    program = """
        from modelmon import monitor
        monitor.predictions([1, 2], ["a", "b"], model="m")
    """
    assert "m: 0 calls" in run(program, EXPORTERS="log", LOG_TO="stderr")


def test_switched_off_or_unset_there_is_nothing(run):
    """Without the variable, or with the library switched off, nothing is made; private monitors are left alone."""
    program = """
        import sys
        from modelmon import Monitor, monitor
        for own in ({}):
            @own(model="m")
            def predict(x): return x
            predict(1)
            assert not own._readers
        assert "modelmon.exporters.log" not in sys.modules
    """
    run(program.format("monitor, Monitor()"))
    run(program.format("monitor, Monitor()"), EXPORTERS=" , ")
    run(program.format("monitor, Monitor()"), EXPORTERS="log", DISABLED="1")
    run(program.format("Monitor(),"), EXPORTERS="log")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_preloading_server_has_them_in_its_workers(run):
    """What is watched before a fork, and called after it, is exported by the child, once."""
    program = """
        import os
        from modelmon import monitor
        @monitor(model="m")
        def predict(x): return x
        child = os.fork()
        if not child:
            predict(1)
            assert len(monitor._readers) == 1
            monitor.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert not monitor._readers
    """
    out = run(program, EXPORTERS="good")
    assert out.count("good 1") == 1


def test_ctrl_c_is_passed_on(monkeypatch):
    """Ctrl-C while an exporter is made or added is meant for the program."""

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "log", interrupted)
    monkeypatch.setenv(wiring.VARIABLE, "log")
    with pytest.raises(KeyboardInterrupt):
        wiring.make_all()


class Point:
    """An entry point that gives what it was made with, or raises it."""

    def __init__(self, found):
        """Give this."""
        self.found = found

    def load(self):
        """Return or raise it."""
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


def secretive():
    """Fail with a secret of the settings in the message."""
    msg = "canary-7f3a91"
    raise RuntimeError(msg)


@pytest.mark.fault("X1", "Z12")
@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (ImportError("no back end"), "ImportError"),
        (secretive, "RuntimeError"),
        (lambda: None, "none"),
        (lambda: 7, "ConfigurationError"),
    ],
    ids=["import", "raises", "nothing", "number"],
)
def test_what_is_said_of_a_bad_one(found, reason, monkeypatch, caplog):
    """X1, Z12: each is counted by its reason and said with what helps, and without what may be a secret."""
    notices.forget()
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [Point(found)])
    monkeypatch.setenv(wiring.VARIABLE, "theirs,log")
    own = Monitor()
    for wire in wiring.make_all():
        wiring.connect(own, wire)
    failures = [dict(p.attributes) for p in own.snapshot().points() if p.name == "modelmon.exporter.failures"]
    assert failures == [{"exporter": "theirs", "reason": reason}]
    assert [reader.name for reader in own._readers] == ["log"]
    assert "MODELMON_EXPORTERS names 'theirs'" in caplog.text
    assert "canary" not in caplog.text
    own.close()


def test_a_stream_of_its_own(monkeypatch, capsys):
    """A log to a standard stream belongs to no tree of loggers and leaves the application's alone."""
    monkeypatch.setenv("MODELMON_LOG_TO", "stdout")
    environment.log()._logger.info("here")
    assert capsys.readouterr().out == "here\n"


@pytest.mark.parametrize("name", wiring.OURS)
def test_built_in_names_make_exporters(name, monkeypatch, tmp_path):
    """Every built-in name has a factory, and the entry points of this distribution say the same."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert f'\n{name} = "modelmon.exporters.environment:{name}"\n' in project.read_text("utf-8")
    pytest.importorskip(f"modelmon.exporters.{name}", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    reader = getattr(environment, name)()
    assert callable(reader.attach)
    assert callable(reader.close)


def test_settings_of_the_environment(monkeypatch):
    """What the variables say reaches the exporters."""
    monkeypatch.setenv("MODELMON_PROMETHEUS_PORT", "0")
    monkeypatch.setenv("MODELMON_PROMETHEUS_TOKEN", "canary")
    monkeypatch.setenv("MODELMON_PROMETHEUS_HOST", "0.0.0.0")  # noqa: S104 - never attached
    monkeypatch.setenv("MODELMON_PROMETHEUS_WINDOWS", "1h, 1d")
    exporter = environment.prometheus()
    assert (exporter._windows, exporter._token) == (("1h", "1d"), "canary")
    monkeypatch.setenv("MODELMON_PUSHGATEWAY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MODELMON_PUSHGATEWAY_USER", "ann")
    push = environment.pushgateway()
    assert isinstance(push, PushgatewayExporter)
    assert repr(push) == "<PushgatewayExporter http://127.0.0.1:1/metrics/job/modelmon every 60 s>"
    monkeypatch.setenv("MODELMON_LOG_LOGGER", "app")
    monkeypatch.setenv("MODELMON_LOG_EVERY", "5m")
    log = environment.log()
    assert isinstance(log, LogExporter)
    assert (repr(log), log._logger.name) == ("<LogExporter log every 300 s>", "app")


@pytest.mark.parametrize(
    ("variable", "value", "factory"),
    [
        ("PROMETHEUS_PORT", "many", "prometheus"),
        ("PROMETHEUS_PORT", "70000", "prometheus"),
        ("PROMETHEUS_HOST", "192.0.2.1", "prometheus"),
        ("LOG_TO", "/dev/null", "log"),
        ("LOG_FORM", "xml", "log"),
        ("PUSHGATEWAY_URL", "elsewhere", "pushgateway"),
    ],
)
def test_variables_that_cannot_work(variable, value, factory, monkeypatch):
    """A variable that cannot work is an error of the one exporter that reads it."""
    monkeypatch.setenv(f"MODELMON_{variable}", value)
    with pytest.raises(ConfigurationError):
        getattr(environment, factory)()


def test_a_private_monitor_can_be_wired_by_hand(monkeypatch):
    """What is made from the environment can be connected to any monitor."""
    notices.forget()
    monkeypatch.setenv(wiring.VARIABLE, "log,log,unheard-of")
    own = Monitor()
    for wire in wiring.make_all():
        wiring.connect(own, wire)
    assert [reader.name for reader in own._readers] == ["log"]
    assert "unheard-of" in {dict(p.attributes).get("exporter") for p in own.snapshot().points()}
    own.close()
