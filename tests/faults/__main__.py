"""``python tests/faults``: try every fault of the catalogue and say which were survived; --quick for fast tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from verdicts import main

sys.exit(main(sys.argv[1:]))
