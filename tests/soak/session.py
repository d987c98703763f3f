"""Run a soak: start the service and what stands around it, then judge what came out; or try the peers."""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_SEED = 20261122


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print, write; return 0 unless a promise was broken."""
    sys.path.insert(0, str(ROOT))
    options = _parser().parse_args(arguments)
    if options.serve:
        from load import serve  # noqa: PLC0415  (the service's own process loads only what it needs)

        return serve(Path(options.serve), options.collector, options.minutes * 60, options.seed)
    if options.peers:
        from peers import compare  # noqa: PLC0415  (peers are installed for the benchmarks only)

        return compare(options.workers, Path(options.out))
    return _soak(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py soak", description="Load a service with all that goes wrong at once.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=_SEED, help="of what happens")
    parser.add_argument("--out", default="build/soak", help="folder for soak.json, soak.svg and peers.json")
    parser.add_argument("--page", default="", help="a Markdown page whose figures to replace (docs/reliability.md)")
    parser.add_argument("--peers", action="store_true", help="instead, try exits, forks and dead workers beside peers")
    parser.add_argument("--workers", type=int, default=1000, help="dead workers, with --peers (default: 1000)")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    parser.add_argument("--collector", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def _soak(options: argparse.Namespace) -> int:
    from figures import figures, slope, table, written  # noqa: PLC0415  (not in the service's process)
    from plot import draw, panels  # noqa: PLC0415

    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="modelmon-soak-") as name:
        done, columns, truth, scraper, kills = _run(Path(name), options)
    found = figures(options.minutes * 60, done, columns, truth, scraper)
    print(table(found))  # noqa: T201
    line = slope(columns["samples"])
    drawn = panels(columns["samples"], scraper.at, scraper.took, line)
    (out / "soak.svg").write_text(draw(drawn), "utf-8")
    state = {
        "minutes": options.minutes,
        "seed": options.seed,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
        "collector_kills": kills,
        "figures": [figure._asdict() for figure in found],
        "slope": line._asdict(),
        "done": done,
        "truth": truth._asdict(),
        "samples": columns["samples"].tolist(),
        "scrapes": {"at": scraper.at, "took": scraper.took},
        "forks": columns["forks"].tolist(),
    }
    (out / "soak.json").write_text(json.dumps(state, default=str), "utf-8")
    if options.page:
        how = f"{options.minutes:g} minutes, {state['machine']}, Python {state['python']}, "
        how += f"load {state['load']:.1f} at the end."
        page = Path(options.page)
        page.write_text(written(page.read_text("utf-8"), found, how), "utf-8")
    broken = [figure.name for figure in found if figure.kept is False]
    print(f"\n{'; '.join(broken) or 'nothing'} broken; {kills} collectors killed; {out}/soak.json, soak.svg")  # noqa: T201
    return 1 if broken else 0


def _run(folder: Path, options: argparse.Namespace) -> tuple[Any, ...]:
    """Run the service in a process of its own; return all that is known afterwards."""
    import numpy as np  # noqa: PLC0415
    from outside import Collector, Scraper  # noqa: PLC0415
    from program import draw  # noqa: PLC0415
    from truths import find  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    collector = Collector(port)
    collector.start()
    line = [sys.executable, str(HERE), "--serve", str(folder), "--collector", str(port)]
    line += ["--minutes", str(options.minutes), "--seed", str(options.seed)]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    with (folder / "errors.log").open("w") as errors:
        service = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            scraper = Scraper(int(_told(service, "port").split()[1]))
            scraper.start()
            flushed = _told(service, "flushed")
            scraper.finish()
            _told(service, "leaving")
            at = time.monotonic()
            code = service.wait(60)
            leaving = time.monotonic() - at
        finally:
            service.kill()
            collector.finish()
    said = (folder / "errors.log").read_text("utf-8")
    sys.stderr.write(said[-3000:])
    done = json.loads((folder / "done.json").read_text("utf-8"))
    done.update(leaving=leaving, code=code, flushed=flushed, said=said.count("\n"))
    with np.load(folder / "done.npz") as file:
        columns = dict(file)
    program = draw(options.minutes * 60, options.seed)
    truth = find(folder, program, done, columns["acknowledged"])
    return done, columns, truth, scraper, collector.kills


def _told(service: subprocess.Popen[str], word: str) -> str:
    """Wait for the line that begins with a word.

    Raises:
        RuntimeError: when the service ended without it.
    """
    assert service.stdout is not None
    for line in service.stdout:
        if word in line:
            return line
    msg = f"the service ended before it said {word!r}"
    raise RuntimeError(msg)
