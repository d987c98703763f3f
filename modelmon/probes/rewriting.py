"""Writing a wrapper again, now with the lines that time its calls on a device."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelmon.probes.readouts import made
from modelmon.probes.texts import text_of

if TYPE_CHECKING:
    from modelmon.probes.sites import Site


def time_calls(site: Site, timers: Any) -> None:
    """Have calls that begin from now on timed; those under way end as they began.

    The text differs in lines that reach all they need by way of the site, so the code fits the function's closure.
    """
    site.timers, site.untimed = timers, False
    recipe = site.recipe
    wrapper = None if recipe is None else recipe.wrapper()
    if wrapper is None:
        return
    text = text_of(recipe.kind, recipe.signature, replace(recipe.columns, timed=True))
    held, code = wrapper.__code__, made(text, site, None).__code__
    names = {"co_name": held.co_name, "co_flags": held.co_flags}
    if sys.version_info >= (3, 11):
        names["co_qualname"] = held.co_qualname
    wrapper.__code__ = code.replace(**names)
