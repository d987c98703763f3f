"""The text of a wrapper: written once per signature and per set of things asked for, compiled, and shown in tracebacks.

1. Every name of ours starts with a prefix that no parameter of the user's starts with.
2. Hooks and parameters are read after the function returned and after the clock was read.
3. Attributes of the seat are taken into locals before they are called: up to Python 3.11 a method call looks a slot up
   the slow way. The types of nearly all values are told by identity, which is cheaper than a set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from modelmon.probes.signatures import COROUTINE, GENERATOR, ITERABLE_COROUTINE, PLAIN_CALL
from modelmon.probes.templates import ASIDE, CALL, COUNTED, GIVE, ITEM_IDS, READ, READ_ASYNC, timing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

    from modelmon.probes.signatures import Signature

BUILTINS: Final = (type, int, float, str, bool, len, next, range, isinstance)
FREE: Final = (
    "@site",
    "@call",
    "@arguments",
    "@compiling",
    "@plain",
    "@reading",
    "@publish",
    "@rows",
    "@opening",
    "@answered",
    *(f"@{b.__name__}" for b in BUILTINS),
)
"""Parameters of every factory, in order; built-ins among them, since a parameter of the user's may hide one."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Say which text reads each column of a record.

    ``@`` stands for the prefix of our names; ``@s`` is the seat, ``@n`` the call's number, ``@v`` the kept value.

    Attributes:
        value: reads the prediction from the result ``@r``; for a stream, from an item ``@v``, or empty.
        id: reads the id, or empty.
        slice: reads the slice, or empty.
        size: reads the batch size, or empty.
        tokens: for a stream: counts an item ``@v``, or empty.
        compiling: whether to step aside while ``torch.compile`` traces.
        failed: records a call that raised ``@e``; empty where the seat does it alone.
        timed: whether the call is timed on a device too.
    """

    value: str
    id: str = ""
    slice: str = ""
    size: str = ""
    tokens: str = ""
    compiling: bool = False
    failed: str = ""
    timed: bool = False

    @property
    def record(self) -> str:
        """The tuple that a call which returned appends."""
        page = "@p" if self.timed and self.slice else self.slice
        columns = ["@t", "@u" if self.timed else "@clock()", self.value, self.id, page, self.size]
        return ", ".join(column for column in columns if column)

    @property
    def unread(self) -> str:
        """The tuple of a call which returned, but of which nothing could be read."""
        columns = [
            "@t",
            "@clock()",
            "None",
            "None" if self.id else "",
            "()" if self.slice else "",
            "-1" if self.size else "",
        ]
        return ", ".join(column for column in columns if column)

    @property
    def slice_argument(self) -> str:
        """What follows the other arguments where a call is recorded that did not return."""
        return f", {self.slice}" if self.slice else ""

    @property
    def slice_given(self) -> str:
        """The same where a stream is recorded that ended, whose slice is known by then if it was timed."""
        return ", @p" if self.timed and self.slice else self.slice_argument


@dataclass(frozen=True, slots=True)
class Recipe:
    """Say how a wrapper was written, so that it can be written again.

    Attributes:
        wrapper: weak reference to the function that was made.
        kind: of callable.
        signature: its parameters.
        columns: what reads each column of a record.
    """

    wrapper: Callable[[], FunctionType | None]
    kind: str
    signature: Signature
    columns: Columns


_CALLS: Final = {
    PLAIN_CALL: ("def", ""),
    COROUTINE: ("async def", "await "),
    ITERABLE_COROUTINE: ("def", "yield from "),
}


def kept(name: str, *, reason: str = "") -> str:
    """Write what keeps the value of a local: scalars and short text as they are, the rest through the seat."""
    rest = f"{name} is None or @k is @bool"  # no set: it would hash a class, which a metaclass of the user's may forbid
    scalar = f"(@k := @type({name})) is @float or @k is @int or @k is @str and @len({name}) <= 256 or {rest}"
    if reason:  # ids are text more often than numbers
        scalar = f"(@k := @type({name})) is @str and @len({name}) <= 256 or @k is @int or @k is @float or {rest}"
        return f"{name} if {scalar} else @s.keep({name}, {reason!r})"
    return f"{name} if {scalar} else @s.keep({name})"


def text_of(kind: str, signature: Signature, columns: Columns) -> str:
    """Write the text of a factory that takes ``@site, @call, @plain, ...`` and returns the wrapper."""
    fields = {
        "parameters": signature.parameters,
        "forwarded": signature.forwarded,
        "record": columns.record,
        "unread": columns.unread,
        "slice_argument": columns.slice_argument,
        "slice_given": columns.slice_given,
        **timing(columns.slice, timed=columns.timed),
        "failed": columns.failed or f"@s.fail(@t, @e{columns.slice_argument})",
    }
    if kind in _CALLS:
        define, wait = _CALLS[kind]
        aside = ASIDE.format(wait=wait, **fields) if columns.compiling else ""
        body = CALL.format(define=define, wait=wait, aside=aside, **fields)
    elif kind == GENERATOR and not columns.value and not columns.tokens:
        body = COUNTED.format(**fields)
    else:
        template = READ if kind == GENERATOR else READ_ASYNC
        ids = ITEM_IDS.format(id=columns.id) if columns.id else ""
        give = GIVE.format(value=columns.value, ids=ids, slice=columns.slice or "()") if columns.value else ""
        body = template.format(tokens=columns.tokens or "1", give=give, **fields)
    prefix = _prefix(signature.names)
    inner = "".join(f"    {line}\n" for line in body.splitlines() if line.strip())
    return f"def @make({', '.join(FREE)}):\n{inner}    return @wrapper\n".replace("@", prefix)


def _prefix(names: tuple[str, ...]) -> str:
    prefix = "_mm_"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix


@lru_cache(maxsize=512)
def factory(text: str) -> Callable[..., Any]:
    """Compile a text and register it, so that tracebacks and debuggers can show its lines."""
    import linecache  # noqa: PLC0415  (not worth its import time before the first decoration)

    filename = f"<modelmon wrapper {hash(text) & 0xFFFFFFFF:08x}>"  # the frame itself shows the function's name
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    scope: dict[str, Any] = {"__name__": "modelmon.probes.generated"}
    exec(compile(text, filename, "exec"), scope)  # noqa: S102  (our own text; names are checked identifiers)
    found: Callable[..., Any] = next(value for name, value in scope.items() if name.endswith("make"))
    return found
