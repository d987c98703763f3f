"""Columns that the rooms exchange: dictionary-encoded classes, canonical ids, canonical truths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.classcodes import INVALID_CODE, MISSING_CODE, class_codes
from modelmon.copies import keep
from modelmon.hashing import hash_texts, mix, read_decimals
from modelmon.idtexts import id_arrays, text_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["INVALID_CODE", "MISSING_CODE", "Column", "Ids", "Truths", "encode_classes", "encode_ids"]

_SAMPLING_SEED = 0x6D6F64656C6D6F6E  # fixed for ever: two machines must sample the same ids


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Hold ``n`` values, each distinct one once.

    Attributes:
        codes: int32 ``(n,)``, positions in ``values``; -1 missing, -2 invalid.
        values: the distinct values.
    """

    codes: NDArray[np.int32]
    values: tuple[Any, ...]

    def __len__(self) -> int:
        """Return ``n``."""
        return len(self.codes)

    def take(self, index: Any) -> Column:
        """Return the rows at the positions, slice or mask ``index``; the values stay."""
        return Column(self.codes[index], self.values)

    def tolist(self) -> list[Any]:
        """Return the values row by row, None where there is none."""
        padded = (*self.values, None)
        last = len(self.values)
        return [padded[code if code >= 0 else last] for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """Hold ``n`` canonical prediction ids, as integers or as text.

    Attributes:
        integers: int64 ``(n,)``, or None.
        text: ``(n,)`` of a bytes dtype, UTF-8 without NUL, or None; just one of the two is given.
        valid: bool ``(n,)``, false where there is no id.
    """

    integers: NDArray[np.int64] | None
    text: NDArray[np.bytes_] | None
    valid: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return ``n``."""
        return len(self.valid)

    def take(self, index: Any) -> Ids:
        """Return the ids at the positions, slice or mask ``index``."""
        return Ids(
            None if self.integers is None else self.integers[index],
            None if self.text is None else self.text[index],
            self.valid[index],
        )

    def texts(self) -> list[str]:
        """Return the canonical texts, ``""`` where there is no id."""
        if self.text is not None:
            found = [text.decode() for text in self.text.tolist()]
        else:
            found = list(map(str, self.integers.tolist()))  # type: ignore[union-attr]  # one of the two is given
        if not self.valid.all():
            found = [text if valid else "" for text, valid in zip(found, self.valid.tolist(), strict=True)]
        return found

    def hashes(self, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return 128 bits per id: the integer itself and zero, or a seeded hash of the text whose upper half is not.

        Args:
            seed: any integer; its lower 128 bits count.

        Returns:
            The lower and the upper words, uint64 ``(n,)`` each.
        """
        if self.text is None:
            integers = np.ascontiguousarray(self.integers, np.int64)
            return integers.view(np.uint64), np.zeros(len(integers), np.uint64)
        low, high = hash_texts(self.text, seed)
        positions, values = read_decimals(self.text)
        if len(positions):
            low[positions] = values.view(np.uint64)
            high[positions] = 0
        return low, high

    def sampling(self) -> NDArray[np.uint64]:
        """Return uint64 ``(n,)``, uniform hashes of the ids that are the same in every process."""
        low, high = self.hashes(_SAMPLING_SEED)
        return mix(low ^ mix(high ^ np.uint64(_SAMPLING_SEED)))


@dataclass(frozen=True, slots=True, eq=False)
class HashedIds(Ids):
    """Hold ids whose hashes are known already, by the one seed that everybody who gets them uses."""

    low: NDArray[np.uint64]
    high: NDArray[np.uint64]

    def take(self, index: Any) -> HashedIds:
        """Return the ids at the positions, slice or mask ``index``."""
        ids = Ids.take(self, index)
        return HashedIds(ids.integers, ids.text, ids.valid, self.low[index], self.high[index])

    def hashes(self, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the hashes, whatever the seed; as arrays of their own, which the caller may change."""
        del seed
        return self.low.copy(), self.high.copy()


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """Hold ``n`` canonical truths.

    Attributes:
        kind: uint8 ``(n,)``: 0 retraction, 1 number, 2 object, 3 missing or invalid.
        number: float64 ``(n,)``: the number where the kind is 1, exact; else nan.
        codes: int32 ``(n,)``: positions in ``objects`` where the kind is 2; -1 missing and -2 invalid where it is 3.
        objects: texts, integers too large for float64, and multilabel truths, each once.
    """

    kind: NDArray[np.uint8]
    number: NDArray[np.float64]
    codes: NDArray[np.int32]
    objects: tuple[Any, ...]

    def __len__(self) -> int:
        """Return ``n``."""
        return len(self.kind)

    def take(self, index: Any) -> Truths:
        """Return the truths at the positions, slice or mask ``index``; the objects stay."""
        return Truths(self.kind[index], self.number[index], self.codes[index], self.objects)


def encode_classes(values: Any) -> Column:
    """Encode one class or many, of any supported type.

    >>> encode_classes(["cat", 1, True, None, "cat"]).tolist()
    ['cat', 1, 1, None, 'cat']
    """
    return Column(*class_codes(keep(values)))


def encode_ids(ids: Any) -> Ids:
    """Make one id or many canonical, of any supported type.

    >>> encode_ids(["order-17", 17, "17", True, None]).texts()
    ['order-17', '17', '17', '', '']
    """
    if type(ids) in (list, tuple):
        listed = [*ids]
        if list(map(type, listed)).count(str) == len(listed):  # exact texts need not be kept one by one
            return Ids(*text_ids(listed))
    return Ids(*id_arrays(keep(ids)))
