"""Disks without space and directories without permission: calls go on, and all is written once it can be."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
PROGRAM = str(Path(__file__).with_name("full_disks.py"))
_PR_CAPBSET_DROP = 24
_OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def run(line: list[str], **options: object) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=100, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.fault("S1")
def test_a_full_disk(tmp_path: Path) -> None:
    """A file system of 4 MB fills up twice; nothing that was confirmed is lost, and nothing else either."""
    mount = f"mount -t tmpfs -o size=4m none {tmp_path}"
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode
    ):
        pytest.skip("no file system of one's own can be mounted here")
    run([unshare, "-rm", "sh", "-c", f"{mount} && exec {sys.executable} {PROGRAM} tmpfs {tmp_path}"])


@pytest.mark.fault("S2")
def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """The same with a bound on the size of files."""
    run([sys.executable, PROGRAM, "limited", str(tmp_path)])


@pytest.mark.fault("S2")
@pytest.mark.parametrize("what", ["closed", "readonly"])
def test_what_may_not_be_written(tmp_path: Path, what: str) -> None:
    """A directory or a file that turns writable later is used from then on, without a restart."""
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    libc = ctypes.CDLL(None)

    def obey() -> None:
        """Give up what lets root write everywhere."""
        for capability in _OVERRIDES:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)

    said = run([sys.executable, PROGRAM, what, str(folder)], preexec_fn=obey)
    folder.chmod(0o700)
    if "skip" in said:
        pytest.skip(said)
