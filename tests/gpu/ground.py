"""What the sections of the check stand on: torch, the driver, loads that keep a device busy, and a few figures."""

from __future__ import annotations

import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the checkout, installed or not


class Missing(Exception):  # noqa: N818  (no error: it says why there is nothing to do)
    """Say what is not there."""


class Ground:
    """Hold torch, the driver and the first device.

    Attributes:
        seconds: how long a measurement lasts.
        torch: the module, its CUDA initialised.
        nvml: the module pynvml, initialised.
        handle: of the device that torch calls 0.
    """

    def __init__(self, seconds: float) -> None:
        """Find them.

        Raises:
            Missing: when there is no torch, no CUDA or no driver.
        """
        self.seconds = seconds
        self.torch: Any = module("torch")
        if not self.torch.cuda.is_available():
            msg = "torch sees no CUDA device"
            raise Missing(msg)
        self.torch.cuda.init()
        self.nvml: Any = module("pynvml")
        self.nvml.nvmlInit()
        uuid = str(self.torch.cuda.get_device_properties(0).uuid)
        self.handle = self.nvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")

    def asked(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Return what the driver answers, or the name of its error."""
        try:
            return function(*arguments, **more)
        except Exception as error:
            return type(error).__name__

    def energy(self) -> float:
        """Return the counter in joules."""
        return float(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3

    def field(self, number: int) -> tuple[float, int, int] | None:
        """Return value, timestamp and latency of a field, or None where there is none."""
        value = self.nvml.nvmlDeviceGetFieldValues(self.handle, [(number, 0)])[0]
        if value.nvmlReturn != 0:
            return None
        number = value.value.ullVal if value.valueType == 3 else value.value.uiVal
        return number, value.timestamp, value.latencyUsec


class Load:
    """Keep the device busy from a thread of its own, never more than a few milliseconds ahead."""

    def __init__(self, ground: Ground, size: int = 8192, duty: float = 1.0, period: float = 0.0) -> None:
        """Prepare.

        Args:
            ground: whose device.
            size: of the matrices.
            duty: share of each period that is busy.
            period: seconds; 0 for always busy.
        """
        self.torch, self.size, self.duty, self.period = ground.torch, size, duty, period
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self) -> None:
        """Multiply until told to stop."""
        torch = self.torch
        a = torch.randn(self.size, self.size, device="cuda", dtype=torch.bfloat16)
        with torch.cuda.stream(torch.cuda.Stream()):
            while not self.stop.is_set():
                begun = time.monotonic()
                while True:
                    torch.mm(a, a)
                    torch.cuda.current_stream().synchronize()
                    if not self.period or time.monotonic() - begun > self.duty * self.period:
                        break
                if self.period:
                    time.sleep(max(0.0, self.period * (1 - self.duty)))

    def __enter__(self) -> Self:
        """Begin, and wait until the device is warm."""
        self.thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.stop.set()
        self.thread.join()
        self.torch.cuda.synchronize()


def module(name: str) -> Any:
    """Import a module that not every machine has.

    Raises:
        Missing: when it is not there.
    """
    try:
        return import_module(name)
    except Exception as error:
        msg = f"{name} cannot be imported ({type(error).__name__})"
        raise Missing(msg) from error


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return a value that so large a share is not above; None of nothing."""
    return sorted(values)[int(share * (len(values) - 1))] if values else None


def micro(seconds: float | None) -> float | None:
    """Return microseconds to two digits."""
    return None if seconds is None else round(seconds * 1e6, 2)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return count and quantiles of durations in microseconds."""
    quantiles = {f"p{round(100 * share, 1):g}_us": micro(quantile(values, share)) for share in (0.5, 0.99, 1.0)}
    return {"n": len(values), **quantiles}


def each(function: Callable[[], Any], times: int = 200) -> dict[str, Any]:
    """Return the spread of what one call takes."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        function()
        took.append(time.perf_counter() - begun)
    return spread(took)


def fastest(function: Callable[[], Any], torch: Any, times: int = 2000) -> float | None:
    """Return the microseconds of one call, from the best of five runs of so many."""
    found = []
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(times):
            function()
        found.append((time.perf_counter() - begun) / times)
        torch.cuda.synchronize()
    return micro(min(found))
