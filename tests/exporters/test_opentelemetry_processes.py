"""OpenTelemetry in processes of their own: global providers, forks, and what is imported."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap

import pytest

_GLOBAL = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from modelmon import Monitor
from modelmon.exporters.opentelemetry import OpenTelemetryExporter

def refuse(provider):
    raise AssertionError("a global provider was set")

taken, metrics.set_meter_provider = metrics.set_meter_provider, refuse
monitor = Monitor()
monitor.add(OpenTelemetryExporter())
monitor(lambda: None, model="early")()
early, late = InMemoryMetricReader(), InMemoryMetricReader()
taken(MeterProvider([early], shutdown_on_exit=False))
second = Monitor()
second.add(OpenTelemetryExporter())
second(lambda: None, model="second")()

def models(reader):
    data = reader.get_metrics_data()
    if data is None:
        return []
    found = [m for s in data.resource_metrics[0].scope_metrics for m in s.metrics if m.name == "modelmon.call.active"]
    return sorted(point.attributes["model"] for metric in found for point in metric.data.data_points)

assert models(early) == ["early", "second"], models(early)
import opentelemetry.metrics._internal as inner
inner._METER_PROVIDER = MeterProvider([late], shutdown_on_exit=False)
assert monitor.flush() and second.flush()
assert models(late) == ["early", "second"], models(late)
assert models(early) == [], models(early)
print("followed")
"""


@pytest.mark.fault("X11")
def test_the_global_provider_may_come_late_and_be_replaced():
    """Instruments made before the application has a provider work once it has; none is ever set by us."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _GLOBAL], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "followed\n", done.stderr


_FORKING = """
import os
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from modelmon import Monitor
from modelmon.exporters.opentelemetry import OpenTelemetryExporter, PreAggregated

reader, beside = InMemoryMetricReader(), InMemoryMetricReader()
provider = MeterProvider([reader, beside], shutdown_on_exit=False)
monitor = Monitor()
monitor.add(OpenTelemetryExporter(provider))
monitor.add(PreAggregated.into(beside, meter_provider=provider))
work = monitor(lambda: None, model="m")

def calls(reader):
    scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
    found = [m for s in scopes for m in s.metrics if m.name == "modelmon.calls"]
    return [sum(point.value for point in metric.data.data_points) for metric in found]

for _ in range(100):
    work()
assert calls(reader) == [100], calls(reader)
for n in (1, 2):
    pid = os.fork()
    if not pid:
        try:
            for _ in range(n):
                work()
            right = calls(reader) == [n] and calls(beside) == [n, n]
        finally:
            os._exit(0 if right else 1)
    assert os.waitpid(pid, 0)[1] == 0
assert calls(reader) == [100]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_forked_children_begin_at_zero():
    """Parent and children together show each call once, where the SDK's own counters show some of them again."""
    program = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + textwrap.dedent(_FORKING)
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_api_is_enough():
    """The exporter loads no SDK, and importing the library loads no OpenTelemetry at all."""
    program = """
        import sys, modelmon
        assert not any(name.startswith("opentelemetry") for name in sys.modules)
        from modelmon.exporters.opentelemetry import OpenTelemetryExporter
        modelmon.Monitor().add(OpenTelemetryExporter())
        assert not any(name.startswith("opentelemetry.sdk") for name in sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_without_the_sdk_the_message_names_the_extra():
    """What needs the SDK raises where it is imported, and says what to install."""
    program = """
        import sys
        sys.modules["opentelemetry.sdk"] = None
        from modelmon.exporters import opentelemetry
        assert not hasattr(opentelemetry, "Nothing")
        try:
            from modelmon.exporters.opentelemetry import PreAggregated
        except ImportError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60, capture_output=True, text=True
    )
    assert "modelmon[otel]" in done.stdout


@pytest.mark.parametrize(
    ("missing", "module", "remedy"),
    [
        ("opentelemetry", "exporter", "opentelemetry-api"),
        ("opentelemetry.sdk.metrics.export", "preaggregated", r"modelmon\[otel\]"),
    ],
)
def test_messages_name_what_to_install(monkeypatch, missing, module, remedy):
    """Each module says itself what it lacks."""
    loaded = importlib.import_module(f"modelmon.exporters.opentelemetry.{module}")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, missing, None)
        with pytest.raises(ImportError, match=remedy):
            importlib.reload(loaded)


def test_without_metadata_the_scope_has_no_version(monkeypatch):
    """Run from its sources alone the library does not know its version, and says nothing."""
    scope = importlib.import_module("modelmon.exporters.opentelemetry.scope")
    assert scope._version() == scope.VERSION

    def unknown(name):
        raise scope.PackageNotFoundError(name)

    monkeypatch.setattr(scope, "version", unknown)
    assert not scope._version()
    with pytest.raises(AttributeError, match="Nothing"):
        _ = importlib.import_module("modelmon.exporters.opentelemetry").Nothing
