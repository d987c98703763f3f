"""Protocol buffers read back, without a schema."""

from __future__ import annotations

import struct
from collections import defaultdict


def fields(data):
    """Return the fields of a message as {number: [value]}: integers, floats, or bytes."""
    found, at = defaultdict(list), 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        elif key & 7 == 1:
            (value,) = struct.unpack_from("<d", data, at)
            at += 8
        else:
            length = varint()
            value, at = data[at : at + length], at + length
        found[key >> 3].append(value)
    return found


def messages(data):
    """Return every message of a stream in which each stands after its length."""
    while data:
        length = shift = used = 0
        while True:
            length |= (data[used] & 0x7F) << shift
            shift, used = shift + 7, used + 1
            if data[used - 1] < 0x80:
                break
        yield fields(data[used : used + length])
        data = data[used + length :]
