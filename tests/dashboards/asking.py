"""A real Prometheus over written data, and the questions that Grafana would ask it for the panels of a dashboard."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_process import running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

Json = dict[str, Any]
EVERYTHING = ".*"


@dataclass(frozen=True, slots=True)
class Series:
    """Hold one answer: labels, and values by time in seconds since the epoch."""

    labels: dict[str, str]
    values: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1][1]


@dataclass(frozen=True, slots=True)
class Asker:
    """Ask a server what Grafana would ask.

    Attributes:
        port: of the server, on loopback.
        end: when the time shown ends, seconds since the epoch.
        hours: how long it is.
        chosen: the values of variables; what is not chosen is everything.
        scrape_s: seconds between two scrapes.
    """

    port: int
    end: float
    hours: float
    chosen: Mapping[str, str] = field(default_factory=dict)
    scrape_s: float = 60.0

    @property
    def step(self) -> float:
        """Seconds between two values on a line."""
        return max(self.scrape_s, round(self.hours * 3600 / 240))

    def text(self, template: str) -> str:
        """Return a text with its variables replaced as Grafana does."""
        values = {"__rate_interval": f"{max(4 * self.scrape_s, self.step + self.scrape_s):.0f}s", **self.chosen}
        return re.sub(r"\$([a-z]\w*|__\w+)", lambda found: values.get(found[1], EVERYTHING), template)

    def ask(self, target: Json) -> list[Series]:
        """Return the answers to one query of a panel; a value that is not a number is none."""
        expr = self.text(target["expr"])
        if target["instant"]:
            return self._get("query", query=expr, time=self.end)
        return self._get("query_range", query=expr, start=self.end - self.hours * 3600, end=self.end, step=self.step)

    def now(self, expr: str) -> list[Series]:
        """Return the answers to an expression at the end of the time shown."""
        return self.ask({"expr": expr, "instant": True})

    def number(self, expr: str) -> float:
        """Return the answer to an expression that has one.

        Raises:
            ValueError: when it has none, or several.
        """
        (one,) = self.now(expr)
        return one.last

    def _get(self, path: str, **parameters: Any) -> list[Series]:
        body = urllib.parse.urlencode(parameters).encode()
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        try:
            with urllib.request.urlopen(url, body, timeout=60) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            message = f"{error.read().decode()} to {parameters['query']}"
            raise ValueError(message) from None
        made = []
        for series in found:
            pairs = series["values"] if "values" in series else [series["value"]]
            numbers = tuple((float(at), float(text)) for at, text in pairs if text not in {"NaN", "+Inf", "-Inf"})
            if numbers:
                made.append(Series(series["metric"], numbers))
        return made


def panels_of(dashboard: Json) -> list[Json]:
    """Return the panels that ask something, those of folded rows included."""
    found = []
    for panel in dashboard["panels"]:
        found += panel.get("panels", []) if panel["type"] == "row" else [panel]
    return [panel for panel in found if panel.get("targets")]


def serving(folder: Path, data: Path) -> AbstractContextManager[int]:
    """Run a server over written data and give its port."""
    return running(folder, "{}", data, "--storage.tsdb.retention.time=30y")
