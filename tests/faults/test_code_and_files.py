"""What this library would run, open or import by somebody else's choice: nothing; rows Z of the catalogue of faults."""

from __future__ import annotations

import ast
import re
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

import modelmon
from modelmon import ConfigurationError, LabelClient, Monitor, SQLiteStore
from modelmon.stores.addresses import make_store
from modelmon.timespans import seconds

PACKAGE = Path(modelmon.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "codeop"}
UNSAFE_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "yaml.load",
    "yaml.full_load",
    "yaml.unsafe_load",
    "torch.load",
    "joblib.load",
    "os.system",
    "os.popen",
}
GENERATED = "probes/texts.py"  # the text of wrappers, whose names are checked identifiers
PATHS = [
    *("../evil", "../../etc/passwd", "/tmp/evil", "/etc/passwd", "..", ".", "a/../../b", "a/b/c"),  # noqa: S108
    *("\\\\host\\share", "C:\\x", "evil\x00.db", "~/evil", "~root", "$HOME/evil", "%2e%2e%2fevil", "..%c0%afevil"),
    *("file:///etc/passwd", "a#b", "a?b", ".hidden", "con", "nul.txt", "x" * 250, "a\nb", "a\rb", "\u202egnp.exe"),
    *("\ud800", "a;b", "|id", "$(id)", "`id`", "*"),
]
STATEMENTS = [
    "'; DROP TABLE documents; --",
    '"; DROP TABLE documents; --',
    "1; DELETE FROM journal",
    "' OR '1'='1",
    "x' UNION SELECT sql FROM sqlite_master --",
    "documents",
    "%s %(x)s ?1 :x @x $1",
    "\\'; VACUUM; --",
]


def names_of(node: ast.AST) -> set[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {node.module.partition(".")[0]} if isinstance(node, ast.ImportFrom) and node.module else set()


@pytest.mark.fault("Z7")
def test_nothing_that_is_read_can_run() -> None:
    """No file loads what could run code from data, and none but the writer of wrappers compiles text."""
    for path in FILES:
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        assert not {name for node in nodes for name in names_of(node)} & UNSAFE_MODULES, path
        assert not {word.arg for call in calls for word in call.keywords} & {"allow_pickle", "shell"}, path
        if path.relative_to(PACKAGE).as_posix() != GENERATED:
            assert not {ast.unparse(call.func) for call in calls} & UNSAFE_CALLS, path


@pytest.mark.fault("Z8")
def test_names_of_models_are_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models, versions, classes and ids that read like paths make no file but the store's and the directory's own."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        folder.mkdir(0o700)
    trap = outside / "trap"
    trap.write_text("untouched")
    monkeypatch.chdir(outside)
    monkeypatch.setenv("HOME", str(outside))
    own = Monitor(directory=inside)
    for name in [*PATHS, str(trap)]:
        own.predictions([name], [name], model=name, version=name)
        own.label(name, name)
        own(model=name, attributes=lambda _, name=name: {"slice": name})(lambda: None)()
    own.snapshot().points()
    own.close()
    assert [path.name for path in outside.iterdir()] == ["trap"]
    assert trap.read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "outside"]
    made = [path.relative_to(inside).as_posix() for path in inside.rglob("*")]
    assert made
    ours = re.compile(r"labels\.db(-wal|-shm)?|[a-z]+(\.[a-z]+)?|workers/[0-9A-Za-z.-]+")
    assert [name for name in made if not ours.fullmatch(name)] == []


@pytest.mark.fault("Z9")
def test_names_and_ids_are_never_statements(tmp_path: Path) -> None:
    """Statements given as ids, classes, models and versions are kept as text; the schema stays as it was."""

    def schema() -> list[tuple[str]]:
        with closing(sqlite3.connect(tmp_path / "labels.db")) as connection:
            return connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()

    store = SQLiteStore(tmp_path / "labels.db")
    own = Monitor(store=store)
    own.predictions(["plain"], ["a"], model="m")
    own.flush()
    before = schema()
    for text in STATEMENTS:
        own.predictions([text], [text], model=text, version=text)
        assert own.label(text, text)["joined"] == 1
    read = own.snapshot()
    assert all(read[text, text].predicted == {text: 1} for text in STATEMENTS)
    own.close()
    store.close()
    assert schema() == before
    with LabelClient(SQLiteStore(tmp_path / "labels.db")) as client:
        assert {model for model, _ in client.snapshot()} == {"m", *STATEMENTS}


POSING = "pynvml torch pandas polars redis psycopg sklearn opentelemetry tensorflow jax pyarrow".split()


@pytest.mark.fault("Z17")
def test_files_that_pose_as_libraries(tmp_path: Path) -> None:
    """A program started in a directory of files named like optional libraries imports none of them."""
    for name in POSING:
        (tmp_path / f"{name}.py").write_text(f"open('ran-{name}', 'w').close()\nraise SystemExit('{name} ran')\n")
    program = textwrap.dedent("""
        import modelmon, numpy
        from modelmon import Binary, Monitor
        own = Monitor(directory="state")
        @own(model="m", id="key", task=Binary())
        def predict(key, x): return x
        for n in range(100): predict(n, n / 100)
        for x in (numpy.ones(3), [1], None, object(), "a"): predict("k", x)
        own.labels(range(50), [1] * 50)
        own.snapshot().points(); own.flush(); own.close()
        print(own.snapshot()["m"].labelled)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.stdout.split() == ["50"], done.stderr[-2000:]
    assert not list(tmp_path.glob("ran-*"))


@pytest.mark.fault("Z20")
def test_texts_of_settings_are_read_in_no_time() -> None:
    """Long and repetitive texts for spans, addresses and names cost no time, whatever patterns read them."""
    begin = time.monotonic()
    for text in ("1" * 100_000, " " * 100_000, "1." * 50_000, "1 " * 50_000 + "x", "1.1.1" * 20_000, "9" * 5000 + "d"):
        for read in (seconds, lambda text: make_store(f"sqlite://{text}"), lambda text: make_store(f"redis://{text}")):
            with pytest.raises((ConfigurationError, ValueError, ImportError)):
                raise ConfigurationError(str(read(text)))
    long = (
        "redis://" + "@" * 50_000,
        "postgresql://" + "a:" * 50_000,
        "a" * 100_000 + "://",
        "redis://[" + ":" * 50_000,
    )
    for address in long:
        with pytest.raises((ConfigurationError, ValueError, ImportError)):
            raise ConfigurationError(str(make_store(address)))
    assert time.monotonic() - begin < 5


@pytest.mark.fault("Z20")
def test_no_pattern_comes_from_outside() -> None:
    """Every regular expression of the package is a constant."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and re.fullmatch(r"re\.\w+", ast.unparse(node.func)):
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"


@pytest.mark.fault("Z19")
def test_what_memory_holds_is_documented() -> None:
    """Whoever keeps memory dumps is told that predictions and labels of the moment are in them."""
    pages = PACKAGE.parent / "docs"
    if not pages.is_dir():
        pytest.skip("the documentation is not beside the package")
    assert "core dump" in (pages / "labels.md").read_text("utf-8")
