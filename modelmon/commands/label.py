"""The command ``modelmon label FILE --store URL``."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelmon.commands.failing import failure
from modelmon.directory.place import Place
from modelmon.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    import argparse

    from modelmon.labelfile.batches import Source
    from modelmon.labelfile.columns import Wanted
    from modelmon.labelfile.journey import Journey

DONE, FAILED, USAGE, SOME_BAD, INTERRUPTED = 0, 1, 2, 3, 130

_ABOUT: Final = """\
Delivers the labels of a file to a store: CSV, JSON lines or Parquet, each of the first two also with .gz; - is standard
input.
Batches are committed one by one, and the store remembers how far the file came: after a stop, run the same line again.
Delivering a file twice changes nothing."""
_STATUS: Final = """\
exit status: 0 everything is committed; 1 the store or the file failed; 2 wrong usage;
3 everything is committed but for bad rows, which are in FILE.rejects.csv with line and reason."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    import argparse  # noqa: PLC0415  (loaded already)

    raw = argparse.RawDescriptionHelpFormatter
    made = commands.add_parser(
        "label", help="deliver the labels of a file to a store", description=_ABOUT, epilog=_STATUS, formatter_class=raw
    )
    made.set_defaults(run=run)
    made.add_argument("file", metavar="FILE", help="CSV, JSON lines or Parquet; - for standard input")
    made.add_argument("--store", metavar="URL", help="sqlite:///…, redis://…, postgresql://… (default: MODELMON_STORE)")
    made.add_argument("--model", help="reach only this model's predictions (default: every model's under the id)")
    made.add_argument("--version", help="with --model: only this version's")
    made.add_argument("--id", metavar="COLUMN", help="holds the ids (default: id or prediction_id)")
    made.add_argument("--label", metavar="COLUMN", help="holds the labels (default: label, truth or y)")
    made.add_argument(
        "--at", metavar="COLUMN", help="holds when a label became known (default: at or timestamp, if any)"
    )
    made.add_argument("--rev", metavar="COLUMN", help="holds revisions (default: rev, if there is one)")
    made.add_argument("--retract-value", metavar="TEXT", help="a label of this text takes the label back")
    made.add_argument("--format", choices=("csv", "jsonl", "parquet"), help="(default: by the end of the name)")
    made.add_argument("--batch", type=int, default=8192, metavar="ROWS", help="rows per commit (default: 8192)")
    made.add_argument("--rejects", metavar="FILE", help="where bad rows go (default: FILE.rejects.csv)")
    made.add_argument("--no-progress", action="store_true", help="show no progress")
    made.add_argument("--restart", action="store_true", help="begin at the beginning whatever was delivered before")


def run(chosen: argparse.Namespace) -> int:
    """Deliver a file and return the exit status."""
    try:
        return _run(chosen)
    except StoreError as error:
        _say(f"the store failed ({error.kind}): {error}")
        _say(_resume(chosen.file))
        return FAILED
    except (ConfigurationError, ValueError) as error:
        _say(str(error))
        return USAGE
    except OSError as error:
        _say(failure(error))
        return FAILED
    except (ImportError, EOFError) as error:
        _say(str(error) or type(error).__name__)
        return FAILED
    except KeyboardInterrupt:
        _say(f"stopped; {_resume(chosen.file)}")
        return INTERRUPTED


def _run(chosen: argparse.Namespace) -> int:
    directory = os.environ.get("MODELMON_DIRECTORY")
    url = chosen.store or os.environ.get("MODELMON_STORE") or (directory and Place(directory).store)
    if not url:
        msg = "no store: say --store URL, or set MODELMON_STORE or MODELMON_DIRECTORY"
        raise ConfigurationError(msg)
    if chosen.batch < 1:
        msg = f"--batch {chosen.batch} must be 1 or more"
        raise ConfigurationError(msg)
    from modelmon.client import LabelClient  # noqa: PLC0415  (numpy loads when there is something to do)
    from modelmon.labelfile.bytestreams import alone_with  # noqa: PLC0415
    from modelmon.labelfile.columns import Wanted  # noqa: PLC0415

    wanted = Wanted(chosen.id, chosen.label, chosen.at, chosen.rev, chosen.retract_value)
    source = _open(chosen.file, chosen.format, wanted)
    try:
        with alone_with(chosen.file), LabelClient(url, chosen.model, chosen.version) as client:
            return _deliver(chosen, client, source, wanted)
    finally:
        source.close()


def _open(path: str, told: str | None, wanted: Wanted) -> Source:
    from modelmon.labelfile.bytestreams import format_of  # noqa: PLC0415

    found = format_of(path, told)
    if found == "csv":
        from modelmon.labelfile.tables import Table  # noqa: PLC0415

        return Table(path, wanted)
    if found == "jsonl":
        from modelmon.labelfile.jsonlines import JsonLines  # noqa: PLC0415

        return JsonLines(path, wanted)
    from modelmon.labelfile.parquet import Parquet  # noqa: PLC0415  (pyarrow is an extra)

    return Parquet(path, wanted)


def _deliver(chosen: argparse.Namespace, client: Any, source: Source, wanted: Wanted) -> int:
    from modelmon.labelfile.bytestreams import fingerprint  # noqa: PLC0415
    from modelmon.labelfile.journey import Journey  # noqa: PLC0415
    from modelmon.labelfile.lookalikes import look_alike  # noqa: PLC0415
    from modelmon.labelfile.rejects import Rejects  # noqa: PLC0415
    from modelmon.labelfile.showing import printable, progress  # noqa: PLC0415

    key = fingerprint(chosen.file, repr((source.format, client.scope, wanted)))
    journey = Journey(client, key, restart=chosen.restart)
    if journey.tally.finished:
        rows = f"{journey.tally.rows:,} rows"
        _say(f"{chosen.file} was delivered before, all of it ({rows}); nothing to do. --restart delivers it again.")
        return SOME_BAD if journey.tally.bad else DONE
    if journey.begun_at:
        _say(f"{chosen.file}: going on after {journey.begun_at:,} records that an earlier run delivered")
    name = "standard input" if chosen.file == "-" else Path(chosen.file).name
    rejects = Rejects(Path(chosen.rejects or ("stdin" if chosen.file == "-" else chosen.file) + ".rejects.csv"))
    before, begun = journey.tally.rows, time.monotonic()
    with progress(printable(name), quiet=chosen.no_progress) as shown:
        journey.run(source, rejects, shown, size=chosen.batch)
    _show(journey, printable(name), journey.tally.rows - before, time.monotonic() - begun)
    if journey.tally.unmet:
        _say(f"no label met a prediction: is {client!r} the store that the model writes to, and are these its ids?")
    if source.format == "csv":
        with suppress(StoreError):  # all is committed: that it cannot be read back now is no failure
            if told := look_alike(client.snapshot(), chosen.model):
                _say(told)
    if not journey.tally.bad:
        return DONE
    _say(f"{journey.tally.bad:,} bad row(s) are in {rejects.path}, each with its line and the reason")
    return SOME_BAD


def _show(journey: Journey, name: str, rows: int, seconds: float) -> None:
    print(name)
    for line in journey.tally.table():
        print(line)
    print(f"  {seconds:.1f} s, {rows / max(seconds, 1e-9):,.0f} rows/s")


def _resume(file: str) -> str:
    if file == "-":
        return "deliver the same input again; what was committed comes out as duplicate"
    return "run the same line again to go on after the last committed batch"


def _say(message: str) -> None:
    from modelmon.labelfile.showing import printable  # noqa: PLC0415

    print(f"modelmon: {printable(message)}", file=sys.stderr)
