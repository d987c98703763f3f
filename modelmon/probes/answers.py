"""What a generator still gives although it was told to exit, and whatever becomes of it then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator


def answered(generator: Generator[Any, Any, Any], item: Any) -> Generator[Any, Any, Any]:
    """Yield an item, then what a generator yields; pass on what is sent and thrown, and return what it returns.

    Args:
        generator: which gave ``item`` when ``GeneratorExit`` was thrown into it.
        item: to be yielded first.
    """
    thrown: list[BaseException] = []
    while True:
        try:
            sent = yield item
        except BaseException as error:
            thrown.append(error)
        try:  # apart from the handler above, which would be the context of what is raised here
            item = generator.throw(thrown.pop()) if thrown else generator.send(sent)
        except StopIteration as end:
            return end.value
