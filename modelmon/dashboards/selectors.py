"""Selectors: which series of Prometheus a panel reads, written from the catalogue and checked against it.

An instrument's name, kind and unit decide what Prometheus calls it; a matcher on an attribute that the instrument does
not have is an error here, and not an empty panel later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelmon.points.attributes import label_name
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS: Final = frozenset({"", "_bucket", "_sum", "_count"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Say which targets, models and versions a dashboard reads.

    Attributes:
        targets: matchers on ``job`` and ``instance``, which Prometheus adds to every series.
        models: matchers on ``model`` and ``version``, which the points of models carry.
    """

    targets: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str, part: str = "", /, **matchers: str) -> str:
        """Return the selector of an instrument within this scope.

        Args:
            name: the instrument's name in the catalogue.
            part: ``_bucket``, ``_sum`` or ``_count`` of a histogram.
            **matchers: values of its attributes, in Prometheus' spelling; one that begins with ``~`` is a regular
                expression, with ``!`` what it must not be.

        Raises:
            ValueError: when the instrument has no such attribute or part.

        >>> Scope(models={"model": "$model"}).of("modelmon.calls", outcome="!ok")
        'modelmon_calls_total{model="$model",outcome!="ok"}'
        """
        row = CATALOGUE[name]
        known = {label_name(attribute) for attribute in row.attributes}
        if unknown := matchers.keys() - known:
            msg = f"{name} has no attribute {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        if part not in _PARTS or bool(part) != (row.kind == "histogram"):
            msg = f"{name} is a {row.kind}, which has no part {part!r}"
            raise ValueError(msg)
        everywhere = {**self.targets, **(self.models if row.per_model else {})}
        inner = ",".join(matcher(label, wanted) for label, wanted in {**everywhere, **matchers}.items())
        return f"{describe(row).sample}{part}" + (f"{{{inner}}}" if inner else "")


def matcher(label: str, wanted: str) -> str:
    """Return a matcher in PromQL.

    >>> matcher("state", "~joined|closed"), matcher("le", "+Inf")
    ('state=~"joined|closed"', 'le="+Inf"')
    """
    operators = {"~": "=~", "!": "!="}
    if wanted[:1] in operators:
        return f'{label}{operators[wanted[0]]}"{wanted[1:]}"'
    return f'{label}="{wanted}"'


def bare(name: str) -> str:
    """Return the name of an instrument's series as Prometheus knows it, for a variable's query."""
    return describe(CATALOGUE[name]).sample
