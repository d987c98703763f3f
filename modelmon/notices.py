"""Say each kind of trouble once on the logger ``modelmon``, then at most every five minutes.

The counters tell how often; the log tells what to do.
``logging`` is loaded at the first notice only, and its configuration is never touched.
"""

from __future__ import annotations

import time
from typing import Final

INTERVAL_S: Final = 300.0
_CAP: Final = 1000
_said: dict[str, float] = {}


def warn(site: str, message: str) -> None:
    """Log a warning unless this site spoke within the last five minutes; never raise."""
    now = time.monotonic()
    last = _said.get(site)
    if last is not None and now - last < INTERVAL_S:
        return
    if len(_said) >= _CAP:
        _said.clear()
    _said[site] = now
    try:
        import logging  # noqa: PLC0415  (loaded at the first notice, not at import)

        logging.getLogger("modelmon").warning("%s", message)
    except Exception:  # noqa: S110  (a broken log handler of the host is not ours to report)
        pass


def forget() -> None:
    """Let every site speak again; for a test that expects its notice."""
    _said.clear()
