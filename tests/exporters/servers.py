"""The real Prometheus server on loopback, for tests; skipped where it is not installed, unless CI asks for it."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_process import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def needs(program: str) -> pytest.MarkDecorator:
    """Skip where a program is not installed, with a message; under CI=true run, and so fail, all the same."""
    absent = shutil.which(program) is None and os.environ.get("CI", "").lower() not in {"1", "true"}
    return pytest.mark.skipif(absent, reason=f"{program} is not installed (apt install prometheus)")


class PrometheusServer:
    """Ask a running server."""

    def __init__(self, port: int) -> None:
        """Ask the one on this port of loopback."""
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: str) -> Any:
        """Return the answer of an API path."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}{path}?{query}", timeout=5) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of every series of an instant query."""
        found = self.get("/api/v1/query", query=expression)["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def until(self, expression: str, timeout: float = 15) -> list[tuple[dict[str, str], float]]:
        """Return the answer of a query once it is not empty.

        Raises:
            TimeoutError: when it stays empty.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := self.query(expression):
                return found
            time.sleep(0.1)
        message = f"{expression} stayed empty; targets: {self.get('/api/v1/targets')}"
        raise TimeoutError(message)


@contextmanager
def prometheus(folder: Path, targets: dict[str, str], rules: Path, *features: str) -> Iterator[PrometheusServer]:
    """Run a server that scrapes each job's target twice a second and evaluates the rules as often."""
    config: dict[str, Any] = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
        "rule_files": [str(rules)],
    }
    enabled = [f"--enable-feature={','.join(features)}"] if features else []
    with running(folder, json.dumps(config), folder / "data", *enabled) as port:
        yield PrometheusServer(port)
