"""Tests of the whole path for calls: from a decorated function to a snapshot."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref

import numpy as np
import pytest

from modelmon import (
    Binary,
    ConfigurationError,
    Monitor,
    Multiclass,
    Multilabel,
    Regression,
    RejectedError,
    current_prediction_ids,
    monitor,
    notices,
)
from modelmon.testing import FakeClock, capture


def test_a_bare_decorator_counts_calls_errors_and_classes() -> None:
    """The default model is the function's qualified name; every call has one outcome."""
    own = Monitor()

    @own
    def parity(number: int) -> str:
        if number < 0:
            raise ValueError(number)
        return "odd" if number % 2 else "even"

    for number in (1, 2, 3):
        parity(number)
    with pytest.raises(ValueError, match="-1"):
        parity(-1)
    name = f"{__name__}.{parity.__qualname__}"
    seen = own.snapshot()[name, ""]
    assert (seen.calls, seen.outcomes["ok"], seen.outcomes["error"], seen.in_flight) == (4, 3, 1, 0)
    assert seen.errors["ValueError"] == 1
    assert seen.predicted == {"odd": 2, "even": 1}
    assert seen.duration.count == 4
    own.check_invariants()


def test_declared_models_appear_with_zeros() -> None:
    """A model that was never called is there, and nothing of it is invented."""
    own = Monitor()

    @own(model="quiet", version="3", task=Binary(positive="fraud"))
    def score(_: object) -> float:
        return 0.5

    seen = own.snapshot()["quiet", "3"]
    assert (seen.calls, seen.predictions, seen.awaiting, seen.labelled) == (0, 0, 0, 0)
    assert math.isnan(seen.accuracy)
    assert math.isnan(seen.coverage)
    assert list(seen.confusion.classes) == ["other", "fraud"]


def test_durations_and_windows_follow_the_clock() -> None:
    """With a fake clock a duration is exact, and a call lies in the slot in which it ended."""
    clock = FakeClock()
    own = Monitor(clock=clock, window="1h")

    @own(model="slow")
    def wait(seconds: float) -> None:
        clock.advance(seconds)

    wait(0.25)
    clock.set(3600.0)
    wait(1.5)
    seen = own.snapshot()["slow"]
    assert (seen.duration.sum, seen.duration.mean) == (1.75, 0.875)
    assert seen.duration.quantile(1.0) == pytest.approx(1.5, rel=0.005)
    assert {start: window.calls for start, window in seen.windows().items()} == {0.0: 1, 3600.0: 1}
    assert seen.window("1s").calls == 1
    assert seen.window("2h").calls == 2


@pytest.mark.fault("C17")
def test_a_call_that_runs_is_in_flight() -> None:
    """In-flight rises inside the call and falls back to zero however it ends."""
    own = Monitor()

    @own(model="nested")
    def inside(depth: int) -> int:
        if depth:
            return inside(depth - 1)
        return own.snapshot()["nested"].in_flight

    assert inside(2) == 3
    assert own.snapshot()["nested"].in_flight == 0
    assert own.snapshot()["nested"].calls == 3


@pytest.mark.fault("X14")
def test_slices_are_bounded_and_totals_exact() -> None:
    """Past a hundred combinations further ones are counted under __other__."""
    own = Monitor()

    @own(model="sliced", attributes=("country",))
    def classify(country: str) -> str:
        return "yes"

    for number in range(150):
        classify(f"c{number}")
    seen = own.snapshot()["sliced"]
    assert seen.calls == 150
    assert seen.slice(country="c7").calls == 1
    assert seen.slice(country="__other__").calls == 50
    with pytest.raises(KeyError):
        seen.slice(country="nowhere")


def test_issued_ids_join() -> None:
    """With id="auto" the ids of the last call are at hand, and labels find its predictions."""
    own = Monitor()

    @own(model="auto", id="auto")
    def predict(rows: int) -> list[str]:
        return ["yes"] * rows

    predict(3)
    first = current_prediction_ids()
    predict(1)
    second = current_prediction_ids()
    assert len({*first, *second}) == len(first) + len(second) == 4
    assert own.labels([*first, *second], ["yes", "no", "yes", "yes"])["joined"] == 4
    assert own.snapshot()["auto"].accuracy == 0.75


def test_the_context_manager_records_predictions() -> None:
    """A block is a call; what it predicts awaits labels."""
    own = Monitor()
    with own.call(model="block", version="1", task=Binary(positive=1)) as call:
        call.predictions(["a", "b"], np.array([0.9, 0.2]))
        call.prediction("c", 0.7)
    assert list(call.ids) == ["a", "b", "c"]
    own.labels(["a", "b", "c"], [1, 0, 0])
    seen = own.snapshot()["block", "1"]
    assert (seen.calls, seen.predictions, seen.labelled) == (1, 3, 3)
    assert seen.confusion.matrix.tolist() == [[1, 1], [0, 1]]


@pytest.mark.fault("C2", "C10")
def test_coroutines_and_their_cancellation_are_counted() -> None:
    """Half of many tasks are cancelled; nothing stays in flight."""
    own = Monitor()

    @own(model="async")
    async def work(number: int) -> int:
        await asyncio.sleep(3600 if number % 2 else 0)
        return number

    async def main() -> None:
        tasks = [asyncio.ensure_future(work(number)) for number in range(200)]
        await asyncio.sleep(0.01)
        for task in tasks[1::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    seen = own.snapshot()["async"]
    assert (seen.outcomes["ok"], seen.outcomes["cancelled"], seen.in_flight) == (100, 100, 0)


def test_streams_tell_first_item_and_pace() -> None:
    """Time to first item, time per item and items of a generator; an early close is abandoned."""
    clock = FakeClock()
    own = Monitor(clock=clock)

    @own(model="stream")
    def tokens(count: int):
        for number in range(count):
            clock.advance(0.5 if number == 0 else 0.1)
            yield number

    assert list(tokens(5)) == [0, 1, 2, 3, 4]
    stream = tokens(5)
    next(stream)
    stream.close()
    seen = own.snapshot()["stream"]
    assert seen.time_to_first_item.mean == 0.5
    assert seen.time_per_item.sum == pytest.approx(0.1)
    assert (seen.outcomes["ok"], seen.outcomes["abandoned"], seen.in_flight) == (1, 1, 0)


def test_a_stream_that_cannot_predict_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Items are predictions only through ``output=``: one with an id or a task alone is told so, others not."""
    own = Monitor()

    def letters(name: str):
        yield from name

    for number, told in enumerate(({"id": "name"}, {"task": Multiclass()})):
        list(own(letters, model=f"lost-{number}", **told)("ab"))
        assert f"'lost-{number}' is a stream with {next(iter(told))}= and without output=" in caplog.text
        assert own.snapshot()[f"lost-{number}"].predictions == 0
    caplog.clear()
    list(own(letters, model="kept", task=Multiclass(), id="name", output=str.upper)("ab"))
    list(own(letters, model="timed")("ab"))
    assert own.snapshot()["kept"].predictions > 0
    assert not caplog.text


def test_items_that_come_at_once_have_no_pace() -> None:
    """A stream that yields once has no time between items, however many tokens that one holds."""
    clock = FakeClock()
    own = Monitor(clock=clock)

    @own(model="stream", tokens=len)
    def chunks(*texts: str):
        for text in texts:
            clock.advance(0.5)
            yield text

    assert list(chunks("ten tokens")) == ["ten tokens"]
    with own.call(model="by-hand") as calling:
        clock.advance(0.5)
        calling.item(10)
    seen = own.snapshot()
    for name in ("stream", "by-hand"):
        assert (seen[name].items, seen[name].time_to_first_item.mean) == (10, 0.5)
        assert seen[name].time_per_item.count == 0
    list(chunks("four", "more"))
    assert own.snapshot()["stream"].time_per_item.sum == pytest.approx(0.5 / 7)


def test_predictions_from_elsewhere_are_recorded_at_their_time() -> None:
    """A replay gives the times; windows and the deadline follow them."""
    clock = FakeClock(start=10_000.0)
    own = Monitor(clock=clock, window=100)
    own.predictions(["a", "b", "c"], [1.0, 2.0, 3.0], model="batch", task=Regression(), at=[9000.0, 9050.0, 9950.0])
    own.labels(["a", "b", "c"], [1.0, 2.5, 3.0])
    seen = own.snapshot()["batch"]
    assert seen.mae == pytest.approx(0.5 / 3)
    assert list(seen.windows()) == [9000.0, 9900.0]
    with pytest.raises(ValueError, match="one id for each"):
        own.predictions(["a"], [1.0, 2.0], model="batch", task=Regression())


def test_a_lone_float_is_not_guessed() -> None:
    """Without a task a float output is timed and counted as undeclared."""
    own = Monitor()

    @own(model="float", id="key")
    def score(key: str) -> float:
        return 0.3

    score("a")
    seen = own.snapshot()["float"]
    assert (seen.calls, seen.predictions) == (1, 0)
    assert seen.rejected == {"task_undeclared": 1}


def test_probability_rows_without_a_task_are_classes() -> None:
    """A two-dimensional float output is read as class probabilities."""
    own = Monitor()

    @own(model="rows", id="keys")
    def score(keys: list[str]) -> np.ndarray:
        return np.array([[0.1, 0.9], [0.8, 0.2]])

    score(["a", "b"])
    own.labels(["a", "b"], [1, 1])
    seen = own.snapshot()["rows"]
    assert (seen.accuracy, seen.labelled) == (0.5, 2)


@pytest.mark.fault("C16")
def test_the_caller_may_change_what_was_returned() -> None:
    """A batch is copied before the caller gets it, and no reference to it stays."""
    own = Monitor()

    @own(model="mutable", id="keys", task=Multiclass())
    def classify(keys: list[str]) -> np.ndarray:
        return np.array([1, 2, 3])

    keys = ["a", "b", "c"]
    result = classify(keys)
    result[:] = 9
    keys[:] = ["x", "y", "z"]
    watcher = weakref.ref(result)
    gc.disable()
    try:
        del result
        assert watcher() is None
    finally:
        gc.enable()
    assert own.labels(["a", "b", "c"], [1, 2, 3])["joined"] == 3
    assert own.snapshot()["mutable"].accuracy == 1.0


@pytest.mark.fault("L9")
def test_lengths_that_differ_reject_the_whole_batch() -> None:
    """Nothing is broadcast: the call succeeds, its predictions are counted as rejected."""
    own = Monitor()

    @own(model="lengths", id="keys", task=Multiclass())
    def classify(keys: list[str]) -> list[int]:
        return [1, 2, 3]

    assert classify(["a", "b"]) == [1, 2, 3]
    seen = own.snapshot()["lengths"]
    assert (seen.calls, seen.predictions) == (1, 0)
    assert seen.rejected == {"length": 3}


def test_strict_raises_what_would_be_counted() -> None:
    """In tests and staging an unreadable output is an error at once."""
    own = Monitor(strict=True)

    @own(model="strict", id="key", task=Binary(positive=1))
    def score(key: str, value: float) -> float:
        return value

    assert score("a", 0.5) == 0.5
    with pytest.raises(RejectedError, match="strict"):
        score("b", float("nan"))
    with pytest.raises(RejectedError):
        own.label("a", None)


@pytest.mark.fault("C18")
def test_disabled_hands_back_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """MODELMON_DISABLED=1 leaves nothing of ours in the way."""
    monkeypatch.setenv("MODELMON_DISABLED", "1")

    def plain() -> int:
        return 1

    assert monitor(plain) is plain
    assert monitor(model="x")(plain) is plain
    with monitor.call(model="x") as call:
        call.prediction("a", 1)
    assert monitor.label("a", 1).total == 0
    assert len(monitor.snapshot()) == 0


def test_one_name_means_one_task() -> None:
    """A second declaration that says something else needs a version of its own."""
    own = Monitor()
    own(model="same", task=Binary(positive="a"))(lambda: 0.5)
    own(model="same", task=Binary(positive="a"))(lambda: 0.5)
    with pytest.raises(ConfigurationError, match="version of its own"):
        own(model="same", task=Regression())(lambda: 0.5)


@pytest.mark.parametrize(
    "options",
    [
        {"model": ""},
        {"model": 3},
        {"version": 1},
        {"attributes": "country"},
        {"id": 7},
        {"output": 1},
        {"task": Binary},
        {"sync": "host"},
        {"id": "nowhere"},
    ],
)
def test_what_cannot_work_is_said_at_the_decoration(options: dict[str, object]) -> None:
    """A wrong argument never waits for a call."""
    with pytest.raises(ConfigurationError):
        Monitor()(**options)(lambda x: x)  # type: ignore[call-overload]


def test_functions_that_are_gone_leave_their_counts() -> None:
    """Watching in a loop does not grow without end, and loses no call."""
    own = Monitor()
    for _ in range(300):
        own(model="loop")(lambda: "yes")()
        own.snapshot()
    assert own.snapshot()["loop"].calls == 300
    gc.collect()
    own.snapshot()
    assert len(own._recorder.seats) < 20


def test_capture_leaves_the_monitor_as_it_was() -> None:
    """What is captured is apart: own store, own clock; afterwards the monitor goes on."""
    own = Monitor()

    @own(model="shared", id="key")
    def predict(key: str) -> str:
        return "yes"

    predict("before")
    with capture(monitor=own) as seen:
        predict("a")
        seen.clock.advance(5.0)
        assert seen.label("a", "yes")["joined"] == 1
        assert seen.snapshot()["shared"].label_delay.quantile(0.5) == pytest.approx(5.0, rel=0.005)
    predict("after")
    assert seen.snapshot()["shared"].calls == 1
    assert own.snapshot()["shared"].calls == 2
    assert own.snapshot()["shared"].awaiting == 2
    own.check_invariants()


def test_the_fixture_captures(modelmon_capture) -> None:
    """The plugin's fixture is a capture of the default monitor."""

    @monitor(model="fixture", id="key")
    def predict(key: str) -> int:
        return 1

    predict("a")
    modelmon_capture.label("a", 1)
    assert modelmon_capture.snapshot()["fixture", ""].accuracy == 1.0


def test_predicted_labels_of_a_multilabel_task_are_counted() -> None:
    """Every label that a row predicts counts for that label; the rows themselves are the predictions."""
    own = Monitor()
    scores = np.array([[0.9, 0.1], [0.8, 0.6], [0.2, 0.1]])
    own.predictions(["a", "b", "c"], scores, model="tags", task=Multilabel(classes=("x", "y")))
    seen = own.snapshot()["tags"]
    assert (seen.predictions, dict(seen.predicted)) == (3, {"x": 2, "y": 1})


@pytest.mark.fault("C12")
def test_what_cannot_be_read_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each reason is logged once with what to do about it, however many predictions it meets."""
    notices.forget()
    own = Monitor()

    @own(model="ambiguous")
    def score() -> float:
        return 0.5

    for _ in range(5):
        score()
        own.snapshot()
    said = [record.getMessage() for record in caplog.records if "ambiguous" in record.getMessage()]
    assert len(said) == 1
    assert "declare task=Binary" in said[0]


def test_a_label_far_ahead_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Milliseconds given for seconds would win over every later correction; they are invalid, and the log says why."""
    notices.forget()
    own = Monitor()
    own.predictions(["a"], [1], model="m", task=Binary())
    assert own.label("a", 0, at=1.8e12) == {"invalid": 1}
    assert own.label("a", 1)["joined"] == 1
    assert "milliseconds" in caplog.text


def test_a_declaration_that_fails_leaves_nothing() -> None:
    """A wrong decoration can be mended in place: neither a series nor a task of it stays."""
    own = Monitor()
    with pytest.raises(ConfigurationError, match="no parameter"):
        own(model="m", task=Multiclass(), id="oder")(lambda order: order)
    with pytest.raises(TypeError, match="did you mean"):
        own("fraud")  # type: ignore[call-overload]
    kept = own(model="m", task=Binary(), id="order")(lambda order: order)
    assert kept(1) == 1
    assert list(own.snapshot()) == [("m", "")]


def test_ids_and_truths_need_an_order() -> None:
    """Sets, views and generators are refused before any effect, and a sequence of one is not for all."""
    own = Monitor()
    for ids, given in (({"a": 1}.keys(), ["x"]), ({"a"}, ["x"]), (["a"], {"x"}), ((key for key in "a"), ["x"])):
        with pytest.raises(ValueError, match="no sequence"):
            own.labels(ids, given)
    with pytest.raises(ValueError, match="1 elements for 2 ids"):
        own.labels(["a", "b"], [1, 1], at=[5.0])
    assert own.snapshot().label_events == {}


def test_a_capture_cannot_be_configured() -> None:
    """Settings made inside a capture would outlive it."""
    own = Monitor()
    with capture(monitor=own), pytest.raises(ConfigurationError, match="capture"):
        own.configure(ttl="1d")


def test_what_streams_kept_is_let_go_when_drained() -> None:
    """The bytes that a seat holds fall back to zero also where a site records streamed items alone."""
    own = Monitor()

    @own(model="stream", task=Multiclass(), output=lambda item: item)
    def batches(count: int):
        for _ in range(count):
            yield np.arange(1000)

    for _ in batches(5):
        pass
    seat = own.home.seats[0]
    assert seat.kept_bytes >= 5 * 8000
    assert own.snapshot()["stream"].predictions == 5000
    assert seat.kept_bytes == 0
