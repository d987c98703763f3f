"""Markers that stand in a record where a value of the user's cannot."""

from __future__ import annotations


class Unreadable:
    """Stand where a value could not be read; why is already counted among the rejections."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the marker's name."""
        return "UNREADABLE"

    def __reduce__(self) -> str:
        """Pickle by name, so that there is one marker."""
        return "UNREADABLE"


UNREADABLE = Unreadable()
