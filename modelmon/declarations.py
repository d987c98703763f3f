"""What a declaration of the user's must be; one that cannot work is refused as it is made, never later, from a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.errors import ConfigurationError
from modelmon.identity import MAXIMUM_NAME_BYTES, is_short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.tasks import Task


def check(model: str, options: Mapping[str, Any]) -> None:
    """Check what a model was declared with.

    Raises:
        ConfigurationError: when something cannot work.
    """
    version, attributes, identify = options.get("version", ""), options.get("attributes"), options.get("id")
    if not isinstance(model, str) or not model or not is_short(model):
        _refuse(f"model={model!r:.80} must be text, and not empty, of at most {MAXIMUM_NAME_BYTES} bytes")
    if not isinstance(version, str) or not is_short(version):
        _refuse(f'version={version!r:.80} must be text, such as "2026.10", of at most {MAXIMUM_NAME_BYTES} bytes')
    if isinstance(attributes, str):
        _refuse(f"attributes={attributes!r} is one text: give a tuple of names, ({attributes!r},)")
    if attributes is not None and not callable(attributes) and not all(isinstance(name, str) for name in attributes):
        _refuse("attributes must be names of parameters, or one function of the bound arguments")
    if identify is not None and not isinstance(identify, str) and not callable(identify):
        _refuse(f'id={identify!r} must be the name of a parameter, a function of the bound arguments, or "auto"')
    for name in ("output", "tokens"):
        if options.get(name) is not None and not callable(options[name]):
            _refuse(f"{name}={options[name]!r} must be a function")
    if options.get("sync") not in (None, "device"):
        _refuse(f'sync={options["sync"]!r} must be None, or "device" to wait for the device within the call')
    task = options.get("task")
    if task is not None and (isinstance(task, type) or not hasattr(task, "declared")):
        _refuse(f"task={task!r} must be a Binary(...), Multiclass(...), Multilabel(...) or Regression()")


def agreed(model: str, version: str, known: Task | None, wanted: Task | None) -> Task | None:
    """Return the one task of a model and version: as known or as wanted, where only one of them is declared.

    Raises:
        ConfigurationError: when they differ.
    """
    if known is None or wanted is None:
        return known if wanted is None else wanted
    if known != wanted:
        _refuse(f"model {model!r} version {version!r} was declared as {known!r}; {wanted!r} needs a version of its own")
    return wanted


def _refuse(message: str) -> None:
    raise ConfigurationError(message)
