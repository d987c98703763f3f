"""Snapshots as JSON text, with the number of the schema they follow.

Class values keep their type, since JSON tells 1 from "1"; counts are integers and exact sums are exact text.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, astuple, fields
from typing import TYPE_CHECKING, Any

from modelmon.parts import DevicePart, Exemplar, Part, SeriesPart
from modelmon.tallies import Ledger, Tally
from modelmon.tasks import task_from_state
from modelmon.tasks import to_state as task_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelmon.parts import Slice

SCHEMA = 1
KIND = "modelmon.snapshot"


def write(parts: Iterable[Part]) -> str:
    """Return parts as JSON text."""
    document = {"kind": KIND, "schema": SCHEMA, "parts": [_part_state(part) for part in parts]}
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


def read(text: str) -> tuple[Part, ...]:
    """Return the parts that were written.

    Raises:
        ValueError: when the text is no snapshot, or follows a newer schema than this version knows.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = "this text is no snapshot: it is not JSON"
        raise ValueError(msg) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        msg = f"this text is no snapshot: its kind is not {KIND!r}"
        raise ValueError(msg)
    schema = document.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        msg = f"this snapshot follows schema {schema}; this modelmon reads up to {SCHEMA}: upgrade modelmon"
        raise ValueError(msg)
    try:
        return tuple(_part(state) for state in document["parts"])
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        msg = f"this snapshot is damaged: {type(error).__name__}: {error}"
        raise ValueError(msg) from error


def _part_state(part: Part) -> dict[str, Any]:
    return {
        "origin": part.origin,
        "epoch": part.epoch,
        "kind": part.kind,
        "taken_at": part.taken_at,
        "window": part.window,
        "series": [[*key, _series_state(series)] for key, series in sorted(part.series.items())],
        "counts": part.counts.to_state(),
        "gauges": {name: value if math.isfinite(value) else str(value) for name, value in part.gauges.items()},
        **_devices_state(part),
    }


def _devices_state(part: Part) -> dict[str, Any]:
    """Return nothing where there are none, as versions that knew of none wrote it."""
    found = {name: asdict(device) for name, device in sorted(part.devices.items())}
    return {"devices": found} if found else {}


def _part(state: dict[str, Any]) -> Part:
    return Part(
        origin=state["origin"],
        epoch=int(state["epoch"]),
        kind=state["kind"],
        taken_at=float(state["taken_at"]),
        window=float(state["window"]),
        series={(model, version): _series(inner) for model, version, inner in state["series"]},
        counts=Tally.from_state(state["counts"]),
        gauges={name: float(value) for name, value in state["gauges"].items()},
        devices={name: _device(device) for name, device in state.get("devices", {}).items()},
    )


def _device(state: dict[str, Any]) -> DevicePart:
    known = {field.name for field in fields(DevicePart)}
    kept = {name: value for name, value in state.items() if name in known}
    powers = tuple((model, version, watts, error) for model, version, watts, error in kept.pop("powers", ()))
    return DevicePart(**kept, powers=powers)


def _series_state(series: SeriesPart) -> dict[str, Any]:
    return {
        "task": None if series.task is None else task_state(series.task),
        "classes": list(series.classes),
        "ledgers": [[page, ledger.to_state()] for page, ledger in sorted(series.ledgers.items())],
        "shared": series.shared.to_state(),
        "active": [[page, n] for page, n in sorted(series.active.items())],
        "exemplars": [list(astuple(exemplar)) for exemplar in series.exemplars],
    }


def _series(state: dict[str, Any]) -> SeriesPart:
    return SeriesPart(
        task=None if state["task"] is None else task_from_state(state["task"]),
        classes=tuple(state["classes"]),
        ledgers={_page(page): Ledger.from_state(ledger) for page, ledger in state["ledgers"]},
        shared=Ledger.from_state(state["shared"]),
        active={_page(page): int(n) for page, n in state["active"]},
        exemplars=tuple(_exemplar(*row) for row in state.get("exemplars", ())),  # older texts have none
    )


def _exemplar(about: Any, page: Any, own: Any, *rest: Any) -> Exemplar:
    return Exemplar(about, _page(page), tuple(own), *rest)


def _page(pairs: list[list[str]]) -> Slice:
    return tuple((name, value) for name, value in pairs)
