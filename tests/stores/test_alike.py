"""Documents that are alike are written and read at once, and no other than record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from worlds import RETRACT, World

from modelmon.stores.alike import dump_alike, load_alike
from modelmon.stores.contract import JoinSettings
from modelmon.stores.documents import dues_of, dump, dump_records, load, load_records
from modelmon.stores.holdings import Holdings
from modelmon.stores.tails import Tails
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

if TYPE_CHECKING:
    from collections.abc import Callable

N = 300
IDS = list(range(N, 0, -1))
TEXTS = [f"order-{number}" for number in range(N)]
RNG = np.random.default_rng(3)
SCORES = RNG.random(N)
CLASSES = RNG.integers(0, 2, N).tolist()
FLAGS = RNG.integers(0, 2, (N, 3)).astype(np.uint8)


def _classes(world: World) -> None:
    world.predict(IDS, CLASSES, task=Binary())


def _scores(world: World) -> None:
    world.predict(TEXTS, CLASSES, task=Binary(), scores=SCORES, at=np.arange(N))


def _slices(world: World) -> None:
    pages = [(("country", country),) for country in np.array(["de", "fr", "it"])[RNG.integers(0, 3, N)].tolist()]
    world.predict(TEXTS, CLASSES, task=Binary(), scores=SCORES, slices=pages)


def _numbers(world: World) -> None:
    world.predict(TEXTS, task=Regression(), scores=SCORES)


def _rows(world: World) -> None:
    shares = np.column_stack([SCORES, 1 - SCORES])
    world.predict(TEXTS, CLASSES, task=Multiclass(classes=(0, 1)), scores=shares, columns=(0, 1))


def _flags(world: World) -> None:
    world.predict(TEXTS, task=Multilabel(("a", "b", "c")), flags=FLAGS, columns=("a", "b", "c"))


def _labelled(world: World) -> None:
    _scores(world)
    world.clock.now = 400.0
    world.label(TEXTS, CLASSES)


def _measured(world: World) -> None:
    _numbers(world)
    world.label(TEXTS, SCORES.tolist())


def _expired(world: World) -> None:
    _scores(world)
    world.clock.now = 1e9
    world.store.sweep()


def _some_labelled(world: World) -> None:
    _scores(world)
    world.label(TEXTS[: N // 2], CLASSES[: N // 2])


def _two_versions(world: World) -> None:
    _scores(world)
    world.predict(TEXTS[:1], CLASSES[:1], task=Binary(), scores=SCORES[:1], version="2")


def _two_layouts(world: World) -> None:
    world.predict(IDS, CLASSES, task=Binary())
    _scores(world)


def _corrected(world: World) -> None:
    _labelled(world)
    world.label(TEXTS[:1], [1 - CLASSES[0]])


def _early(world: World) -> None:
    world.label(TEXTS, CLASSES)


def _retracted(world: World) -> None:
    _labelled(world)
    world.label(TEXTS, [RETRACT] * N)


def _unknown_texts(world: World) -> None:
    world.predict(TEXTS, [f"class {number}" for number in CLASSES], task=Multiclass())
    world.label(TEXTS, [f"text {number}" for number in range(N)])


def _flags_labelled(world: World) -> None:
    _flags(world)
    world.label(TEXTS, [tuple(name for name, flag in zip("abc", row, strict=True) if flag) for row in FLAGS.tolist()])


def _nothing(world: World) -> None:
    del world


ALIKE = [_classes, _scores, _slices, _numbers, _rows, _flags, _labelled, _measured, _expired]
UNLIKE = [
    _some_labelled,
    _two_versions,
    _two_layouts,
    _corrected,
    _early,
    _retracted,
    _unknown_texts,
    _flags_labelled,
    _nothing,
]


def _made(program: Callable[[World], None]) -> tuple[Holdings, Tails]:
    world = World(ttl=1e4, early_ttl=1e4, forget_after=1e10)
    program(world)
    holdings = world.store._holdings
    assert isinstance(holdings, Holdings)
    return holdings, Tails(lambda: 0)


def _fresh(holdings: Holdings) -> Holdings:
    return Holdings(JoinSettings(ttl=1e4, early_ttl=1e4, forget_after=1e10), holdings.groups, holdings.objects)


def _same(left: Any, right: Any) -> None:
    assert left.documents == right.documents
    np.testing.assert_array_equal(left.keys, right.keys)
    np.testing.assert_array_equal(left.due, right.due)


@pytest.mark.parametrize("program", ALIKE, ids=lambda program: program.__name__)
def test_alike_documents_are_the_same_either_way(program: Callable[[World], None]) -> None:
    """What is written at once is what is written record by record, and is read back the same by either way."""
    holdings, tails = _made(program)
    written = dump_alike(holdings, tails)
    assert written is not None
    _same(written, dump_records(holdings, tails))
    for at_once in (True, False):
        copy = _fresh(holdings)
        if at_once:
            due = load_alike(copy, written.keys, written.documents)
        else:
            due = load_records(copy, written.keys, written.documents, tails)
        np.testing.assert_array_equal(due, written.due)
        _same(dump_records(copy, tails), written)
        _same(dump(copy, tails), written)


@pytest.mark.parametrize("program", UNLIKE, ids=lambda program: program.__name__)
def test_other_documents_go_record_by_record(program: Callable[[World], None]) -> None:
    """Where a single record differs in form, nothing is taken for what it is not."""
    holdings, tails = _made(program)
    assert dump_alike(holdings, tails) is None
    written = dump(holdings, tails)
    copy = _fresh(holdings)
    assert load_alike(copy, written.keys, written.documents) is None
    assert len(copy.records.records) == 0
    due = load(copy, written.keys, written.documents, tails)
    np.testing.assert_array_equal(due, dues_of(written.documents))
    _same(dump(copy, tails), written)


def test_missing_documents_are_left_out() -> None:
    """Documents that are not there have no deadline, and those that are there are read at once all the same."""
    holdings, tails = _made(_scores)
    written = dump(holdings, tails)
    documents: list[bytes | None] = list(written.documents)
    documents[::3] = [None] * len(documents[::3])
    copy = _fresh(holdings)
    due = load(copy, written.keys, documents, tails)
    assert np.isnan(due[::3]).all()
    assert dump(copy, tails).documents == [document for document in documents if document]
