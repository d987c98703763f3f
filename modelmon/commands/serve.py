"""The command ``modelmon serve --store URL`` or ``--directory DIR``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from modelmon.commands.failing import failure
from modelmon.directory.place import Place, checked
from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from modelmon.serving.tokens import Tokens

FAILED, USAGE, INTERRUPTED = 1, 2, 130
_ENDING_S: Final = 4.5

_ABOUT: Final = """\
Serves a store, or the directory of a machine, over HTTP: POST /v1/labels takes labels, GET /metrics shows the numbers
of the store, and with a directory those of all processes that share it, to Prometheus,
GET /openapi.json describes the intake, GET /healthz tells whether this process lives.
On any but a loopback address a bearer token is needed: a file with a line name:token per source, which is read again
when it changes, or the environment variable MODELMON_TOKEN."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    import argparse  # noqa: PLC0415  (loaded already)

    raw = argparse.RawDescriptionHelpFormatter
    made = commands.add_parser(
        "serve", help="take labels and show metrics of a store over HTTP", description=_ABOUT, formatter_class=raw
    )
    made.set_defaults(run=run)
    made.add_argument("--store", metavar="URL", help="sqlite:///…, redis://…, postgresql://… (default: MODELMON_STORE)")
    made.add_argument(
        "--directory",
        metavar="DIR",
        help="show the processes that share it, and its store (default: MODELMON_DIRECTORY)",
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    made.add_argument("--port", type=int, default=9464, help="the port; 0 takes a free one (default: 9464)")
    made.add_argument("--token-file", metavar="FILE", help="a line name:token for each source of labels")
    made.add_argument(
        "--window",
        metavar="SPAN",
        action="append",
        default=[],
        help="show quality for this window too, such as 1d or 1d:mature; can be repeated",
    )
    made.add_argument("--insecure", action="store_true", help="let in everybody who can reach the address")


def run(chosen: argparse.Namespace) -> int:
    """Serve until a signal ends it, and return the exit status."""
    try:
        return _run(chosen)
    except (ConfigurationError, ValueError) as error:
        print(f"modelmon: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"modelmon: {failure(error)}", file=sys.stderr)
        return FAILED
    except (ImportError, OverflowError) as error:
        print(f"modelmon: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(chosen: argparse.Namespace) -> int:
    directory = _directory(chosen)
    url = chosen.store or os.environ.get("MODELMON_STORE") or (directory and Place(directory).store)
    if not url:
        msg = "no store: say --store URL or --directory DIR, or set MODELMON_STORE or MODELMON_DIRECTORY"
        raise ConfigurationError(msg)
    from modelmon.client import LabelClient  # noqa: PLC0415  (numpy loads when there is something to do)
    from modelmon.serving import application, guards, running  # noqa: PLC0415  (starlette and uvicorn are an extra)

    tokens, local = _tokens(chosen), guards.is_loopback(chosen.host)
    if tokens is None and not (local or chosen.insecure):
        msg = (
            f"--host {chosen.host} can be reached from elsewhere: give --token-file FILE or MODELMON_TOKEN, "
            "or --insecure if everybody may send labels"
        )
        raise ConfigurationError(msg)
    with LabelClient(url) as client, running.listen(chosen.host, chosen.port) as listener:
        where = running.address_of(listener)
        who = "anyone who can reach it" if tokens is None else "who shows a token"
        print(f"{client!r} at {where}: POST {where}/v1/labels, GET {where}/metrics, for {who}", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # comes again once the server has ended in good order
        ending = threading.Event()
        local = local and not chosen.insecure
        windows = chosen.window
        app = application.store_app(client, tokens, local=local, directory=directory, windows=windows, ending=ending)
        running.server_of(app, partial(_end, ending)).run(sockets=[listener])
    return 0


def _end(ending: threading.Event) -> None:
    """Begin no delivery any more, and wait a few seconds, no longer, for the one under way."""
    ending.set()
    last = threading.Timer(_ENDING_S, _leave)
    last.daemon = True
    last.start()


def _leave() -> None:
    print(
        "modelmon: the store did not answer in time; what was under way there is committed whole or not",
        file=sys.stderr,
    )
    os._exit(FAILED)


def _directory(chosen: argparse.Namespace) -> str | None:
    given = chosen.directory or os.environ.get("MODELMON_DIRECTORY")
    return checked(given) if given else None


def _tokens(chosen: argparse.Namespace) -> Tokens | None:
    from modelmon.serving import tokens  # noqa: PLC0415  (only a server needs it)

    if chosen.token_file:
        return tokens.Tokens(file=chosen.token_file)
    token = os.environ.get("MODELMON_TOKEN")
    return tokens.Tokens(token) if token is not None else None
