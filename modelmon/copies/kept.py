"""Four small objects of our own that are kept of a user's arrays, beside scalars, tuples and numpy arrays."""

from __future__ import annotations

from typing import Any, Final

from modelmon.faults import is_signalled

_ROW_DIMENSIONS = 2


class Rejection:
    """Say why an output was not kept.

    Attributes:
        reason: ``"type"``, ``"shape"`` or ``"capture"``.
        rows: how many predictions it held, 1 where that is not known.
    """

    __slots__ = ("reason", "rows")

    def __init__(self, reason: str, rows: int = 1) -> None:
        """Keep reason and number of rows."""
        self.reason: Final = reason
        self.rows: Final = rows

    def __repr__(self) -> str:
        """Show both."""
        return f"Rejection({self.reason!r}, rows={self.rows})"


class Nullable:
    """Keep an array of which some elements are absent.

    Attributes:
        data: our own numpy array; what stands at absent elements means nothing.
        absent: our own bool array of the same shape.
    """

    __slots__ = ("absent", "data")

    def __init__(self, data: Any, absent: Any) -> None:
        """Keep two arrays that nobody else holds."""
        self.data: Final = data
        self.absent: Final = absent

    def tolist(self) -> list[Any]:
        """Return the elements as objects of Python, None where absent."""
        objects = self.data.astype(object)
        objects[self.absent] = None
        found: list[Any] = objects.tolist()
        return found


class Coded:
    """Keep a dictionary-encoded array.

    Attributes:
        codes: our own integer array; negative where absent.
        values: what the codes stand for, itself kept.
    """

    __slots__ = ("codes", "values")

    def __init__(self, codes: Any, values: Any) -> None:
        """Keep codes and values that nobody else holds."""
        self.codes: Final = codes
        self.values: Final = values

    def tolist(self) -> list[Any]:
        """Return the elements as objects of Python, None where absent."""
        values = list(self.values) if type(self.values) is tuple else self.values.tolist()
        return [values[code] if code >= 0 else None for code in self.codes.tolist()]


class Deferred:
    """Keep a copy that is still on its way from a device; it is read after its event.

    Attributes:
        rows: number of predictions it holds.
        size: bytes.
        computing: whether the original was still being computed when the copy was asked for.
    """

    __slots__ = ("_done", "_finish", "_wait", "computing", "rows", "size")

    def __init__(self, done: Any, wait: Any, finish: Any, *, rows: int, size: int, computing: bool = False) -> None:
        """Keep three functions without arguments.

        Args:
            done: tell, without waiting, whether the copy has arrived.
            wait: wait until it has.
            finish: return it as a numpy array that nobody else holds.
            rows: number of predictions.
            size: bytes.
            computing: whether the original is known to be still computed, and nothing times that.
        """
        self._done = done
        self._wait = wait
        self._finish = finish
        self.rows: Final = rows
        self.size: Final = size
        self.computing: Final = computing

    def as_row(self) -> Deferred:
        """Return the same copy as one prediction: what has one axis becomes the one row of a matrix."""
        return Deferred(self._done, self._wait, self._row, rows=1, size=self.size, computing=self.computing)

    def _row(self) -> Any:
        found = self._finish()
        return found[None] if getattr(found, "ndim", 0) and found.size > 1 else found

    def is_ready(self) -> bool:
        """Tell, without waiting, whether `array` returns at once; a broken device counts as ready."""
        try:
            return bool(self._done())
        except Exception as error:
            if is_signalled(error):
                raise
            return True

    def wait(self) -> None:
        """Wait for the copy; what a device says that lost it is for `array` to find."""
        try:
            self._wait()
        except Exception as error:
            if is_signalled(error):
                raise

    def array(self) -> Any:
        """Wait for the copy and return it as `keep` would have: a numpy array, or the scalar of a single element.

        Where the device lost it, it is a `Rejection`.
        """
        try:
            self._wait()
            found = self._finish()
            single = getattr(found, "ndim", _ROW_DIMENSIONS) < _ROW_DIMENSIONS and found.size == 1
            return found.item() if single else found
        except Exception as error:
            if is_signalled(error):
                raise
            return Rejection("type", self.rows)
