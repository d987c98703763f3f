"""Hold what ``import modelmon`` loads: the call half alone, and of other people's code nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

import modelmon

HEAVY = (
    "numpy wrapt sklearn pandas polars pyarrow torch jax tensorflow opentelemetry prometheus_client pynvml rich "
    "asyncio sqlite3 redis psycopg http socketserver ssl logging inspect multiprocessing"
).split()
PUBLIC = "monitor Monitor Binary Multiclass Multilabel Regression Snapshot every MemoryStore LabelClient".split()


def loaded_by(program: str) -> set[str]:
    """Return the modules that a program loads in a new interpreter, beyond those the interpreter starts with."""
    code = (
        f"import sys, json; before = set(sys.modules)\n{program}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    line = [sys.executable, "-c", code]
    return set(json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout))


def foreign(modules: set[str]) -> set[str]:
    """Return the top-level names among modules that are neither ours nor of the standard library."""
    return {name.split(".")[0] for name in modules} - {"modelmon"} - set(sys.stdlib_module_names)


def test_bare_import_loads_the_standard_library_alone() -> None:
    """``import modelmon`` and taking the decorator from it load no other distribution, and no heavy module at all."""
    for program in ("import modelmon", "from modelmon import monitor, Binary, Multiclass, Multilabel, Regression"):
        modules = loaded_by(program)
        assert not foreign(modules)
        assert not modules & set(HEAVY), sorted(modules & set(HEAVY))


def test_watching_calls_loads_no_numpy_before_the_first_read() -> None:
    """Decorating a function and calling it a few times still needs the standard library alone."""
    calls = "from modelmon import monitor\n@monitor(model='m')\ndef f(x): return x\nfor _ in range(9): f(1)"
    assert not foreign(loaded_by(calls))
    assert "numpy" in foreign(loaded_by(calls + "\nmonitor.snapshot()"))


def test_first_read_loads_no_extra() -> None:
    """Calls, labels and a snapshot need none of the extras."""
    program = "from modelmon import monitor\n@monitor(model='m', id='x')\ndef f(x): return x\nf(1); monitor.label(1, 1)"
    extras = {"sklearn", "rich", "prometheus_client", "pandas", "pynvml", "torch", "redis"}
    assert not foreign(loaded_by(program + "\nrepr(monitor.snapshot())")) & extras


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_resolves(name: str) -> None:
    """Each public name is an attribute, stands in ``__all__`` and ``dir``, and no submodule bears it."""
    assert getattr(modelmon, name) is not None
    assert name in modelmon.__all__
    assert name in dir(modelmon)
    with pytest.raises(ModuleNotFoundError):
        import_module(f"modelmon.{name}")


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that is not there fails as on any module."""
    with pytest.raises(AttributeError, match="no_such_name"):
        modelmon.no_such_name  # noqa: B018


@pytest.mark.fault("X10")
@pytest.mark.parametrize(
    ("module", "distribution", "extra"),
    [
        ("modelmon.exporters.prometheus", "prometheus_client", "prometheus"),
        ("modelmon.demo", "rich", "cli"),
        ("modelmon.serving", "starlette", "serve"),
        ("modelmon.serving.running", "uvicorn", "serve"),
        ("modelmon.labelfile.parquet", "pyarrow", "backfill"),
    ],
)
def test_missing_extra_is_named(module: str, distribution: str, extra: str) -> None:
    """Where an extra is missing, the user's own import line raises ``ImportError`` naming what to install."""
    code = f"import sys; sys.modules[{distribution!r}] = None\nimport {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError" in done.stderr.splitlines()[-1]
    assert f"modelmon[{extra}]" in done.stderr.splitlines()[-1]
