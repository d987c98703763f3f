"""A module in the place of ``amdsmi``, as its documents describe it."""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType
from typing import Any


class AmdSmiLibraryException(Exception):  # noqa: N818  (as it is called there)
    """An error of the library."""

    def __init__(self, code: int) -> None:
        """Keep the code."""
        super().__init__(code)
        self.err_code = code


class AmdSmiTemperatureType(IntEnum):
    """Where the temperature is taken."""

    HOTSPOT = 1


class AmdSmiTemperatureMetric(IntEnum):
    """Which temperature."""

    CURRENT = 0


class Chip:
    """A processor; each attribute is what one call answers, an exception is what it raises."""

    def __init__(self, uuid: str, hip_id: int | str, name: str = "AMD Instinct MI300X") -> None:
        """Stand idle at 100 W."""
        self.answers: dict[str, Any] = {
            "amdsmi_get_gpu_device_uuid": uuid,
            "amdsmi_get_gpu_asic_info": {"market_name": name},
            "amdsmi_get_gpu_enumeration_info": {"hip_id": hip_id},
            "amdsmi_get_gpu_activity": {"gfx_activity": 50, "umc_activity": 5},
            "amdsmi_get_gpu_vram_usage": {"vram_total": 1024, "vram_used": 256},
            "amdsmi_get_power_info": {"current_socket_power": 100, "average_socket_power": "N/A", "power_limit": 750},
            "amdsmi_get_energy_count": {"energy_accumulator": 0, "counter_resolution": 15.25, "timestamp": 0},
            "amdsmi_get_gpu_process_list": [],
            "amdsmi_get_gpu_total_ecc_count": {"correctable_count": 1, "uncorrectable_count": 0},
            "amdsmi_get_temp_metric": 48,
        }

    def draw(self, joules: float) -> None:
        """Let the counter stand at so many joules."""
        self.answers["amdsmi_get_energy_count"]["energy_accumulator"] = round(joules * 1e6 / 15.25)


def module(*chips: Chip) -> ModuleType:
    """Return a module with these processors."""
    made: Any = ModuleType("amdsmi")
    made.opened = made.calls = 0

    def opened() -> None:
        made.opened += 1

    def closed() -> None:
        made.opened -= 1

    made.amdsmi_init, made.amdsmi_shut_down = opened, closed
    made.amdsmi_get_processor_handles = lambda: list(chips)
    made.AmdSmiTemperatureType, made.AmdSmiTemperatureMetric = AmdSmiTemperatureType, AmdSmiTemperatureMetric

    def asking(function: str) -> Any:
        def ask(chip: Chip, *_: Any) -> Any:
            made.calls += 1
            answer = chip.answers[function]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return ask

    for function in chips[0].answers if chips else ():
        setattr(made, function, asking(function))
    return made
