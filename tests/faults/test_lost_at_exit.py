"""Short programs, and servers that never answer: what was predicted is written, or the log says how much is lost."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import programs
import pytest

from modelmon import ConfigurationError, LabelClient, Monitor, StoreError
from modelmon.stores.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 2.0
GRACE = 3.0  # what the interpreter and its imports take by themselves, on a machine that has much to do
SHORT = """
from modelmon import Multiclass
watched = Monitor(store=sys.argv[1]) if len(sys.argv) > 1 else monitor
@watched(model="digit", task=Multiclass(), id="i")
def digit(i): return i % 3
"""
LATE = """
import atexit
def end(): told(*sorted(set(sys.modules) - before))
atexit.register(end)
"""


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a healthy store."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/labels.db"
    url: str = request.getfixturevalue(request.param).url
    return url


@pytest.fixture
def hung() -> Iterator[int]:
    """Return a port where connections are taken and nothing is ever answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.mark.fault("E4")
@pytest.mark.parametrize("named", ["argument", "environment"])
def test_a_program_of_one_call(store: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends right after its first call: its prediction arrives all the same, and nothing is imported at its end."""
    if named == "environment":
        monkeypatch.setenv("MODELMON_STORE", store)
    arguments = [store] if named == "argument" else []
    ended = programs.run(SHORT + LATE + "digit(1)\nbefore = set(sys.modules)", *arguments)
    assert (ended.code, ended.out) == (0, [""])
    assert "not written" not in ended.error
    with LabelClient(store) as client:
        assert client.snapshot()["digit"].awaiting == 1


@pytest.mark.fault("E1")
@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_servers_that_never_answer(scheme: str, hung: int) -> None:
    """The end of the program waits its two seconds; the log says how many predictions are lost, and which server."""
    script = SHORT + "for n in range(5): digit(n)\ntold('leaving')"
    ended = programs.run(script, f"{scheme}://u:secret@127.0.0.1:{hung}/0")
    assert ended.leaving < LIMIT + GRACE
    last = ended.error.splitlines()[-1]
    assert "5 prediction(s) not written" in last
    assert f"***@127.0.0.1:{hung}" in last
    assert "answer" in last
    assert "secret" not in ended.error


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_who_has_waited_at_close_waits_no_more_at_the_end(scheme: str, hung: int) -> None:
    """After ``close`` was in vain, the program ends at once, and the log still says what is lost and why."""
    script = SHORT + "from modelmon import exiting\nexiting._exit.left = 20\n"
    script += "for n in range(5): digit(n)\nwatched.close(timeout=0.5)\ntold('leaving')"
    ended = programs.run(script, f"{scheme}://127.0.0.1:{hung}/0")
    assert ended.leaving < 10, "it waited once more"
    last = ended.error.splitlines()[-1]
    assert "5 prediction(s) not written" in last
    assert f"127.0.0.1:{hung}" in last


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:notaport/0",
        "rediss://127.0.0.1:0",
        "redis://[::1]:65536/0",
        "postgresql://db:none/x",
        "postgres://a:1,b:0/x",
        "postgresql:///x?port=8a",
    ],
)
def test_a_port_that_is_none_is_refused_at_once(url: str) -> None:
    """The line that names the store raises, not the end of the program."""
    with pytest.raises(ConfigurationError, match="port"):
        Monitor(store=url)


def test_a_port_that_is_none_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watched calls go on; the log says what is lost, and why."""
    monkeypatch.setenv("MODELMON_STORE", "redis://127.0.0.1:notaport/0")
    ended = programs.run(SHORT + "for n in range(5): digit(n)")
    assert ended.code == 0
    assert "5 prediction(s) not written to the store: store: a port is a number" in ended.error


@pytest.mark.fault("Z12")
def test_a_redis_that_is_away_is_named() -> None:
    """The error names host, port and cause, and no secret."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}/0"
        with pytest.raises(StoreError, match="Connection refused") as caught:
            RedisStore(f"redis://u:secret@{place}").part()
    assert str(caught.value).startswith(f"redis://***@{place}: the server cannot be reached")
