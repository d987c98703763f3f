"""Draw the pictures of the documentation, or ask Grafana's schema: ``python tests/dashboards [--schema] [--hours 14]``.

Lets a made-up day pass, gives it to a real Prometheus, asks it every query of the dashboards that ship, and draws what
it answers into ``docs/dashboards``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "exporters"))  # where a Prometheus is run

from asking import Asker, serving
from history import write_blocks
from pictures import SHOWN, picture
from schema import complaints
from traffic import NEW, OLD, Story

from modelmon.dashboards import DASHBOARDS, to_dict

FOLDER = Path(__file__).parent.parent.parent / "docs" / "dashboards"
MIDNIGHT = 1_790_812_800.0  # 2026-10-01, so that pictures change only with what they show
WARM_UP_H = 4.0  # of the day, before what is shown begins


def main() -> int:
    """Do what is asked for and return the exit status."""
    parser = argparse.ArgumentParser(prog="dev.py dashboards", description=__doc__)
    parser.add_argument("--schema", action="store_true", help="only check the JSON against Grafana's schema (npm)")
    parser.add_argument("--hours", type=float, default=14.0, help="how long the day is (default: 14)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where pictures go (default: docs/dashboards)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder)) if chosen.schema else draw(Path(folder), chosen.hours, chosen.out)


def check(folder: Path) -> int:
    """Ask the schema, and say what it says."""
    found = complaints([to_dict(made) for made in DASHBOARDS.values()], folder)
    say(found or f"{len(DASHBOARDS)} dashboards are what the schema says")
    return 1 if found else 0


def draw(folder: Path, hours: float, out: Path) -> int:
    """Let the day pass and draw it."""
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    data = write_blocks(folder, Story(hours), MIDNIGHT)
    say(f"a day of {hours:g} hours passed in {time.monotonic() - begun:.0f} s")
    with serving(folder, data) as port:
        for shown in SHOWN:
            chosen = {"span": "1h", "reference": "6h", "champion": OLD, "challenger": NEW}
            asker = Asker(port, MIDNIGHT, hours - WARM_UP_H, chosen | ({"model": shown.model} if shown.model else {}))
            text = picture(to_dict(DASHBOARDS[shown.dashboard]), asker, shown.rows)
            (out / f"{shown.file}.svg").write_text(text + "\n", encoding="utf-8")
            say(f"{shown.file}.svg: {len(text):,} characters")
    return 0


def say(message: str) -> None:
    """Print a line at once."""
    print(message, flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    sys.exit(main())
