"""What a command says of an error of the system."""

from __future__ import annotations

import os


def failure(error: OSError) -> str:
    """Return what went wrong with which file, without the number that the system gives it."""
    said = error.strerror or str(error) or type(error).__name__
    return said if error.filename is None else f"{os.fsdecode(error.filename)}: {said[:1].lower()}{said[1:]}"
