"""Watched things pickle, copy and travel to other processes as without us, and are watched there."""

# What is unpickled here was pickled here.
# ruff: noqa: S301

from __future__ import annotations

import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import joblib
import pytest
import watched_things
from watched_things import Model, Net, alias, bare, calls_elsewhere, coroutine, model, partial, score

from modelmon.monitoring import monitor

_SCRIPT = """
import subprocess, sys
import cloudpickle
from modelmon.monitoring import monitor

@monitor(model="main")
def score(x):
    return x + 1

reader = '''
import pickle, sys
from modelmon.monitoring import monitor
score = pickle.loads(sys.stdin.buffer.read())
print(score(1), monitor.snapshot()["main"].calls)
'''
done = subprocess.run([sys.executable, "-c", reader], input=cloudpickle.dumps(score), capture_output=True, check=True)
print(done.stdout.decode())
"""


@pytest.mark.fault("C7")
@pytest.mark.parametrize("protocol", range(4, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("thing", [score, coroutine, Net.method, Net.alone], ids=lambda f: f.__name__)
def test_functions_pickle_by_name(thing, protocol):
    """What a name leads to comes back as itself."""
    assert pickle.loads(pickle.dumps(thing, protocol)) is thing


@pytest.mark.fault("C7")
@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
@pytest.mark.parametrize(("thing", "name"), [(alias, "alias"), (model, "model"), (partial, "partial")])
def test_aliases_and_proxies_pickle_by_value(thing, name, dumps):
    """What no name leads to comes back watched, as the same model."""
    back = pickle.loads(dumps(thing))
    before = monitor.snapshot()[name].calls
    assert (back(5) if name != "partial" else back()) in {0.5, 10}
    assert monitor.snapshot()[name].calls == before + 1
    assert copy.copy(thing)(*([5] if name != "partial" else [])) in {0.5, 10}


@pytest.mark.fault("C8")
def test_functions_are_their_own_copies():
    """Copying a watched function gives the function."""
    for thing in (score, alias, coroutine):
        assert copy.copy(thing) is thing
        assert copy.deepcopy(thing) is thing


@pytest.mark.fault("C7")
def test_bound_methods_pickle():
    """Bound methods come back bound."""
    assert pickle.loads(pickle.dumps(Net().method))(2) == 4.0
    assert pickle.loads(pickle.dumps(Net.of_class))(2) == 2
    assert pickle.loads(pickle.dumps(Net.also_of_class))(2) == 2


@pytest.mark.fault("C8")
def test_deep_copy_of_an_object_that_holds_a_watched_method():
    """The copy's watched method belongs to the copy."""
    net = Net()
    twin = copy.deepcopy(net)
    twin.weights[0] = 7.0
    before = monitor.snapshot()["net"].calls
    assert (net.predict(1), twin.predict(1)) == (1.0, 7.0)
    assert twin.predict.__self__ is twin
    assert monitor.snapshot()["net"].calls == before + 2
    assert pickle.loads(pickle.dumps(net)).predict(1) == 1.0


@pytest.mark.fault("C8")
def test_deep_copy_of_a_watched_object():
    """A copied callable object has its own state and is still watched."""
    twin = copy.deepcopy(model)
    twin.weight = 5
    assert (model(1), twin(1)) == (2, 5)
    assert isinstance(twin, Model)


@pytest.mark.fault("C7", "F8")
def test_processes_of_multiprocessing():
    """A spawned process calls and counts what it was sent."""
    context = multiprocessing.get_context("spawn")
    sent = [(score, "score", 0.5), (alias, "alias", 0.5), (Net().method, "method", 10.0), (model, "model", 10)]
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        for thing, name, expected in sent:
            assert pool.submit(calls_elsewhere, thing, 5, name).result() == (expected, 1)


@pytest.mark.fault("C7")
def test_processes_of_joblib():
    """A loky worker calls and counts what it was sent, nested functions included."""
    rate = 4

    @monitor(model="nested", id=lambda arguments: arguments["x"])
    def nested(x):
        return x * rate

    results = joblib.Parallel(n_jobs=2)(
        joblib.delayed(calls_elsewhere)(thing, 5, name)
        for thing, name in ((nested, "nested"), (score, "score"), (alias, "alias"))
    )
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    assert [result for result, _ in results] == [20, 0.5, 0.5]
    assert all(counted >= 1 for _, counted in results)


@pytest.mark.fault("C7")
def test_functions_of_the_main_script(tmp_path):
    """Functions of ``__main__`` travel by value, as cloudpickle sends them, and are watched where they arrive."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    root = Path(watched_things.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["2", "1"]


def test_unwatched_twin_is_untouched():
    """Watching a function under another name leaves the function as it was."""
    assert pickle.loads(pickle.dumps(bare)) is bare
    assert bare(5) == 0.5
