"""What the demo needs beyond the core; a missing one is an ``ImportError`` that names the extra to install."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

EXTRAS: Final = {"rich": "cli", "sklearn": "sklearn"}


def require() -> None:
    """Check that everything can be imported.

    Raises:
        ImportError: where something is missing.
    """
    for package, extra in EXTRAS.items():
        if not _is_there(package):
            msg = f'the demo needs {package}: pip install "modelmon[{extra}]"'
            raise ImportError(msg, name=package)


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # barred by None in sys.modules
        return False


require()
