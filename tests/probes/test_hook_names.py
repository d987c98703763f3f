"""Hooks that fail are named, with what they raised and never with what that said."""

from __future__ import annotations

import functools
from types import MethodType
from typing import Any

import pytest

from modelmon import Monitor, notices
from modelmon.probes.hooks import told
from modelmon.probes.sites import Site


class Picky:
    """A callable object none of whose attributes may be asked for."""

    def __call__(self, *_: object) -> Any:
        """Fail."""
        raise KeyError(self)

    def pick(self, *_: object) -> Any:
        """Fail."""
        raise KeyError(self)

    def __getattribute__(self, name: str) -> Any:
        """Fail."""
        raise SystemExit(name)


def plain(*_: object) -> Any:
    """Fail."""
    raise KeyError


HOOKS: dict[str, tuple[Any, str]] = {
    "function": (plain, f"{__name__}.plain"),
    "partial": (functools.partial(functools.partial(plain), 1), f"{__name__}.plain"),
    "object": (Picky(), f"{__name__}.Picky"),
    "partial method": (functools.partial(Picky.pick, 1), f"{__name__}.Picky.pick"),
    "method": (MethodType(Picky.pick, Picky()), f"{__name__}.Picky.pick"),
    "builtin method": ({}.__getitem__, "dict.__getitem__"),
    "builtin": (len, "builtins.len"),
    "descriptor": (str.upper, "str.upper"),
    "lambda": (lambda _: None, f"{__name__}.<lambda>"),
}


@pytest.mark.parametrize("kind", HOOKS)
def test_every_kind_of_function_has_a_name(kind: str) -> None:
    """The function itself is named, or the type of another object; nothing of the user's runs for that."""
    hook, name = HOOKS[kind]
    assert told(Site("m", output=hook), [("output", "KeyError")]) == [f"output={name} raised KeyError"]


def test_names_that_are_no_text_are_left_out() -> None:
    """A module's name is whatever somebody set it to."""

    def odd() -> None: ...

    odd.__module__ = None  # type: ignore[assignment]
    (said,) = told(Site("m", output=odd), [("output", "")])
    assert said == f"output={odd.__qualname__} gave no whole number"


def said_of(own: Monitor, caplog: pytest.LogCaptureFixture) -> str:
    """Return the one notice that a reading gives."""
    notices.forget()
    with caplog.at_level("WARNING", "modelmon"):
        own.snapshot()
    (said,) = caplog.messages
    return said


def test_all_hooks_that_failed_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two hooks of one function, a few kinds of exceptions: each pair once, and no more than five of them."""
    own = Monitor()
    kinds = [type(f"Kind{number}", (Exception,), {}) for number in range(9)]

    def count(arguments: Any) -> int:
        raise kinds[arguments["x"]]

    @own(model="m", id=plain, batch_size=count)
    def predict(x: int) -> int:
        return x

    for x in [*range(9), 0]:
        predict(x)
    said = said_of(own, caplog)
    assert said.startswith("model 'm': 20 prediction(s) not counted, hook: ")
    assert said.count(" raised ") == 5
    assert said.count(f"id={__name__}.plain raised KeyError") == 1
    assert "<locals>.count raised Kind0" in said


def test_values_that_cannot_be_read_are_told_from_hooks(caplog: pytest.LogCaptureFixture) -> None:
    """A hook that gives what cannot be read did not raise itself."""
    own = Monitor()

    @own(model="m", attributes=lambda _: 3)
    def predict() -> int:
        return 1

    predict()
    assert said_of(own, caplog).endswith("hook: reading a value raised TypeError")


def test_tokens_that_are_no_number_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """A hook of a stream's items that gives no whole number."""
    own = Monitor()

    @own(model="m", tokens=len, output=lambda _: None)
    def stream() -> Any:
        yield "four"

    @own(model="n", tokens=str.upper)
    def other() -> Any:
        yield "four"

    assert [*stream(), *other()] == ["four"] * 2
    assert said_of(own, caplog) == (
        "model 'n': 1 prediction(s) not counted, hook: tokens=str.upper gave no whole number"
    )
