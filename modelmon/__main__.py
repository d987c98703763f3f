"""Let ``python -m modelmon`` be the command line."""

from __future__ import annotations

import sys

from modelmon.cli import main

if __name__ == "__main__":
    sys.exit(main())
