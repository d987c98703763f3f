"""How long calls took on a device, without one: events, queues, captures, streams, errors and forks by a fake torch."""

from __future__ import annotations

import asyncio
import math
import pickle
import sys
import threading

import cloudpickle
import numpy as np
import pytest
from fake_torch import Device, Stream

from modelmon import Monitor, Multiclass, notices
from modelmon.probes import live
from modelmon.probes.contexts import CallContext
from modelmon.probes.cuda import LOOKS, PENDING, Timers
from modelmon.probes.seats import TIMED_FIELDS
from modelmon.probes.sites import Site

MS = 1_000_000


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """Let every test find its devices by itself."""
    monkeypatch.setattr(live._Live, "timers", None)
    monkeypatch.setattr(live._Live, "vain", False)
    monkeypatch.delenv("MODELMON_GPU", raising=False)


@pytest.fixture
def device(monkeypatch):
    """Give a fake torch with one device."""
    device = Device()
    monkeypatch.setitem(sys.modules, "torch", device.module())
    return device


class Clock:
    """Be the clock of a monitor: the fake device's own."""

    def __init__(self, device):
        """Take a device."""
        self.monotonic_ns = device.clock

    def time(self):
        """Return seconds since the epoch."""
        return 1e9 + self.monotonic_ns() / 1e9


@pytest.fixture
def monitor(device):
    """Give a monitor on the fake device's clock."""
    return Monitor(clock=Clock(device))


@pytest.fixture
def timers(device, monkeypatch):
    """Give timers that know the fake device's clock as the host's."""
    timers = Timers(sys.modules["torch"], device.clock)
    monkeypatch.setattr(live._Live, "timers", timers)
    return timers


def warmed(watched, *arguments):
    """Call once, so that the wrapper is written again with timers."""
    watched(*arguments)
    return watched


def timed(monitor, model="m"):
    """Return what was timed, undrained, as mappings."""
    records = []
    for seat in monitor._recorder.seats:
        if seat.site.model == model:
            rows = [seat.timed[at : at + 8] for at in range(0, len(seat.timed), 8)]
            records += [dict(zip(TIMED_FIELDS, row, strict=True)) for row in rows]
    return records


def test_call_is_timed_by_its_device(monitor, device, timers):
    """The device's time counts from when it reached the call's work; the host, which did not wait, shows less."""

    @monitor(model="m", task=Multiclass(), id="order")
    def predict(order):
        device.work(20 * MS)
        device.now += MS
        return order % 2

    warmed(predict, 0)
    device.now += 100 * MS
    predict(1)
    predict(2)
    assert timed(monitor) == []
    device.now += 100 * MS
    reading = monitor.snapshot()["m"]
    assert reading.duration.maximum == 0.001
    assert reading.device_duration.count == 2
    assert reading.device_duration.minimum == reading.device_duration.maximum == 0.02
    assert list(reading.device_durations) == ["device_event"]
    assert (reading.queue_delay.minimum, reading.queue_delay.maximum) == (0.0, 0.019)
    assert reading.calls == 3
    assert not reading.untimed


def test_points_of_device_time(monitor, device, timers):
    """Device time, delay, memory and what could not be timed are points, by the clock that told them."""

    @monitor(model="m")
    def predict(peak, capturing):
        device.work(MS)
        device.peak, device.capturing = peak, capturing

    warmed(predict, 0, False)
    predict(5000, False)
    predict(5000, True)
    device.capturing = False
    device.now += 3000 * MS
    found = {(p.name, dict(p.attributes).get("timing", dict(p.attributes).get("reason"))): p for p in points(monitor)}
    assert found["modelmon.call.device_duration", "device_event"].value.count == 1
    assert found["modelmon.call.device_duration", "host_async"].value.count == 1
    assert found["modelmon.gpu.timers.dropped", "capturing"].value == 1
    assert found["modelmon.gpu.call.queue_delay", None].value.count == 1
    (peak,) = [p for p in found.values() if p.name == "modelmon.gpu.memory.peak"]
    assert (peak.value, dict(peak.attributes)["source"]) == (5000, "torch")


def points(monitor):
    """Return the points of a monitor."""
    return monitor.snapshot().points()


@pytest.mark.fault("G7")
def test_nothing_is_recorded_or_asked_during_a_capture(monitor, device, timers):
    """A call that begins or ends while its stream is captured is timed by the host, and nobody asks for a second."""

    @monitor(model="m")
    def predict(start=False):
        device.capturing = device.capturing or start

    warmed(predict)
    predict()
    asked = sum(event.queries for event in device.events)
    predict(start=True)
    predict()
    device.capturing = False
    predict()
    assert [record["how"] for record in timed(monitor)] == ["device_event", "capturing", "capturing"]
    assert sum(event.queries for event in device.events) == asked
    device.now += 1001 * MS
    predict()
    assert [record["how"] for record in timed(monitor)][3:] == ["device_event", "device_event"]


@pytest.mark.fault("G7")
def test_stream_that_changed_is_left_to_the_host(monitor, device, timers):
    """A call that ends on another stream, or another device, is not timed by events."""

    @monitor(model="m")
    def predict(stream):
        device.stream = stream

    first = device.stream
    warmed(predict, first)
    predict(Stream(device))
    predict(Stream(device, 1))
    predict(device.stream)
    assert [record["how"] for record in timed(monitor)] == ["stream_changed", "stream_changed", "device_event"]


def test_streams_and_devices_do_not_wait_for_one_another(monitor, device, timers):
    """A long call on one stream holds up no reading of another stream, nor of another device."""

    @monitor(model="m")
    def predict(nanoseconds):
        device.work(nanoseconds)

    warmed(predict, 0)
    device.now += MS
    predict(900 * MS)
    device.stream = Stream(device)
    predict(1000)
    device.stream = Stream(device, 1)
    device.now += MS
    predict(2000)
    device.now += MS
    predict(0)
    assert sorted(record["duration"] for record in timed(monitor)) == [0, 1000, 2000]


def test_events_are_used_again_only_once_they_were_read(monitor, device, timers):
    """Events in flight are never recorded anew; those that were read are, so that few are ever made."""

    @monitor(model="m")
    def predict():
        device.work(10 * MS)

    warmed(predict)
    made = len(device.events)
    for _ in range(10):
        predict()
    assert len(device.events) - made == 21  # two for each call, and the base
    assert all(event.records == 1 for event in device.events)
    device.now += 1000 * MS
    for _ in range(50):
        predict()
        device.now += 10 * MS
    assert len(device.events) - made < 30
    assert max(event.records for event in device.events) > 1


def test_a_call_looks_at_few_events(monitor, device, timers):
    """However many calls wait to be read, one call asks at most four times; what said no is asked again."""

    @monitor(model="m")
    def predict():
        device.work(10 * MS)

    warmed(predict)
    for _ in range(40):
        predict()
    device.now += 1000 * MS
    before = sum(event.queries for event in device.events)
    predict()
    assert sum(event.queries for event in device.events) - before == LOOKS
    assert len(timed(monitor)) == LOOKS
    device.refusals = 2
    predict()
    predict()
    assert len(timed(monitor)) == LOOKS
    predict()
    assert len(timed(monitor)) == 2 * LOOKS


def test_threads_share_queues_without_losing_or_doubling_a_call(monitor, device, timers):
    """Calls of several threads on the same streams are each timed once, whoever reads them."""
    predict = monitor(model="m")(lambda: None)

    def serve():
        for _ in range(400):
            predict()

    warmed(predict)
    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading = monitor.snapshot()["m"]
    assert reading.device_durations["device_event"].count == reading.calls - 1 == 1600
    assert not any(timers._queues.values())


def test_what_waits_is_bounded(monitor, device, timers):
    """Of more calls than may wait, the oldest are left to the host, and counted."""

    @monitor(model="m")
    def predict():
        return None

    warmed(predict)
    device.work(10**15)
    for _ in range(PENDING + 3):
        predict()
    assert monitor.snapshot()["m"].untimed == {"overflow": 3}


@pytest.mark.fault("G7")
@pytest.mark.parametrize("when", ["begin", "end", "read"])
def test_error_of_cuda_ends_timing_and_nothing_else(monitor, device, timers, when):
    """After an error of CUDA every call is timed by the host, each is counted, and the user sees their own only."""

    @monitor(model="m")
    def predict(fail=False):
        if fail:
            device.error = RuntimeError("illegal address")
        return 1

    warmed(predict)
    if when == "begin":
        device.error = RuntimeError("illegal address")
    elif when == "end":
        predict(fail=True)
    else:
        device.work(MS)
        predict()
        device.now += 2 * MS
        device.error = RuntimeError("illegal address")
        monitor.flush()
        assert timers.off == "error"
    assert predict() == predict() == 1
    reading = monitor.snapshot()["m"]
    assert timers.off == "error"
    assert reading.untimed == {"error": reading.calls - 1}
    assert reading.device_durations["host_async"].count == reading.calls - 1
    assert reading.device_duration.count == 0


def test_trouble_of_devices_is_said_once(monitor, device, timers, caplog):
    """That calls are no longer timed on the device is said once, without CUDA's own words."""
    predict = warmed(monitor(model="m")(lambda: 1))
    device.error = RuntimeError("secret")
    notices.forget()
    predict()
    monitor.snapshot()
    monitor.snapshot()
    assert caplog.text.count("no longer timed") == 1
    assert "secret" not in caplog.text


def test_exception_of_the_user_passes(monitor, device, timers):
    """A call that raises is counted as an error and not timed; the events of others are read as before."""

    @monitor(model="m")
    def predict(fail):
        if fail:
            raise KeyError

    warmed(predict, False)
    with pytest.raises(KeyError):
        predict(True)
    predict(False)
    reading = monitor.snapshot()["m"]
    assert reading.outcomes == {"ok": 2, "error": 1}
    assert reading.device_duration.count == 1


def test_signal_amid_the_timing_passes(monitor, device, timers):
    """What a handler raises while events are recorded reaches the user, and a call that ran is counted."""

    @monitor(model="m")
    def predict(strike=False):
        if strike:
            device.error = KeyboardInterrupt()

    device.steps = 1
    warmed(predict)
    with pytest.raises(KeyboardInterrupt):
        predict(strike=True)
    device.error = None
    predict()
    assert monitor.snapshot()["m"].calls == 3
    assert timers.off == ""


def test_shapes_of_callables_are_timed(monitor, device, timers, monkeypatch):
    """Coroutines, methods, blocks, objects and generated streams are timed as functions are."""

    def work(*_):
        device.work(2 * MS)
        device.now += 3 * MS

    class Model:
        @monitor(model="m")
        def method(self):
            work()

        def __call__(self):
            work()

    @monitor(model="m")
    async def coroutine():
        work()

    @monitor(model="m", attributes=("country",))
    def sliced(country):
        work()

    called = monitor(model="m")(Model())

    def block():
        with monitor.call(model="m", attributes={"country": "FR"}):
            work()

    shapes = (Model().method, lambda: asyncio.run(coroutine()), lambda: sliced("DE"), called, block)
    monkeypatch.setattr(live._Live, "vain", True)
    for shape in shapes:
        shape()
    monkeypatch.setattr(live._Live, "vain", False)
    live.look(monitor._recorder.seats)
    for shape in shapes:
        shape()
    device.now += 3 * MS
    reading = monitor.snapshot()["m"]
    assert reading.device_duration.count == len(shapes)
    assert reading.device_duration.minimum == reading.device_duration.maximum == 0.003
    assert reading.slice(country="DE").device_duration.count == reading.slice(country="FR").device_duration.count == 1


def test_streams_are_timed_to_their_first_item_and_to_their_end(monitor, device, timers):
    """Streams counted or read, async ones and blocks with items have device time to the first item too."""

    def items():
        for _ in range(3):
            device.work(5 * MS)
            device.now += 5 * MS
            yield 1

    async def slowly():
        for item in items():
            yield item

    async def drain(stream):
        return [item async for item in stream]

    def block():
        with monitor.call(model="m") as call:
            for _ in items():
                call.item()

    counted, read = monitor(model="m")(items), monitor(model="m", output=int)(items)
    sliced = monitor(model="m", attributes=lambda _: {"a": 1})(items)
    asynchronous = monitor(model="m")(slowly)
    shapes = (
        lambda: list(counted()),
        lambda: list(read()),
        lambda: list(sliced()),
        lambda: asyncio.run(drain(asynchronous())),
        block,
    )
    monitor.call(model="m")
    live.look(monitor._recorder.seats)
    for shape in shapes:
        shape()
    device.now += MS
    reading = monitor.snapshot()["m"]
    assert reading.device_duration.count == len(shapes)
    assert reading.device_duration.minimum == reading.device_duration.maximum == 0.015
    assert reading.device_time_to_first_item.count == len(shapes)
    assert reading.device_time_to_first_item.maximum == 0.005
    assert reading.slice(a=1).device_duration.count == 1


def test_stream_left_early_is_not_timed(monitor, device, timers):
    """A stream closed before its end has no device time."""
    stream = monitor(model="m")(lambda: (yield from range(3)))
    list(stream())
    for _ in stream():
        break
    reading = monitor.snapshot()["m"]
    assert reading.outcomes["abandoned"] == 1
    assert reading.device_duration.count == 0


def test_no_stack_left_for_timers(device, timers, desk):
    """Where the stack has no room for timers the call is made all the same and recorded as such."""
    block = CallContext(desk.site())
    watched, site = desk.watch(lambda: 1)
    live.look([site.seat, block._seat])

    class Deep:
        def begin(self, _seat):
            raise RecursionError

        end = staticmethod(timers.end)

    site.timers = block._seat.site.timers = Deep()
    assert watched() == 1
    with block:
        pass
    assert site.seat.timed[6] == "recursion"
    assert len(block._seat.buffer) == block._seat.stride


def test_memory_is_told_only_where_a_call_raised_the_peak(monitor, device, timers):
    """A call within which the allocator's peak rose has that peak; nobody resets it, and few calls are looked at."""
    looks = []

    @monitor(model="m")
    def predict(peak):
        device.peak = peak

    assert math.isnan(monitor.snapshot()["m"].memory_peak)
    warmed(predict, 100)
    for peak in (100, 300, 200, 300):
        predict(peak)
    assert monitor.snapshot()["m"].memory_peak == 300
    device.max_memory_allocated = None
    timers._cuda.max_memory_allocated = lambda number: looks.append(number) or 0
    for _ in range(600):
        predict(0)
    assert 20 < len(looks) <= 2 * (16 + 600 // 256)


def test_allocator_without_statistics_is_no_error(monitor, device, timers):
    """An allocator of the user's own that tells nothing costs the memory alone."""
    predict = warmed(monitor(model="m")(lambda: 1))
    device.peak = None
    predict()
    predict()
    assert monitor.snapshot()["m"].device_duration.count == 2
    assert timers.off == ""


def test_base_is_taken_anew_every_minute_and_only_when_seen_at_once(monitor, device, timers):
    """The delay is unknown where no base could be seen complete at once; a base serves for a minute."""

    @monitor(model="m")
    def predict():
        device.work(MS)

    warmed(predict)
    device.refusals = 32
    predict()
    assert device.refusals == 0
    device.now += 500 * MS
    predict()
    device.now += 501 * MS
    predict()
    device.now += MS
    predict()
    assert [record["delay"] for record in timed(monitor)][:3] == [-1, -1, 0]
    device.steps = 2 * MS  # so slow a host that the base says nothing
    device.now += 61_000 * MS
    old = timers._bases._held[0]
    predict()
    assert timers._bases._held[0] is old
    device.now += 122_000 * MS
    predict()
    assert timers._bases._held == {}


def test_implausible_time_is_not_counted(monitor, device, timers):
    """What is no duration is left to the host and counted."""
    predict = warmed(monitor(model="m")(lambda: 1))
    device.elapsed = float("nan")
    predict()
    assert monitor.snapshot()["m"].untimed == {"implausible": 1}


@pytest.mark.fault("G7")
def test_forked_child_times_by_the_host(monitor, device, timers):
    """In a child no event is touched again, nor destroyed, and its calls are the host's alone."""
    predict = warmed(monitor(model="m")(lambda: device.work(MS)))
    predict()
    timers.renew()
    held = sum(map(len, timers._inherited[1].values()))
    device.error = AssertionError("touched in a child")
    predict()
    timers.resolve()
    reading = monitor.snapshot()["m"]
    assert held == 1
    assert (reading.calls, reading.device_durations) == (3, {})


@pytest.mark.parametrize("how", ["gpu", "environment", "uninitialised", "no torch", "built without CUDA", "broken"])
def test_nothing_is_asked_where_nothing_may_be(device, monkeypatch, how):
    """Without torch, without its CUDA, and where the user says no, wrappers stay as they were made."""
    monitor = Monitor(gpu=False) if how == "gpu" else Monitor()
    if how == "environment":
        monkeypatch.setenv("MODELMON_GPU", "off")
    elif how == "uninitialised":
        device.initialized = False
    elif how == "no torch":
        monkeypatch.delitem(sys.modules, "torch")
    elif how == "built without CUDA":
        del sys.modules["torch"].cuda
    elif how == "broken":
        sys.modules["torch"].cuda.is_initialized = lambda: 1 // 0
    predict = monitor(model="m")(lambda: 1)
    code = predict.__code__
    predict()
    list(monitor(model="s")(lambda: (yield 1))())
    monitor.snapshot()
    predict()
    assert predict.__code__ is code
    assert "timers" not in code.co_names
    assert device.events == []


def test_wrapper_is_written_again_once(monitor, device, timers):
    """A wrapper keeps name, signature and kind; calls under way end as they began, and a wrapper that went is left."""
    running = []

    @monitor(model="m")
    def predict(order, *, key=3):
        """Predict."""
        if order:
            live.look(monitor._recorder.seats)
            running.append(predict(0))
        return key

    before = predict.__code__
    assert predict(1) == 3
    assert running == [3]
    assert len(timed(monitor)) == 1
    assert predict.__code__ is not before
    assert (predict.__name__, predict.__doc__) == ("predict", "Predict.")
    assert predict.__code__.co_name == before.co_name
    assert predict(0, key=4) == 4
    gone = monitor(model="gone")(lambda: 1)
    seat = monitor._recorder.seats[-1]
    del gone
    live.look([seat])
    assert seat.site.timers is timers


@pytest.mark.parametrize("kind", ["function", "stream"])
def test_wrapper_that_travels_by_value_is_timed_where_it_arrives(device, kind):
    """A wrapper pickled with its code calls timers that are not there yet; it works, and is timed once there are."""

    def predict(x):
        return x + 1

    def stream(x):
        yield x + 1

    own = Monitor()
    watched = own(model="m")(predict if kind == "function" else stream)
    live.look(own._recorder.seats)
    text = cloudpickle.dumps(watched)
    device.initialized = False
    live._Live.timers = None
    there = pickle.loads(text)  # noqa: S301
    home = there.__closure__ and next(c.cell_contents for c in there.__closure__ if type(c.cell_contents) is Site).home
    wanted = 3 if kind == "function" else [3]
    assert (there(2) if kind == "function" else list(there(2))) == wanted
    assert home.snapshot()["m"].device_durations == {}
    device.initialized = True
    home.snapshot()
    assert (there(2) if kind == "function" else list(there(2))) == wanted
    assert home.snapshot()["m"].device_duration.count == 1


@pytest.mark.parametrize("kind", ["function", "stream", "block"])
def test_waiting_for_the_device(monitor, device, kind):
    """With ``sync="device"`` a call lasts as long as its work, and what came before is not its own."""

    def work():
        device.work(20 * MS)

    def stream():
        work()
        yield 1

    def block():
        with monitor.call(model="m", sync="device"):
            work()

    shapes = {
        "function": monitor(model="m", sync="device")(work),
        "stream": lambda: list(monitor(model="m", sync="device")(stream)()),
        "block": block,
    }
    device.work(500 * MS)
    shapes[kind]()
    reading = monitor.snapshot()["m"]
    assert device.synchronized == 2
    assert reading.duration.maximum == reading.device_duration.maximum == 0.02
    assert list(reading.device_durations) == ["host_sync"]


def test_waiting_for_all_devices_in_use(monitor, device):
    """Waited for are the current device and those on which torch holds memory."""
    device.reserved = {0: 5, 1: 0, 2: 7}
    sys.modules["torch"].cuda.memory_reserved = device.reserved.__getitem__
    monitor(model="m", sync="device")(lambda: 1)()
    assert device.synchronized == 4


def test_waiting_that_fails_is_no_error_of_the_call(monitor, device):
    """Nobody waits during a capture, and an error of the device shows where the user looks at the result."""
    predict = monitor(model="m", sync="device")(lambda: 1)
    device.capturing = True
    assert predict() == 1
    device.capturing, device.error = False, RuntimeError("illegal address")
    assert predict() == 1
    device.error = None
    assert monitor.snapshot()["m"].untimed == {"capturing": 1, "error": 1}
    assert device.synchronized == 0


def test_waiting_without_a_device_says_nothing(monkeypatch):
    """Where no device is in use nothing is claimed about one."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monitor = Monitor()
    monitor(model="m", sync="device")(lambda: 1)()
    assert monitor.snapshot()["m"].device_durations == {}


class Array:
    """Stand for an array of a library that computes while the host goes on."""

    def __init__(self):
        """Be still computed."""
        self.ready, self.device = False, self

    def synchronize(self):
        """Wait, as CuPy's device does."""
        self.ready = True


def test_waiting_for_arrays_of_other_libraries(monkeypatch):
    """Results of JAX and of CuPy are waited for, alone or in a list or mapping."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    jax = type(sys)("jax")
    jax.block_until_ready = lambda result: [
        array.synchronize() for array in (result if type(result) is list else [result])
    ]
    monkeypatch.setitem(sys.modules, "jax", jax)
    of_jax = type("ArrayImpl", (Array,), {"__module__": "jaxlib.xla_extension"})
    of_cupy = type("ndarray", (Array,), {"__module__": "cupy._core.core"})
    monitor = Monitor()
    for array, result in ((a := of_jax(), [a]), (b := of_cupy(), b)):
        assert monitor(model="m", sync="device")(lambda result=result: result)() is result
        assert array.ready
    monitor(model="m", sync="device")(lambda: {"a": 1})()
    assert monitor.snapshot()["m"].device_durations["host_sync"].count == 2


class ArrayImpl:
    """Stand for an array of JAX that is still computed."""

    shape, nbytes, ndim = (2,), 16, 1

    def is_ready(self):
        """Tell whether it has been computed."""
        return False

    def copy_to_host_async(self):
        """Begin the transfer."""

    def block_until_ready(self):
        """Wait."""

    def __array__(self, *_args, **_kwargs):
        """Return what was computed."""
        return np.array([0, 1])


def test_result_that_is_still_computed_is_the_hosts_word(monkeypatch):
    """A call that returns an unfinished array of JAX has a time that nobody should take for the device's."""
    monkeypatch.setattr(ArrayImpl, "__module__", "jaxlib._jax")
    monkeypatch.setitem(sys.modules, "jaxlib", type(sys)("jaxlib"))
    monitor = Monitor()
    predict = monitor(model="m", task=Multiclass(), attributes=("country",))(
        lambda country, result: (country, result)[1]
    )
    predict("DE", ArrayImpl())
    predict("FR", 1)
    reading = monitor.snapshot()["m"]
    assert reading.predictions == 3
    assert reading.device_duration.count == 0
    assert reading.slice(country="DE").device_durations["host_async"].sum == reading.slice(country="DE").duration.sum
    assert reading.slice(country="FR").device_durations == {}


def test_first_item_under_difficulties(monitor, device, timers):
    """The first item of a stream that changes its stream, or breaks CUDA, has no device time; the stream goes on."""
    other = Stream(device)

    @monitor(model="m")
    def items(how):
        if how == "moved":
            device.stream = other
        if how == "broken":
            device.error = RuntimeError("illegal address")
        yield 1
        yield 2

    assert list(items("")) == [1, 2]
    assert list(items("moved")) == [1, 2]
    assert list(items("broken")) == [1, 2]
    device.error = None
    assert list(items("")) == [1, 2]
    reading = monitor.snapshot()["m"]
    assert reading.device_time_to_first_item.count == 0
    assert reading.untimed == {"stream_changed": 1, "error": 2}


def test_interrupted_timing_loses_no_record(monitor, device, timers, monkeypatch):
    """What a handler of a signal raises while a device is asked reaches the user from wherever it strikes."""

    class StrikeError(Exception):
        pass

    def strike(*_):
        raise StrikeError

    for room in ("cuda", "live", "waiting"):
        monkeypatch.setattr(f"modelmon.probes.{room}.is_signalled", lambda fault: type(fault) is StrikeError)
    predict = warmed(monitor(model="m")(lambda: device.work(MS)))
    predict()
    waiting = monitor(model="w", sync="device")(lambda: 1)
    for name, act in (
        ("max_memory_allocated", lambda: timers.begin(monitor._recorder.seats[0])),
        ("is_current_stream_capturing", timers.resolve),
        ("is_initialized", lambda: live.look([])),
        ("synchronize", waiting),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules["torch"].cuda, name, strike)
            with pytest.raises(StrikeError):
                act()
    device.now += 2 * MS
    assert timers.off == ""
    assert monitor.snapshot()["m"].device_duration.count == 1


def test_reading_during_a_capture_asks_nothing(monitor, device, timers):
    """A snapshot taken in a thread that captures, or where CUDA fails to say, reads no event."""
    predict = warmed(monitor(model="m")(lambda: 1))
    device.work(MS)
    predict()
    device.now += 2 * MS
    device.capturing = True
    assert monitor.snapshot()["m"].device_duration.count == 0
    device.capturing = False
    assert monitor.snapshot()["m"].device_duration.count == 1
    device.error = RuntimeError("illegal address")
    monitor.snapshot()
    assert timers.off == "error"
