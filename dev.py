#!/usr/bin/env python3
"""Set up ``.venv`` and run what a developer runs: ``python3 dev.py demo | test | faults | check | bench | soak``.

``python3 dev.py gpu-check`` needs a GPU and sets nothing up: it runs in the Python that starts it, which has torch.

Needs the standard library only, and parses on Python 3.6, so that an old interpreter gets a message and no traceback.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "modelmon-dev-stamp")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
OLDEST = (3, 10)
NEWER = ("python3.13", "python3.12", "python3.11", "python3.10", "python3.14")

# command -> (extra to install, command lines to run, one line of help); further arguments go to the last line
COMMANDS = {
    "demo": ("prometheus,sklearn,cli", [["-m", "modelmon", "demo"]], "watch a model being watched (about 15 seconds)"),
    "test": ("dev", [["-m", "pytest"]], "run the test suite; arguments go to pytest, e.g. -m 'not slow'"),
    "faults": ("dev", [[os.path.join("tests", "faults")]], "try every fault of the catalogue; --quick for fast ones"),
    "check": (
        "dev",
        [
            ["-m", "ruff", "check", "."],
            ["-m", "ruff", "format", "--check", "."],
            ["-m", "mypy"],
            ["-m", "pytest", "-q", "tests/test_architecture.py", "tests/test_docs.py"],
        ],
        "lint, format, types, architecture, documentation",
    ),
    "bench": ("dev,bench", [[os.path.join("tests", "bench")]], "measure beside the peers; --quick for a first look"),
    "dashboards": (
        "dev",
        [[os.path.join("tests", "dashboards")]],
        "draw the dashboards over a made-up day; --schema checks their JSON",
    ),
    "soak": (
        "dev,bench",
        [[os.path.join("tests", "soak")]],
        "load a service for --minutes 10 with all that goes wrong",
    ),
    "gpu-check": (
        None,  # this very Python, which has torch: nothing is installed
        [[os.path.join("tests", "gpu", "check.py")]],
        "ask a real GPU; needs torch with CUDA in this Python, and no network",
    ),
}


def main(arguments):
    """Run one command and return its exit status."""
    if sys.version_info < OLDEST:
        return start_again_with_newer(arguments)
    if not arguments or arguments[0] not in COMMANDS:
        print("usage: python3 dev.py COMMAND [ARGUMENTS]\n")
        for name, (_, _, text) in COMMANDS.items():
            print("  {:<12}{}".format(name, text))
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    extra, lines, _ = COMMANDS[arguments[0]]
    if extra is None:
        return subprocess.call([sys.executable] + lines[0] + arguments[1:], cwd=ROOT)
    problem = prepare(extra)
    if problem:
        print("dev.py: " + problem, file=sys.stderr)
        return 1
    environment = dict(os.environ, PATH=BIN + os.pathsep + os.environ.get("PATH", ""), VIRTUAL_ENV=VENV)
    for number, line in enumerate(lines):
        rest = arguments[1:] if number == len(lines) - 1 else []
        if len(lines) > 1:
            print("$ python " + " ".join(line + rest), flush=True)
        status = subprocess.call([PYTHON] + line + rest, cwd=ROOT, env=environment)
        if status:
            return status
    return 0


def start_again_with_newer(arguments):
    """Run this script by a newer Python if there is one, else say what is missing."""
    for name in NEWER:
        if shutil.which(name) and subprocess.call([name, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return subprocess.call([name, os.path.abspath(__file__)] + arguments)
    text = "dev.py: this is Python {}.{}, and Python {}.{} or newer is needed; none was found on PATH."
    print(text.format(*(tuple(sys.version_info[:2]) + OLDEST)), file=sys.stderr)
    return 1


def prepare(extra):
    """Make the environment hold this package with its extras; return what is wrong, or an empty string."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        wanted = hashlib.sha256(ROOT.encode() + file.read()).hexdigest()
    held = read_stamp()
    if held[:1] == [wanted] and set(extra.split(",")) <= held_extras(held) and runs(PYTHON):
        return ""
    if held[:1] != [wanted]:
        held = [wanted]
    started = time.time()
    if not runs(PYTHON):
        held = [wanted]
        problem = create()
        if problem:
            return problem
    print("dev.py: installing modelmon[{}] into .venv ...".format(extra), flush=True)
    if not install("{}[{}]".format(ROOT, extra)):
        return "the packages could not be installed; the lines above say why (is the package index reachable?)"
    with open(STAMP, "w") as file:
        file.write("\n".join([*held, extra]))
    print("dev.py: ready after {:.0f} s".format(time.time() - started), flush=True)
    return ""


def held_extras(held):
    """Return the extras that the environment holds, from its stamp; ``dev`` includes those of the demo."""
    extras = set(",".join(held[1:]).split(","))
    return extras | set(COMMANDS["demo"][0].split(",")) if "dev" in extras else extras


def read_stamp():
    """Return the hash that ``.venv`` was made for and the extras it holds."""
    if not os.path.exists(STAMP):
        return []
    with open(STAMP) as file:
        return file.read().split("\n")


def runs(python):
    """Say whether this interpreter exists, starts, and is new enough."""
    if not os.path.exists(python):
        return False
    code = "import sys; sys.exit(sys.version_info < {})".format(OLDEST)
    return subprocess.call([python, "-c", code], stderr=subprocess.DEVNULL) == 0


def create():
    """Create ``.venv`` by uv or by venv; return what is wrong, or an empty string."""
    print("dev.py: creating .venv with Python {}.{} ...".format(*sys.version_info[:2]), flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    if shutil.which("uv"):
        line = ["uv", "venv", "--quiet", "--python", sys.executable, VENV]
        if subprocess.call(line) == 0:
            return ""
    probe = subprocess.call([sys.executable, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL)
    if probe:
        return (
            "this Python lacks venv or ensurepip. On Debian or Ubuntu: apt-get install python3-venv; "
            "or install uv (https://docs.astral.sh/uv/) and run this again."
        )
    if subprocess.call([sys.executable, "-m", "venv", VENV]):
        return "python -m venv failed; the lines above say why."
    return ""


def install(requirement):
    """Install a requirement, editable, by uv where it can be had and works, else by pip; return success."""
    uv = shutil.which("uv", path=BIN + os.pathsep + os.environ.get("PATH", ""))
    if not uv and runs_pip() and pip("uv"):  # a third of pip's time, its own installation included
        uv = shutil.which("uv", path=BIN)
    if uv:
        if subprocess.call([uv, "pip", "install", "--quiet", "--python", PYTHON, "-e", requirement]) == 0:
            return True
        print("dev.py: uv could not do it; trying pip ...", flush=True)
    if not runs_pip():
        subprocess.call([PYTHON, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
    return pip("-e", requirement)


def pip(*arguments):
    """Install by the environment's own pip; return success."""
    line = [PYTHON, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    return subprocess.call(line + list(arguments)) == 0


def runs_pip():
    """Say whether ``.venv`` has pip (an environment made by uv has none)."""
    null = subprocess.DEVNULL
    return subprocess.call([PYTHON, "-m", "pip", "--version"], stdout=null, stderr=null) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
