"""Make the servers of the exporters' tests, and the promtool of the rules' tests, importable by name."""

from __future__ import annotations

import sys
from pathlib import Path

for room in ("rules", "exporters"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))
