"""Try the command line, and the scripts a newcomer meets first."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from modelmon.cli import main

ROOT = Path(__file__).parent.parent


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` names the package and ends well."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("modelmon ")


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help comes, and the status says that nothing was done."""
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out


def test_module_runs_as_the_command_line() -> None:
    """``python -m modelmon`` is the same program."""
    line = [sys.executable, "-m", "modelmon", "--version"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.startswith("modelmon ")


def test_demo_without_its_extra_says_what_to_install() -> None:
    """Where rich is missing, the demo ends with one line that names the extra."""
    code = "import sys; sys.modules['rich'] = None; from modelmon.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "modelmon[cli]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not (ROOT / "dev.py").exists(), reason="no sources here")
def test_dev_script_parses_on_old_python() -> None:
    """An old interpreter must get as far as the message that it is too old."""
    ast.parse((ROOT / "dev.py").read_text("utf-8"), feature_version=(3, 6))


@pytest.mark.skipif(not (ROOT / "dev.py").exists(), reason="no sources here")
def test_dev_script_lists_its_commands() -> None:
    """An unknown command is answered by the list of those there are."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "demo" in done.stdout
    assert "check" in done.stdout
