"""The text of a wrapper: written once per signature and per set of things asked for, compiled, and shown in tracebacks.

1. Every name of ours starts with a prefix that no parameter of the user's starts with.
2. The user's call stands alone in its ``try``; what is ours stands in a second one, whose handler is `Seat.mend`.
   The call is begun inside the first ``try``, so that a signal that strikes right after it still ends the call.
3. Hooks and parameters are read after the function returned and after the clock was read.
4. Attributes of the seat are taken into locals before they are called: up to Python 3.11 a method call looks a slot up
   the slow way. The types of nearly all values are told by identity, which is cheaper than a set.
5. Items of a stream are counted by the loop variable itself, and the clock is read at every item unless items come
   faster than every two microseconds; then it is read at every 2nd, 4th, ... 64th. So the time of the last item is
   exact for streams in which it matters; otherwise the stream's end stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from modelmon.probes.signatures import COROUTINE, GENERATOR, ITERABLE_COROUTINE, PLAIN_CALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.probes.signatures import Signature

BUILTINS: Final = (type, int, float, str, bool, len, next, range)
FREE: Final = (
    "@site",
    "@call",
    "@arguments",
    "@compiling",
    "@plain",
    "@reading",
    "@publish",
    "@rows",
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
    """

    value: str
    id: str = ""
    slice: str = ""
    size: str = ""
    tokens: str = ""
    compiling: bool = False
    failed: str = ""

    @property
    def record(self) -> str:
        """The tuple that a call which returned appends."""
        columns = ["@t", "@clock()", self.value, self.id, self.slice, self.size]
        return ", ".join(column for column in columns if column)

    @property
    def slice_argument(self) -> str:
        """What follows the other arguments where a call is recorded that did not return."""
        return f", {self.slice}" if self.slice else ""


_CALL: Final = """\
{define} @wrapper({parameters}):{aside}
    @s = @site.seat
    @clock = @s.clock
    @t = @clock()
    try:
        @n = @next(@s.begun)
        @r = {wait}@call({forwarded})
    except BaseException as @e:
        try:
            {failed}
        except BaseException as @f:
            if @s.mend_failure(@t, @e, @f):
                raise
        raise
    try:
        @extend = @s.extend
        @extend(({record}))
        @t = None
        if not @n & @s.mask:
            @s.relieve(@s)
    except BaseException as @e:
        if @s.mend(@t, @e):
            raise
    return @r
"""

_ENDED: Final = """\
    except BaseException as @e:
        try:
            @s.end(@t, @first, @last, @n, @e{slice_argument})
        except BaseException as @f:
            if @s.mend_end(@t, @n, @e, @f):
                raise
        raise
    try:
        @s.end(@t, @first, @last, @n, None{slice_argument})
    except BaseException as @f:
        if @s.mend_end(@t, @n, None, @f):
            raise
"""

_GENERATOR_HEAD: Final = """\
def @wrapper({parameters}):
    @s = @site.seat
    @clock = @s.clock
    @t = @clock()
    @first = @last = None
    @n = 0
    @thrown = []
    try:
        @number = @next(@s.begun)
        @g = @call({forwarded})
        @send = @g.send
"""

# The loop yields item @n and receives item @n + 1, so the loop variable counts what was yielded.
_COUNTED: Final = (
    _GENERATOR_HEAD
    + """\
        try:
            @v = @send(None)
            @first = @last = @clock()
            @n = @at = @stride = 1
            while True:
                try:
                    if @thrown:
                        @v = @g.throw(@thrown.pop())
                        @n += 1
                        @last, @at, @stride = @clock(), @n, 1
                    while True:
                        for @n in @range(@n, @n + @stride):
                            @v = @send((yield @v))
                        @n += 1
                        @now = @clock()
                        @stride = (64 if @stride > 32 else 2 * @stride) if @now - @last < 2000 * @stride else 1
                        @last, @at = @now, @n
                except GeneratorExit:
                    @g.close()
                    raise
                except BaseException as @e:
                    if @g.gi_frame is None:
                        raise
                    @thrown.append(@e)
        except StopIteration as @e:
            @r = @e.value
            if @n and @at != @n:
                @last = @clock()
"""
    + _ENDED
    + "    return @r\n"
)

_READ_ITEM: Final = """\
                @last = @clock()
                if @first is None:
                    @first = @last
                try:
                    @n += {tokens}
{give}
                except BaseException as @e:
                    if @s.mend(None, @e):
                        raise
"""

_READ: Final = (
    _GENERATOR_HEAD
    + """\
        try:
            @v = @send(None)
            while True:
"""
    + _READ_ITEM
    + """\
                try:
                    @v = @send((yield @v))
                    continue
                except GeneratorExit:
                    @g.close()
                    raise
                except BaseException as @e:
                    if @g.gi_frame is None:
                        raise
                    @thrown.append(@e)
                @v = @g.throw(@thrown.pop())
        except StopIteration as @e:
            @r = @e.value
"""
    + _ENDED
    + "    return @r\n"
)

_READ_ASYNC: Final = (
    _GENERATOR_HEAD.replace("def ", "async def ", 1).replace("@g.send", "@g.asend")
    + """\
        try:
            @v = await @send(None)
            while True:
"""
    + _READ_ITEM
    + """\
                try:
                    @sent = yield @v
                except GeneratorExit:
                    await @g.aclose()
                    raise
                except BaseException as @e:
                    @thrown.append(@e)
                if @thrown:
                    @v = await @g.athrow(@thrown.pop())
                else:
                    @v = await @send(@sent)
        except StopAsyncIteration:
            pass
"""
    + _ENDED
)

_ASIDE: Final = "\n    if @compiling():\n        return ({wait}@call({forwarded}))"
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
        "slice_argument": columns.slice_argument,
        "failed": columns.failed or f"@s.fail(@t, @e{columns.slice_argument})",
    }
    if kind in _CALLS:
        define, wait = _CALLS[kind]
        aside = _ASIDE.format(wait=wait, **fields) if columns.compiling else ""
        body = _CALL.format(define=define, wait=wait, aside=aside, **fields)
    elif kind == GENERATOR and not columns.value and not columns.tokens:
        body = _COUNTED.format(**fields)
    else:
        given = ", ".join(("@last", "@number", "@n", columns.value, columns.id or "None", columns.slice or "()"))
        give = f"                    @s.give_item({given})" if columns.value else ""
        template = _READ if kind == GENERATOR else _READ_ASYNC
        body = template.format(tokens=columns.tokens or "1", give=give, **fields)
    prefix = _prefix(signature.names)
    inner = "".join(f"    {line}\n" for line in body.splitlines() if line)
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
