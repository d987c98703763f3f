"""Tests of blocks from ``monitor.call()`` to a snapshot and its labels."""

from __future__ import annotations

from modelmon import Monitor, Multiclass


def test_ids_of_blocks_are_as_given_whatever_was_issued_before() -> None:
    """Whole numbers are ids of the caller's, of any size, also where another block had ids issued."""
    own = Monitor()
    with own.call(model="m", task=Multiclass()) as call:
        call.prediction(None, "a")
    issued = call.ids
    assert own.snapshot()["m"].awaiting == 1
    with own.call(model="m", task=Multiclass()) as call:
        for order in (17, 18, 17 + (1 << 43), 1 << 70):
            call.prediction(order, "a")
    assert own.snapshot()["m"].prediction_events == {"pending": 5}
    report = own.labels([*issued, 17, 18, 17 + (1 << 43), 1 << 70], ["a"] * 5)
    assert dict(report) == {"joined": 5}
