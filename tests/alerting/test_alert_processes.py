"""Alerts at the end of a program, and in a forked child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import modelmon
from modelmon import Alerts, ConfigurationError, Monitor, Rule

PROGRAM = """
    import os, sys, time
    from modelmon import Alerts, Monitor, Rule

    monitor = Monitor()

    @monitor(model="m")
    def work(bad):
        if bad:
            raise ValueError

    def fail():
        try:
            work(True)
        except ValueError:
            pass

    def page(alert):
        if sys.argv[1] == "hang":
            time.sleep(1000)
        print(os.getpid() == started, alert.state, alert.model, flush=True)

    started = os.getpid()
    alerts = monitor.add(Alerts(Rule("errors", "errors", above=0), notify=page, every=3600))
    fail()
"""
FORK = """
    monitor.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        work(False)
        while not alerts.alerts:
            time.sleep(0.01)
        assert not alerts.firing, "the child has not failed yet"
        fail()
    monitor.flush()
    monitor.close()
"""


def run(program, how, folder):
    """Run a program, and return what it printed and how long it took."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(program))
    environment = {**os.environ, "PYTHONPATH": str(Path(modelmon.__file__).parents[1])}
    begun = time.monotonic()
    flags = ["-W", "error::ResourceWarning", "-W", "ignore:This process:DeprecationWarning"]  # one forks beside threads
    line = [sys.executable, *flags, str(path), how]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines() + done.stderr.splitlines(), time.monotonic() - begun


def test_the_end_of_a_program_is_evaluated_too(tmp_path):
    """What began after the last period is told before the program ends."""
    told, _ = run(PROGRAM, "ok", tmp_path)
    assert told == ["True firing m"]


@pytest.mark.slow
def test_a_notifier_that_hangs_does_not_keep_a_program_alive(tmp_path):
    """The end waits two seconds for everything, a thousand for nobody, and says what was not delivered."""
    told, took = run(PROGRAM, "hang", tmp_path)
    assert [line for line in told if "not delivered before the end" in line] == told
    assert len(told) == 1
    assert took < 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_counts_and_tells_for_itself(tmp_path):
    """It begins without its parent's states and sends none of its parent's notifications."""
    told, _ = run(textwrap.dedent(PROGRAM) + textwrap.dedent(FORK), "ok", tmp_path)
    assert sorted(told) == ["False firing m", "True firing m"]


def test_alerts_belong_to_one_monitor():
    """A second one is refused and does not close them; once the first is closed they are free again."""
    first, second = Monitor(), Monitor()
    alerts = first.add(Alerts(Rule("errors", "errors", above=0), notify=print))
    assert first.add(alerts) is alerts
    with pytest.raises(ConfigurationError, match="a monitor has these Alerts already"):
        second.add(alerts)
    second.close()
    assert first.flush()
    first.close()
    second.add(alerts)
    second.close()
