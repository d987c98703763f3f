"""The join's settings as text, which a store keeps for those who come without settings of their own."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from modelmon.stores.contract import JoinSettings


def write_settings(settings: JoinSettings) -> str:
    """Return settings as JSON.

    >>> read_settings(write_settings(JoinSettings(ttl=60.0))).ttl
    60.0
    """
    kept = asdict(settings)
    del kept["strict"]  # how the owner wants to hear of trouble is not the store's business
    return json.dumps(kept, sort_keys=True)


def read_settings(text: str) -> JoinSettings:
    """Return the settings that were written; what this version does not know is left out."""
    known = {field.name for field in fields(JoinSettings)}
    return JoinSettings(**{name: value for name, value in json.loads(text).items() if name in known})
