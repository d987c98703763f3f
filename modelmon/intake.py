"""What enters from outside a watched call: recorded predictions and delivered labels, checked before any effect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.columns import Column, encode_ids
from modelmon.copies import PLAIN, Rejection, keep
from modelmon.draining import count_predicted, fitting, predictions
from modelmon.events import Labels
from modelmon.faults import is_signalled
from modelmon.identity import MAXIMUM_NAME_BYTES, attribute_text, is_short
from modelmon.notices import ABSENT, AHEAD, UNKNOWN, UNREADABLE, UNUSABLE, warn
from modelmon.outputs import read
from modelmon.tallies import Tally
from modelmon.truths import NOTHING, instants, retractions, revisions, truths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from modelmon.columns import Ids
    from modelmon.outputs import Reading
    from modelmon.parts import Slice
    from modelmon.probes.seats import Site
    from modelmon.recorder import Recorder
    from modelmon.stores.contract import Store

_AHEAD_S = 3600.0


def delivery(
    ids: Any,
    given: Any,
    *,
    at: Any = None,
    revs: Any = None,
    model: str | None = None,
    version: str | None = None,
    textual: bool = False,
    age: Callable[[], float] | None = None,
) -> Labels:
    """Read delivered labels into columns.

    Raises:
        ValueError: when lengths differ, or a keyword cannot be read.
    """
    check_scope(model, version)
    many = many_ids(ids, one=False)
    _check_sequence(given, single=not hasattr(given, "__iter__"))
    column = truths(given, textual=textual)
    if len(many) != len(column):
        msg = f"{len(many)} ids but {len(column)} truths: give one truth for each id"
        raise ValueError(msg)
    return Labels(
        ids=many,
        truths=column,
        at=instants(at, len(many)),
        revs=np.column_stack(revisions(revs, len(many))),
        model=model,
        version=version,
        textual=textual,
        age=age,
    )


def retraction(
    ids: Any,
    *,
    at: Any = None,
    rev: float | None = None,
    model: str | None = None,
    version: str | None = None,
    age: Callable[[], float] | None = None,
) -> Labels:
    """Read ids whose labels are taken back into columns.

    Raises:
        ValueError: when a keyword cannot be read.
    """
    check_scope(model, version)
    many = many_ids(ids)
    n = len(many)
    return Labels(
        ids=many,
        truths=retractions(n),
        at=instants(at, n),
        revs=np.column_stack(revisions(None if rev is None else [rev] * n, n)),
        model=model,
        version=version,
        age=age,
    )


def commit(recorder: Recorder, labels: Labels) -> dict[str, int]:
    """Deliver labels to the store and say what is wrong with them.

    Raises:
        StoreError: when they were not committed.
    """

    def deliver(store: Store, now: float) -> tuple[dict[str, int], int]:
        usable, ahead = timely(witnessed(recorder, labels), now)
        recorder.entered(len(labels.ids))
        return dict(store.label(usable)), ahead

    report, ahead = recorder.reach("label", deliver)
    try:
        recorder.locked(lambda: recorder.process.judge(labels))
    except Exception as error:  # the labels are committed, whatever becomes of exemplars
        if is_signalled(error):
            raise
        recorder.count("internal_errors", f"exemplars:{type(error).__name__}")
    say_ahead(ahead)
    say_invalid(labels, report.get("invalid", 0), ahead)
    return report


def witnessed(recorder: Recorder, labels: Labels) -> Labels:
    """Return labels that tell whoever asked which predictions they show to be wrong."""
    return labels if recorder.witness is None else replace(labels, witness=recorder.witness)


def say_ahead(n: int) -> None:
    """Say that labels were refused because they are dated ahead."""
    if n:
        warn("label:at", f"{n} label(s) refused: {AHEAD}")


def say_invalid(labels: Labels, invalid: int, ahead: int) -> None:
    """Say how many labels were invalid, and why.

    Args:
        labels: as they were read.
        invalid: how many of them the store found invalid.
        ahead: how many of these are dated ahead, which is said elsewhere.
    """
    if invalid <= ahead:
        return
    nothing = labels.ids.valid & (labels.truths.kind == NOTHING)
    absent = int(np.count_nonzero(nothing & (labels.truths.codes == -1)))
    causes = {UNUSABLE: int(np.count_nonzero(~labels.ids.valid)), ABSENT: absent}
    causes[UNREADABLE] = int(np.count_nonzero(nothing)) - absent
    causes[UNKNOWN] = invalid - ahead - sum(causes.values())
    told = ", ".join(f"{n} {cause}" for cause, n in causes.items() if n > 0)
    warn("label:invalid", f"{invalid - ahead} label(s) were invalid: {told}; snapshot().label_events counts them")


def timely(labels: Labels, now: float) -> tuple[Labels, int]:
    """Return labels of which those dated more than an hour ahead are made invalid, and how many these are.

    Such a label would win over every later correction of its id.
    """
    ahead = labels.at > now + _AHEAD_S
    n = int(np.count_nonzero(ahead))
    if not n:
        return labels, 0
    kinds = np.where(ahead, np.uint8(NOTHING), labels.truths.kind)
    return replace(labels, truths=replace(labels.truths, kind=kinds)), n


def many_ids(ids: Any, *, one: bool = True) -> Ids:
    """Read ids; one alone counts as a sequence of one, where ``one`` allows it.

    Raises:
        ValueError: when a single text or number stands where a sequence of ids belongs.
    """
    single = isinstance(ids, (str, bytes, int, float)) or not hasattr(ids, "__iter__")
    _check_sequence(ids, single=single)
    if single and not one:
        msg = f"{ids!r} is one id: give a sequence of ids, or use label() for one"
        raise ValueError(msg)
    return encode_ids([ids] if single else ids)


def record_predictions(
    recorder: Recorder, site: Site, ids: Any, values: Any, *, attributes: Mapping[str, Any] | None, at: Any
) -> dict[str, int]:
    """Count predictions that no call produced, and have them await labels; return what was rejected, by reason.

    Raises:
        ValueError: when lengths differ, or ``ids``, ``at`` or ``attributes`` cannot be read.
    """
    page = _page(attributes)
    given = _read(site, values, None if ids is None else many_ids(ids))
    times = None if at is None else instants(at, given.total)

    def enter(held: Recorder) -> dict[str, int]:
        held.entered()
        now = held.now()
        series = held.series(site.model, site.version)
        reading = fitting(given.reading, site, series)
        if len(reading):
            made = np.full(len(given.places), now) if times is None else times[given.places]
            _enter(held, site, reading, series.page(page), times=np.where(np.isnan(made), now, made), now=now)
        if reading.rejected:
            series.reject(reading.rejected, round(now * 1e9) // held.moment().window)
        return reading.rejected

    rejected = recorder.hold(enter)
    recorder.entered_many()
    recorder.begin_once()
    return rejected


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """Hold a reading of one batch, the places of its rows in what was given, and how many were given."""

    reading: Reading
    places: NDArray[np.int64]
    total: int


def _read(site: Site, values: Any, ids: Ids | None) -> _Given:
    kept = keep(values)
    if isinstance(kept, Rejection):
        kept = (None,) * kept.rows if ids is None else (None,) * len(ids)
    total = int(read(site.task, [kept]).sizes[0]) if ids is None else len(ids)
    numbered = 0 if total == 1 and type(kept) in PLAIN else np.arange(total)
    reading = read(site.task, [kept], [numbered])
    if "length" in reading.rejected:
        msg = f"{total} ids but {int(reading.sizes[0])} values: give one id for each prediction"
        raise ValueError(msg)
    numbers = None if reading.ids is None else reading.ids.integers
    places = np.empty(0, np.int64) if numbers is None else numbers
    rejected = dict(reading.rejected)
    if ids is not None:
        ids = ids.take(places)
        bad = len(ids) - int(np.count_nonzero(ids.valid))
        if bad:
            rejected["bad_id"] = bad
    return _Given(replace(reading, ids=ids, rejected=rejected), places, total)


def _enter(
    recorder: Recorder, site: Site, reading: Reading, page: Slice, *, times: NDArray[np.float64], now: float
) -> None:
    series, moment = recorder.series(site.model, site.version), recorder.moment()
    if series.task is None:
        series.task = reading.task
    if np.any(times > now + _AHEAD_S):
        recorder.troubles.say("at", f"predictions of {site.model!r} refused: {AHEAD}")
    # What lies ahead is counted now: the store refuses it, and a slot of the future would never fold away.
    counted = np.clip(times, -now - _AHEAD_S, now + _AHEAD_S)
    slots, codes = np.unique(np.rint(counted * 1e9).astype(np.int64) // moment.window, return_inverse=True)
    entries = [Tally() for _ in slots]
    # Each row stands for itself here: one batch gave them all, but they may be of many slots.
    count_predicted(replace(reading, rows=np.arange(len(times))), series, entries, codes)
    for slot, entry in zip(slots.tolist(), entries, strict=True):
        series.enter(page, slot, entry)
    if reading.ids is not None:
        column = Column(np.zeros(len(times), np.int32), (page,))
        recorder.sink.predict(predictions(site.model, site.version, reading, times, column))


def _page(attributes: Mapping[str, Any] | None) -> Slice:
    page = {str(name): attribute_text(value) for name, value in (attributes or {}).items()}
    for name, text in page.items():
        if text is None:
            msg = f"attribute {name!r} is no text, number, bool or None"
            raise ValueError(msg)
    return tuple(sorted((name, text or "") for name, text in page.items()))


def _check_sequence(values: Any, *, single: bool) -> None:
    """Refuse what has no order or can be read only once: ids and truths belong together by their places.

    Raises:
        ValueError: for a set, a mapping, a view of one, a generator or another iterator.
    """
    if (not single and not hasattr(values, "__getitem__")) or isinstance(values, dict):
        msg = f"{type(values).__name__} is no sequence: give a list, a tuple or an array"
        raise ValueError(msg)


def check_scope(model: str | None, version: str | None) -> None:
    """Check that a version comes with a model, and that both are short.

    Raises:
        ValueError: when they are not.
    """
    if version is not None and model is None:
        msg = "version= narrows a label only together with model="
        raise ValueError(msg)
    for what, name in (("model", model), ("version", version)):
        if name is not None and not (isinstance(name, str) and is_short(name)):
            msg = f"{what}= must be text of at most {MAXIMUM_NAME_BYTES} bytes"
            raise ValueError(msg)
