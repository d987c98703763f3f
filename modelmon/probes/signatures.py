"""Signatures and kinds of functions, read from their code objects."""

from __future__ import annotations

from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import CodeType

PLAIN_CALL: Final = "function"
COROUTINE: Final = "coroutine"
ITERABLE_COROUTINE: Final = "iterable coroutine"
GENERATOR: Final = "generator"
ASYNC_GENERATOR: Final = "async generator"

_TAKEN: Final = frozenset({"BaseException", "GeneratorExit", "RecursionError", "StopIteration", "StopAsyncIteration"})
_VARARGS, _VARKEYWORDS, _GENERATOR, _COROUTINE, _ITERABLE, _ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x80, 0x100, 0x200


@dataclass(frozen=True, slots=True)
class Signature:
    """Name the parameters of a function, as its code object has them.

    Attributes:
        positional: names that may only be given by position.
        named: names that may be given either way.
        rest: name after ``*``, or ``""``.
        keywords: keyword-only names.
        more: name after ``**``, or ``""``.
    """

    positional: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    rest: str = ""
    keywords: tuple[str, ...] = ()
    more: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(name for name in (*self.positional, *self.named, self.rest, *self.keywords, self.more) if name)

    @property
    def parameters(self) -> str:
        """The text between the parentheses of the definition; defaults are set on the function as objects."""
        return ", ".join(
            [
                *self.positional,
                *(["/"] if self.positional else []),
                *self.named,
                *([f"*{self.rest}"] if self.rest else ["*"] if self.keywords else []),
                *self.keywords,
                *([f"**{self.more}"] if self.more else []),
            ]
        )

    @property
    def forwarded(self) -> str:
        """The text between the parentheses of the call."""
        return ", ".join(
            [
                *self.positional,
                *self.named,
                *([f"*{self.rest}"] if self.rest else []),
                *(f"{name}={name}" for name in self.keywords),
                *([f"**{self.more}"] if self.more else []),
            ]
        )

    @property
    def writable(self) -> bool:
        """Whether every name can stand in a text, and hides none that the text needs."""
        return all(name.isidentifier() and not iskeyword(name) and name not in _TAKEN for name in self.names)


@dataclass(frozen=True, slots=True)
class Forwarding(Signature):
    """Be the signature of a function that a proxy calls with what it wraps, the instance, and the arguments packed."""

    @property
    def forwarded(self) -> str:
        """The text between the parentheses of the call."""
        return "*@args, **@kwargs"


def signature_of(code: CodeType) -> Signature:
    """Read the parameters from a code object; unlike ``inspect`` this costs no import and believes no attribute."""
    count, keywords = code.co_argcount, code.co_kwonlyargcount
    names, at = code.co_varnames, code.co_argcount + code.co_kwonlyargcount
    rest = names[at] if code.co_flags & _VARARGS else ""
    more = names[at + bool(rest)] if code.co_flags & _VARKEYWORDS else ""
    only = code.co_posonlyargcount
    return Signature(names[:only], names[only:count], rest, names[count : count + keywords], more)


def kind_of(code: CodeType) -> str:
    """Name the kind of function that a code object makes."""
    flags = code.co_flags
    if flags & _ITERABLE:
        return ITERABLE_COROUTINE
    if flags & _COROUTINE:
        return COROUTINE
    if flags & _ASYNC_GENERATOR:
        return ASYNC_GENERATOR
    return GENERATOR if flags & _GENERATOR else PLAIN_CALL
