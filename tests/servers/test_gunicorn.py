"""Real gunicorn servers whose workers share a directory: what any worker shows is what the driver asked for."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("gunicorn", reason="the servers come with the dev extra")

from gunicorn_driver import LOST, gunicorn, total

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gunicorn_driver import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]
SYNC = ("make_flask", "-k", "sync")
GTHREAD = ("make_flask", "-k", "gthread", "--threads", "4")
GEVENT = ("make_flask", "-k", "gevent")
FASTAPI = ("make_fastapi", "-k", "uvicorn_worker.UvicornWorker")
STARLETTE = ("make_starlette", "-k", "uvicorn_worker.UvicornWorker")
SERVERS = {"sync": SYNC, "gthread": GTHREAD, "gevent": GEVENT, "fastapi": FASTAPI, "starlette": STARLETTE}
INTERVAL_S = 2.0
"""What a killed worker may lose: its last second, and one more for a machine with much else to do."""


@pytest.mark.fault("F7")
@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["plain", "preload"])
@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_any_worker_shows_the_whole_service(server: tuple[str, ...], preload: tuple[str, ...], tmp_path: Path) -> None:
    """Calls and joins of four workers add up exactly; what ran before a fork is counted once."""
    with gunicorn(tmp_path, *server, *preload) as service:
        asked = 0
        while len(service.truth.pids) < 4 and asked < 4000:
            service.predict(range(asked, asked := asked + 200))
        labels = service.label(range(asked - 200, asked))
        assert service.settled(asked, 200) == (asked, 200)
        assert (len(service.truth.answers), len(labels.answers)) == (asked, 200)
        wanted, end = 1 if preload else 4, time.monotonic() + 15
        while (warm := _warm(service)) != wanted and time.monotonic() < end:
            time.sleep(0.1)  # a parent that serves nothing writes once a second
        assert warm == wanted


@pytest.mark.parametrize("server", [SYNC, GTHREAD, FASTAPI], ids=["sync", "gthread", "uvicorn"])
def test_workers_that_are_recycled_lose_nothing(server: tuple[str, ...], tmp_path: Path) -> None:
    """Workers that end after some requests leave exact counts, few files, and predictions that labels still find."""
    with gunicorn(tmp_path, *server, "--preload", "--max-requests", "20") as service:
        service.predict(range(240))
        labels = service.label(range(240))
        calls, labelled = len(service.truth.answers), len(service.truth.numbers & labels.numbers)
        assert service.settled(calls, labelled) == (calls, labelled)
        assert labelled > 200  # a server of uvicorn that ends drops connections that nobody has looked at
        assert len(service.truth.pids) > 4
        _few_files(tmp_path, service)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["plain", "preload"])
def test_workers_whose_first_call_raises_lose_nothing(preload: tuple[str, ...], tmp_path: Path) -> None:
    """Workers that are recycled after some requests, the first of which failed in each, leave exact counts."""
    options = ("make_shy_flask", *GTHREAD[1:], *preload, "--max-requests", "20")
    with gunicorn(tmp_path, *options) as service:
        service.predict(range(240))
        calls = len(service.truth.answers)
        assert service.settled(calls, 0) == (calls, 0)
        assert len(service.truth.pids) > 4


@pytest.mark.fault("F14")
def test_fifty_recycles_of_four_workers_are_counted_exactly(tmp_path: Path) -> None:
    """Two hundred workers come and go under load; each scrape shows at least what the one before did."""
    with gunicorn(tmp_path, *SYNC, "--preload", "--max-requests", "10") as service, watched(service):
        asked = 0
        while len(service.truth.pids) < 200:
            service.predict(range(asked, asked := asked + 100), threads=6)
        assert (service.truth.unanswered, len(service.truth.answers)) == (0, asked)
        assert service.settled(asked, 0) == (asked, 0)
        _few_files(tmp_path, service)


@pytest.mark.parametrize("server", [SYNC, FASTAPI], ids=["sync", "uvicorn"])
@pytest.mark.fault("F14")
def test_killed_workers_lose_their_last_interval_at_most(server: tuple[str, ...], tmp_path: Path) -> None:
    """While workers are recycled, some are killed at random: totals stay within the stated bound and never fall."""
    draw = random.Random(7)
    with gunicorn(tmp_path, *server, "--preload", "--max-requests", "60") as service, watched(service):
        asked = 0
        while len(service.truth.killed) < 25:
            service.predict(range(asked, asked := asked + 30))
            service.kill(draw.choice(service.workers()))
        service.predict(range(asked, asked + 200))
        time.sleep(INTERVAL_S)
        least, most = service.truth.bounds(INTERVAL_S)
        calls = service.shown()[0]
        assert least <= calls <= most
        assert len(service.truth.answers) + service.truth.unanswered == asked + 200
        _few_files(tmp_path, service)


@contextmanager
def watched(service: Server) -> Iterator[None]:
    """Scrape all the while, and see that nothing falls."""
    over, seen = threading.Event(), [0.0]

    def watch() -> None:
        while not over.wait(0.2):
            with suppress(*LOST):  # the worker that was asked was killed
                seen.append(service.shown()[0])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert len(seen) > 5
    assert seen == sorted(seen)


def _warm(service: Server) -> float:
    return total(service.scrape(), "modelmon_call_duration_seconds_count", 'model="warm"')


def _few_files(folder: Path, service: Server) -> None:
    """See that the directory holds two files for each process that lives, once those that ended are added up."""
    end = time.monotonic() + 60
    most = 2 * (len(service.workers()) + 1)
    while len(found := list((folder / "machine" / "workers").iterdir())) > most and time.monotonic() < end:
        service.predict([0])  # workers that do nothing do not look
        time.sleep(0.5)
    assert len(found) <= most, found
