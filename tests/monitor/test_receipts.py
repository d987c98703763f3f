"""Receipts: signed predictions that come back with their labels, so that nothing waits in a store."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from modelmon import (
    Binary,
    ConfigurationError,
    LabelClient,
    MemoryStore,
    Monitor,
    Multiclass,
    Multilabel,
    Regression,
    RejectedError,
)
from modelmon.receipts.tokens import Receipt, read, write
from modelmon.signing import VARIABLE, Keys
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"a key of sixteen bytes and more"
OTHER = b"another key of sixteen bytes!!!!"
DAY = 86400.0
NOW = 1.7e9
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def monitor_at(now: float = NOW, **settings: Any) -> Monitor:
    """Return a monitor with a key and a clock of its own."""
    return Monitor(**{"receipt_key": KEY, "clock": FakeClock(now), **settings})


def issued(own: Monitor, ids: list[Any], values: Any, task: Any = None, **options: Any) -> list[str]:
    """Return receipts of predictions made in one call."""
    with own.call(model="m", version="1", task=task or Binary(), receipts=True, **options) as call:
        call.predictions(ids, values)
    return [call.receipt(identity) for identity in ids]


def refusals(own: Monitor) -> dict[str, int]:
    """Return what became of receipts, by event."""
    return {str(key[0]): n for key, n in own.snapshot().counts("self:receipts").items()}


def test_a_receipt_and_its_label_are_all_it_takes() -> None:
    """Nothing awaits; predictions and labels come back together, in another process if need be."""
    front, back = monitor_at(), monitor_at(NOW + 20 * DAY)
    receipts = issued(front, ["a", "b", "c"], [0.9, 0.2, 0.7], attributes={"country": "de"})
    before = front.snapshot()["m"]
    assert (before.accepted, before.predictions) == (0, 3)
    report = back.labels(receipts=receipts, truths=[1, 0, 0])
    assert dict(report) == {"joined": 3}
    found = back.snapshot()["m"]
    assert (found.accuracy, found.auc, found.labelled, found.awaiting) == (2 / 3, 1.0, 3, 0)
    assert found.label_delay.quantile(0.5) == pytest.approx(20 * DAY, rel=0.05)
    assert found.slice(country="de").labelled == 3
    assert refusals(back) == {"used": 3}
    assert refusals(front) == {"issued": 3}
    back.check_invariants()


def test_a_receipt_that_comes_again_counts_once_and_may_correct() -> None:
    """The same delivery is a duplicate, another truth corrects, a retraction by id takes it back."""
    own = monitor_at()
    receipts = issued(own, ["a", "b"], [0.9, 0.2])
    assert dict(own.labels(receipts=receipts * 2, truths=[1, 0, 1, 0])) == {"joined": 2, "duplicate": 2}
    assert dict(own.labels(receipts=receipts, truths=[1, 1])) == {"duplicate": 1, "corrected": 1}
    assert own.snapshot()["m"].labelled == 2
    assert dict(own.retract(["a"], model="m")) == {"retracted": 1}
    own.check_invariants()


@pytest.mark.parametrize(
    ("task", "values", "truths", "metric", "expected"),
    [
        (Multiclass(["cat", "dog"]), ["cat", "dog"], ["cat", "cat"], "accuracy", 0.5),
        (
            Multiclass(["cat", "dog", "ox"]),
            np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]]),
            ["cat", "ox"],
            "accuracy",
            0.5,
        ),
        (Regression(), np.array([1.5, 2.5]), [1.0, 2.5], "mae", 0.25),
        (Multilabel(["x", "y"]), np.array([[0.9, 0.1], [0.8, 0.7]]), [{"x"}, {"x"}], "accuracy", 0.5),
        (Multiclass(range(50)), np.eye(50)[:2] * 0.5 + 0.01, [0, 3], "accuracy", 0.5),
    ],
    ids=["classes", "probabilities", "numbers", "labels", "many classes"],
)
def test_receipts_tell_as_much_as_waiting_predictions(
    task: Any, values: Any, truths: Any, metric: str, expected: float
) -> None:
    """Every task's quality is the same by receipts as by ids."""
    own, plain = monitor_at(), monitor_at()
    receipts = issued(own, ["a", "b"], values, task)
    assert dict(own.labels(receipts=receipts, truths=truths)) == {"joined": 2}
    plain.predictions(["a", "b"], values, model="m", version="1", task=task)
    plain.labels(["a", "b"], truths)
    ours, theirs = own.snapshot()["m"], plain.snapshot()["m"]
    assert ours.value(metric) == expected
    for name in ("log_loss", "auc", "top_k", "mse"):
        try:
            wanted = theirs.value(name)
        except (KeyError, ValueError):
            continue
        np.testing.assert_equal(ours.value(name), wanted)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_receipt_with_a_changed_character_is_taken(data: st.DataObject) -> None:
    """One character more, less or other makes it a text of nobody's."""
    keys = Keys.of(KEY)
    assert keys is not None
    token = write(Receipt("m", "1", Binary("fraud"), "order-17", NOW, "fraud", 0.83, page=(("country", "de"),)), keys)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(set(ALPHABET) - {token[place]})))
    assert isinstance(read(token, keys), Receipt)
    for changed in (token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :], token + other):
        assert isinstance(read(changed, keys), str)
    for strange in (f"{token}=", f" {token}", token.lower(), f"{token[:place]}\n{token[place:]}", token[:place], ""):
        assert isinstance(read(strange, keys), str)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=300), st.binary(max_size=300), st.none(), st.integers(), st.floats()))
def test_nothing_strange_is_a_receipt_and_nothing_raises(strange: Any) -> None:
    """Whatever a client sends is refused by a reason."""
    keys = Keys.of(KEY)
    assert keys is not None
    assert read(strange, keys) in {"malformed", "unsupported", "unknown_key"}


names = st.text(max_size=20)
classes = st.one_of(
    st.integers(-(2**70), 2**70), st.text(max_size=10), st.floats(allow_nan=False, allow_infinity=False)
)


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Receipt,
        names,
        names,
        st.sampled_from(
            [Binary(), Binary("a", "b", 0.1), Multiclass(), Multiclass(["é", 3]), Regression(), Multilabel()]
        ),
        names,
        st.integers(0, 2**50).map(lambda micros: micros / 1e6),
        st.one_of(st.none(), classes),
        st.one_of(st.none(), st.floats(allow_nan=False), st.lists(st.floats(allow_nan=False), min_size=1).map(tuple)),
        st.lists(classes, max_size=3).map(tuple),
        st.one_of(st.none(), st.lists(st.integers(0, 1), min_size=1).map(tuple)),
        st.one_of(st.none(), st.lists(st.integers(-1, 4), min_size=1).map(tuple)),
        st.lists(st.tuples(names, names), max_size=2).map(tuple),
    )
)
def test_what_is_written_is_read(receipt: Receipt) -> None:
    """Every part of a receipt survives."""
    keys = Keys.of(KEY)
    assert keys is not None
    assert read(write(receipt, keys), keys) == receipt


def test_a_typical_receipt_is_short() -> None:
    """Model, version, a slice, a score and a UUID take less than 200 characters."""
    own = monitor_at()
    with own.call(
        model="fraud-detector", version="2024-05-01", task=Binary(), attributes={"country": "de"}, receipts=True
    ) as call:
        call.prediction("0b9f2c1e-8a4b-4a5d-9a6f-3c1d2e4f5a6b", 0.8374928374)
    assert len(call.receipt(call.ids[0])) < 200


def test_receipts_of_others_of_old_and_of_the_future_are_refused() -> None:
    """Each reason is counted, and the label is invalid; the good ones of the batch still count."""
    own, foreign = monitor_at(), monitor_at(receipt_key=OTHER)
    old, ahead = monitor_at(NOW - 365 * DAY), monitor_at(NOW + DAY)
    tokens = [
        issued(who, [name], [0.9])[0]
        for who, name in ((own, "a"), (foreign, "b"), (old, "c"), (ahead, "d"), (own, "e"))
    ]
    report = own.labels(receipts=[*tokens, "nonsense", None], truths=[1] * 7)
    assert dict(report) == {"joined": 2, "invalid": 5}
    assert refusals(own) == {"issued": 2, "used": 2, "unknown_key": 1, "expired": 1, "ahead": 1, "malformed": 2}
    other_task = issued(monitor_at(), ["x"], ["cat"], Multiclass())
    assert dict(own.labels(receipts=other_task, truths=["cat"])) == {"invalid": 1}
    assert refusals(own)["task"] == 1
    own.check_invariants()


def test_keys_can_be_changed_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key signs and all verify; without the setting they come from the environment."""
    old = issued(monitor_at(receipt_key=KEY), ["a"], [0.9])
    both = monitor_at(receipt_key=[OTHER, KEY])
    new = issued(both, ["b"], [0.9])
    assert dict(both.labels(receipts=old + new, truths=[1, 1])) == {"joined": 2}
    monkeypatch.setenv(VARIABLE, OTHER.decode().replace(" ", "_") + ", " + "k" * 16)
    from_environment = monitor_at(receipt_key=None)
    assert len(issued(from_environment, ["c"], [0.9])[0]) > 50
    assert dict(from_environment.labels(receipts=old, truths=[1])) == {"invalid": 1}


def test_keys_are_checked_and_never_shown() -> None:
    """Short keys are refused; neither settings nor pickles hold the key."""
    for bad in (b"short", 5, [], ["x" * 16, b"y"], "short and short"):
        with pytest.raises(ConfigurationError, match="receipt_key"):
            Monitor(receipt_key=bad)
    own = monitor_at()
    assert "sixteen" not in repr(own.settings)
    assert b"sixteen" not in pickle.dumps(own)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(own.settings.receipt_key)


def test_what_cannot_work_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, spans that would forget a good receipt, ids beside receipts, unequal lengths."""
    monkeypatch.delenv(VARIABLE, raising=False)
    bare = Monitor()
    with pytest.raises(ConfigurationError, match="needs a key"):
        bare.call(model="m", receipts=True)
    with pytest.raises(ConfigurationError, match="need the key"):
        bare.labels(receipts=["x"], truths=[1])
    own = monitor_at(correction_horizon="1d", forget_after="1d")
    with pytest.raises(ConfigurationError, match="at least ttl"):
        own.labels(receipts=["x"], truths=[1])
    own = monitor_at()
    with pytest.raises(ValueError, match="1 receipts but 2 truths"):
        own.labels(receipts=["x"], truths=[1, 0])
    with pytest.raises(ValueError, match="by itself"):
        own.labels(["a"], [1], receipts=["x"])
    with pytest.raises(RejectedError, match="invalid"):
        monitor_at(strict=True).labels(receipts=["x"], truths=[1])


def test_only_calls_with_receipts_give_them() -> None:
    """A call without says so, and an id it does not know, or a value no task reads, has none."""
    own = monitor_at()
    with own.call(model="m", task=Binary()) as plain:
        plain.prediction("a", 0.9)
    assert plain.receipt("a") == ""
    with own.call(model="m", task=Binary(), receipts=True) as call:
        call.prediction(None, 0.9)
        call.prediction("b", float("nan"))
        call.prediction("c", object())
    assert call.receipt("nobody") == call.receipt("b") == call.receipt("c") == ""
    assert call.receipt(call.ids[0])
    found = own.snapshot()["m"]
    assert (found.awaiting, found.rejected["misuse"]) == (1, 1)


def test_a_client_takes_receipts_with_the_key_alone() -> None:
    """A process that never saw the model delivers receipts to the store."""
    receipts = issued(monitor_at(), ["a", "b"], [0.9, 0.2])
    with LabelClient(MemoryStore(), clock=FakeClock(NOW), receipt_key=KEY) as client:
        assert dict(client.labels(receipts=[*receipts, "x"], truths=[1, 1, 1])) == {"joined": 2, "invalid": 1}
        assert client.snapshot()["m"].accuracy == 0.5


def test_a_client_refuses_receipts_that_a_store_would_forget(tmp_path: Path) -> None:
    """What a monitor refuses by its settings, a client refuses by those that the store holds."""
    clock, path = FakeClock(NOW), tmp_path / "labels.db"
    own = monitor_at(clock=clock, store=path, correction_horizon="1d", forget_after="1d")
    receipts = issued(own, ["a"], [0.9])
    own.snapshot()
    for back in (own, LabelClient(path, clock=clock, receipt_key=KEY)):
        with pytest.raises(ConfigurationError, match="correction_horizon"):
            back.labels(receipts=receipts, truths=[1])
    own.close()


def test_a_client_that_comes_first_counts_in_the_usual_slots(tmp_path: Path) -> None:
    """A monitor of another window is refused then, as after a monitor of the usual one."""
    path = tmp_path / "labels.db"
    with LabelClient(path, clock=FakeClock(NOW), receipt_key=KEY) as client:
        client.labels(receipts=issued(monitor_at(), ["a"], [0.9]), truths=[1])
    own = monitor_at(store=path, window="1m")
    with pytest.raises(ConfigurationError, match="slots of 3600 s"):
        own.snapshot()
    own.close()


def test_no_receipt_is_issued_that_nobody_would_read(caplog: pytest.LogCaptureFixture) -> None:
    """One that holds too many classes is not issued, but counted and said; the call goes on."""
    own = monitor_at()
    names = [f"class number {number:04d}, with a name" for number in range(1000)]
    assert issued(own, ["a"], [names[3]], Multiclass(names)) == [""]
    assert len([line for line in caplog.messages if "16384" in line]) == 1
    with own.call(model="few", task=Multiclass(names[:100]), receipts=True) as call:
        call.prediction("a", names[3])
    assert dict(own.labels(receipts=[call.receipt("a")], truths=[names[3]])) == {"joined": 1}
    assert refusals(own) == {"too_long": 1, "issued": 1, "used": 1}
