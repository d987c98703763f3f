"""The semantic conventions for generative models: what is known anyway, once more under names that dashboards expect.

The duration of calls is ``gen_ai.server.request.duration``, the time to the first item is
``gen_ai.server.time_to_first_token``, and that per item is ``gen_ai.server.time_per_output_token``; under the bounds of
the conventions, of which those of four digits are met within 0.5 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.points.attributes import safe_text
from modelmon.points.catalogue import HistogramValue, Point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from modelmon.points.instruments import Attributes

_DURATION: Final = tuple(round(0.01 * 2**k, 2) for k in range(14))
_FIRST: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_EACH: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_NAMES: Final = {
    "modelmon.call.duration": ("gen_ai.server.request.duration", _DURATION),
    "modelmon.stream.time_to_first_item": ("gen_ai.server.time_to_first_token", _FIRST),
    "modelmon.stream.time_per_item": ("gen_ai.server.time_per_output_token", _EACH),
}
_ERRORS: Final = {"error": "_OTHER"}  # of durations the class of the exception is not known


@dataclass(frozen=True, slots=True)
class GenAI:
    """Say what a model is in the words of the conventions.

    Attributes:
        operation: ``gen_ai.operation.name``, such as ``"chat"`` or ``"embeddings"``.
        provider: ``gen_ai.provider.name``, such as ``"vllm"``.
    """

    operation: str
    provider: str


def checked_models(models: Mapping[str, GenAI] | None) -> dict[str, GenAI]:
    """Return what was given, by the names that points carry.

    Raises:
        ConfigurationError: unless it maps names of models to what they are.
    """
    found = dict(models or {})
    if not all(isinstance(name, str) and isinstance(value, GenAI) for name, value in found.items()):
        msg = f"gen_ai={models!r}: give {{model: GenAI(operation, provider)}}"
        raise ConfigurationError(msg)
    return {safe_text(name): value for name, value in found.items()}


def conventional(points: Iterable[Point], models: Mapping[str, GenAI]) -> Iterator[Point]:
    """Yield what is known of some models once more, under the names of the conventions."""
    for point in points:
        found = models.get(dict(point.attributes).get("model", "")) if point.name in _NAMES else None
        value = point.value
        if found is not None and isinstance(value, HistogramValue) and value.distribution is not None:
            name, bounds = _NAMES[point.name]
            counts = (*value.distribution.cumulative(bounds), value.count)
            shown = HistogramValue(bounds, counts, value.sum, value.count, value.distribution)
            yield replace(point, name=name, attributes=_attributes(point.attributes, found), value=shown)


def _attributes(given: Attributes, model: GenAI) -> Attributes:
    """Return the attributes of the conventions, then ours under other names; an outcome other than ok is an error."""
    rest = dict(given)
    outcome = rest.pop("outcome", "ok")
    own = {
        "gen_ai.operation.name": model.operation,
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": rest.pop("model"),
    }
    if outcome != "ok":
        own["error.type"] = _ERRORS.get(outcome, outcome)
    return (*own.items(), *((f"attr_{name}" if name in own else name, value) for name, value in rest.items()))
