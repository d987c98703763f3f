"""The dashboard of the fleet: processes, stores, exporters and devices, and what this library itself costs."""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.panels import Dashboard, Query, Row
from modelmon.dashboards.pieces import INSTANCES, JOB, lines, stat
from modelmon.dashboards.promql import failed_share, quantile, rate, share, total, zero_where
from modelmon.dashboards.scopes import FLEET

_BY: Final = ("instance",)
_NAMED: Final = "{{instance}}"
_UP: Final = 'up{job=~"$job",instance=~"$instance"}'
_CALLS: Final = FLEET.of("modelmon.calls")
_BUCKETS: Final = FLEET.of("modelmon.call.duration", "_bucket", outcome="ok")
_OVERHEAD: Final = FLEET.of("modelmon.self.overhead")
_DROPPED: Final = rate(FLEET.of("modelmon.self.dropped"))
_AGE: Final = FLEET.of("modelmon.exporter.last_success_age")

_NOW: Final = Row(
    "Now",
    (
        stat("Targets up", "Targets of the chosen jobs that answer scrapes.", f"count({_UP} == 1)"),
        stat(
            "Targets down",
            "Targets that do not answer: what they know is missing from every panel.",
            f"count({_UP} == 0) or 0 * count({_UP})",
            alarm=True,
            empty="no targets",
        ),
        stat("Calls per second", "Calls that ended.", rate(_CALLS), "reqps", decimals=1),
        stat(
            "Records lost",
            "Per second, by this library: buffers that were full, stores that were away.",
            zero_where(_DROPPED, rate(_OVERHEAD)),
            "ops",
            alarm=True,
            empty="unknown",
        ),
        stat(
            "Cost of watching",
            "Processor cores that this library takes, of all processes together.",
            rate(_OVERHEAD),
            "percentunit",
            decimals=2,
        ),
        stat(
            "Oldest export", "The longest time since an exporter did its work.", f"max({_AGE})", "s", empty="no pushes"
        ),
    ),
)

_LOAD: Final = Row(
    "Processes",
    (
        lines("Calls", "Per second.", Query(rate(_CALLS, _BY), _NAMED), unit="reqps", stacked=True),
        lines(
            "Calls that failed", "As a share.", Query(failed_share(FLEET, _BY), _NAMED), unit="percentunit", minimum=0
        ),
        lines(
            "Duration, 95 of 100 calls",
            "Of successful calls, all models of a process together.",
            Query(quantile(0.95, _BUCKETS, _BY), _NAMED),
            unit="s",
            minimum=0,
        ),
        lines(
            "Calls running", "At one moment.", Query(total(FLEET.of("modelmon.call.active"), _BY), _NAMED), minimum=0
        ),
        lines("Targets that answer", "1 where a target answers scrapes.", Query(_UP, _NAMED), minimum=0, maximum=1),
        lines(
            "Duration of a scrape",
            "As the server sees it.",
            Query('scrape_duration_seconds{job=~"$job",instance=~"$instance"}', _NAMED),
            unit="s",
            minimum=0,
        ),
    ),
)

_STORES: Final = Row(
    "Stores",
    (
        lines(
            "Time a store takes",
            "95 of 100 writes, joins, readings and sweeps were faster.",
            Query(quantile(0.95, FLEET.of("modelmon.store.latency", "_bucket"), ("kind",)), "{{kind}}"),
            unit="s",
            minimum=0,
            empty="no store that waits for input and output",
        ),
        lines(
            "On their way to the store",
            "Predictions that are not written yet, and for how long.",
            Query(total(FLEET.of("modelmon.store.spooled"), _BY), "rows of {{instance}}"),
            Query(FLEET.of("modelmon.store.lag"), "lag of {{instance}}", "dashed", unit="s"),
            minimum=0,
            empty="no store that waits for input and output",
        ),
        lines(
            "Errors of stores",
            "Per second, by kind.",
            Query(rate(FLEET.of("modelmon.store.errors"), ("instance", "kind")), "{{kind}} at {{instance}}"),
            unit="ops",
            minimum=0,
            empty="none",
        ),
    ),
)

_OWN: Final = Row(
    "The library itself",
    (
        lines(
            "Cost of watching",
            "Processor cores taken by this library, by what for.",
            Query(rate(_OVERHEAD, ("part",)), "{{part}}"),
            unit="percentunit",
            stacked=True,
        ),
        lines(
            "Records lost or changed",
            "Per second, by reason.",
            Query(rate(FLEET.of("modelmon.self.dropped"), ("reason",)), "lost: {{reason}}"),
            Query(rate(FLEET.of("modelmon.self.overflow"), ("name",)), "over budget: {{name}}"),
            Query(rate(FLEET.of("modelmon.self.sanitized"), ("kind",)), "made safe: {{kind}}"),
            unit="ops",
            minimum=0,
            empty="none",
        ),
        lines(
            "Errors inside the library",
            "Caught and counted; none of them reached a call.",
            Query(rate(FLEET.of("modelmon.self.internal_errors"), ("site",)), "{{site}}"),
            Query(rate(FLEET.of("modelmon.self.restarts"), ("thread",)), "restarted: {{thread}}"),
            unit="ops",
            minimum=0,
            empty="none",
        ),
        lines(
            "Exports that failed",
            "Per second, by exporter and reason.",
            Query(rate(FLEET.of("modelmon.exporter.failures"), ("exporter", "reason")), "{{exporter}}: {{reason}}"),
            Query(rate(FLEET.of("modelmon.exporter.refused"), ("reason",)), "refused: {{reason}}"),
            unit="ops",
            minimum=0,
            empty="none",
        ),
        lines(
            "Time since the last export",
            "In the process where it is longest ago.",
            Query(f"max by (exporter) ({_AGE})", "{{exporter}}"),
            unit="s",
            minimum=0,
            empty="no exporter that pushes",
        ),
        lines(
            "Labels that came over HTTP",
            "Per second, by source and outcome; and requests that were refused.",
            Query(rate(FLEET.of("modelmon.intake.labels"), ("source", "outcome")), "{{source}}: {{outcome}}"),
            Query(rate(FLEET.of("modelmon.intake.refused"), ("reason",)), "refused: {{reason}}"),
            unit="ops",
            minimum=0,
            empty="no intake over HTTP",
        ),
    ),
)

_GPU: Final = "no device seen"


def _device(name: str, legend: str = "{{hw_name}} {{hw_id}}") -> Query:
    return Query(f"max by (hw_id, hw_name) ({FLEET.of(name)})", legend)


_DEVICES: Final = Row(
    "Devices",
    (
        lines(
            "Devices at work",
            "The share of time with at least one kernel on the device; it says nothing of how full the device is.",
            _device("hw.gpu.utilization"),
            unit="percentunit",
            minimum=0,
            maximum=1,
            empty=_GPU,
        ),
        lines(
            "Memory",
            "Used, as a share of what the device has.",
            Query(
                share(
                    f"max by (hw_id, hw_name) ({FLEET.of('hw.gpu.memory.usage')})",
                    f"max by (hw_id, hw_name) ({FLEET.of('hw.gpu.memory.limit')})",
                ),
                "{{hw_name}} {{hw_id}}",
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            empty=_GPU,
        ),
        lines("Power", "As the device says.", _device("hw.power"), unit="watt", minimum=0, empty=_GPU),
        lines("Temperature", "As the device says.", _device("hw.temperature"), unit="celsius", empty=_GPU),
        lines(
            "Energy by model",
            "What the device drew, divided among the models that ran. Workers that share a device each see "
            "all of it, so that their sum is an upper bound.",
            Query(rate(FLEET.of("modelmon.gpu.energy"), ("model",)), "{{model}}"),
            Query(rate(FLEET.of("modelmon.gpu.energy.unattributed")), "no model"),
            unit="watt",
            stacked=True,
            minimum=0,
            empty=_GPU,
        ),
        lines(
            "Energy that no model took",
            "As a share of what the device drew: idling, other processes, what could not be attributed. "
            "Of workers that share a device, the one that shows it tells.",
            Query(
                share(
                    rate(FLEET.of("modelmon.gpu.energy.unattributed"), ("hw_id",)),
                    rate(FLEET.of("hw.energy"), ("hw_id",)),
                ),
                "{{hw_id}}",
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            empty=_GPU,
        ),
        lines(
            "Devices that are not well",
            "1 while a device is degraded or failed; a failed one is not read, so its other panels have gaps.",
            Query(f"max by (hw_id, hw_state) ({FLEET.of('hw.status', hw_state='!ok')})", "{{hw_state}}: {{hw_id}}"),
            minimum=0,
            maximum=1,
            empty=_GPU,
        ),
        lines(
            "Slowed down",
            "The share of time in which a device was throttled, by reason.",
            Query(rate(FLEET.of("modelmon.gpu.throttled_time"), ("hw_id", "reason")), "{{reason}}: {{hw_id}}"),
            unit="percentunit",
            minimum=0,
            empty="none, or the device does not say",
        ),
        lines(
            "Troubles in reading them",
            "Per second: calls of the driver that failed, readings that came too late.",
            Query(rate(FLEET.of("modelmon.sampler.errors"), ("call", "code")), "{{call}}: {{code}}"),
            Query(rate(FLEET.of("modelmon.sampler.overruns"), _BY), "late at {{instance}}"),
            unit="ops",
            minimum=0,
            empty="none, or nothing is read",
        ),
    ),
)

FLEET_WHOLE: Final = Dashboard(
    "fleet",
    "modelmon · Fleet",
    "Processes, stores, exporters and devices, and what watching costs.",
    (JOB, INSTANCES),
    (_NOW, _LOAD, _STORES, _OWN, _DEVICES),
)
