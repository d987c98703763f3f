"""Blocks of code as calls: ``with`` and ``async with``."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from probe_desk import calls, outcomes

from modelmon.errors import RejectedError
from modelmon.probes.contexts import CallContext


@pytest.fixture
def site(desk):
    """Return a site whose calls have a slice and a size."""
    return desk.site(attributes=(), batch_size=len)


def given(site):
    """Return what was given as (value, id, slice)."""
    flat = site.seat.given
    return list(zip(flat[1::4], flat[2::4], flat[3::4], strict=True))


def test_batch_of_predictions(site):
    """A batch is copied when given; the call has its slice and the rows of its predictions."""
    values = np.array([0.1, 0.9])
    with CallContext(site, attributes={"country": "DE", "aged": True}) as call:
        call.predictions(["a", "b"], values)
        values[:] = 0
    page = (("aged", "True"), ("country", "DE"))
    ((kept, ids, where),) = given(site)
    assert (kept.tolist(), ids, where) == ([0.1, 0.9], ("a", "b"), page)
    assert calls(site)[0] | {"start": 0, "end": 0} == {"start": 0, "end": 0, "value": None, "slice": page, "size": 2}
    assert call.ids == ["a", "b"]
    assert outcomes(site) == [("ok", "")]


def test_single_predictions(site):
    """One prediction is one row, whatever it consists of."""
    with CallContext(site) as call:
        call.prediction("a", 0.5)
        call.prediction("b", [0.2, 0.8])
        call.prediction("c", np.array([0.2, 0.8]))
        call.prediction("d", frozenset({1}))
        call.prediction("e", object())
    values = [value for value, _, _ in given(site)]
    assert values[:2] == [0.5, ((0.2, 0.8),)]
    assert values[2].shape == (1, 2)
    assert values[3] == (frozenset({1}),)
    assert site.seat.rejections == [("type", 1)]
    assert call.ids == ["a", "b", "c", "d", "e"]


def test_issued_ids(site):
    """Without ids some are issued, each once, and ``ids`` tells them."""
    with CallContext(site) as call:
        call.predictions(None, [1, 2])
        call.prediction(None, 3)
    with CallContext(site) as other:
        other.prediction(None, 4)
    assert len(set(call.ids + other.ids)) == 4
    assert [ident for _, ident, _ in given(site)] == [tuple(call.ids[:2]), call.ids[2], other.ids[0]]


def test_ids_of_arrays(site):
    """Ids may come as an array."""
    with CallContext(site) as call:
        call.predictions(np.array([3, 4]), [1, 2])
    assert call.ids == [3, 4]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError(), ("error", "ValueError")),
        (asyncio.CancelledError(), ("cancelled", "CancelledError")),
        (KeyboardInterrupt(), ("cancelled", "KeyboardInterrupt")),
        (GeneratorExit(), ("abandoned", "GeneratorExit")),
    ],
)
def test_what_the_block_raises_passes(site, error, expected):
    """The exception is the same object, and the outcome that of a function."""
    with pytest.raises(type(error)) as caught, CallContext(site, attributes={"a": 1}):
        raise error
    assert caught.value is error
    assert outcomes(site) == [expected]
    assert site.seat.failures[4] == (("a", "1"),)


def test_items_make_a_stream(ticking):
    """Marked items are timed as those of a generator."""
    site = ticking.site()
    with CallContext(site) as call:
        call.item()
        call.item(3)
    start, first, last, end, items, outcome, kind, page = site.seat.streams
    assert (first - start, last - start, end - start) == (1e9, 2e9, 3e9)
    assert (items, outcome, kind, page) == (4, "ok", "", ())
    with pytest.raises(ZeroDivisionError), CallContext(site) as call:
        call.item(1 // 0 if call.item() is None else 1)
    assert outcomes(site) == [("ok", ""), ("error", "ZeroDivisionError")]


def test_asynchronous_block(site):
    """``async with`` does the same; a timeout is a cancellation."""

    async def main():
        async with CallContext(site, batch_size=7) as call:
            call.prediction("a", 1)
            await asyncio.sleep(0)

        async def slow():
            async with CallContext(site):
                await asyncio.sleep(60)

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(slow(), 0.01)

    asyncio.run(main())
    assert outcomes(site) == [("ok", ""), ("cancelled", "CancelledError")]
    assert calls(site)[0]["size"] == 7


def test_misuse_is_counted(site):
    """Entering twice and recording outside the block are counted, and harm nothing."""
    call = CallContext(site)
    call.prediction("early", 1)
    with call, call:
        call.prediction("a", 1)
    call.predictions(["late"], [1])
    call.item()
    with call:
        pass
    assert site.seat.rejections == [("misuse", 1)] * 5
    assert outcomes(site) == [("ok", "")]
    assert call.ids == ["a"]


def test_strict_misuse_raises(site):
    """With ``strict=True`` misuse raises and says how to use it."""
    site.seat.strict = True
    with pytest.raises(RejectedError, match="inside it"):
        CallContext(site).prediction("a", 1)


def test_disabled_block_does_nothing():
    """Without a site the block runs and nothing is recorded."""
    with CallContext(None) as call:
        call.predictions(["a"], [1])
        call.prediction("a", 1)
        call.item()
    assert call.ids == []


def test_relief_is_asked_for(desk):
    """Contexts ask for relief as functions do."""
    site = desk.site()
    for _ in range(1025):
        with CallContext(site):
            pass
    assert desk.reliefs == 2
