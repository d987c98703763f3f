"""Tests of ``modelmon serve``: the program itself, its metrics, and its description."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from services import BEARER, JSON, TOKEN, Service, empty_client, served

from modelmon import MemoryStore, Monitor, StoreError
from modelmon.cli import main
from modelmon.client import LabelClient
from modelmon.serving.application import store_app
from modelmon.serving.description import description
from modelmon.stores.addresses import make_store
from modelmon.stores.states import LABEL_OUTCOMES
from modelmon.written.items import NAMES

if TYPE_CHECKING:
    from pathlib import Path

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what asks for a token


def test_the_program_serves_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels sent to the program join what another process predicted; metrics show it; a signal ends it well."""
    monkeypatch.setenv("MODELMON_TOKEN", TOKEN)
    url = f"sqlite://{tmp_path}/labels.db"
    monitor = Monitor(store=make_store(url))
    monitor.predictions(["a", "b"], ["x", "y"], model="m")
    monitor.flush()
    line = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "modelmon",
        "serve",
        "--store",
        url,
        "--port",
        "0",
        "--host",
        EVERYWHERE,
        "--window",
        "1h",
    ]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://0\.0\.0\.0:(\d+): ", process.stdout.readline())
        assert found is not None, process.stderr.read()
        service = Service(int(found[1]))
        assert service.ask("GET", "/healthz").body == b"ok\n"
        assert service.ask("GET", "/metrics").status == 401
        assert service.lines({"id": "a", "label": "x"}, {"id": "b", "label": "x"}).json["items"] == ["joined"] * 2
        page = service.ask("GET", "/metrics", **BEARER).body.decode()
        assert 'modelmon_join_occupancy{model="m",state="joined",version=""} 2' in page
        for window in ("total", "1h"):
            assert re.search(rf'modelmon_quality\{{.*metric="accuracy".*window="{window}".*\}} 0\.5\n', page)
        process.terminate()
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()
    assert monitor.snapshot()["m"].accuracy == 0.5
    monitor.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", EVERYWHERE], "--token-file"),
        (["--token-file", "/nowhere/tokens"], "cannot be read"),
        (["--store", "nonsense"], "no store"),
        (["--port", "99999"], "65535"),
    ],
    ids=["open", "file", "store", "port"],
)
def test_wrong_usage(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot work ends with status 2 before anything listens."""
    monkeypatch.delenv("MODELMON_TOKEN", raising=False)
    monkeypatch.setenv("MODELMON_STORE", f"sqlite://{tmp_path}/labels.db")
    assert main(["serve", "--port", "0", *options]) == 2
    assert message in capsys.readouterr().err


def test_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use ends it with status 1 and a line that says which."""
    from modelmon.serving.running import listen  # noqa: PLC0415

    with listen("127.0.0.1", 0) as listener:
        port = str(listener.getsockname()[1])
        assert main(["serve", "--store", f"sqlite://{tmp_path}/labels.db", "--port", port]) == 1
    told = capsys.readouterr().err
    assert told == f"modelmon: Address already in use: 127.0.0.1 port {port}\n"


def test_metrics_of_a_store_that_fails() -> None:
    """A scrape of a store that cannot be read is an error, not a page of zeros."""

    class Unreadable(MemoryStore):
        def part(self):
            message = "down"
            raise StoreError(message, kind="down")

    with served(store_app(LabelClient(Unreadable()), None, local=True)) as service:
        answer = service.ask("GET", "/metrics")
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert service.ask("GET", "/healthz").status == 200


def test_metrics_in_both_formats() -> None:
    """Prometheus gets its text format, or OpenMetrics where it asks for it."""
    with served(store_app(empty_client(), None, local=True)) as service:
        service.ask("POST", "/v1/labels", b'[{"id": 1, "label": 1}]', **JSON)
        plain = service.ask("GET", "/metrics")
        open_metrics = service.ask("GET", "/metrics", Accept="application/openmetrics-text;version=1.0.0")
        assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
        assert open_metrics.body.endswith(b"# EOF\n")
        assert b'source="anyone"' in plain.body


def test_description_says_what_is_taken() -> None:
    """The OpenAPI page names every field and outcome, needs no token, and holds together."""
    with served(store_app(empty_client(), None, local=True)) as service:
        page = service.ask("GET", "/openapi.json").json
    assert page == description()
    schemas = page["components"]["schemas"]
    assert set(schemas["Label"]["properties"]) == NAMES
    assert schemas["Report"]["properties"]["items"]["items"]["enum"] == list(LABEL_OUTCOMES)
    references = set(re.findall(r"#/components/schemas/(\w+)", str(page)))
    assert references == set(schemas)
    assert {"200", "400", "401", "403", "408", "413", "415", "429", "503"} == set(
        page["paths"]["/v1/labels"]["post"]["responses"]
    )


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_missing_extra_is_named(package: str, tmp_path: Path) -> None:
    """Where a package is missing, the command and the import line say which extra brings it."""
    code = f"import sys; sys.modules[{package!r}] = None; from modelmon.cli import main; "
    code += f"sys.exit(main(['serve', '--store', 'sqlite://{tmp_path}/labels.db']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "modelmon[serve]" in done.stderr
    assert "Traceback" not in done.stderr
