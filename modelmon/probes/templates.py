"""The templates of wrappers, which `modelmon.probes.texts` fills in; ``@`` stands for the prefix of our names.

1. The user's call stands alone in its ``try``; what is ours stands in a second one, whose handler is `Seat.mend`.
   The call is begun inside the first ``try``, so that a signal that strikes right after it still ends the call.
2. Where the stack has no room left to write the end of a call, it is written here, without any further frame: up to
   Python 3.11 even a call of C may need one that is not there, while a list takes ``+=`` without. What this replaces
   raises ``RecursionError`` only before it wrote. Reading the clock succeeds as it did at the beginning of the call,
   unless a generator or coroutine was resumed nearer to the end of the stack.
3. Items of a stream are counted by the loop variable itself, and the clock is read at every item unless items come
   faster than every two microseconds; then it is read at every 2nd, 4th, ... 64th. So the time of the last item is
   exact for streams in which it matters; otherwise the stream's end stands for it, however it ends.
4. What times a call on a device stands in its own lines, which are left out until there is a device: such lines name no
   variable from outside but ``@site``, so that the code of a wrapper can be replaced by one that has them.
"""

from __future__ import annotations

from textwrap import indent
from typing import Final

_BEGIN: Final = """\
    try:
        @d = @site.timers.begin(@s)
    except RecursionError:
        @d = None
"""
_END: Final = "        @u = @site.timers.end(@d, @s, @t, @r, (@p := {slice}))\n"
_END_STREAM: Final = "        @site.timers.end(@d, @s, @t, None, (@p := {slice}))\n"
_FIRST_COUNTED: Final = """\
            try:
                @site.timers.first(@d)
            except RecursionError:
                pass
"""
_FIRST_READ: Final = """\
                    if @first == @last:
                        @site.timers.first(@d)
"""

CALL: Final = """\
{define} @wrapper({parameters}):{aside}
    @s = @site.seat
    @clock = @s.clock
{begin}
    @t = @clock()
    try:
        @n = @next(@s.begun)
        @r = {wait}@call({forwarded})
    except BaseException as @e:
        try:
            {failed}
        except RecursionError:
            try:
                @n = @clock()
            except RecursionError:
                @n = @t
            @f = @s.failures
            @f += (@t, @n, "error", "RecursionError", ())
        except BaseException as @f:
            if @s.mend_failure(@t, @e, @f):
                raise
        raise
    try:
{end}
        @extend = @s.extend
        @extend(({record}))
        @t = None
        if not @n & @s.mask:
            @s.relieve(@s)
    except RecursionError:
        if @t is not None:
            @f = @s.buffer
            @f += ({unread})
            @s.rejections.append(("internal", 1))
    except BaseException as @e:
        if @s.mend(@t, @e):
            raise
    return @r
"""

_OVERFLOWN: Final = """\
except RecursionError:
    try:
        @now = @clock()
    except RecursionError:
        @now = @t
    @f = @s.streams
    @f += (@t, @first, @last, @now, @n, {how}, ())
"""
_RAISED: Final = (
    """\
    except BaseException as @e:
        try:
            @s.end(@t, @first, @last, @n, @e{slice_argument})
"""
    + indent(_OVERFLOWN.replace("{how}", '"error", "RecursionError"'), 8 * " ")
    + """\
        except BaseException as @f:
            if @s.mend_end(@t, @n, @e, @f):
                raise
"""
)
_ENDED: Final = (
    """\
    try:
{end_stream}
        @s.end(@t, @first, @last, @n, None{slice_given})
"""
    + indent(_OVERFLOWN.replace("{how}", '"ok", ""'), 4 * " ")
    + """\
    except BaseException as @f:
        if @s.mend_end(@t, @n, None, @f):
            raise
"""
)
# A stream ends where it is told to exit. Whether by ``close`` or by ``throw`` is not known here, so what its generator
# answers is passed on, outside of any handler: nothing, a value to return, or items, with which ``close`` finds fault.
_LEFT: Final = """\
        if not @left:
            raise
    if @left:
        if @left is not True:
            @r = yield from @left
        return @r
"""
_LEFT_ASYNC: Final = "        if not @left:\n            raise\n    if @left:\n        return\n"

_GENERATOR_HEAD: Final = """\
def @wrapper({parameters}):
    @s = @site.seat
    @clock = @s.clock
{begin}
    @t = @clock()
    @first = @last = @ids = None
    @n = @item = @held = 0
    @exit = @left = False
    @thrown = []
    try:
        @number = @next(@s.begun)
        @g = @call({forwarded})
        @send = @g.send
"""

# The loop yields item @n and receives item @n + 1, so the loop variable counts what was yielded.
COUNTED: Final = (
    _GENERATOR_HEAD
    + """\
        try:
            @v = @send(None)
            @first = @last = @clock()
{first_counted}
            @n = @at = @stride = 1
            while True:
                try:
                    if @thrown:
                        @v = @g.throw(@thrown.pop())
                        if @exit:
                            @left = @answered(@g, @v)
                            raise RuntimeError
                        @n += 1
                        @last, @at, @stride = @clock(), @n, 1
                    while True:
                        for @n in @range(@n, @n + @stride):
                            @v = @send((yield @v))
                        @n += 1
                        @now = @clock()
                        @stride = (64 if @stride > 32 else 2 * @stride) if @now - @last < 2000 * @stride else 1
                        @last, @at = @now, @n
                except BaseException as @e:
                    if @at != @n:
                        try:
                            @last, @at = @clock(), @n
                        except RecursionError:
                            pass
                    if @exit or @g.gi_frame is None:
                        raise
                    @exit = @isinstance(@e, GeneratorExit)
                    @thrown.append(@e)
        except StopIteration as @e:
            @r = @e.value
            if @exit:
                @left = True
                raise GeneratorExit
"""
    + _RAISED
    + _LEFT
    + _ENDED
    + "    return @r\n"
)

GIVE: Final = """\
                    @item += 1
                    @o = {value}
                    if @o is not None:
{ids}
                        @s.give_item(@last, @number, @item, @o, @ids, {slice})
"""
# A sequence of ids is kept once, which for each item anew would take as long as the stream is long, squared.
ITEM_IDS: Final = """\
                        if @item > @held:
                            @ids = {id}
                            @held = 0 if @type(@ids) is @str else @rows(@ids) or 0
"""
_READ_ITEM: Final = """\
                @last = @clock()
                if @first is None:
                    @first = @last
                try:
{first_read}
                    @n += {tokens}
{give}
                except BaseException as @e:
                    if @s.mend(None, @e):
                        raise
"""

READ: Final = (
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
                except BaseException as @e:
                    if @g.gi_frame is None:
                        raise
                    @exit = @isinstance(@e, GeneratorExit)
                    @thrown.append(@e)
                @v = @g.throw(@thrown.pop())
                if @exit:
                    @left = @answered(@g, @v)
                    raise RuntimeError
        except StopIteration as @e:
            @r = @e.value
            if @exit:
                @left = True
                raise GeneratorExit
"""
    + _RAISED
    + _LEFT
    + _ENDED
    + "    return @r\n"
)

READ_ASYNC: Final = (
    _GENERATOR_HEAD.replace("def ", "async def ", 1).replace("@g.send", "@g.asend")
    + """\
        try:
            @v = await @opening(@send)
            while True:
"""
    + _READ_ITEM
    + """\
                try:
                    @sent = yield @v
                except BaseException as @e:
                    @exit = @isinstance(@e, GeneratorExit)
                    @thrown.append(@e)
                if @thrown:
                    @v = await @g.athrow(@thrown.pop())
                    if @exit:
                        raise RuntimeError("async generator ignored GeneratorExit")
                else:
                    @v = await @send(@sent)
        except StopAsyncIteration:
            if @exit:
                @left = True
                raise GeneratorExit
"""
    + _RAISED
    + _LEFT_ASYNC
    + _ENDED
)


def timing(page: str, *, timed: bool) -> dict[str, str]:
    """Return the lines that time a call on a device, by the names they have in the templates; empty unless timed.

    Args:
        page: reads the slice, or empty.
        timed: whether there is a device.
    """
    lines = {
        "begin": _BEGIN,
        "end": _END.format(slice=page or "()"),
        "end_stream": _END_STREAM.format(slice=page or "()"),
        "first_counted": _FIRST_COUNTED,
        "first_read": _FIRST_READ,
    }
    return {name: text.rstrip("\n") if timed else "" for name, text in lines.items()}


ASIDE: Final = "\n    if @compiling():\n        return ({wait}@call({forwarded}))"
