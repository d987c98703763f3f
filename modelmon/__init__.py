"""Watch machine-learning models where they run, and join predictions with labels that arrive later.

>>> from modelmon import monitor
>>> @monitor(model="parity", id="number")
... def predict(number):
...     return "even" if number % 2 == 0 else "odd"
>>> [predict(n) for n in (1, 2, 3)]
['odd', 'even', 'odd']
>>> monitor.labels([1, 2, 3], ["odd", "even", "even"])
JoinReport(joined=3)
>>> round(monitor.snapshot()["parity"].accuracy, 3)
0.667
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelmon.alerting import Alert as Alert
    from modelmon.alerting import Alerts as Alerts
    from modelmon.client import LabelClient as LabelClient
    from modelmon.errors import BusyError as BusyError
    from modelmon.errors import ConfigurationError as ConfigurationError
    from modelmon.errors import InvariantError as InvariantError
    from modelmon.errors import ModelmonError as ModelmonError
    from modelmon.errors import RejectedError as RejectedError
    from modelmon.errors import StoreError as StoreError
    from modelmon.monitoring import Monitor as Monitor
    from modelmon.monitoring import monitor as monitor
    from modelmon.probes.auto_ids import current_prediction_ids as current_prediction_ids
    from modelmon.readers import every as every
    from modelmon.reports import JoinReport as JoinReport
    from modelmon.rules import Burn as Burn
    from modelmon.rules import Objective as Objective
    from modelmon.rules import Rule as Rule
    from modelmon.snapshot import ModelSnapshot as ModelSnapshot
    from modelmon.snapshot import Snapshot as Snapshot
    from modelmon.stores.memory import MemoryStore as MemoryStore
    from modelmon.stores.sqlite import SQLiteStore as SQLiteStore
    from modelmon.tasks import Binary as Binary
    from modelmon.tasks import Multiclass as Multiclass
    from modelmon.tasks import Multilabel as Multilabel
    from modelmon.tasks import Regression as Regression

_HOMES = {
    "Alert": "alerting",
    "Alerts": "alerting",
    "Binary": "tasks",
    "BusyError": "errors",
    "Burn": "rules",
    "ConfigurationError": "errors",
    "InvariantError": "errors",
    "JoinReport": "reports",
    "LabelClient": "client",
    "MemoryStore": "stores.memory",
    "ModelSnapshot": "snapshot",
    "ModelmonError": "errors",
    "Monitor": "monitoring",
    "Multiclass": "tasks",
    "Multilabel": "tasks",
    "Regression": "tasks",
    "Objective": "rules",
    "RejectedError": "errors",
    "Rule": "rules",
    "SQLiteStore": "stores.sqlite",
    "Snapshot": "snapshot",
    "StoreError": "errors",
    "current_prediction_ids": "probes.auto_ids",
    "every": "readers",
    "monitor": "monitoring",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  (one table; type checkers read the imports above)


def __getattr__(name: str) -> Any:
    """Load an exported name at its first use."""
    from importlib import import_module  # noqa: PLC0415

    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("modelmon")
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"modelmon.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List what is exported."""
    return [*globals(), *__all__, "__version__"]
