"""Tests of truths that look like a class without being one, and of numbers beyond every integer type."""

from __future__ import annotations

import pandas as pd
import pytest

from modelmon import Binary, Monitor, Multiclass


@pytest.mark.parametrize("truth", ["1", "0", "True", "true", "False"])
def test_the_text_of_a_class_is_not_the_class(truth: str) -> None:
    """A text that reads like the number or bool of a class is invalid rather than the negative class."""
    own = Monitor()
    own.predictions(["a"], [0.9], model="m", task=Binary(positive=True))
    assert own.label("a", truth) == {"invalid": 1}
    assert own.label("a", value := True)["joined"] == 1
    assert value


@pytest.mark.parametrize("truth", [2**63, 2**64, -(2**70), 2**60 + 1, 1e300])
@pytest.mark.parametrize("task", [Binary(), Multiclass()])
def test_a_number_of_any_size_is_a_truth(truth: float, task: object) -> None:
    """Numbers past 64 bits are classes like others, without a warning."""
    own = Monitor()
    own.predictions(["a", "b"], [1, 1], model="m", task=task)
    assert own.labels(["a", "b"], [truth, 1])["joined"] == 2
    assert own.snapshot()["m"].accuracy == 0.5
    own.check_invariants()


def test_rounded_ids_label_nobody() -> None:
    """Large ids that became floats are invalid, also in watched calls, and the others of the delivery go on."""
    own = Monitor()
    base = 1_790_000_000_000_000_000
    ids = [base, base + 1, 17]
    own.predictions(ids, ["a"] * 3, model="m", task=Multiclass())
    rounded = pd.Series([base + 1, None, 17], dtype="float64")
    assert own.labels(rounded, ["b"] * 3) == {"invalid": 2, "joined": 1}
    assert own.label(float(base), "b") == {"invalid": 1}

    @own(model="watched", id="keys", task=Multiclass())
    def watched(keys: object) -> list[str]:
        del keys
        return ["a"] * 3

    watched(rounded)
    assert own.snapshot()["watched"].rejected["bad_id"] == 2
    own.check_invariants()
