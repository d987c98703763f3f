"""The Pushgateway: what short jobs counted, pushed to where Prometheus finds it when they are gone.

Rules:

1. One push replaces all that was pushed under the same job and grouping, so a push that failed is made up for by the
   next one, and a push that arrives twice changes nothing.
2. A push has one deadline for all of it, however slowly the gateway takes or answers; redirects are not followed.
3. Where the gateway says that it is busy, or cannot be reached, a push is tried once more, a moment later; anything
   else it says is counted and not tried again before the next period.
4. The gateway overwrites the labels under which is pushed, so attributes of these names are pushed under others.
5. A forked child pushes nothing: under the same name its counts would take the place of its parent's.
"""

from __future__ import annotations

import base64
import os
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from modelmon.errors import ConfigurationError
from modelmon.exporters.exposition import CONTENT_TYPES, Exposition
from modelmon.exporters.listening import is_loopback
from modelmon.exporters.posting import send, target_of
from modelmon.exporters.series import apart
from modelmon.notices import warn
from modelmon.points.attributes import RESERVED
from modelmon.points.reading import points
from modelmon.readers import Periodic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelmon.exporters.posting import Target
    from modelmon.points.catalogue import Point
    from modelmon.readers import Source
    from modelmon.snapshot import Snapshot

TIMEOUT_S: Final = 5.0
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 1.0
_BUSY: Final = frozenset({429, 502, 503, 504})
_DONE: Final = range(200, 300)
_NAME: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_LABEL: Final = "pushgateway"


class RefusedError(Exception):
    """The gateway answered, and did not take what was pushed."""

    def __init__(self, status: int) -> None:
        """Hold the status of its answer."""
        super().__init__(f"the gateway answered {status}")
        self.status = status


class PushgatewayExporter(Periodic):
    """Push a monitor's points to a Pushgateway, every so often and when the program ends.

    It is for jobs that end before Prometheus could scrape them; a service is better scraped.
    ``monitor.flush()`` pushes now.
    """

    def __init__(
        self,
        url: str,
        job: str,
        *,
        every: float | str = 60,
        grouping: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        token: str | None = None,
        cafile: str | os.PathLike[str] | None = None,
        insecure: bool = False,
    ) -> None:
        """Prepare; the first push comes one period after the exporter was added, the last one when the program ends.

        Args:
            url: where the gateway is, such as ``"http://127.0.0.1:9091"``.
            job: the job's name; together with ``grouping`` it says which earlier push this one replaces.
            every: the period, in seconds or as text such as ``"5m"``.
            grouping: further labels of all that is pushed, such as ``{"instance": "host-1"}``.
            login: user and password.
            token: a bearer token.
            cafile: a PEM file with those whose certificates are trusted; those of the system if left out.
            insecure: send login or token unencrypted to other machines too.

        Raises:
            ConfigurationError: when one of them cannot work.
        """
        super().__init__(every, self._push, name=_LABEL)
        self._target = target_of(url, cafile=cafile)
        named = _named(job, grouping or {})
        self._path = "/metrics" + "".join(_pair(*item) for item in named.items())
        self._taken = frozenset(named)
        self._headers = {"Content-Type": CONTENT_TYPES["text"], **_authorisation(login, token)}
        secret = login is not None or token is not None
        if secret and not (insecure or self._target.scheme == "https" or is_loopback(self._target.host)):
            msg = "login= and token= are for https://, or insecure=True where they may be read on the way"
            raise ConfigurationError(msg)
        self._exposition = Exposition()
        self._process: int | None = None

    def __repr__(self) -> str:
        """Show where it pushes to; never a secret."""
        return f"<PushgatewayExporter {self._target}{self._path} every {self._ticker.seconds:g} s>"

    @property
    def target(self) -> Target:
        """Where the gateway is."""
        return self._target

    def attach(self, source: Source) -> None:
        """Push from now on, each period, what ``source`` knows then; in a forked child do nothing."""
        if self._process is None:
            self._process = os.getpid()
        if self._is_here():
            super().attach(source)
            return
        source.count_failure(self.name, "forked")
        text = "only the process that began to push does; with a directory it pushes for all of them"
        warn(f"reader:{self.name}:forked", f"a forked child pushes nothing to {self._target}: {text}")

    def _is_here(self) -> bool:
        return self._process == os.getpid()

    def _tick(self) -> None:
        source = self._source
        if source is None or not self._is_here():
            return
        snapshot = source.scraped()
        with self._gate.enter():
            self._push(snapshot)
        source.succeeded(self.name)

    def _push(self, snapshot: Snapshot) -> None:
        """Push a snapshot now, trying twice where that may help.

        Raises:
            OSError: when the gateway cannot be reached.
            RefusedError: when it does not take it.
        """
        body, end = self._exposition.render(self._points(snapshot)), time.monotonic() + TIMEOUT_S
        pause = self._try(body, end, last=False)
        if pause is not None:
            time.sleep(pause)
            self._try(body, end, last=True)

    def _points(self, snapshot: Snapshot) -> Iterator[Point]:
        """Yield the points of a snapshot, none with a label under which is pushed."""
        for point in points(snapshot):
            attributes = apart(point.attributes, self._taken)
            yield point if attributes is point.attributes else replace(point, attributes=attributes)

    def _try(self, body: bytes, end: float, *, last: bool) -> float | None:
        """Push once; return None where that is all, else the seconds after which to try again."""
        try:
            answer = send(
                self._target, "PUT", self._path, body, self._headers, timeout=max(0.001, end - time.monotonic())
            )
        except (ConnectionError, TimeoutError) as error:
            if last or isinstance(error, TimeoutError):
                raise
            return _PAUSE_S
        if answer.status in _DONE:
            return None
        pause = _PAUSE_S if answer.retry_after is None else answer.retry_after
        if last or answer.status not in _BUSY or pause > _LONGEST_PAUSE_S:
            raise RefusedError(answer.status)
        return pause

    def _complain(self, error: BaseException) -> None:
        reason = str(error.status) if isinstance(error, RefusedError) else type(error).__name__
        if self._source is not None:
            self._source.count_failure(self.name, reason)
        text = f"nothing could be pushed to {self._target} ({reason}); the next push makes up for it"
        warn(f"reader:{self.name}:{reason}", text)


def _named(job: str, grouping: Mapping[str, str]) -> dict[str, str]:
    """Return the labels under which is pushed, the job first.

    Raises:
        ConfigurationError: when one is no label, or one of those that our numbers have already.
    """
    if not isinstance(job, str) or not job:
        msg = f"job={job!r} must be text, and not empty"
        raise ConfigurationError(msg)
    for name, value in grouping.items():
        if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(value, str)) or name == "job":
            msg = f"grouping={dict(grouping)!r} must have names of labels, and texts"
            raise ConfigurationError(msg)
        if name in RESERVED:
            msg = f"grouping has {name!r}, which is a label of the numbers themselves"
            raise ConfigurationError(msg)
    return {"job": job, **grouping}


def _pair(name: str, value: str) -> str:
    """Return a label as the gateway reads it out of a path.

    >>> _pair("job", "nightly"), _pair("path", "/var")
    ('/job/nightly', '/path@base64/L3Zhcg==')
    """
    if value and "/" not in value:
        return f"/{name}/{quote(value, safe='')}"
    return f"/{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}"


def _authorisation(login: tuple[str, str] | None, token: str | None) -> dict[str, str]:
    if login is None and token is None:
        return {}
    if login is not None and token is not None:
        msg = "give login= or token=, not both"
        raise ConfigurationError(msg)
    if login is not None:
        pair = base64.b64encode(":".join(login).encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    if token is None or not token.isascii() or not token.isprintable() or " " in token or not token:
        msg = "token= must be printable, without spaces"
        raise ConfigurationError(msg)
    return {"Authorization": f"Bearer {token}"}
