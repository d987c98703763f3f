"""Put the pretended library where ``pynvml`` looks for the real one, for the length of a block."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelmon.clocks import SystemClock
from modelmon.devices import presence
from modelmon.devices.nvml.codes import Code
from modelmon.errors import ConfigurationError
from modelmon.fakedriver.driver import OLD, FakeLibrary
from modelmon.fakedriver.faults import Rule
from modelmon.fakedriver.functions import FUNCTIONS
from modelmon.fakedriver.gpus import FakeGpu

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.clocks import Clock


class FakeNvml:
    """A pretended driver: its processors, what is to go wrong, and the calls that were made into it."""

    __slots__ = ("_library",)

    def __init__(self, library: FakeLibrary) -> None:
        """Speak for a library."""
        self._library = library

    @property
    def gpus(self) -> list[FakeGpu]:
        """The processors, in the order of the bus."""
        return self._library.gpus

    def __getitem__(self, place: int) -> FakeGpu:
        """Return one processor."""
        return self._library.gpus[place]

    def calls(self, function: str | None = None) -> int:
        """Return how often a function of the driver was called, such as ``nvmlDeviceGetUUID``, or all of them.

        Raises:
            ConfigurationError: for a function that the pretended driver does not know.
        """
        _check_functions(*() if function is None else (function,))
        return self._library.faults.calls(function)

    def fail(
        self,
        function: str = "*",
        error: str | int = "UNKNOWN",
        *,
        gpu: FakeGpu | None = None,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        """Have calls fail from now on.

        Args:
            function: the driver's function; ``"*"`` is every one.
            error: as in NVIDIA's header less ``NVML_ERROR_``, such as ``"GPU_IS_LOST"``, or a number.
            gpu: only calls about this processor; all if left out.
            after: let so many calls succeed first.
            times: fail so often, then succeed again; for good if left out.

        Raises:
            ConfigurationError: for a function, an error or a processor that the driver does not know.
        """
        _check_functions(function)
        gpus = [one for whole in self.gpus for one in (whole, *whole.instances)]
        if gpu is not None and not any(gpu is one for one in gpus):
            message = f"gpu={gpu!r} is no processor of this driver: give one of its own, such as nvml[0]"
            raise ConfigurationError(message)
        names = Code.__members__
        if isinstance(error, str) and error not in names:
            message = f"error={error!r}: the driver knows {', '.join(names)}"
            raise ConfigurationError(message)
        code = int(names[error] if isinstance(error, str) else error)
        self._library.faults.rules.append(Rule(function, code, gpu.uuid if gpu is not None else None, after, times))

    def heal(self) -> None:
        """Take back every ``fail``."""
        self._library.faults.rules.clear()

    def delay(self, function: str = "*", seconds: float = 0.2) -> None:
        """Have each call of a function, or of all, take so many real seconds; leaving the block ends the wait.

        Raises:
            ConfigurationError: for a function that the pretended driver does not know.
        """
        _check_functions(function)
        self._library.faults.delay(function, seconds)

    def remove(self, *functions: str) -> None:
        """Lack these functions, as an older driver does.

        Raises:
            ConfigurationError: for a function that the pretended driver does not know.
        """
        _check_functions(*functions)
        self._library.missing.update(functions)

    def shut_down(self) -> None:
        """Be shut down, as by another library in this process that counts wrongly."""
        self._library.opened = 0


@contextmanager
def fake_nvml(
    *gpus: FakeGpu,
    count: int = 1,
    clock: Clock | None = None,
    driver_version: str = "580.00.00",
    old: bool = False,
) -> Iterator[FakeNvml]:
    """Pretend that a driver of NVIDIA's and processors are here, to everything in this process that uses ``pynvml``.

    Args:
        gpus: the processors.
        count: so many alike, if none is given.
        clock: what the processors' counters follow, such as a ``FakeClock``; the machine's if left out.
        driver_version: what the driver says it is.
        old: lack the functions that drivers of 2021 lack.

    Yields:
        The driver: ``gpus``, ``fail``, ``heal``, ``delay``, ``remove``, ``shut_down`` and ``calls``.

    Raises:
        ConfigurationError: for arguments of which no driver can be made.
    """
    _check(gpus, count, clock)
    pynvml: Any = import_module("pynvml")
    followed = SystemClock() if clock is None else clock
    chosen = gpus or tuple(FakeGpu() for _ in range(count))
    library = FakeLibrary(chosen, followed.monotonic_ns, driver_version)
    library.missing |= OLD if old else set()
    previous, cached = pynvml.nvmlLib, dict(pynvml._nvmlGetFunctionPointer_cache)  # noqa: SLF001  (no public way)
    _install(pynvml, library, {})
    presence.pretend(library)
    try:
        yield FakeNvml(library)
    finally:
        presence.stop_pretending(library)
        library.opened = 0
        library.faults.free()
        _install(pynvml, previous, cached)


def _check(gpus: tuple[Any, ...], count: int, clock: Any) -> None:
    for gpu in gpus:
        if not isinstance(gpu, FakeGpu):
            message = f"{gpu!r} is no FakeGpu: give fake_nvml(FakeGpu(), ...), or count= for so many alike"
            raise ConfigurationError(message)
    if not isinstance(count, int) or count < 0 or (gpus and count not in (1, len(gpus))):
        given = f" beside {len(gpus)} given" if gpus else ""
        message = f"count={count!r}{given}: give processors, or how many alike there are"
        raise ConfigurationError(message)
    if clock is not None and not callable(getattr(clock, "monotonic_ns", None)):
        message = f"clock={clock!r} needs the method monotonic_ns()"
        raise ConfigurationError(message)


def _check_functions(*functions: str) -> None:
    """Refuse what would fail or be counted for no call: a test of it would prove nothing."""
    for function in functions:
        if function != "*" and function not in FUNCTIONS and function not in OLD:
            message = f"function={function!r}: the pretended driver knows {', '.join(sorted(FUNCTIONS))}"
            raise ConfigurationError(message)


def _install(pynvml: Any, library: Any, cached: dict[str, Any]) -> None:
    pynvml.nvmlLib = library
    pynvml._nvmlGetFunctionPointer_cache.clear()  # noqa: SLF001
    pynvml._nvmlGetFunctionPointer_cache.update(cached)  # noqa: SLF001
