"""What enters from outside a watched call: recorded predictions and delivered labels, checked before any effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon import notices
from modelmon.columns import Column, encode_ids
from modelmon.copies import Rejection, keep
from modelmon.draining import count_predicted, predictions
from modelmon.events import Labels
from modelmon.outputs import read
from modelmon.tallies import Tally
from modelmon.truths import instants, retractions, revisions, truths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelmon.columns import Ids
    from modelmon.outputs import Reading
    from modelmon.parts import Slice
    from modelmon.probes.seats import Site
    from modelmon.recorder import Recorder

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
) -> Labels:
    """Read delivered labels into columns.

    Raises:
        ValueError: when lengths differ, or a keyword cannot be read.
    """
    _check_scope(model, version)
    many = many_ids(ids, one=False)
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
    )


def retraction(
    ids: Any, *, at: Any = None, rev: float | None = None, model: str | None = None, version: str | None = None
) -> Labels:
    """Read ids whose labels are taken back into columns.

    Raises:
        ValueError: when a keyword cannot be read.
    """
    _check_scope(model, version)
    many = many_ids(ids)
    n = len(many)
    return Labels(
        ids=many,
        truths=retractions(n),
        at=instants(at, n),
        revs=np.column_stack(revisions(None if rev is None else [rev] * n, n)),
        model=model,
        version=version,
    )


def many_ids(ids: Any, *, one: bool = True) -> Ids:
    """Read ids; one alone counts as a sequence of one, where ``one`` allows it.

    Raises:
        ValueError: when a single text or number stands where a sequence of ids belongs.
    """
    single = isinstance(ids, (str, bytes, int, float)) or not hasattr(ids, "__iter__")
    if single and not one:
        msg = f"{ids!r} is one id: give a sequence of ids, or use label() for one"
        raise ValueError(msg)
    return encode_ids([ids] if single else ids)


def record_predictions(
    recorder: Recorder, site: Site, ids: Any, values: Any, *, attributes: Mapping[str, Any] | None, at: Any
) -> dict[str, int]:
    """Count predictions that no call produced, and have them await labels; return what was rejected, by reason.

    Raises:
        ValueError: when lengths differ, or ``at`` or ``attributes`` cannot be read.
    """
    kept = keep(values)
    page = _page(attributes)
    if isinstance(kept, Rejection):
        rejected, reading = {kept.reason: 1}, None
    else:
        reading = read(site.task, [kept], None if ids is None else [_kept_ids(ids)])
        rejected = dict(reading.rejected)
        if "length" in rejected:
            msg = f"ids and values differ in length, {rejected['length']} values"
            raise ValueError(msg)
    with recorder.drained():
        moment = recorder.moment()
        series = recorder.series(site.model, site.version)
        now = round(recorder.now() * 1e9)
        if reading is not None:
            _enter(recorder, site, reading, series.page(page), _times(at, reading, now / 1e9))
        if rejected:
            series.reject(rejected, now // moment.window)
    return rejected


def _enter(recorder: Recorder, site: Site, reading: Reading, page: Slice, times: NDArray[np.float64]) -> None:
    series, moment = recorder.series(site.model, site.version), recorder.moment()
    if series.task is None:
        series.task = reading.task
    if not len(reading.source):
        return
    slots, codes = np.unique((np.rint(times * 1e9).astype(np.int64)) // moment.window, return_inverse=True)
    entries = [Tally() for _ in slots]
    # Each row stands for itself here: one call gave them all, but they may be of many slots.
    count_predicted(reading, entries, codes, by_row=True)
    for slot, entry in zip(slots.tolist(), entries, strict=True):
        series.enter(page, slot, entry)
    if reading.ids is not None:
        column = Column(np.zeros(len(times), np.int32), (page,))
        recorder.store.predict(predictions(site.model, site.version, reading, times, column))


def _times(at: Any, reading: Reading, now: float) -> NDArray[np.float64]:
    total = int(reading.sizes[0])
    times = np.full(total, now) if at is None else instants(at, total)
    times = times[reading.rows] if reading.rows is not None else times
    if np.any(times > now + _AHEAD_S):
        notices.warn("at", "predictions lie more than an hour ahead; at= takes seconds: are these milliseconds?")
    return np.where(np.isnan(times), now, times)


def _kept_ids(ids: Any) -> Any:
    kept = keep(ids)
    if isinstance(kept, Rejection):
        msg = f"ids cannot be read ({kept.reason}): give a sequence of texts or whole numbers"
        raise ValueError(msg)  # noqa: TRY004  (label and prediction calls raise ValueError for what they cannot read)
    return kept


def _page(attributes: Mapping[str, Any] | None) -> Slice:
    return tuple(sorted((str(name), str(value)) for name, value in (attributes or {}).items()))


def _check_scope(model: str | None, version: str | None) -> None:
    if version is not None and model is None:
        msg = "version= narrows a label only together with model="
        raise ValueError(msg)
