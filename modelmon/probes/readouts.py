"""How each column of a record is read from a call, as text, and wrappers made of such texts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from modelmon import notices
from modelmon.errors import ConfigurationError
from modelmon.probes import reading
from modelmon.probes.answers import answered
from modelmon.probes.auto_ids import publish, rows_issued
from modelmon.probes.openings import opening
from modelmon.probes.sites import PLAIN
from modelmon.probes.texts import BUILTINS, Columns, factory, kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.probes.signatures import Signature
    from modelmon.probes.sites import Site

_LONE: Final = PLAIN - {type(None)}  # what is one prediction; None is none
# A token is true, so this both publishes the ids and is the call's number.
_ROWS: Final = "None if @type(@v) in @plain or @type(@v) is @str else @rows(@v, @site.task)"
_ISSUE: Final = f"@publish((@s.prefix, @n, {_ROWS})) and @n"


def made(text: str, site: Site, function: Any, arguments: Any = None) -> Any:
    """Compile a wrapper and close it over what it needs."""
    make = factory(text)
    ours = (reading, publish, rows_issued, opening, answered)
    return make(site, function, arguments, _compiling(), _LONE, *ours, *BUILTINS)


def columns_of(site: Site, signature: Signature, *, stream: bool) -> Columns:
    """Write how each column is read from named parameters.

    Raises:
        ConfigurationError: when an argument that the site names is no parameter.
    """
    names = signature.names
    everything = "{" + ", ".join(f"{name!r}: {name}" for name in names) + "}"
    ident = page = size = ""
    if isinstance(site.id, str) and site.id != "auto":
        name = _parameter("id", site.id, names)
        ident = kept(name, reason="bad_id")
    elif site.id is not None and site.id != "auto":
        ident = f"@reading.identity(@s, {everything})"
    if callable(site.attributes):
        page = f"@reading.page_of(@s, {everything})"
    elif site.attributes is not None:
        values = "".join(f"{_parameter('attributes', name, names)}, " for name in site.attributes)
        known = " and ".join(f"@type({name}) is @str" for name in site.attributes) or "True"
        page = f"{known} and @s.slices.get(({values})) or @reading.page(@s, ({values}))"
    if callable(site.batch_size):
        size = f"@reading.size_of(@s, {everything})"
    elif site.batch_size is not None:
        size = f"@reading.size(@s, {_parameter('batch_size', site.batch_size, names)})"
    return columns_with(site, ident, page, size, stream=stream)


def columns_with(site: Site, ident: str, page: str, size: str, *, stream: bool) -> Columns:
    """Add how the value is read, which does not depend on the signature."""
    compiling = _compiling() is not None
    if stream:
        _tell_of_items(site)
        value = "@reading.output(@s, @v)" if site.output is not None else ""
        tokens = "@reading.tokens(@s, @v)" if site.tokens is not None else ""
        return Columns(value, ident, page, size, tokens, compiling=compiling)
    value = kept("@r") if site.output is None else "@reading.output(@s, @r)"
    if site.id == "auto":
        value, ident = f"(@v := {value})", _ISSUE
    return Columns(value, ident, page, size, compiling=compiling)


def _tell_of_items(site: Site) -> None:
    if site.output is None and (site.task is not None or site.id is not None):
        what = "task=" if site.id is None else "id="
        notices.warn(
            f"items:{site.model}",
            f"{site.model!r} is a stream with {what} and without output=, so it predicts nothing: of what a stream "
            "gives, only what output= picks out of an item is a prediction",
        )


def _parameter(setting: str, name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        msg = f"{setting}={name!r} is no parameter of the function, which has {', '.join(names) or 'none'}"
        raise ConfigurationError(msg)
    return name


def _compiling() -> Callable[[], bool] | None:
    """Return torch's own question whether it is tracing, where torch was imported before the decoration."""
    compiler = sys.modules.get("torch.compiler")
    return getattr(compiler, "is_dynamo_compiling", None)
