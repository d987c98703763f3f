"""The command ``modelmon dashboard -o FILE`` or ``--all DIR``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelmon.commands.failing import failure

if TYPE_CHECKING:
    import argparse

DONE, FAILED, USAGE = 0, 1, 2
NAMES: Final = ("overview", "model", "versions", "fleet")

_ABOUT: Final = """\
Writes dashboards for Grafana 10.4 or newer, as JSON to import or to provision. They read Prometheus and need no rules:
overview (all models), model (one in depth), versions (two side by side), fleet (processes, stores, devices)."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    import argparse  # noqa: PLC0415  (loaded already)

    raw = argparse.RawDescriptionHelpFormatter
    made = commands.add_parser(
        "dashboard", help="write dashboards for Grafana", description=_ABOUT, formatter_class=raw
    )
    made.set_defaults(run=run)
    made.add_argument("name", nargs="?", choices=NAMES, help="which one (default: overview)")
    where = made.add_mutually_exclusive_group()
    where.add_argument("-o", "--output", metavar="FILE", default="-", help="where to (default: standard output)")
    where.add_argument("--all", metavar="DIR", help="write all of them into a folder, each as modelmon-NAME.json")


def run(chosen: argparse.Namespace) -> int:
    """Write what was asked for and return the exit status."""
    from modelmon.dashboards import DASHBOARDS, to_json  # noqa: PLC0415  (loads the catalogue)

    if chosen.all is not None and chosen.name is not None:
        print(f"modelmon: --all writes every dashboard: leave {chosen.name!r} out, or give -o FILE", file=sys.stderr)
        return USAGE
    name = chosen.name or "overview"
    try:
        if chosen.all is not None:
            folder = Path(chosen.all)
            folder.mkdir(parents=True, exist_ok=True)
            for each in NAMES:
                _write(folder / f"modelmon-{each}.json", to_json(DASHBOARDS[each]))
        elif chosen.output == "-":
            sys.stdout.write(to_json(DASHBOARDS[name]))
        else:
            _write(Path(chosen.output), to_json(DASHBOARDS[name]))
    except OSError as error:
        print(f"modelmon: {failure(error)}", file=sys.stderr)
        return FAILED
    return DONE


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
    print(path)
