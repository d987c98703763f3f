"""Nothing of the user's is kept, called or changed; hooks that fail change nothing."""

# Odd values and hooks are the subject here.
# ruff: noqa: ARG005, N818, EM101, PLW0108, F821

from __future__ import annotations

import asyncio
import enum
import functools
import gc
import operator
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from probe_desk import calls, outcomes

from modelmon.errors import RejectedError
from modelmon.probes import UNREADABLE, watch
from modelmon.probes.auto_ids import current_prediction_ids


class Thing:
    """Be something that can be referenced weakly."""


class Evil:
    """Refuse everything that a bystander might ask."""

    def _refuse(self, *_):
        pytest.fail("a bystander asked")

    __len__ = __eq__ = __bool__ = __repr__ = __str__ = __hash__ = __iter__ = __array__ = __float__ = __int__ = _refuse
    __getattr__ = __index__ = __contains__ = __getitem__ = _refuse


@pytest.fixture
def no_collection():
    """Leave everything to reference counts."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.fault("C14")
@pytest.mark.parametrize("settings", [{}, {"id": "x", "attributes": ("x",), "batch_size": "x"}, {"id": "auto"}])
@pytest.mark.parametrize("shape", [lambda f: f, functools.partial], ids=["function", "proxy"])
@pytest.mark.usefixtures("no_collection")
def test_arguments_and_results_die_at_once(desk, shape, settings):
    """Nothing refers to arguments or results once a call was recorded."""
    watched, site = desk.watch(shape(lambda x: Thing()), **settings)
    argument = Thing()
    result = watched(argument)
    dead = weakref.ref(argument), weakref.ref(result)
    del argument, result
    assert [ref() for ref in dead] == [None, None]
    assert outcomes(site) == [("ok", "")]
    assert calls(site)[0]["value"] is UNREADABLE


@pytest.mark.fault("C14", "C16")
@pytest.mark.usefixtures("no_collection")
def test_arrays_are_copied(desk):
    """A large result may die or change at once; what was recorded stays."""
    result = np.arange(4.0)
    watched, site = desk.watch(lambda: result)
    assert watched() is result
    result[:] = -1
    assert calls(site)[0]["value"].tolist() == [0, 1, 2, 3]
    dead = weakref.ref(result)
    watched.__wrapped__.__closure__[0].cell_contents = None
    del result
    assert dead() is None


@pytest.mark.fault("C1", "C14")
@pytest.mark.usefixtures("no_collection")
def test_exceptions_die_at_once(desk):
    """Nothing refers to an exception once it was handled."""

    class Refused(Exception):
        pass

    def generator():
        yield 1
        raise Refused

    async def coroutine():
        raise Refused

    def function():
        raise Refused

    for call in (
        desk.watch(function)[0],
        lambda: list(desk.watch(generator)[0]()),
        lambda: asyncio.run(desk.watch(coroutine)[0]()),
    ):
        dead = None
        try:
            call()
        except Refused as error:
            dead = weakref.ref(error)
        if call.__name__ == "function":
            assert dead() is None
        gc.collect()
        assert dead() is None


@pytest.mark.usefixtures("no_collection")
def test_thrown_exceptions_die_at_once(desk):
    """What is thrown into a stream leaves no reference cycle."""

    class Thrown(Exception):
        pass

    def generator():
        yield 1

    stream = desk.watch(generator)[0]()
    next(stream)
    dead = None
    try:
        stream.throw(Thrown())
    except Thrown as error:
        dead = weakref.ref(error)
    del stream
    assert dead() is None


def test_scalar_calls_leave_no_objects_to_collect(desk):
    """Calls that return scalars add nothing that the garbage collector has to look at."""
    watched, _ = desk.watch(lambda x: 0.5, id="x")
    watched("a")
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(1000):
        watched("a")
    assert len(gc.get_objects()) - before < 10


@pytest.mark.fault("C13")
@pytest.mark.parametrize("shape", [lambda f: f, functools.partial], ids=["function", "proxy"])
def test_evil_values_are_never_asked(desk, shape):
    """No method of an unknown object is called, wherever it stands."""
    evil = Evil()
    watched, site = desk.watch(shape(lambda x: x), id="x", attributes=("x",), batch_size="x")
    assert watched(evil) is evil
    assert outcomes(site) == [("ok", "")]
    reasons = sorted(reason for reason, _ in site.seat.rejections)
    assert reasons == ["attributes", "bad_id", "batch_size", "type"]
    assert calls(site)[0]["slice"] == (("x", "__invalid__"),)


@pytest.mark.fault("C12")
@pytest.mark.parametrize("error", [ValueError, RecursionError, asyncio.CancelledError, GeneratorExit, StopIteration])
def test_hooks_that_raise_change_nothing(desk, error):
    """Whatever hooks raise, the result is returned, the call recorded, and the failure counted."""

    def raising(*_):
        raise error

    watched, site = desk.watch(lambda x: x + 1, id=raising, output=raising, attributes=raising, batch_size=raising)
    for n in range(250):
        assert watched(n) == n + 1
    assert outcomes(site) == [("ok", "")] * 250
    assert site.seat.rejections == [("hook", 1)] * 1000
    assert calls(site)[0] | {"start": 0, "end": 0} == {
        "start": 0, "end": 0, "value": UNREADABLE, "id": UNREADABLE, "slice": (), "size": -1,
    }  # fmt: skip


def test_hooks_see_arguments_by_name(desk):
    """Hooks get a mapping of bound arguments, for functions and for proxies alike."""
    seen = []

    def predict(a, /, b=2, *rest, c, **more):
        return 1

    for shape in (lambda f: f, functools.partial):
        watched, site = desk.watch(shape(predict), id=lambda arguments: seen.append(dict(arguments)) or "id")
        watched(1, 3, 4, c=5, d=6)
        assert calls(site)[0]["id"] == "id"
    assert seen == [{"a": 1, "b": 3, "rest": (4,), "c": 5, "more": {"d": 6}}] * 2


def test_slices(desk):
    """Attributes are text of plain scalars, sorted by name; one and True are told apart."""

    class Tier(enum.Enum):
        GOLD = "gold"

    watched, site = desk.watch(lambda z, a: 1, attributes=("z", "a"))
    for z, a in (("x", 1), ("x", True), (Tier.GOLD, 1.5), (None, np.int64(3)), ("x" * 500, "")):
        watched(z, a)
    pages = [call["slice"] for call in calls(site)]
    assert pages[0] == (("a", "1"), ("z", "x"))
    assert pages[1] == (("a", "True"), ("z", "x"))
    assert pages[2] == (("a", "1.5"), ("z", "gold"))
    assert pages[3] == (("a", "3"), ("z", "None"))
    assert len(pages[4][1][1]) == 128
    hooked, site = desk.watch(lambda z: 1, attributes=lambda arguments: {"b": arguments["z"], "a": 1})
    hooked("q")
    assert calls(site)[0]["slice"] == (("a", "1"), ("b", "q"))


def test_slices_of_failures(desk):
    """A call that raised has its slice too."""
    for shape in (lambda f: f, functools.partial):
        watched, site = desk.watch(shape(lambda z: 1 / 0), attributes=("z",))
        with pytest.raises(ZeroDivisionError):
            watched("q")
        assert site.seat.failures[4] == (("z", "q"),)


@pytest.mark.parametrize(
    ("given", "rows"), [(3, 3), ([1, 2], 2), (np.zeros((4, 2)), 4), (-1, -1), (True, -1), ("ab", -1)]
)
def test_batch_size(desk, given, rows):
    """The batch size is a number or what has that many rows."""
    for setting in ("x", lambda arguments: arguments["x"]):
        for shape in (lambda f: f, functools.partial):
            watched, site = desk.watch(shape(lambda x: 1), batch_size=setting)
            watched(given)
            assert calls(site)[0]["size"] == rows


def test_issued_ids(desk):
    """Issued ids are one per row, told in the context of the call, and differ between sites."""
    scalar, one = desk.watch(lambda: 0.5, id="auto")
    batch, two = desk.watch(lambda n: np.zeros(n), id="auto")
    scalar()
    assert current_prediction_ids() == [f"{one.seat.prefix}-0"]
    batch(2)
    assert current_prediction_ids() == [f"{two.seat.prefix}-0-0", f"{two.seat.prefix}-0-1"]
    batch(0)
    assert current_prediction_ids() == []
    assert one.seat.prefix != two.seat.prefix != desk.seat(two).prefix

    async def both():
        async def own():
            scalar()
            await asyncio.sleep(0)
            return current_prediction_ids()

        return await asyncio.gather(own(), own())

    first, second = asyncio.run(both())
    assert first != second


def test_long_text_counts_as_bytes(desk):
    """Long text is kept, and asks for relief when there is much of it."""
    watched, site = desk.watch(lambda: "x" * (9 << 20))
    watched()
    watched()
    assert site.seat.kept_bytes > 16 << 20
    assert desk.reliefs == 2


@pytest.mark.fault("E7")
@pytest.mark.parametrize("kind", ["scalar", "list", "error", "stream"])
def test_signals_lose_no_call(kind):
    """Exceptions out of signal handlers, at any instant, leave no call active and none counted twice."""
    script = Path(__file__).with_name("interrupted.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, script, kind, "200"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    struck, began, ended, torn = map(int, done.stdout.split())
    assert struck > 50
    assert torn == 0
    # Python 3.10 looks for signals between any two instructions, also where no ``try`` stands yet.
    assert 0 <= began - ended <= (0 if sys.version_info >= (3, 11) else struck // 4)


@pytest.mark.fault("E24")
def test_faults_of_ours_are_swallowed(desk):
    """A fault while recording is counted, the result returned, and the call recorded without its value."""
    for fault in (functools.partial(operator.mul, 1 << 62), operator.methodcaller("missing")):
        watched, site = desk.watch(lambda: [1])
        site.seat.extend = fault
        assert watched() == [1]
        assert site.seat.rejections == [("internal", 1)]
        assert outcomes(site) == [("ok", "")]
        assert calls(site)[0]["value"] is UNREADABLE


def test_strict_errors_pass(desk):
    """What ``strict=True`` raises at relief reaches the caller; the call is recorded once."""

    def refuse(_seat):
        raise RejectedError("strict")

    site = desk.site()
    site.seat.relieve, site.seat.mask = refuse, 0
    watched = watch(lambda: 1, site)
    with pytest.raises(RejectedError):
        watched()
    assert outcomes(site) == [("ok", "")]
