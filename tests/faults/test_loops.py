"""Event loops and greenlets: other loops, several loops, closed loops, gevent before and after the import."""

from __future__ import annotations

import programs
import pytest

TASKS = """
import asyncio
{install}
own = Monitor()
@own(model="m", id="key")
async def predict(key):
    await asyncio.sleep(0 if key % 2 else 60)
    return 1
@own(model="s")
async def stream(n):
    for x in range(n):
        await asyncio.sleep(0)
        yield x
async def main(n):
    tasks = [asyncio.create_task(predict(key)) for key in range(n)]
    await asyncio.sleep(0)
    for task in tasks[::2]: task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    async for _ in stream(3): pass
    await asyncio.to_thread(own.label, "1", 1)
    assert asyncio.all_tasks() == {{asyncio.current_task()}}
    return sum(isinstance(one, asyncio.CancelledError) for one in ended)
"""
CHECK = """
seen = own.snapshot()
own.check_invariants()
told(cancelled, dict(seen["m"].outcomes), seen["m"].in_flight, seen["m"].awaiting, seen["m"].labelled, seen["s"].calls)
"""
EXPECTED = "5000 {'ok': 5000, 'cancelled': 5000} 0 4999 1 1"


@pytest.mark.fault("C10", "E18")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "twice"])
def test_ten_thousand_tasks_half_cancelled(loop: str) -> None:
    """Of ten thousand tasks half are cancelled; counts are exact on either loop, and on two loops one after another."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    install = "import uvloop; run = uvloop.run" if loop == "uvloop" else "run = asyncio.run"
    act = "cancelled = run(main(10000))"
    if loop == "twice":
        act = "cancelled = run(main(4000)); cancelled += run(main(6000))"
    ended = programs.run(TASKS.format(install=install) + act + CHECK, seconds=60, options=("-W", "error"))
    assert (ended.code, ended.error) == (0, "")
    if loop != "twice":
        assert ended.out == [EXPECTED]
    else:
        assert ended.out[0].startswith("5000 {'ok': 5000, 'cancelled': 5000} 0 ")


@pytest.mark.fault("E18")
def test_calls_on_a_loop_that_was_closed() -> None:
    """A coroutine whose loop is closed under it is abandoned, and the next loop is not disturbed."""
    ended = programs.run("""
        import asyncio
        own = Monitor()
        @own(model="m")
        async def predict(x):
            await asyncio.sleep(x)
            return 1
        loop = asyncio.new_event_loop()
        task = loop.create_task(predict(60))
        loop.run_until_complete(asyncio.sleep(0))
        task._log_destroy_pending = False
        loop.close()
        del task, loop
        import gc; gc.collect()
        assert asyncio.run(predict(0)) == 1
        seen = own.snapshot()["m"]
        told(seen.calls, seen.in_flight, dict(seen.outcomes))
    """)
    assert (ended.code, ended.error) == (0, "")
    assert ended.out[0].startswith("2 0 ")


@pytest.mark.fault("E17")
@pytest.mark.parametrize("order", ["before", "after"])
def test_greenlets_share_a_store_that_waits(order: str) -> None:
    """Greenlets label while the flush greenlet is amid the store's input and output; nobody is refused."""
    pytest.importorskip("gevent")
    patch = "from gevent import monkey; monkey.patch_all()"
    script = """
        from modelmon import MemoryStore
        class Waiting(MemoryStore):
            blocking = True
            def predict(self, predictions): gevent.sleep(0.002); return super().predict(predictions)
            def label(self, labels): gevent.sleep(0.002); return super().label(labels)
        own = Monitor(store=Waiting(), flush_interval=0.01)
        exported = []
        @own(model="m", id="key")
        def predict(key):
            gevent.sleep(0)
            return 1
        PATCH
        import gevent
        own.add(every(0.01, lambda snapshot: exported.append(snapshot["m"].calls)))
        def work(which):
            for x in range(20):
                predict(f"{which}-{x}")
                assert own.label(f"{which}-{x}", 1)["joined"] == 1
        beats = []
        def beat():
            while True: beats.append(1); gevent.sleep(0.001)
        heart = gevent.spawn(beat)
        gevent.joinall([gevent.spawn(work, n) for n in range(10)], raise_error=True, timeout=20)
        heart.kill()
        seen = own.snapshot()["m"]
        own.check_invariants()
        told(seen.calls, seen.labelled, seen.in_flight, len(beats) > 100, own.flush(5), bool(exported))
    """
    script = script.replace("PATCH", patch if order == "after" else "")
    begin = patch if order == "before" else ""
    ended = programs.run(
        script,
        options=("-W", "ignore"),
        first=begin,
    )
    assert (ended.code, ended.error) == (0, "")
    assert ended.out == ["200 200 0 True True True"]
