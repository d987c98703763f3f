"""Keep the page about labels true: its picture and tables are those of the code, its commands work as written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).parent / "stores"))

from postgres_server import PASSWORD, need_postgres, postgres_server
from redis_server import redis_server
from state_drawing import ARROWS, DRAWING, PAGE, PLACES, drawing, inserted, moves, pairs

from modelmon import Binary, Monitor
from modelmon.stores.states import LABEL_OUTCOMES, STATES
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400.0
TASK = Binary(positive="fraud", negative="ok")
TEXT = PAGE.read_text("utf-8")


def section(heading: str) -> str:
    """Return the text under a heading, up to the next one of its level or above."""
    mark, _, name = heading.partition(" ")
    found = re.search(rf"^{mark} {re.escape(name)}\n(.*?)(?=^#{{1,{len(mark)}}} |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[1]


def block(heading: str, language: str, number: int = 0) -> str:
    """Return a block of code under a heading."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(heading), re.DOTALL | re.MULTILINE)[number]


def listed(heading: str) -> list[str]:
    """Return the names in the first column of the table under a heading."""
    cells = re.findall(r"^\| (`[^|]*?) \|", section(heading), re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def need(*programs: str) -> None:
    """Skip the test where a program of the page is not installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} on the path")


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run lines of the page in a shell that knows the command ``modelmon``."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    program = programs / "modelmon"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m modelmon "$@"\n', "utf-8")
    program.chmod(0o755)
    path = os.pathsep.join([str(programs), variables.pop("PATH", ""), os.environ["PATH"]])
    environment = {**os.environ, **variables, "PATH": path, "PYTHONPATH": str(PAGE.parent.parent)}
    line = ["bash", "-e", "-o", "pipefail", "-c", command]
    return subprocess.run(
        line,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


# -- what becomes of a label -----------------------------------------------------------------------------------------


def test_arrows_are_those_of_the_tables() -> None:
    """The picture has one arrow for each pair of states that a move of the tables joins, and every state."""
    assert set(ARROWS) == pairs()
    assert set(PLACES) == set(STATES)


def test_page_holds_what_the_tables_say() -> None:
    """Picture and table are as drawn from the code; ``python tests/state_drawing.py`` writes them anew."""
    assert DRAWING.read_text("utf-8") == drawing()
    assert inserted(TEXT) == TEXT


def test_answers_are_those_of_the_moves() -> None:
    """Every outcome that a label can have is explained on the page, in the order that the code has."""
    assert listed("### What a label call answers") == list(LABEL_OUTCOMES)
    assert {move.outcome for move in moves()} - {""} <= set(LABEL_OUTCOMES)


def test_every_move_of_the_table_happens_and_no_other() -> None:
    """A history of all that can happen makes exactly the moves of the table."""
    clock = FakeClock(20_000 * DAY)
    monitor = Monitor(clock=clock, max_awaiting=1_000)

    def predict(*ids: str) -> None:
        monitor.predictions(ids, ["fraud"] * len(ids), model="fraud", task=TASK)

    predict("closes", "corrected", "retracted", "late", "erased", "expires")
    monitor.labels(["closes", "corrected", "retracted", "early", "orphaned"], ["fraud"] * 5)
    predict("early")
    monitor.label("corrected", "ok")
    monitor.retract("retracted")
    monitor.forget("erased")
    clock.advance(29 * DAY)
    monitor.label("late", "ok")
    clock.advance(2 * DAY)
    monitor.retract("late")
    clock.advance(40 * DAY)
    monitor.assume_label("ok", after="1d", model="fraud")
    predict("assumed")
    clock.advance(2 * DAY)
    monitor.label("assumed", "ok")
    monitor.retract("assumed")
    predict(*(f"many-{number}" for number in range(2_000)))
    clock.advance(100 * DAY)
    seen = monitor.snapshot()
    assert {*seen["fraud"].transitions, *seen.transitions} == pairs()
    monitor.check_invariants()


# -- commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store in which a hundred orders await their labels."""
    path = tmp_path / "labels.db"
    with closing(Monitor(store=path)) as monitor:
        orders = [f"order-{number}" for number in range(100)]
        monitor.predictions(orders, ["fraud"] * 100, model="fraud", version="7", task=TASK)
    return path


def test_label_command_works_as_written(store: Path, tmp_path: Path) -> None:
    """The command of the page delivers a file and shows what the page shows; bad rows are aside, and delivered once."""
    rows = [f"order-{number},fraud" for number in range(90)] + ["order-7,fraud", "order-90,huh"]
    (tmp_path / "chargebacks.csv").write_text("\n".join(["id,label", *rows]) + "\n", "utf-8")
    command = block("## From a file", "bash").replace("postgresql://db/monitoring", f"sqlite://{store}")
    done = shell(command, tmp_path)
    assert done.returncode == 3, done.stderr
    shown = [line.split()[0] for line in block("## From a file", "text").splitlines() if line.startswith("  ")]
    assert {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")} <= {*shown, "0.0", "0.1"}
    assert re.search(r"^  joined +90 ", done.stdout, re.MULTILINE)
    assert "1 bad row(s) are in chargebacks.csv.rejects.csv, each with its line and the reason" in done.stderr


def test_commands_of_the_readme_work_as_written(store: Path, tmp_path: Path) -> None:
    """A store in the environment is all that the command needs."""
    (tmp_path / "chargebacks.csv").write_text("id,label\norder-1,fraud\norder-2,ok\n", "utf-8")
    readme = (PAGE.parent.parent / "README.md").read_text("utf-8")
    command = next(
        part for part in re.findall(r"^```bash\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE) if "label" in part
    )
    done = shell(command.replace("sqlite:///var/lib/app/labels.db", f"sqlite://{store}"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  joined +2 ", done.stdout, re.MULTILINE)


def test_labels_that_all_come_early_are_doubted(tmp_path: Path) -> None:
    """A store that nothing predicts into, perhaps by a slip in its address, is asked about."""
    (tmp_path / "chargebacks.csv").write_text("id,label\norder-1,fraud\norder-2,ok\n", "utf-8")
    done = shell(f"modelmon label chargebacks.csv --store sqlite://{tmp_path}/lables.db", tmp_path)
    assert done.returncode == 0
    assert "no label met a prediction: is <LabelClient sqlite:///" in done.stderr


def test_extras_of_the_page_exist() -> None:
    """Every extra that the page has installed is one of the package."""
    project = (PAGE.parent.parent / "pyproject.toml").read_text("utf-8")
    for names in re.findall(r"modelmon\[([\w,]+)\]", TEXT):
        assert all(re.search(rf"^{name} = \[", project, re.MULTILINE) for name in names.split(","))


@contextmanager
def serving(command: str, folder: Path) -> Iterator[str]:
    """Run the command that serves, on a free port of loopback, and give its address."""
    line = [sys.executable, "-m", "modelmon", *command.split()[1:], "--host", "127.0.0.1", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parent.parent)}
    with subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


def test_service_works_as_written(store: Path, tmp_path: Path) -> None:
    """The commands of the page make tokens, serve, and post a label, and the answer is the one of the page."""
    need("curl", "openssl")
    pip, tokens, serve = block("## Over HTTP", "bash").splitlines()
    assert pip.startswith("pip install")
    assert shell(tokens, tmp_path).returncode == 0
    token = (tmp_path / "tokens").read_text("utf-8").strip().partition(":")[2]
    with serving(serve.replace("postgresql://db/monitoring", f"sqlite://{store}"), tmp_path) as address:
        post = block("## Over HTTP", "bash", 1).replace("https://labels.example", address)
        done = shell(post, tmp_path, TOKEN=token)
    assert done.stdout.strip() == block("## Over HTTP", "text").strip(), done.stderr


def label_one(url: str, number: int) -> dict[str, int]:
    """Predict and label an order in a store, as a program that has the address would."""
    with closing(Monitor(store=url)) as monitor:
        monitor.predictions([f"order-{number}"], ["fraud"], model="fraud", version="7", task=TASK)
        return dict(monitor.label(f"order-{number}", "fraud"))


@pytest.mark.slow
def test_servers_are_set_up_and_emptied_as_written(store: Path, tmp_path: Path) -> None:
    """Roles and settings of the page let a store work, and its commands to begin anew empty it under a monitor."""
    need("redis-cli")
    import psycopg  # noqa: PLC0415  (an extra)

    lines = [line.split() for line in block("### Redis and Valkey", "conf").splitlines()]
    settings = [word for name, *rest in lines for word in (f"--{name}", *rest)]
    with postgres_server() as owner, redis_server(*settings) as server:
        with psycopg.connect(owner, autocommit=True) as connection:
            for statement in block("### PostgreSQL", "sql").splitlines():
                connection.execute(statement.encode())
        postgres = owner.replace(f"tester:{PASSWORD}", "watcher:change-me")
        redis = server.url.replace("redis://", "redis://watcher:change-me@")
        urls = [f"sqlite://{store}", postgres, redis]
        assert [label_one(url, 1) for url in urls] == [{"joined": 1}] * 3
        server.stop()
        server.start()  # reads back what it wrote, with the rights of the user default
        running = [Monitor(store=url) for url in urls]
        for monitor in running:
            assert monitor.label("order-1", "fraud")["duplicate"] == 1
        command = block("### Upgrade, and begin anew", "bash")
        done = shell(command, tmp_path, POSTGRES=owner, REDIS=redis, PATH=str(need_postgres()))
        assert done.returncode == 0, done.stderr
        assert [label_one(url, 2) for url in urls] == [{"joined": 1}] * 3
        for monitor in running:
            assert monitor.label("order-1", "fraud")["early"] == 1
            monitor.close(5)
