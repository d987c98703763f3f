"""``python tests/bench`` or ``python -m tests.bench``: measure this library beside its peers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from session import main

sys.exit(main())
