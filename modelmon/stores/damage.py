"""Damage: what a store holds and nobody can read, where the database itself noticed nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelmon.errors import ModelmonError, StoreError
from modelmon.faults import is_signalled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.stores.database import Database


class DamageError(StoreError):
    """Report what cannot be read although the database returned it."""


@contextmanager
def told(what: str, kind: str = "unreadable") -> Iterator[None]:
    """Tell whatever goes wrong while something is read and worked on as the store's error.

    Args:
        what: what is read.
        kind: ``unreadable`` where only some events are concerned, ``corrupt`` where all are.
    """
    try:
        yield
    except (ModelmonError, MemoryError):
        raise
    except Exception as error:
        if is_signalled(error):  # a handler struck amid it: nothing says that anything is wrong with what was read
            raise
        msg = f"{what} cannot be read ({type(error).__name__}): restore the store from a backup, or begin a new one"
        raise DamageError(msg, kind=kind) from error


def condemn(database: Database, error: DamageError) -> None:
    """Have a database put aside what can never be read, if it can."""
    put_aside = getattr(database, "condemn", None)
    if put_aside is not None:
        put_aside(f"{type(error.__cause__).__name__}: {error.__cause__}")
