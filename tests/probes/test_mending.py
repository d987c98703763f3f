"""What rarely happens: records put right after an interruption, full lists, hooks interrupted by signals."""

# Odd functions are the subject here.
# ruff: noqa: ARG005

from __future__ import annotations

import copy
import functools
import operator
import pickle
import signal
import sys

import numpy as np
import pytest
import watched_things
from probe_desk import calls, outcomes

from modelmon import copies
from modelmon.errors import ConfigurationError
from modelmon.faults import is_ours
from modelmon.probes import UNREADABLE, reading, watch
from modelmon.probes.contexts import CallContext
from modelmon.probes.proxies import Proxy


def fault():
    """Return an exception that this library raised."""
    try:
        reading.size(None, object())
    except AttributeError as error:
        return error
    raise AssertionError


def test_faults_are_told_from_signals():
    """An exception is ours when it was raised in our files; what handlers of signals raise is not."""
    with pytest.raises(ValueError, match="here") as here:
        _raise(ValueError("here"))
    assert not is_ours(here.value)
    assert not is_ours(KeyboardInterrupt())
    assert not is_ours(TimeoutError())
    assert is_ours(ValueError())  # raised in C, by our own frame
    assert is_ours(MemoryError())
    assert is_ours(fault())


def test_failure_that_was_not_written_is_mended(desk):
    """A call whose failure was interrupted before it was written is written once."""
    seat = desk.site().seat
    start = seat.clock()
    seat.begin()
    assert seat.mend_failure(start, ValueError(), KeyboardInterrupt())
    assert not seat.mend_failure(start, ValueError(), fault())
    assert outcomes(seat.site) == [("error", "ValueError")]
    assert seat.rejections == [("internal", 1)]


@pytest.mark.parametrize(("error", "expected"), [(None, ("ok", "")), (KeyError(), ("error", "KeyError"))])
def test_stream_that_was_not_written_is_mended(desk, error, expected):
    """A stream whose end was interrupted is written once."""
    seat = desk.site().seat
    start = seat.clock()
    seat.begin()
    assert seat.mend_end(start, 3, error, KeyboardInterrupt())
    assert not seat.mend_end(start, 3, error, fault())
    assert outcomes(seat.site) == [expected]


def streaming():
    """Fail after an item."""
    yield 1
    raise KeyError


@pytest.mark.fault("E24")
def test_faults_while_recording_an_ending(desk):
    """Where memory runs out while an ending is written, the user's exception passes and the call is counted."""
    for function in (lambda: {}["x"], streaming):
        watched, site = desk.watch(function)
        site.seat.failures, site.seat.streams = _Refusing(), _Refusing()
        with pytest.raises(KeyError):
            list(watched())
        assert outcomes(site) == [("error", "KeyError")]
        assert site.seat.rejections == [("internal", 1)]


class _Refusing(list):
    """Fail at the first record, as memory that ran out does."""

    refused = False

    def extend(self, record):
        """Refuse once."""
        if not self.refused:
            self.refused = True
            operator.mul([0], 1 << 62)
        super().extend(record)


def test_full_lists_count_what_they_drop(desk, monkeypatch):
    """Past their caps, lists drop the newest record and count it."""
    from modelmon.probes import seats  # noqa: PLC0415

    monkeypatch.setattr(seats, "_AT_MOST", 9)
    seat = desk.site().seat
    for _ in range(5):
        seat.begin()
        seat.fail(1, ValueError())
        seat.give(1, 0.5)
    assert (len(seat.failures), seat.lost) == (10, 3)
    assert (len(seat.given), seat.rejections) == (12, [("dropped", 1)] * 2)
    for _ in range(20):
        seat.reject("x")
    assert len(seat.rejections) == 9


def test_relief_of_long_lists(desk, monkeypatch):
    """Failures ask for relief now and then; relief that fails harms no call."""
    from modelmon.probes import seats  # noqa: PLC0415

    monkeypatch.setattr(seats, "_BETWEEN_RELIEFS", 8)  # columns, of which a failure has five
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # with it the first record asks, too
    seat = desk.site().seat
    for _ in range(3):
        seat.fail(1, ValueError())
    assert desk.reliefs == 1
    seat.relieve = functools.partial(operator.mul, 1 << 62)
    seat.relieve = lambda _: reading.size(None, object())
    seat.fail(1, ValueError())
    assert seat.rejections == [("internal", 1)]
    seat.relieve = functools.partial(_raise, TimeoutError)
    with pytest.raises(TimeoutError):
        seat.fail(1, ValueError())


def test_relief_is_asked_for_seldom_however_much_waits(desk, monkeypatch):
    """Predictions of streamed items ask once for 1,024 of them, drained or not; so do failures and streams."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    seat = desk.site().seat
    for item in range(20_480):
        seat.give(item, 1)
    assert desk.reliefs == 20
    for item in range(4096):
        seat.fail(item, ValueError())
    assert desk.reliefs == 20 + 5
    for item in range(1024):
        seat.end(item, None, None, 0, None)
    assert desk.reliefs == 20 + 5 + 2


def _raise(error, *_):
    raise error


class GreenTimeout(BaseException):
    """Stand for the timeouts of greenlets."""


@pytest.mark.fault("E7")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GreenTimeout])
def test_signals_in_hooks_pass(desk, error):
    """What ends the process, or comes from a switch of greenlets, passes through a hook; the call is recorded."""
    watched, site = desk.watch(lambda: 1, id=functools.partial(_raise, error))
    with pytest.raises(error):
        watched()
    assert outcomes(site) == [("ok", "")]


class SoftTimeLimitError(Exception):
    """What a handler of signals raises."""


def _limit(*_):
    raise SoftTimeLimitError


@pytest.fixture
def limit():
    """Return a function in which a soft time limit strikes."""
    before = signal.signal(signal.SIGTERM, _limit)
    yield lambda *_: signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


@pytest.mark.fault("E7")
@pytest.mark.parametrize("hook", ["output", "id", "attributes", "batch_size"])
def test_time_limits_that_strike_in_hooks_pass(desk, limit, hook):
    """The exception of a signal's handler is raised into the call, which is recorded, and no hook is blamed."""
    watched, site = desk.watch(lambda: 1, **{hook: limit})
    with pytest.raises(SoftTimeLimitError):
        watched()
    assert outcomes(site) == [("ok", "")]
    assert ("hook", 1) not in site.seat.rejections


@pytest.mark.fault("E7")
def test_time_limits_that_strike_in_streams_pass(desk, limit):
    """So it is where items are counted."""
    watched, site = desk.watch(lambda: (yield 1), tokens=limit)
    with pytest.raises(SoftTimeLimitError):
        list(watched())
    assert outcomes(site) == [("error", "SoftTimeLimitError")]


@pytest.mark.fault("E7")
def test_time_limits_that_strike_as_a_failure_is_read_pass(desk, limit):
    """A failure of a proxied call is recorded, be the reading of its arguments interrupted."""
    _, site = desk.watch(lambda: 1)

    def bind(*_):
        limit()

    error = TypeError()
    try:
        raise error
    except TypeError:
        with pytest.raises(SoftTimeLimitError):
            reading.failed(site.seat, 1, error, bind, None, (), {})


def test_many_slices_are_written_but_not_remembered(desk):
    """Slices past those remembered are right all the same."""
    watched, site = desk.watch(lambda country: 1, attributes=("country",))
    for n in range(300):
        watched(f"c{n}")
    assert calls(site)[-1]["slice"] == (("country", "c299"),)
    assert len(site.seat.slices) == 256


def test_slices_from_hooks_that_give_no_mapping(desk):
    """A function of the arguments that gives no mapping is counted, and the slice is empty."""
    watched, site = desk.watch(lambda: 1, attributes=lambda arguments: 3)
    watched()
    assert calls(site)[0]["slice"] == ()
    assert site.seat.rejections == [("hook", 1)]


def test_tokens_that_are_no_count(desk):
    """A token count that is no number counts as one item."""
    watched, site = desk.watch(lambda: (yield 1), tokens=lambda item: "many")
    list(watched())
    assert site.seat.streams[4] == 1
    assert site.seat.rejections == [("hook", 1)]


@pytest.mark.parametrize(
    ("count", "items"),
    [(np.int64(3), 3), (np.array(3), 3), (np.uint8(0), 0), (np.int64(-1), 1), (np.float64(3), 1), (np.bool_(1), 1)],
)
def test_token_counts_of_array_libraries(desk, count, items):
    """Whole numbers of numpy are counts as those of Python; floats and truths are not."""
    watched, site = desk.watch(lambda: (yield 1), tokens=lambda item: count)
    list(watched())
    assert site.seat.streams[4] == items
    assert site.seat.rejections == [("hook", 1)] * (items == 1)


@pytest.mark.parametrize(
    ("given", "size", "rejections"),
    [
        (np.int64(3), 3, []),
        (np.array(3), 3, []),
        (np.int64(-1), -1, []),
        (np.zeros((2, 5)), 2, []),
        (np.float64(3), -1, [("batch_size", 1)]),
        (np.bool_(1), -1, [("batch_size", 1)]),
        (True, -1, [("batch_size", 1)]),
        (np.dtype(int), -1, [("batch_size", 1)]),
        (np.zeros, -1, [("batch_size", 1)]),
        (np.random.default_rng(), -1, [("hook", 1)]),
    ],
)
def test_batch_sizes_of_array_libraries(desk, given, size, rejections):
    """A batch's size is a whole number of Python's or of numpy's, or the length of an array."""
    watched, site = desk.watch(lambda: 1, batch_size=lambda _: given)
    watched()
    assert calls(site)[0]["size"] == size
    assert site.seat.rejections == rejections


def test_kept_values_of_hooks_pass(desk):
    """What a hook of ours kept already is not kept again."""
    kept = copies.Coded(np.zeros(2, np.int32), ("a",))
    watched, site = desk.watch(lambda: 1, output=lambda result: kept, id="auto")
    watched()
    assert calls(site)[0]["value"] is kept


def test_callables_that_do_not_tell_their_parameters(desk):
    """A builtin without a signature is watched; hooks get its arguments packed, names are refused."""
    secretive = dict.fromkeys
    import operator as silent  # noqa: PLC0415

    fetch = silent.attrgetter("real")
    seen = []
    for function in (fetch, secretive, type("Mute", (), {"__call__": lambda *a: 1, "__signature__": 3})()):
        watched, _ = desk.watch(function, id=seen.append)
        watched(5) if function is not secretive else watched([1])
    assert len(seen) == 3
    mute = type("Mute", (), {"__call__": lambda *a: 1, "__signature__": 3})()
    watched, site = desk.watch(mute, id=lambda arguments: arguments["args"][0])
    watched(5)
    assert calls(site)[0]["id"] == 5
    with pytest.raises(ConfigurationError, match="tells no parameters"):
        desk.watch(mute, id="x")


def test_cached_methods_bind_and_pickle():
    """A cached function watched in a class binds to the instance, and pickles as its attribute."""
    holder = watched_things.Cached()
    assert holder.predict(2) == 4
    assert pickle.loads(pickle.dumps(holder.predict))(3) == 6  # noqa: S301
    assert type(watched_things.Cached.__dict__["predict"]) is Proxy


def test_hooks_that_raise_in_proxies(desk):
    """Arguments that do not bind to the names that hooks want are counted."""
    watched, site = desk.watch(functools.partial(lambda x: 1), id="x", attributes=("x",), batch_size="x")
    watched.__wrapped__.keywords["x"] = 1  # now the partial binds differently from what its signature said
    assert watched() == 1
    assert outcomes(site) == [("ok", "")]
    assert calls(site)[0]["id"] is UNREADABLE
    assert set(site.seat.rejections) == {("hook", 1)}


def test_copies_of_builtins(desk):
    """A watched builtin is its own copy."""
    watched, _ = desk.watch(len)
    assert copy.copy(watched) is watched
    assert copy.deepcopy(watched) is watched
    again = watch(print, desk.site())
    assert copy.deepcopy({"f": again})["f"] is again


def test_parameter_names_that_the_text_cannot_bear(desk):
    """A function whose parameters hide the exceptions that the text names is watched by a proxy."""

    def predict(StopIteration):  # noqa: N803, A002
        return StopIteration

    watched, site = desk.watch(predict, id="StopIteration")
    assert type(watched) is Proxy
    assert watched(3) == 3
    assert calls(site)[0]["id"] == 3


def test_watched_caches_are_their_own_copies(desk):
    """A cached function copies as itself, and so does what watches it."""
    cached = functools.lru_cache(lambda x: x)
    watched, _ = desk.watch(cached)
    assert copy.copy(watched) is copy.deepcopy(watched) is watched


class _Odd(type):  # noqa: PLW1641
    def __eq__(cls, other):
        return cls is other


class _Odder(type):
    def __hash__(cls):
        raise RuntimeError

    @property
    def __module__(cls):
        raise RuntimeError


@pytest.mark.parametrize("meta", [_Odd, _Odder])
@pytest.mark.parametrize(
    "settings",
    [{}, {"id": "x"}, {"id": "auto"}, {"output": lambda r: r, "batch_size": "x"}, {"attributes": ("x",)}],
)
def test_classes_that_cannot_be_hashed(desk, meta, settings):
    """A class whose metaclass spoils its hash or its names harms no call, whatever is read from its instance."""
    odd = meta("Box", (), {})()
    for function in (lambda x: x, functools.partial(lambda x: x)):
        watched, site = desk.watch(function, **settings)
        assert watched(odd) is odd
        assert outcomes(site) == [("ok", "")]
        assert not {reason for reason, _ in site.seat.rejections} & {"internal", "hook"}
        assert calls(site)[0]["value"] is UNREADABLE
    with CallContext(desk.site()) as call:
        call.prediction(odd, odd)
        call.predictions([odd], [odd])
