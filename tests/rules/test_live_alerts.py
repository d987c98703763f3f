"""A running service, a real Prometheus server that reads it, and the same rules in both."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from servers import needs, prometheus

from modelmon import Alerts, Binary, Monitor, Objective, Rule
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.rules import Burn, windows
from modelmon.rules import prometheus as rule_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import PrometheusServer

RULES = (
    Rule("fails", "errors", per="calls", above=0.2, window="4s", hold="1s", min_support=5),
    Rule("misses", "recall", of="fraud", below=0.5, window="4s", mature=False, min_support=3),
    Objective("answers", "calls", target=0.8, burns=(Burn("fast", 2, "4s", "2s"),)),
)


class Service:
    """A service that answers many times a second, and can be told to fail and to be wrong."""

    def __init__(self, monitor: Monitor) -> None:
        """Declare its model."""
        self.ill = False
        self._monitor = monitor
        self._orders = itertools.count()
        task = Binary(positive="fraud", negative="ok")
        self._score = monitor(self._answer, model="fraud", version="1", task=task, id="order")

    def _answer(self, order: int) -> str:
        if self.ill and order % 2:
            raise TimeoutError(order)
        return "ok" if self.ill else "fraud"

    def live_until(self, done: Callable[[], bool]) -> None:
        """Answer, and learn the truth at once, until something is so."""
        end = time.monotonic() + 30
        while not done():
            assert time.monotonic() < end, "it did not come to pass within 30 s"
            for order in itertools.islice(self._orders, 10):
                with suppress(TimeoutError):
                    self._score(order)
                    self._monitor.label(order, "fraud")
            time.sleep(0.05)


def firing(server: PrometheusServer) -> set[str]:
    """Return the names of the alerts that fire in the server."""
    return {labels["alertname"] for labels, _ in server.query('ALERTS{alertstate="firing"}')}


@pytest.mark.slow
@needs("prometheus")
def test_a_server_and_the_process_agree_on_a_running_service(tmp_path):
    """All rules rest while the service is well, fire in both while it is ill, and end in both when it is well again."""
    with ExitStack() as stack:
        monitor = Monitor(window="1s", ttl="1h", correction_horizon="1h", history="1d")
        stack.callback(monitor.close, timeout=5)
        alerts = monitor.add(Alerts(*RULES, every=0.5, notify=lambda _: None))
        exporter = monitor.add(PrometheusExporter(port=0, windows=windows(RULES)))
        tmp_path.joinpath("rules.yml").write_text(rule_file(RULES, arrivals=None), "utf-8")
        rules, service = tmp_path / "rules.yml", Service(monitor)
        server = stack.enter_context(prometheus(tmp_path, {"shop": f"127.0.0.1:{exporter.port}"}, rules))
        names = {rule.name for rule in RULES}
        service.live_until(lambda: bool(server.query('modelmon:calls:4s{model="fraud",outcome="ok"} > 20')))
        assert not firing(server)
        assert not alerts.firing
        service.ill = True
        service.live_until(lambda: firing(server) == {alert.name for alert in alerts.firing} == names)
        service.ill = False
        service.live_until(lambda: not firing(server) and not alerts.firing)
        assert {alert.state for alert in alerts.alerts} == {"resolved"}
