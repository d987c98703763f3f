"""The command line: ``modelmon COMMAND``, also ``python -m modelmon COMMAND``."""

from __future__ import annotations

import argparse
import io
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from modelmon.commands import dashboard, label, rules, serve

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe of another encoding gets question marks, not an error
        sys.stdout.reconfigure(errors="replace")
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 2
    status: int = chosen.run(chosen)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelmon", description="Watch machine-learning models where they run.")
    parser.add_argument("--version", action="version", version=f"modelmon {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser("demo", help="watch two models being watched; ends by itself", description=_DEMO)
    demo.set_defaults(run=_demo)
    demo.add_argument("--seconds", type=float, default=12.0, help="how long the show lasts (default: 12)")
    demo.add_argument("--serve", action="store_true", help="serve Prometheus too, and stay up at the end")
    demo.add_argument("--port", type=int, default=9464, help="the port of --serve (default: 9464)")
    label.add(commands)
    serve.add(commands)
    dashboard.add(commands)
    rules.add(commands)
    return parser


_DEMO = """\
Trains two scikit-learn models on bundled data, serves predictions through the watcher, lets labels arrive late, out of
order, twice, corrected or never, and at the end prints our numbers beside scikit-learn's on the same joined rows.
Exits 0 only if they agree."""


def _demo(chosen: argparse.Namespace) -> int:
    try:
        from modelmon.demo import play  # noqa: PLC0415 - the demo alone needs scikit-learn and rich

        return play(seconds=chosen.seconds, port=chosen.port if chosen.serve else None)
    except (ImportError, OSError) as error:  # an extra that is missing, a port that is taken
        print(f"modelmon: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _version() -> str:
    try:
        return metadata.version("modelmon")
    except metadata.PackageNotFoundError:
        return "(not installed)"
