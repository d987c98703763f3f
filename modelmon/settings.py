"""What ``configure`` takes, read once into seconds and checked before anything starts."""

from __future__ import annotations

import math
import os

from modelmon.errors import ConfigurationError
from modelmon.signing import Keys
from modelmon.timespans import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any, Literal

    from typing_extensions import TypedDict

    from modelmon.clocks import Clock

    class Options(TypedDict, total=False):
        """Say which settings there are, for type checkers; what each means stands at ``Settings``."""

        store: Any
        directory: str | os.PathLike[str] | None
        clock: Clock | None
        gpu: Literal["auto", False] | float
        ttl: float | str | timedelta
        early_ttl: float | str | timedelta
        correction_horizon: float | str | timedelta
        forget_after: float | str | timedelta
        window: float | str | timedelta
        history: float | str | timedelta
        max_awaiting: int
        max_awaiting_bytes: int | None
        sample_rate: float
        on_conflict: Literal["first", "last"]
        flush_interval: float | str | timedelta
        receipt_key: Any
        strict: bool


_SPANS = ("ttl", "early_ttl", "correction_horizon", "forget_after", "window", "history", "flush_interval")
_DAY = 86400.0
_SLOWEST_HZ, _FASTEST_HZ = 0.1, 50
_DEFAULTS = {
    "store": None,
    "directory": None,
    "clock": None,
    "gpu": "auto",
    "ttl": 30 * _DAY,
    "early_ttl": _DAY,
    "correction_horizon": 30 * _DAY,
    "forget_after": 7 * _DAY,
    "window": 3600.0,
    "history": 90 * _DAY,
    "max_awaiting": 1_000_000,
    "max_awaiting_bytes": None,
    "sample_rate": 1.0,
    "on_conflict": "first",
    "flush_interval": 0.5,
    "receipt_key": None,
    "strict": False,
}
try:
    _BEGUN_IN = os.getcwd()  # noqa: PTH109  (pathlib takes long to load)
except OSError:  # it is gone
    _BEGUN_IN = os.sep


class Settings:
    """Hold the settings of one monitor; spans are seconds. A plain class: it loads before anything is recorded.

    Attributes:
        store: ``"memory"``, a URL, a path or a store object; None for SQLite in ``directory`` if set, else memory.
        directory: where the processes of a machine keep what they counted, or None.
        clock: an object with ``time()`` (seconds) and ``monotonic_ns()``, or None for the machine's clocks.
        gpu: ``"auto"`` reads graphics processors twice a second where a driver is present; a number reads them so often
            in any case; False, or ``MODELMON_GPU=off`` in the environment, never calls a driver.
        ttl: how long a prediction awaits its label.
        early_ttl: how long a label waits for its prediction.
        correction_horizon: how long after its join a label may still be corrected.
        forget_after: how long closed, expired and evicted predictions are remembered.
        window: width of the slots keyed by prediction time.
        history: how long slots are kept apart before they fold into the total.
        max_awaiting: predictions that may await a label; past it a sample by id is kept.
        max_awaiting_bytes: the same as a bound in bytes, or None.
        sample_rate: share of ids kept from the start, in (0, 1].
        on_conflict: which of two different predictions under one id counts, ``"first"`` or ``"last"``.
        flush_interval: longest wait before a durable store is written.
        receipt_key: signs receipts: 16 bytes or more, or several keys of which the first signs and all verify.
        strict: raise where the library would otherwise count; for tests and staging.
    """

    __slots__ = tuple(_DEFAULTS)
    store: Any
    directory: str | None
    clock: Any
    gpu: Any
    ttl: float
    early_ttl: float
    correction_horizon: float
    forget_after: float
    window: float
    history: float
    max_awaiting: int
    max_awaiting_bytes: int | None
    sample_rate: float
    on_conflict: str
    flush_interval: float
    receipt_key: Keys | None
    strict: bool

    def __init__(self, **values: Any) -> None:
        """Take values as they are; ``changed`` reads and checks."""
        for name, default in _DEFAULTS.items():
            object.__setattr__(self, name, values.get(name, default))

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: settings do not change.

        Raises:
            AttributeError: always.
        """
        msg = f"settings are frozen: configure({name}=…) makes new ones"
        raise AttributeError(msg)

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        given = {name: getattr(self, name) for name, default in _DEFAULTS.items() if getattr(self, name) != default}
        if isinstance(given.get("store"), str):  # what follows the scheme may hold a password
            scheme, mark, _ = given["store"].partition("://")
            given["store"] = f"{scheme}{mark}…" if mark else scheme
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def changed(self, **changes: Any) -> Settings:
        """Return these settings with some replaced.

        Raises:
            ConfigurationError: when a setting cannot work; the message names it and what would.
        """
        for name in _SPANS:
            if name in changes:
                changes[name] = seconds(changes[name], name)
        if "receipt_key" in changes:
            changes["receipt_key"] = Keys.of(changes["receipt_key"])
        settings = Settings(**{name: changes.get(name, getattr(self, name)) for name in _DEFAULTS})
        _check(settings)
        return settings


def setting_names() -> tuple[str, ...]:
    """Return the names of all settings."""
    return tuple(_DEFAULTS)


def full_path(given: str) -> str:
    """Return a path from the environment in full: from where the program was when this was loaded."""
    return os.path.normpath(os.path.join(_BEGUN_IN, given))  # noqa: PTH118  (links are to be seen)


def _check(settings: Settings) -> None:
    for name in ("ttl", "window"):
        if getattr(settings, name) <= 0:
            _refuse(f"{name} must be more than 0 seconds")
    if settings.history < settings.ttl + settings.correction_horizon:
        _refuse(
            f"history ({settings.history:g} s) must cover ttl + correction_horizon "
            f"({settings.ttl + settings.correction_horizon:g} s), or a late label would find its window gone",
        )
    for name in ("max_awaiting", "max_awaiting_bytes"):
        bound = getattr(settings, name)
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 1):
            _refuse(f"{name}={bound!r} must be a whole number, 1 or more")
    rate = settings.sample_rate
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not math.isfinite(rate) or not 0 < rate <= 1:
        _refuse(f"sample_rate={rate!r} must be in (0, 1]")
    if settings.on_conflict not in ("first", "last"):
        _refuse(f'on_conflict={settings.on_conflict!r} must be "first" or "last"')
    gpu = settings.gpu
    often = isinstance(gpu, (int, float)) and not isinstance(gpu, bool) and _SLOWEST_HZ <= gpu <= _FASTEST_HZ
    if gpu != "auto" and gpu is not False and not often:
        _refuse(f'gpu={gpu!r} must be "auto", False, or readings per second from {_SLOWEST_HZ} to {_FASTEST_HZ}')
    clock = settings.clock
    if clock is not None and not all(callable(getattr(clock, name, None)) for name in ("time", "monotonic_ns")):
        _refuse("clock needs the methods time() and monotonic_ns()")


def _refuse(message: str) -> None:
    raise ConfigurationError(message)
