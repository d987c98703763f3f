"""``monitor.assume_label``: what a missing label means, told once."""

from __future__ import annotations

import pytest

from modelmon import Binary, ConfigurationError, Monitor
from modelmon.testing import FakeClock, capture

DAY = 86400.0


def test_no_label_within_a_fortnight_is_the_assumed_one() -> None:
    """Predictions count once the time is over, and a late label puts it right."""
    clock = FakeClock(1.7e9)
    own = Monitor(clock=clock)
    own.assume_label("ok", after="14d", model="fraud")
    own.predictions(["a", "b"], ["ok", "ok"], model="fraud", version="7", task=Binary("fraud", "ok"))
    clock.advance(13 * DAY)
    assert own.snapshot()["fraud"].awaiting == 2
    clock.advance(2 * DAY)
    found = own.snapshot()["fraud"]
    assert (found.awaiting, found.assumed, found.labelled, found.accuracy) == (0, 2, 0, 1.0)
    assert "labels assumed" in repr(found)
    assert dict(own.label("a", "fraud")) == {"corrected": 1}
    found = own.snapshot()["fraud"]
    assert (found.assumed, found.labelled, found.accuracy) == (1, 1, 0.5)
    own.check_invariants()


def test_what_is_assumed_holds_in_captures_and_after_configure() -> None:
    """A capture begins empty but assumes the same, and so does the store of another configuration."""
    own = Monitor()
    own.assume_label(0, after=10, model="m")
    clock = FakeClock()
    with capture(clock, monitor=own) as seen:
        own.predictions(["a"], [1], model="m", task=Binary())
        clock.advance(11)
    assert seen.snapshot()["m"].assumed == 1
    own.configure(ttl="20d", clock=clock)
    own.predictions(["a"], [1], model="m", task=Binary())
    clock.advance(11)
    assert own.snapshot()["m"].assumed == 1
    own.assume_label(None, after=0, model="m")
    own.predictions(["b"], [1], model="m", task=Binary())
    clock.advance(11)
    assert (own.snapshot()["m"].assumed, own.snapshot()["m"].awaiting) == (1, 1)


def test_an_assumption_that_cannot_work_is_refused() -> None:
    """Later than the end of waiting, no truth, or none of the model."""
    own = Monitor(ttl="1d")
    with pytest.raises(ConfigurationError, match="await one for"):
        own.assume_label(0, after="2d", model="m")
    with pytest.raises(ConfigurationError, match="no truth that could be assumed"):
        own.assume_label(float("nan"), after="1d", model="m")
    own.predictions(["a"], [1], model="m", task=Binary(negative=0))
    own.snapshot()
    with pytest.raises(ConfigurationError, match="is no truth of model 'm'"):
        own.assume_label("maybe", after="1d", model="m")
