"""The instrumentation scope that all our instruments and metrics are in."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

SCOPE: Final = "modelmon"


def _version() -> str:
    try:
        return version("modelmon")
    except PackageNotFoundError:  # run from its sources
        return ""


VERSION: Final = _version()
