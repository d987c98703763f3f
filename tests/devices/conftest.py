"""Real libraries in the place of NVIDIA's driver, built where a compiler is."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).parent / "driver" / "nvml_simulator.c"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give a function that builds the simulated driver and returns the folder of its library."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here")
    done: dict[tuple[str, ...], Path] = {}

    def build(*flags: str) -> Path:
        if flags not in done:
            folder = tmp_path_factory.mktemp("driver")
            library = str(folder / "libnvidia-ml.so.1")
            line = [compiler, "-shared", "-fPIC", "-O1", "-Wl,-soname,libnvidia-ml.so.1", *flags, "-o", library]
            subprocess.run([*line, str(SOURCE), "-lpthread"], check=True)
            done[flags] = folder
        return done[flags]

    return build


@pytest.fixture
def simulator(built: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., ctypes.CDLL]:
    """Give a function that puts the simulated driver where ``pynvml`` looks for the real one."""
    import pynvml  # noqa: PLC0415  (only tests of the driver load it)

    def install(*flags: str, devices: int = 1, at_us: int = 1_000_000_000) -> ctypes.CDLL:
        library = ctypes.CDLL(str(built(*flags) / "libnvidia-ml.so.1"))
        u32, u64, text = ctypes.c_uint, ctypes.c_ulonglong, ctypes.c_char_p
        for name, arguments in {
            "sim_reset": (u32, ctypes.c_int, u64),
            "sim_clock": (u64,),
            "sim_span": (u32, u64, u64),
            "sim_set": (u32, text, u64),
            "sim_process": (u32, u32, u64),
            "sim_fail": (text, ctypes.c_int, u64),
            "sim_delay": (text, u32),
            "sim_calls": (text,),
        }.items():
            getattr(library, name).argtypes = arguments
        library.sim_calls.restype = u64
        library.sim_reset(devices, 1, at_us)
        monkeypatch.setattr(pynvml, "nvmlLib", library)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return library

    return install
