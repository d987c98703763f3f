"""Documents that are alike: one row each, all of one form, as nearly every batch has them.

They are the rows of one array, so that a column is written and read at once, whatever the number of documents.

Rules:

1. Documents go this way all together or not at all; where they do not, nothing has changed.
2. What this way reads and writes is byte for byte what the way by records does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.stores.forms import DUE, OPEN_ROW, SETTLED, Dumped, lone_row, payload_bytes
from modelmon.stores.states import EARLY, NONE, PENDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.stores.groups import Layout
    from modelmon.stores.holdings import Holdings
    from modelmon.stores.tails import Tails

    Numbers = NDArray[np.int64]

_CORE = ("state", "group", "time", "predicted")


def dump_alike(holdings: Holdings, tails: Tails) -> Dumped | None:
    """Return documents of all records that holdings hold; None where they are not alike."""
    records = holdings.records
    table = records.records
    state = table["state"][: table.top]
    settled = _all_settled(state)
    layout = None if settled is None else _layout(holdings, table["group"][: table.top])
    if settled is None or layout is None or (settled and layout.kind == "flags"):
        return None
    numbers = np.arange(table.top)
    low = table.words("low", numbers).view(np.int64)
    if not (low[1:] > low[:-1]).all():
        numbers = np.argsort(low)
        low = low[numbers]
        if not (low[1:] > low[:-1]).all():
            return None
    rows = table.read(numbers)
    form = lone_row(settled=settled, payload=payload_bytes(layout))
    out = np.empty(len(numbers), form)
    if settled:
        held, flags = out["held"], np.zeros(len(numbers), np.uint8)
        kept = records.settled.read(rows["detail"].astype(np.int64))
        for name in SETTLED.names or ():
            held[name] = kept[name]
        tails.write_rows(holdings, rows["group"], held, flags)
        if flags.any():
            return None
    due = held["due"].copy() if settled else records.until(numbers)
    out["earliest"], out["size"], out["flags"] = due, form.itemsize - DUE.itemsize, 0
    out["high"] = rows["high"] if "high" in table else 0
    for name in _CORE:
        out[name] = rows[name]
    payload = holdings.payload(layout, numbers)
    if payload is not None:
        out["payload"] = np.ascontiguousarray(payload).view(np.uint8).reshape(len(numbers), -1)
    return Dumped(low, due, out.view(f"V{form.itemsize}").tolist())


def load_alike(holdings: Holdings, keys: Numbers, documents: Sequence[bytes]) -> NDArray[np.float64] | None:
    """Put the rows of documents into holdings that have no records yet.

    Returns:
        The earliest deadline of each; None, and nothing is done, where they are not alike.
    """
    read = _read_alike(holdings, documents)
    if read is None:
        return None
    rows, layout = read
    records = holdings.records
    table = records.records
    columns: dict[str, Any] = {name: rows[name] for name in _CORE}
    if int(rows["group"].max()) > np.iinfo(table["group"].dtype).max:
        table.widen("group", np.int32)
    if "held" in (rows.dtype.names or ()):
        columns["detail"] = records.settled.allocate(len(rows))
        kept = records.settled.blank(len(rows))
        for name in SETTLED.names or ():
            kept[name] = rows["held"][name]
        records.settled.write(columns["detail"], kept)
    none = np.full(len(rows), -1)
    new = records.add(keys.view(np.uint64), np.ascontiguousarray(rows["high"]), none, columns=columns)
    if "payload" in (rows.dtype.names or ()):
        payload = np.ascontiguousarray(rows["payload"])
        values = payload if layout.kind == "flags" else payload.view("<f8")
        holdings.store_payload(layout, new, values[:, 0] if layout.kind == "score" else values)
    due = np.ascontiguousarray(rows["earliest"])
    records.remind(new, float(records.due(new).min()))  # by the settings of now, which may be shorter
    return due


def _read_alike(holdings: Holdings, documents: Sequence[bytes]) -> tuple[NDArray[Any], Layout] | None:
    sizes = set(map(len, documents))
    least = DUE.itemsize + OPEN_ROW
    if len(sizes) != 1 or max(sizes) < least:
        return None
    size = sizes.pop()
    whole = b"".join(documents)
    start: Any = np.frombuffer(whole, lone_row(settled=False, payload=0), 1)[0]
    settled = bool(start["state"] != PENDING)
    payload = size - least - SETTLED.itemsize * settled
    if payload < 0:
        return None
    rows = np.frombuffer(whole, lone_row(settled=settled, payload=payload))
    if (rows["size"] != size - DUE.itemsize).any() or rows["flags"].any() or _all_settled(rows["state"]) is not settled:
        return None
    known = int(rows["group"].max()) < len(holdings.groups.all)
    layout = _layout(holdings, rows["group"]) if known else None
    if layout is None or payload_bytes(layout) != payload:
        return None
    return rows, layout


def _all_settled(state: NDArray[np.uint8]) -> bool | None:
    """Return whether records are settled rows, or pending ones; None where some are neither, or there are both."""
    if not len(state):
        return None
    least, most = int(state.min()), int(state.max())
    if least == most == PENDING:
        return False
    return True if least > PENDING > NONE and most < EARLY else None


def _layout(holdings: Holdings, group: NDArray[Any]) -> Layout | None:
    """Return the layout that all rows have; None where they have several."""
    layouts = holdings.by_layout(group)
    return layouts[0][0] if len(layouts) == 1 else None
