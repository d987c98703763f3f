"""The laws that every accumulator keeps, on rows chosen to break them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from accumulator_recipes import Recipe, recipes, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

ALL = pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.lists(st.sampled_from([0, 1, 2, 7, 13, 40, 300]), min_size=1, max_size=5)


def _batches(recipe: Recipe, seed: int, sizes: list[int]) -> list[tuple[np.ndarray, ...]]:
    generator = np.random.default_rng(seed)
    return [recipe.rows(generator, size) for size in sizes]


@pytest.mark.fault("L19")
@ALL
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, sizes=SIZES)
def test_merging_shards_in_any_order_is_one_pass(recipe, seed, sizes):
    """Shards merged in any order and grouping equal one pass over all rows."""
    batches = _batches(recipe, seed, sizes)
    whole = recipe.of(tuple(np.concatenate(columns) for columns in zip(*batches, strict=True)))
    merged = recipe.empty()
    for batch in shuffled(batches, seed):
        merged.merge(recipe.of(batch))
    assert merged == whole


@ALL
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS)
def test_an_empty_one_changes_nothing(recipe, seed):
    """Merging an empty accumulator in, or into one, changes nothing."""
    (batch,) = _batches(recipe, seed, [50])
    whole, other, empty = recipe.of(batch), recipe.of(batch), recipe.empty()
    whole.merge(recipe.empty())
    empty.merge(other)
    assert whole == other == empty
    assert not whole.is_empty
    assert recipe.empty().is_empty


@ALL
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS)
def test_single_rows_equal_a_batch(recipe, seed):
    """Rows fed one at a time leave exactly the state of one batch."""
    (batch,) = _batches(recipe, seed, [60])
    rows = [tuple(column[i : i + 1] for column in batch) for i in range(60)]
    assert recipe.of(*rows) == recipe.of(batch)


@ALL
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS, sizes=SIZES)
def test_state_survives_json(recipe, seed, sizes):
    """An accumulator written as JSON and read back equals itself and goes on alike."""
    batches = _batches(recipe, seed, sizes)
    before = recipe.of(*batches)
    after = type(before).from_state(json.loads(json.dumps(before.to_state())))
    assert after == before
    recipe.feed(before, *batches[0])
    recipe.feed(after, *batches[0])
    assert after == before
    assert after.to_state() == before.to_state()


@ALL
def test_a_copy_is_independent(recipe):
    """Feeding the original leaves its copy as it was, and the other way round."""
    batch, more = _batches(recipe, 1, [40, 500])
    original = recipe.of(batch)
    twin = original.copy()
    recipe.feed(original, *more)
    assert twin == recipe.of(batch)
    recipe.feed(twin, *more)
    assert twin == original
    assert twin != recipe.of(batch)
    assert original != "something else"
    assert repr(original)


@pytest.mark.parametrize("recipe", [r for r in recipes() if r.removes], ids=lambda recipe: recipe.name)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, sizes=SIZES)
def test_a_row_removed_was_never_added(recipe, seed, sizes):
    """Taking rows away leaves what counts now as if they had never come, whatever stood beside them."""
    batches = _batches(recipe, seed, sizes)
    kept, gone = batches[0], batches[1:]
    accumulator = recipe.of(*gone, kept)
    for batch in shuffled(gone, seed):
        for rows in np.array_split(np.arange(len(batch[0])), 3):
            recipe.feed(accumulator, *(column[rows] for column in batch), -1)
    assert _now(accumulator) == _now(recipe.of(kept))


def _now(accumulator):
    """Return what counts now: added less removed where both are kept."""
    state = accumulator.to_state()
    if hasattr(accumulator, "marginals"):
        size = 900
        complete = accumulator.is_complete
        cells = accumulator.matrix(size) if complete else np.array(accumulator.marginals(size))
        return cells.tolist() if complete else cells[:, :size].tolist()
    if hasattr(accumulator, "matrix"):
        cells = accumulator.matrix()
        state["cells"] = cells.tolist() if cells.any() else []
    if "score_bins" in state:
        state["score_bins"] = (accumulator.score_bins[0] - accumulator.score_bins[1]).tolist()
    if "counts" in state and isinstance(state["counts"], list):
        state["counts"] = sorted(item for item in state["counts"] if item[1])
    if "classes" in state:
        state["classes"] = [item for item in state["classes"] if item[1]["keys"]]
    return state
