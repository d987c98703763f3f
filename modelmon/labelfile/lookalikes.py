"""Classes that look alike: whole numbers that a program wrote with a decimal point, and so are classes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.tasks import Multiclass

if TYPE_CHECKING:
    from modelmon.snapshot import Snapshot

_TAIL: Final = ".0"


def look_alike(snapshot: Snapshot, only: str | None = None) -> str:
    """Return what to say of labels such as 1.0 where predictions are of a class 1; nothing where there are none.

    Args:
        snapshot: what the store knows.
        only: the one model to look at.

    >>> from modelmon import Monitor, Multiclass
    >>> monitor = Monitor()
    >>> monitor.predictions(["a", "b"], [1, 1], model="m", task=Multiclass())
    >>> _ = monitor.labels(["a", "b"], ["1.0", 1])
    >>> look_alike(monitor.snapshot()).partition(":")[0]
    "model 'm' has 1 label(s) of class '1.0', which is not its class 1"
    """
    for (model, _), found in snapshot.items():
        if not isinstance(found.task, Multiclass) or only not in {None, model}:
            continue
        known = {str(name) for name in found.classes}
        for name, n in found.support.items():
            whole = name.removesuffix(_TAIL) if isinstance(name, str) else name
            if whole != name and whole in known and n:
                return (
                    f"model {model!r} has {n:,} label(s) of class {name!r}, which is not its class {whole}: "
                    "write whole numbers without .0 (pandas: astype('Int64')) and deliver the file again"
                )
    return ""
