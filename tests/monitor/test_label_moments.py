"""When a label came: the moment at which its call began, whatever had to be loaded or opened for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from modelmon import Binary, LabelClient, MemoryStore, Monitor, client, forking, intake, labelling
from modelmon.stores.sqlite import SQLiteStore
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = b"a key of sixteen bytes and more"
WAYS: dict[str, Callable[[Any], Any]] = {
    "label": lambda to: to.label("a", 1),
    "labels": lambda to: to.labels(["a"], [1]),
    "alabel": lambda to: asyncio.run(to.alabel("a", 1)),
    "alabels": lambda to: asyncio.run(to.alabels(["a"], [1])),
}


def slowly(clock: FakeClock, act: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes a minute to begin with."""

    def slow(*arguments: Any, **keywords: Any) -> Any:
        clock.advance(60)
        return act(*arguments, **keywords)

    return slow


def predicted(clock: FakeClock, **settings: Any) -> tuple[Monitor, list[str]]:
    """Return a monitor of which one prediction awaits its label, and the prediction's receipt."""
    own = Monitor(clock=clock, receipt_key=KEY, **settings)
    with own.call(model="m", task=Binary(), receipts=True) as call:
        call.predictions(["a"], [0.9])
    own.predictions(["a"], [0.9], model="m", task=Binary())
    own.flush()
    clock.advance(5)
    return own, [call.receipt("a")]


def delay(own: Any) -> float:
    """Return the delay of the one label that came."""
    found = own.snapshot()["m"].label_delay
    assert found.count == 1
    return float(found.mean)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_what_is_loaded_for_a_label_is_no_delay(
    way: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first label of a process loads what counts; its own moment was before that."""
    clock = FakeClock(1.7e9)
    own, _ = predicted(clock, store=MemoryStore() if store == "memory" else SQLiteStore(tmp_path / "labels.db"))
    monkeypatch.setattr(labelling, "load_counting", slowly(clock, forking.load_counting))
    WAYS[way](own)
    assert delay(own) == pytest.approx(5)
    own.close()


def test_what_is_loaded_for_a_receipt_is_no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts are loaded at their first use."""
    clock = FakeClock(1.7e9)
    _, receipts = predicted(clock)
    own = Monitor(clock=clock, receipt_key=KEY)
    monkeypatch.setattr(labelling, "load_counting", slowly(clock, forking.load_counting))
    own.labels(receipts=receipts, truths=[1])
    assert delay(own) == pytest.approx(5)


@pytest.mark.parametrize("way", ["label", "labels", "receipts"])
def test_what_a_client_does_first_is_no_delay(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client counts from the call, too."""
    clock = FakeClock(1.7e9)
    own, receipts = predicted(clock, store=SQLiteStore(tmp_path / "labels.db"))
    own.close()
    monkeypatch.setattr(intake, "delivery", slowly(clock, intake.delivery))
    monkeypatch.setattr(client, "load", slowly(clock, forking.load))
    with LabelClient(tmp_path / "labels.db", clock=clock, receipt_key=KEY) as labels:
        if way == "receipts":
            labels.labels(receipts=receipts, truths=[1])
        else:
            WAYS[way](labels)
        assert delay(labels) == pytest.approx(5)


def test_the_first_label_of_a_fresh_process() -> None:
    """Where numpy takes a minute to load, the delay of the label that loads it knows nothing of that."""
    code = (
        "import sys\n"
        "from modelmon import Binary, Monitor\n"
        "from modelmon.testing import FakeClock\n"
        "clock = FakeClock(1.7e9)\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy': clock.advance(60)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "own = Monitor(clock=clock)\n"
        "@own(model='m', id='key', task=Binary())\n"
        "def score(key): return 0.9\n"
        "score('a')\n"
        "assert 'numpy' not in sys.modules\n"
        "clock.advance(5)\n"
        "own.label('a', 1)\n"
        "assert clock.time() == 1.7e9 + 65\n"
        "print(own.snapshot()['m'].label_delay.mean)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert float(done.stdout or "nan") == pytest.approx(5), done.stderr
