"""Measure variants against each other: interleaved, thread CPU time, the bare call subtracted.

Noise only ever adds time, so a minimum converges; the minimum of differences would not, since a round in which the
bare call was disturbed makes its difference too small. So minimum is subtracted from minimum, and the median is the
median of the differences of each round.
"""

from __future__ import annotations

import gc
import random
from dataclasses import dataclass
from statistics import median
from time import thread_time_ns
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Variant:
    """Describe one contestant.

    Attributes:
        run: what is timed.
        units: calls, rows or records that one run stands for.
        bare: name of the variant that is subtracted, unit by unit, or None.
        prepare: called before each run, untimed.
        finish: called after each run, untimed.
        every: run in every so many rounds only, for contestants that are very slow.
    """

    run: Callable[[], object]
    units: int
    bare: str | None = None
    prepare: Callable[[], object] | None = None
    finish: Callable[[], object] | None = None
    every: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """Hold nanoseconds per unit: the minimum over the rounds, and the median as a measure of the noise."""

    minimum: float
    median: float


def race(variants: Mapping[str, Variant], *, rounds: int, seed: int = 7) -> dict[str, Timing]:
    """Run all variants in random order each round, and return what each costs beyond its bare call.

    Args:
        variants: contestants by name; bare calls run twice a round and count by the faster one.
        rounds: how often; two more to warm up are not counted.
        seed: of the order.
    """
    order = random.Random(seed)
    bare = {variant.bare for variant in variants.values() if variant.bare}
    costs: dict[str, list[float]] = {name: [] for name in variants}
    added: dict[str, list[float]] = {name: [] for name in variants}
    gc.collect()
    gc.freeze()
    for number in range(-2, rounds):
        names = [name for name, variant in variants.items() if number % variant.every == 0 or number < 0]
        names += bare
        order.shuffle(names)
        seen: dict[str, float] = {}
        for name in names:
            spent = _spent(variants[name])
            seen[name] = min(spent, seen.get(name, spent))
        if number < 0:
            continue
        for name, spent in seen.items():
            costs[name].append(spent)
            added[name].append(spent - seen.get(variants[name].bare or "", 0.0))
    gc.unfreeze()
    least = {name: min(spent) for name, spent in costs.items()}
    return {
        name: Timing(least[name] - least.get(variant.bare or "", 0.0), median(added[name]))
        for name, variant in variants.items()
    }


def _spent(variant: Variant) -> float:
    if variant.prepare is not None:
        variant.prepare()
    started = thread_time_ns()
    variant.run()
    spent = thread_time_ns() - started
    if variant.finish is not None:
        variant.finish()
    return spent / variant.units


def loop(call: Callable[..., Any], arguments: str, count: int, **names: Any) -> Callable[[], None]:
    """Return a loop that makes ``count`` calls from code of its own, so that no two share the interpreter's caches."""
    return _compiled(f"def timed():\n    for _ in repeat(None, {count}):\n        call({arguments})\n", call, names)


def loop_over(call: Callable[..., Any], arguments: str, items: Iterable[Any], **names: Any) -> Callable[[], None]:
    """Return a loop that calls once for every ``item`` of a list, from code of its own."""
    text = f"def timed():\n    for item in items:\n        call({arguments})\n"
    return _compiled(text, call, {"items": items, **names})


def loop_awaiting(call: Callable[..., Any], arguments: str, count: int, **names: Any) -> Callable[[], None]:
    """Return a loop that awaits ``count`` calls that never suspend."""
    text = f"async def timed():\n    for _ in repeat(None, {count}):\n        await call({arguments})\n"
    coroutine = _compiled(text, call, names)

    def drive() -> None:
        try:
            coroutine().send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return

    return drive


def loop_text(body: str, count: int, **names: Any) -> Callable[[], None]:
    """Return a loop around any one-line body."""
    return _compiled(f"def timed():\n    for _ in repeat(None, {count}):\n        {body}\n", None, names)


def own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function a code object of its own, for wrappers made by one factory."""
    code = function.__code__
    if isinstance(code, CodeType):
        function.__code__ = code.replace(co_name=code.co_name)
    return function


def _compiled(text: str, call: Any, names: Mapping[str, Any]) -> Callable[[], None]:
    scope: dict[str, Any] = {"call": call, **names}
    head = ", ".join(scope)
    inner = "".join(f"    {line}\n" for line in text.splitlines())
    scope_out: dict[str, Any] = {}
    source = f"from itertools import repeat as _repeat\ndef make({head}, repeat=_repeat):\n{inner}    return timed\n"
    exec(compile(source, "<bench loop>", "exec"), scope_out)  # noqa: S102  (our own text)
    return scope_out["make"](**scope)
