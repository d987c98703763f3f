"""What stands around the service: who scrapes it, and who takes what it sends and is killed now and then."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time

_COLLECTOR = """
import http.server, sys
class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.end_headers()
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Taker).serve_forever()
"""
UP, DOWN = 15.0, 5.0


class Collector(threading.Thread):
    """Take what is sent; be killed each twenty seconds, and stay away for five.

    Attributes:
        kills: how often it was killed.
    """

    def __init__(self, port: int) -> None:
        """Prepare to listen at a port."""
        super().__init__(daemon=True)
        self.kills, self._port, self._over = 0, port, threading.Event()

    def run(self) -> None:
        """Be there, and be killed, until the end."""
        while not self._over.is_set():
            process = subprocess.Popen([sys.executable, "-c", _COLLECTOR, str(self._port)])
            self._over.wait(UP)
            process.kill()
            process.wait()
            self.kills += 1
            self._over.wait(DOWN)

    def finish(self) -> None:
        """Go away."""
        self._over.set()
        self.join()


class Scraper(threading.Thread):
    """Scrape each second.

    Attributes:
        at, took: when each scrape was and how many seconds it took.
        failed: scrapes without an answer, or with another than 200.
        back: counters of calls that were lower than at the scrape before.
        size: bytes of the last answer.
    """

    def __init__(self, port: int) -> None:
        """Prepare to scrape a port."""
        super().__init__(daemon=True)
        self.at, self.took, self.failed, self.back, self.size = list[float](), list[float](), 0, 0, 0
        self._port, self._over, self._seen = port, threading.Event(), dict[str, float]()

    def run(self) -> None:
        """Scrape until the end."""
        start = time.monotonic()
        while not self._over.wait(max(0.0, start + len(self.at) + self.failed + 1 - time.monotonic())):
            before = time.monotonic()
            try:
                text = self._scrape()
            except (OSError, http.client.HTTPException):
                self.failed += 1
                continue
            self.at.append(before - start)
            self.took.append(time.monotonic() - before)
            self._compare(text)

    def _scrape(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise http.client.HTTPException
        self.size = len(body)
        return body.decode()

    def _compare(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith(("modelmon_calls_total", "modelmon_label_events_total")):
                name, _, value = line.rpartition(" ")
                self.back += float(value) < self._seen.get(name, 0.0)
                self._seen[name] = float(value)

    def finish(self) -> None:
        """Scrape no more."""
        self._over.set()
        self.join()
