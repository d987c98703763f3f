"""``python tests/soak``: load a service for minutes with everything that goes wrong at once, and see what it cost."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from session import main

sys.exit(main())
