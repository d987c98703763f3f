"""Programs of one library each, as its documentation shows them; each does the same as its neighbours."""

from __future__ import annotations

_OURS = """
from modelmon import Monitor, every
def watched(**settings):
    own = Monitor(**settings)
    @own(model="work", version="1")
    def work(): pass
    return own, work
"""
_PROMETHEUS = """
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
made, took = Counter("work_calls", "Calls."), Histogram("work_seconds", "Time.")
def work():
    with took.time(): made.inc()
def shown(registry=REGISTRY):
    return next(float(line.split()[1]) for line in generate_latest(registry).decode().splitlines()
                if line.startswith("work_calls_total"))
"""
_TOGETHER = (
    _PROMETHEUS
    + """
from prometheus_client.multiprocess import MultiProcessCollector
active = Gauge("work_active", "Calls that run.", multiprocess_mode="livesum")
active.inc(); active.dec()
def all_shown():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return shown(registry)
"""
)
_OTEL = """
from opentelemetry.sdk.metrics import MeterProvider
def counter(reader):
    provider = MeterProvider(metric_readers=[reader])
    return provider, provider.get_meter("work").create_counter("calls")
"""
_LEAVE = """
import time
for _ in range(25):
    work(); time.sleep(0.1)
print("leaving", flush=True)
"""
EXITS = {
    "modelmon, a function each second that waits": (
        _OURS
        + """
import sys, urllib.request
own, work = watched()
own.add(every("1s", lambda snapshot: urllib.request.urlopen(
    "http://127.0.0.1:" + sys.argv[1], snapshot.to_json().encode()).read()))
"""
        + _LEAVE
    ),
    "prometheus_client, push_to_gateway at exit": (
        _PROMETHEUS
        + """
import atexit, sys
from prometheus_client import push_to_gateway
atexit.register(push_to_gateway, "127.0.0.1:" + sys.argv[1], job="work", registry=REGISTRY)
"""
        + _LEAVE
    ),
    "opentelemetry-sdk, OTLP over HTTP each second": (
        _OTEL
        + """
import sys
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
exporter = OTLPMetricExporter(endpoint="http://127.0.0.1:" + sys.argv[1] + "/v1/metrics")
provider, calls = counter(PeriodicExportingMetricReader(exporter, export_interval_millis=1000))
def work(): calls.add(1)
"""
        + _LEAVE
    ),
}
_FORK = """
import os, sys
calls, children, each = map(int, sys.argv[2:])
for _ in range(calls): work()
for _ in range(children):
    pid = os.fork()
    if not pid:
        for _ in range(each): work()
        os.write(1, (str(told()) + "\\n").encode())
        os._exit(0)
    os.waitpid(pid, 0)
print(told())
"""
FORKS = {
    "modelmon, each process by itself": _OURS
    + 'own, work = watched()\ndef told(): return own.snapshot()["work"].calls\n'
    + _FORK,
    "prometheus_client, each process by itself": _PROMETHEUS + "told = shown\n" + _FORK,
    "prometheus_client, multiprocess": _TOGETHER  # any process shows all, so only the first is asked
    + _FORK.replace('        os.write(1, (str(told()) + "\\n").encode())\n', "").replace("told()", "all_shown()"),
    "opentelemetry-sdk, each process by itself": _OTEL
    + """
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
provider, calls_made = counter(reader)
def work(): calls_made.add(1)
def told():
    found = reader.get_metrics_data()
    return found.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0].value
"""
    + _FORK,
}
_DIE = """
import os, sys, time
for _ in range(int(sys.argv[2])):
    pid = os.fork()
    if not pid:
        for _ in range(10): work()
        end()
        os._exit(0)
    os.waitpid(pid, 0)
ready()
told, times = 0, []
for _ in range(6):
    time.sleep(1.2)
    before = time.perf_counter()
    told = all_shown()
    times.append(time.perf_counter() - before)
print(told, *times)
"""
WORKERS = {
    "modelmon, a directory": (
        _OURS
        + """
import sys, urllib.request
from modelmon.exporters.prometheus import PrometheusExporter
own, work = watched(directory=sys.argv[1])
own.snapshot()  # loads in the parent what every child would else load
end = own.close
def ready():
    global exporter
    exporter = own.add(PrometheusExporter(port=0))
def all_shown():
    with urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("modelmon_calls_total"))
"""
        + _DIE
    ),
    "prometheus_client, multiprocess": (
        _TOGETHER
        + """
import os
from prometheus_client.multiprocess import mark_process_dead
def end(): mark_process_dead(os.getpid())
def ready(): pass
"""
        + _DIE
    ),
}
