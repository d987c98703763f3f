"""Spans of time as users write them: seconds, or text such as ``"90s"``, ``"5m"``, ``"1h"``, ``"30d"``."""

from __future__ import annotations

import math
import re

from modelmon.errors import ConfigurationError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*")


def seconds(span: float | str, name: str = "duration") -> float:
    """Read a span of time.

    Args:
        span: seconds, a timedelta, or a number with one of the units ms, s, m, h, d, w.
        name: what the span is for; the error names it.

    Returns:
        The span in seconds, zero or more.

    Raises:
        ConfigurationError: when the span cannot be read, is negative or not finite.

    >>> seconds("1h"), seconds("1.5m"), seconds(20)
    (3600.0, 90.0, 20.0)
    """
    if isinstance(span, str):
        match = _SPAN.fullmatch(span)
        if match is None:
            msg = f'{name}={span!r} is no span of time: give seconds or text such as "90s", "5m", "1h", "30d"'
            raise ConfigurationError(msg)
        return float(match[1]) * _UNITS[match[2]]
    total = getattr(span, "total_seconds", None)
    if callable(total):  # a timedelta, not imported for this
        span = float(total())
    if isinstance(span, bool) or not isinstance(span, (int, float)):
        msg = f'{name}={span!r} is no span of time: give seconds or text such as "90s", "5m", "1h", "30d"'
        raise ConfigurationError(msg)
    if not math.isfinite(span) or span < 0:
        msg = f"{name}={span!r} must be finite and zero or more"
        raise ConfigurationError(msg)
    return float(span)
