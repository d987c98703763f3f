"""Which devices ``CUDA_VISIBLE_DEVICES`` leaves visible, by CUDA's own grammar."""

from __future__ import annotations

import pytest

from modelmon.devices.facts import DeviceId
from modelmon.devices.visible import Physical, choose

A, B, C = (DeviceId(f"GPU-{letter * 4}-0000", "nvidia", "H100") for letter in "abc")
ALIKE = (Physical(A), Physical(B), Physical(C))
M1, M2 = (DeviceId(f"MIG-{n * 4}-0000", "nvidia", "H100 MIG 1g.10gb", A.id) for n in "12")
DIVIDED = (Physical(A, (M1, M2)), Physical(B))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, [A, B, C]),
        ("", []),
        ("NoDevFiles", []),
        ("0", [A]),
        ("2,0", [C, A]),
        (" 1 , +2", [B, C]),
        ("1gpu2,2x", [B, C]),
        ("0,-1,1", [A]),
        ("-1", []),
        ("0,3,1", [A]),
        ("0,,1", [A]),
        ("1,1", []),
        ("0,GPU-bbbb-0000", [A]),
        ("GPU-bbbb-0000", [B]),
        ("GPU-b,GPU-a", [B, A]),
        ("GPU-B", [B]),
        ("GPU-", []),
        ("GPU-x,GPU-a", []),
        ("GPU-a,GPU-x,GPU-b", [A]),
        ("GPU-a,GPU-aaaa", []),
        ("GPU-a,1", [A]),
        ("MIG-1", []),
    ],
)
def test_grammar(text: str | None, expected: list[DeviceId]) -> None:
    """Numbers as strtoul reads them, UUIDs by unique prefix; the first invalid entry ends, a repeated one empties."""
    environ = {} if text is None else {"CUDA_VISIBLE_DEVICES": text}
    assert choose(environ, ALIKE) == (tuple(expected), "exact")


@pytest.mark.parametrize(
    ("text", "expected", "mapping"),
    [
        (None, [M1, B], "assumed"),
        ("0", [M1], "assumed"),
        ("MIG-2", [M2], "exact"),
        ("MIG-2222-0000,MIG-1", [M2, M1], "exact"),
        ("GPU-aaaa", [M1], "exact"),
        ("GPU-bbbb", [B], "exact"),
    ],
)
def test_divided_devices(text: str | None, expected: list[DeviceId], mapping: str) -> None:
    """A number, or the UUID of a divided device, means its first instance; an instance is named by its own UUID."""
    environ = {} if text is None else {"CUDA_VISIBLE_DEVICES": text}
    assert choose(environ, DIVIDED) == (tuple(expected), mapping)


def test_numbers_among_unlike_devices_are_assumed() -> None:
    """CUDA numbers the fastest first, which only CUDA knows, unless told to go by the bus."""
    there = (Physical(A), Physical(B._replace(name="T4")))
    assert choose({"CUDA_VISIBLE_DEVICES": "1"}, there).mapping == "assumed"
    assert choose({"CUDA_VISIBLE_DEVICES": ""}, there).mapping == "exact"
    assert choose({}, there).mapping == "exact"
    assert choose({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, there).mapping == "exact"
    assert choose({"CUDA_VISIBLE_DEVICES": "0"}, ()) == ((), "exact")
