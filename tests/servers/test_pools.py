"""Pools of processes that predict: all their calls are counted when they end, however each kind of worker ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pool_programs import run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.skipif(os.name != "posix", reason="this system lacks the locks"),
]
METHODS = ["fork", pytest.param("spawn", marks=pytest.mark.slow), pytest.param("forkserver", marks=pytest.mark.slow)]


@pytest.mark.fault("F8", "F9")
@pytest.mark.parametrize("method", METHODS)
def test_processes_of_multiprocessing(method: str, tmp_path: Path) -> None:
    """Processes that run a target and end right after have counted it, and begin at zero."""
    out = run(
        tmp_path,
        f"""
predict(100)
context = multiprocessing.get_context({method!r})
processes = [context.Process(target=predict, args=(number,)) for number in range(4)]
for process in processes: process.start()
for process in processes: process.join()
told([process.exitcode for process in processes], shown()[0])
""",
    )
    assert out == ["[0, 0, 0, 0] 5"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_whose_workers_are_recycled(method: str, tmp_path: Path) -> None:
    """A pool that is closed and joined has lost nothing, though each worker ended after a few tasks."""
    out = run(
        tmp_path,
        f"""
predict(100)
with multiprocessing.get_context({method!r}).Pool(2, maxtasksperchild=3) as pool:
    told(sum(pool.map(predict, range(24), chunksize=2)))
    pool.close(); pool.join()
told(shown()[0])
""",
    )
    assert out == ["24", "25"]


def test_a_pool_that_is_terminated_loses_its_last_interval_at_most(tmp_path: Path) -> None:
    """Its workers end by a signal; what they counted a second ago is there."""
    out = run(
        tmp_path,
        """
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map(predict, range(40))
    until(lambda: shown()[0] == 40)
told(shown()[0])
""",
    )
    assert out == ["40"]


@pytest.mark.parametrize("method", METHODS)
def test_executors(method: str, tmp_path: Path) -> None:
    """A ProcessPoolExecutor's workers have counted everything when it is shut down; labels of any find them."""
    out = run(
        tmp_path,
        f"""
from pooled_model import labelled
context = multiprocessing.get_context({method!r})
with ProcessPoolExecutor(2, mp_context=context) as pool:
    list(pool.map(predict, range(30)))
with ProcessPoolExecutor(2, mp_context=context) as pool:
    list(pool.map(labelled, range(30)))
told(shown())
""",
    )
    assert out == ["(30, 30)"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_joblib(backend: str, tmp_path: Path) -> None:
    """What joblib's workers predicted is shown within a second, while they wait for more; some end by a signal."""
    pytest.importorskip("joblib")
    out = run(
        tmp_path,
        f"""
from joblib import Parallel, delayed
with Parallel(2, backend={backend!r}) as parallel:
    told(sum(parallel(delayed(predict)(number) for number in range(30))))
    until(lambda: shown()[0] == 30)
told(shown()[0])
""",
    )
    assert out == ["30", "30"]


@pytest.mark.slow
def test_workers_of_joblib_that_end(tmp_path: Path) -> None:
    """Workers of loky that are told to end have counted everything."""
    pytest.importorskip("joblib")
    out = run(
        tmp_path,
        """
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
told(sum(Parallel(2)(delayed(predict)(number) for number in range(30))))
get_reusable_executor().shutdown(wait=True)
told(shown()[0])
""",
    )
    assert out == ["30", "30"]
