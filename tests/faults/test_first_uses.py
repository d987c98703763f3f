"""Threads that use the library for the first time at once, each loading what the others load too."""

from __future__ import annotations

import programs
import pytest

# The thread that loads a package may lose its turn before others see the module; here it does, until another one came.
MEETING = """
import sys, threading, time
from importlib.machinery import PathFinder
met = threading.Event()
class Meeting:
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target) if name == sys.argv[1] else None
        if spec is not None:
            spec.loader.create_module = lambda spec: (met.set(), time.sleep(0.4)) and None
        return spec
sys.meta_path.insert(0, Meeting)
"""


@pytest.mark.parametrize("package", ["points", "accumulators", "readings", "quality", "snapshot"])
def test_a_first_export_beside_a_first_flush(package: str) -> None:
    """The exporter's thread and the program's load the same packages; neither waits for what waits for it."""
    ended = programs.run(
        """
        own = Monitor(flush_interval=3600)
        @own(model="m")
        def predict(): return 1
        predict()
        exported = threading.Event()
        own.add(every(0.001, lambda snapshot: exported.set()))
        told(met.wait(60))
        told(own.flush(60), exported.wait(60), own.snapshot()["m"].calls)
        own.check_invariants()
        """,
        f"modelmon.{package}",
        first=MEETING,
    )
    assert (ended.code, ended.error) == (0, "")
    assert ended.out == ["True", "True True 1"]
