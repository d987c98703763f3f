"""Labels that come as text mean the same classes in whatever order they and the predictions arrive, in every store."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from worlds import World

from modelmon.tasks import Binary, Multiclass

NUMBERS = Multiclass()


@pytest.fixture
def make(fresh_store: Any) -> Any:
    """Return a function that opens a world around a fresh store."""
    return lambda: World(fresh_store())


def test_a_number_in_a_file_is_the_number_before_it_was_ever_predicted(make: Any) -> None:
    """Where the first class is a number, a text that says another one is that class, whatever comes first."""
    events = ("predict 3", "label a", "label b")
    found = []
    for order in permutations(events):
        world = make()
        world.predict(["a"], [7], task=NUMBERS)
        for event in order:
            if event == "predict 3":
                world.predict(["b"], [3], task=NUMBERS)
            else:
                world.label([event[-1]], ["3"], textual=True)
        found.append(world.cells())
        world.store.check_invariants()
    assert found == [{(3, 7): 1, (3, 3): 1}] * len(found)


@pytest.mark.parametrize(
    ("task", "predicted", "given", "actual"),
    [
        (Multiclass(), 7, "3.0", 3),
        (Multiclass(), 7, "2.5", 2.5),
        (Multiclass(), 0, "True", 1),
        (Multiclass(), 7, "cat", "cat"),
        (Multiclass(), 7, "nan", "nan"),
        (Multiclass(), 7, "1e999", "1e999"),
        (Multiclass(), 7, "1-2", "1-2"),
        (Multiclass(), 7, "9" * 128, int("9" * 128)),
        (Multiclass(), 7, "-9007199254740993", -9007199254740993),
        (Multiclass(), 7, 1 << 70, 1 << 70),
        (Multiclass(), "cat", "3", "3"),
        (Multiclass(), "1", "1.0", "1.0"),
        (Multiclass(["cat", 3]), "cat", "3.0", 3),
        (Multiclass([3, 7]), 7, "3.0", 3),
        (Multiclass([3, 7]), 7, "4.0", None),
        (Binary(), 1, "1.0", 1),
        (Binary(), 1, "0.0", 0),
        (Binary(), 1, "7", 0),
        (Binary(1, 0), 1, "0.0", 0),
        (Binary("fraud"), "fraud", "1.0", "other"),
    ],
)
def test_a_text_means_its_class_else_the_number_that_it_says(
    make: Any, task: Any, predicted: Any, given: Any, actual: Any
) -> None:
    """What pandas writes for a whole number is the whole number where classes are numbers."""
    world = make()
    world.predict(["a"], [predicted], task=task)
    assert world.label(["a"], [given], textual=True) == {"invalid" if actual is None else "joined": 1}
    assert world.cells() == ({} if actual is None else {(actual, predicted): 1})


def test_a_class_of_a_text_takes_it_over_from_the_number(make: Any) -> None:
    """Once the text itself is a class, labels of that text are of it, also where they were read before."""
    world = make()
    world.predict(["a", "b"], [7, 7], task=NUMBERS)
    world.label(["a"], ["3"], textual=True)
    world.predict(["c"], ["3"], task=NUMBERS)
    world.label(["b"], ["3"], textual=True)
    assert world.cells() == {(3, 7): 1, ("3", 7): 1}
    world.store.check_invariants()


@pytest.mark.parametrize(
    ("held", "other", "values"),
    [
        (Binary(), Binary("fraud", "ok"), ["fraud", "ok"]),
        (Binary("fraud", "ok"), Binary("ok", "fraud"), ["fraud", "ok"]),
        (Multiclass(["a", "b"]), Multiclass(["c", "d"]), ["c", "d"]),
    ],
    ids=["other classes", "the other one positive", "other closed classes"],
)
def test_predictions_of_other_classes_do_not_fit(make: Any, held: Any, other: Any, values: Any) -> None:
    """A restart with a task of the same kind and other classes, under the same version, is invalid, not all right."""
    world = make()
    world.predict(["old"], [held.declared[0]], task=held)
    assert world.predict(["a", "b"], values, task=other) == {"invalid": 2}
    assert world.label(["a", "b"], values) == {"early": 2}
    assert world.cells() == {}
    world.store.check_invariants()


@pytest.mark.parametrize(
    ("held", "other"),
    [
        (Binary(1, threshold=0.5), Binary(True, 0, threshold=0.9)),
        (Multiclass([0, 1]), Multiclass([1, 0])),
        (Multiclass([0, 1]), Multiclass()),
    ],
    ids=["another threshold", "another order", "open classes"],
)
def test_predictions_of_the_same_classes_fit(make: Any, held: Any, other: Any) -> None:
    """A threshold and an order are no other classes."""
    world = make()
    world.predict(["a"], [1], task=held)
    assert world.predict(["b"], [1], task=other) == {"pending": 1}
