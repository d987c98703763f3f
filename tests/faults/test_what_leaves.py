"""What leaves a process: no inputs, ids, messages or secrets, and no more series than were declared or fit."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import pytest
from faulty_hosts import until
from prometheus_client.parser import text_string_to_metric_families

from modelmon import Binary, LabelClient, Monitor, Multiclass, StoreError, notices
from modelmon.exporters.exposition import Exposition
from modelmon.exporters.log import LogExporter
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.monitoring import Source
from modelmon.points.reading import points
from modelmon.stores.addresses import make_store

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-7f3a91"
SCORE = 0.7391827364


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that tells all that any logger was given so far, exceptions included."""
    notices.forget()
    caplog.set_level(logging.DEBUG)
    logging.getLogger("modelmon").setLevel(logging.DEBUG)
    yield lambda: caplog.text + "".join(f"{record.__dict__}" for record in caplog.records)
    logging.getLogger("modelmon").setLevel(logging.NOTSET)


@pytest.mark.fault("Z10")
def test_nothing_that_a_model_sees_leaves_the_process(tmp_path: Path, logged: Any) -> None:
    """Inputs, scores, ids and messages of exceptions are in no export, log, repr or file."""
    own = Monitor(directory=tmp_path)
    own.add(LogExporter(3600))
    shown = own.add(PrometheusExporter(0))

    class Odd:
        def __repr__(self) -> str:
            return CANARY

    @own(model="m", id="key", task=Binary(), batch_size=lambda _: CANARY)
    def predict(key: str, text: str, fate: str) -> Any:
        if fate == "raise":
            raise ValueError(text)
        return {"score": SCORE, "odd": Odd(), "text": [text], "none": None}[fate]

    for number in range(30):
        for fate in ("score", "odd", "text", "none"):
            predict(f"{CANARY}-{fate}-{number}", f"input {CANARY}", fate)
        with pytest.raises(ValueError, match=CANARY):
            predict(f"{CANARY}-{number}", CANARY, "raise")
    own.labels([f"{CANARY}-score-{number}" for number in range(20)], [1, 0] * 10)
    own.label(CANARY, Odd())
    own.flush()
    snapshot = own.snapshot()
    assert snapshot["m"].labelled == 20
    texts = [snapshot.to_json(), repr(snapshot), str(snapshot["m"]), snapshot["m"]._repr_html_(), repr(own), logged()]
    texts += [Exposition().render(points(snapshot), form).decode() for form in ("text", "openmetrics")]
    texts += [repr(point) for point in points(snapshot)] + [repr(shown)]
    own.close()
    for text in [*texts, logged()]:
        assert CANARY not in text
        assert str(SCORE) not in text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.fault("Z12")
@pytest.mark.parametrize("scheme", ["redis", "postgresql", "rediss"])
def test_secrets_of_addresses_are_shown_nowhere(scheme: str, logged: Any) -> None:
    """User and password of a store that cannot be reached are in no error, log, repr or metric."""
    store = make_store(f"{scheme}://{CANARY}:{CANARY}@127.0.0.1:9/0")
    own = Monitor(store=store, receipt_key=CANARY * 2)
    exporter = own.add(PrometheusExporter(token=CANARY, registry=None, port=0))
    own.predictions(range(10), [1] * 10, model="m")
    with pytest.raises(StoreError) as caught:
        own.label(1, 1)
    chain, texts = caught.value, []
    while chain is not None:
        texts += [str(chain), repr(chain), repr(chain.args)]
        chain = chain.__cause__ or chain.__context__
    snapshot = Source(own).snapshot
    texts += [repr(own), repr(store), repr(exporter), repr(own.settings), repr(LabelClient(store))]
    until(lambda: any(point.name == "modelmon.store.errors" for point in snapshot().points()), "the failure is counted")
    texts += [snapshot().to_json(), Exposition().render(snapshot().points(), "text").decode()]
    own.close()
    store.close()
    assert [text for text in [*texts, logged()] if CANARY in text] == []


@pytest.mark.fault("Z15", "L12")
def test_a_flood_of_classes_from_outside() -> None:
    """A hundred thousand labels, each of a class of its own, make a bounded number of series and lose no row."""
    rows, each = 100_000, 10_000
    own = Monitor()
    own.predictions(range(rows), ["a"] * rows, model="m", task=Multiclass())
    for start in range(0, rows, each):
        numbers = range(start, start + each)
        own.labels(numbers, [f"class-{number}" for number in numbers])
    snapshot = own.snapshot()
    assert snapshot["m"].labelled == snapshot["m"].confusion.matrix.sum() == rows
    assert len(snapshot["m"].classes) <= 257
    exposition = Exposition()
    exposition.render(points(snapshot), "text")
    begin = time.process_time()
    text = exposition.render(points(own.snapshot()), "text")
    assert time.process_time() - begin < 0.5
    families = text_string_to_metric_families(text.decode())
    assert max(len(family.samples) for family in families) <= 2 * 257
    own.check_invariants()


FLOOD = """
    import sys
    from modelmon import Monitor
    from pathlib import Path
    from modelmon.points.reading import points
    held = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    own = Monitor()
    @own(model="m", attributes=("country",))
    def predict(country): return 1
    @own(model="n")
    def classify(x): return x
    def both(n):
        predict(f"country-{n}"); classify(f"class-{n}")
    for n in range(5000): both(n)
    own.snapshot().points()
    before = held()
    for n in range(5000, int(sys.argv[1])): both(n)
    shown = own.snapshot()
    grown = held() - before
    calls = sum(p.value for p in points(shown) if p.name == "modelmon.calls")
    seen = sum(p.value for p in points(shown) if p.name == "modelmon.predictions")
    print(grown, calls, seen, len(points(shown)))
"""


@pytest.mark.fault("X14")
@pytest.mark.skipif(sys.platform != "linux", reason="needs the memory file of Linux")
@pytest.mark.parametrize("values", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_ever_new_slices_and_classes(values: int) -> None:
    """Memory grows by 10 MB at most, series are bounded, and totals are exact."""
    line = [sys.executable, "-c", textwrap.dedent(FLOOD), str(values)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=True)
    grown, calls, seen, shown = (int(float(word)) for word in done.stdout.split())
    assert grown <= 10 << 20
    assert (calls, seen) == (2 * values, 2 * values)
    assert shown < 2000
