"""Which devices this process may use: the grammar of ``CUDA_VISIBLE_DEVICES``, as CUDA reads it.

1. Unset: every device. Empty: none.
2. Entries are divided by commas. All are numbers, or all begin with ``GPU-``, or all with ``MIG-``, as the first does.
3. A number is what C's ``strtoul`` makes of it: ``1gpu`` is 1; no digits, or a negative number, is no entry.
4. A UUID may be shortened as long as one device alone begins with it.
5. The first entry that is no device ends the list; an entry that occurs twice empties it.
6. Numbers count the devices fastest first, as CUDA alone knows, unless ``CUDA_DEVICE_ORDER`` says ``PCI_BUS_ID``.
   For devices that are all alike the two orders are the same; else the mapping is assumed.
7. On a divided device a number means its first instance; which of several divided devices CUDA takes is assumed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelmon.devices.facts import Certainty, DeviceId

Found = TypeVar("Found")
_NUMBER: Final = re.compile(r"\s*([+-]?)(\d+)")


class Physical(NamedTuple):
    """A whole device, in the order of the bus, and the instances it is divided into."""

    device: DeviceId
    instances: tuple[DeviceId, ...] = ()

    @property
    def first(self) -> DeviceId:
        """What a number means: the device, or its first instance."""
        return self.instances[0] if self.instances else self.device


class Visible(NamedTuple):
    """The devices of this process in CUDA's order, and whether that is known."""

    devices: tuple[DeviceId, ...]
    mapping: Certainty = "exact"


def choose(environ: Mapping[str, str], there: Sequence[Physical]) -> Visible:
    """Return the devices that the environment leaves visible."""
    text = environ.get("CUDA_VISIBLE_DEVICES")
    alike = len({physical.device.name for physical in there}) <= 1
    whole = not any(physical.instances for physical in there)
    sure = whole and (alike or environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID")
    if text is None:
        # all are there, in whatever order
        return Visible(tuple(physical.first for physical in there), "exact" if whole else "assumed")
    entries = text.split(",")
    for prefix, candidates in (
        ("GPU-", [physical.device for physical in there]),
        ("MIG-", [instance for physical in there for instance in physical.instances]),
    ):
        if entries[0].strip().startswith(prefix):
            chosen = _unlike(_by_uuid(entry.strip(), prefix, candidates) for entry in entries)
            return Visible(tuple(_undivided(device, there) for device in chosen))
    numbers = _unlike(_number(entry, len(there)) for entry in entries)
    return Visible(tuple(there[number].first for number in numbers), "exact" if sure or not numbers else "assumed")


def _unlike(found: Iterable[Found | None]) -> list[Found]:
    """Return what comes before the first None; nothing if anything occurs twice."""
    kept: list[Found] = []
    for one in found:
        if one is None:
            break
        if one in kept:
            return []
        kept.append(one)
    return kept


def _number(entry: str, there: int) -> int | None:
    found = _NUMBER.match(entry)
    if found is None or found[1] == "-":
        return None
    number = int(found[2])
    return number if number < there else None


def _by_uuid(entry: str, prefix: str, candidates: Sequence[DeviceId]) -> DeviceId | None:
    if not entry.startswith(prefix):
        return None
    found = [device for device in candidates if device.id.lower().startswith(entry.lower())]
    return found[0] if len(found) == 1 else None


def _undivided(device: DeviceId, there: Sequence[Physical]) -> DeviceId:
    """Return the first instance of a divided device, of any other the device."""
    return next((physical.first for physical in there if physical.device == device), device)
