"""Classes in rules: how a class is written where it is exported, and which models export no quality by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelmon.identity import Missing, canonical_class, class_text
from modelmon.points.families import family_of
from modelmon.points.sheets import CELL_CLASSES
from modelmon.rules.promql import series

if TYPE_CHECKING:
    from modelmon.rules.subjects import Pairs

_CELLS: Final = "modelmon.confusion"
_SUMS: Final = "modelmon.class.support"


def spellings(of: Any) -> tuple[str, ...]:
    """Return the texts under which a class is exported, the one to look for first.

    A text that reads as a number stands in quotes where that number is a class too, and as it is elsewhere; which of
    them a model has is known to its points alone.

    >>> spellings("fraud"), spellings(1), spellings(True), spellings("01"), spellings("1")
    (('fraud',), ('1',), ('1',), ('01',), ('"1"', '1'))
    """
    value = canonical_class(of)
    if isinstance(value, Missing):
        return ("",)
    plain = class_text(value)
    number = _number(value.strip('"')) if isinstance(value, str) else None
    return (plain,) if number is None else (class_text(value, (number,)), plain)


def _number(text: str) -> int | float | None:
    """Return the number that is written just so."""
    for kind in (int, float):
        try:
            number = canonical_class(kind(text))
        except ValueError:
            continue
        if isinstance(number, (int, float)) and str(number) == text:
            return number
    return None


def known(scope: Pairs, text: str) -> str:
    """Return series that are there where a class of this text is, whether it has any rows or not."""
    cells = series(family_of(_CELLS).sample, (*scope, ("actual", text)))
    sums = series(family_of(_SUMS).sample, (*scope, ("class", text)))
    return f"({cells} or {sums})"


def too_many(scope: Pairs, text: str) -> str:
    """Return series of the processes whose models have too many classes to export the quality of each.

    Where the model is not named these are models that have the class: others are none that a rule could be about.
    """
    sample = family_of(_SUMS).sample
    many = f"count without (class) ({series(sample, scope)}) > {CELL_CLASSES}"
    return f"{many}\nand ignoring (class) {series(sample, (('class', text),))}" if not scope else many
