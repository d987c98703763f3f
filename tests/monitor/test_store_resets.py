"""A store that lost what it had confirmed is counted where it was noticed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from modelmon import Monitor, Multiclass

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.fault("S3")
@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_bytes(b"not a database" * 999)],
    ids=["deleted", "spoiled"],
)
def test_a_new_beginning_is_counted_once(tmp_path: Path, damage: object) -> None:
    """A file that was deleted or spoiled between two labels is an error of kind reset, once over all processes."""
    path = tmp_path / "labels.db"
    with closing(Monitor(store=path)) as monitor, closing(Monitor(store=path)) as other:
        monitor.predictions(["a", "b"], [1, 2], model="digits", task=Multiclass())
        assert monitor.label("a", 1)["joined"] == other.label("b", 2)["joined"] == 1
        assert not monitor.snapshot().store_errors
        monitor.home.delivery.store.close()
        other.home.delivery.store.close()
        for left in tmp_path.glob("labels.db-*"):
            left.unlink()
        damage(path)
        assert monitor.label("a", 1)["early"] == 1
        assert other.label("a", 1)["duplicate"] == 1
        assert monitor.snapshot().store_errors == {"reset": 1}
        assert not other.snapshot().store_errors
