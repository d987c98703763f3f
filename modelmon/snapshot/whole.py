"""The whole snapshot: parts of many origins, read as a mapping from (model, version)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelmon.accumulators.counts import Counts
from modelmon.accumulators.durations import Histogram
from modelmon.memos import memo
from modelmon.parts import latest_devices
from modelmon.points.reading import points as points_of
from modelmon.readings import joins
from modelmon.readings.distributions import Distribution
from modelmon.readings.model import ModelSnapshot
from modelmon.readings.selection import Selection, Source
from modelmon.snapshot import text
from modelmon.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.parts import DevicePart, Part, SeriesKey
    from modelmon.points.catalogue import Point


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot(Mapping["SeriesKey", ModelSnapshot]):
    """Read every model as it stood at one moment.

    Keys are (model, version); a bare model name works where the model has one version.
    A snapshot holds one part of each origin: merging keeps the newest of the same origin (the greater epoch), and
    parts of different origins add up, so merging is associative, commutative and idempotent, and ``Snapshot()``
    changes nothing.
    """

    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        """Keep the newest part of each origin, in the order of their names."""
        newest: dict[str, Part] = {}
        for part in self.parts:
            held = newest.get(part.origin)
            if held is None or _is_newer(part, held):
                newest[part.origin] = part
        object.__setattr__(self, "parts", tuple(newest[origin] for origin in sorted(newest)))

    def __getitem__(self, key: SeriesKey | str) -> ModelSnapshot:
        """Return the snapshot of one model and version.

        Raises:
            KeyError: when there is none; the message names the models there are.
        """
        found = self._found(key)
        if found is None:
            raise KeyError(self._missing(key))
        if found not in self._models:
            self._models[found] = ModelSnapshot(found, Selection(self._sources[found], self.taken_at))
        return self._models[found]

    def __iter__(self) -> Iterator[SeriesKey]:
        """Iterate over (model, version), sorted."""
        return iter(sorted(self._sources))

    def __len__(self) -> int:
        """Return how many models and versions there are."""
        return len(self._sources)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is such a model and version, or such a model with one version."""
        return self._found(key) is not None

    def __eq__(self, other: object) -> bool:
        """Compare all parts."""
        return isinstance(other, Snapshot) and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show one line per model and version."""
        lines = [f"Snapshot of {len(self)} model(s), {len(self.parts)} part(s)"]
        for (model, version), reading in self.items():
            lines.append(f"  {model!r}, {version!r}: {reading.calls:,} calls, {reading.labelled:,} labelled")
        return "\n".join(lines)

    @property
    def taken_at(self) -> float:
        """When the newest part was taken, seconds since the epoch; 0 without parts."""
        return max((part.taken_at for part in self.parts), default=0.0)

    @property
    def stored(self) -> bool:
        """Whether a store was read: where none could be, what labels did is unknown, and not nothing."""
        return any(part.kind == "store" for part in self.parts)

    @property
    def label_events(self) -> Counter[str]:
        """Delivered labels by outcome, each counted once."""
        return Counter({str(key[0]): n for key, n in self.counts("label_events").items()})

    @property
    def transitions(self) -> Counter[tuple[str, str]]:
        """Moves of labels that came before their predictions, by (from, to)."""
        return joins.moves(self.counts("transitions"))

    @property
    def occupancy(self) -> Counter[str]:
        """Labels that came before their predictions, by state."""
        return joins.occupancy(self.transitions)

    @property
    def store_errors(self) -> Counter[str]:
        """Errors that processes met when they called their store, by kind."""
        return Counter({str(key[0]): n for key, n in self.counts("store_errors").items()})

    @property
    def rejected(self) -> Counter[str]:
        """Outputs of any model that could not be read as predictions, by reason."""
        return sum((reading.rejected for reading in self.values()), Counter())

    def counts(self, name: str) -> Counts:
        """Return counts that belong to no model, added up over origins."""
        found = self._gathered(name)
        return found if isinstance(found, Counts) else Counts()

    def durations(self, name: str) -> Distribution:
        """Return durations that belong to no model, added up over origins."""
        found = self._gathered(name)
        return Distribution(found if isinstance(found, Histogram) else None)

    @property
    def greatest(self) -> dict[str, float]:
        """The greatest of each current value that belongs to no model, by name."""
        found: dict[str, float] = {}
        for part in self.parts:
            for name, value in part.gauges.items():
                found[name] = max(value, found.get(name, value))
        return found

    @property
    def devices(self) -> dict[str, DevicePart]:
        """Graphics processors by UUID, each as it was seen last."""
        return latest_devices(self.parts)

    def merge(self, *others: Snapshot) -> Snapshot:
        """Return a snapshot of all parts of this and the others."""
        return Snapshot(tuple(part for snapshot in (self, *others) for part in snapshot.parts))

    def to_json(self) -> str:
        """Return the snapshot as JSON text, from which ``from_json`` makes an equal one."""
        return text.write(self.parts)

    def points(self) -> list[Point]:
        """Return every exported number of the snapshot."""
        return points_of(self)

    @classmethod
    def from_json(cls, document: str) -> Snapshot:
        """Return the snapshot that ``to_json`` wrote.

        Raises:
            ValueError: when the text is no snapshot, or was written by a version with a newer schema.
        """
        return cls(text.read(document))

    @memo
    def _models(self) -> dict[SeriesKey, ModelSnapshot]:
        # Whoever reads this snapshot next finds what was added up before.
        return {}

    @memo
    def _sources(self) -> dict[SeriesKey, tuple[Source, ...]]:
        sources: dict[SeriesKey, list[Source]] = {}
        for part in self.parts:
            for key, series in part.series.items():
                sources.setdefault(key, []).append(Source(series, part.window))
        return {key: tuple(found) for key, found in sources.items()}

    def _gathered(self, name: str) -> Any:
        tally = Tally()
        for part in self.parts:
            if name in part.counts:
                tally.merge({name: part.counts[name]})
        return tally.get(name)

    def _found(self, key: Any) -> SeriesKey | None:
        if isinstance(key, str):
            versions = [found for found in self._sources if found[0] == key]
            return versions[0] if len(versions) == 1 else None
        return key if key in self._sources else None

    def _missing(self, key: Any) -> str:
        if isinstance(key, str) and any(model == key for model, _ in self._sources):
            versions = ", ".join(repr(version) for model, version in sorted(self._sources) if model == key)
            return f"{key!r} has several versions; ask for one: {versions}"
        known = ", ".join(f"({model!r}, {version!r})" for model, version in sorted(self._sources)[:50])
        return f"no model {key!r}; models: {known or 'none yet'}"


def _is_newer(part: Part, held: Part) -> bool:
    age, held_age = (part.epoch, part.taken_at), (held.epoch, held.taken_at)
    if age != held_age or part is held:
        return age > held_age
    # Parts of one epoch are equal, unless two origins share a name; then any order will do that is always the same.
    return part != held and text.write([part]) > text.write([held])
