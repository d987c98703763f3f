"""Keys that sign receipts: the first one signs, all of them verify, so that keys can be changed without a gap."""

from __future__ import annotations

import os
from typing import Any, Final

from modelmon.errors import ConfigurationError

LEAST_BYTES: Final = 16
VARIABLE: Final = "MODELMON_RECEIPT_KEY"
"""Environment variable with one key or more, separated by white space or commas, the one that signs first."""
_NAME_BYTES: Final = 4
_MAC_BYTES: Final = 16
_PURPOSE: Final = b"modelmon receipt 1\0"


class Keys:
    """Sign and verify; never shown, never written out.

    >>> keys = Keys.of(b"0123456789abcdef")
    >>> keys, keys.opened(keys.signed(b"hello"))
    (<1 receipt key>, b'hello')
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """Take keys; the first signs.

        Raises:
            ConfigurationError: when there is none, or one is too short.
        """
        if not keys or min(map(len, keys)) < LEAST_BYTES:
            msg = f"receipt_key must be {LEAST_BYTES} bytes or more, or a sequence of such keys"
            raise ConfigurationError(msg)
        self._keys = {_digest(key, _PURPOSE)[:_NAME_BYTES]: key for key in keys}

    @classmethod
    def of(cls, given: Any) -> Keys | None:
        """Read what was given: bytes, text (keys separated by white space or commas), several of either, or None.

        Raises:
            ConfigurationError: when that is no key.
        """
        if given is None or isinstance(given, Keys):
            return given
        if isinstance(given, str):
            given = given.replace(",", " ").split()
        parts = [given] if isinstance(given, (bytes, bytearray)) else given
        if not isinstance(parts, (list, tuple)) or not all(isinstance(part, (str, bytes, bytearray)) for part in parts):
            msg = "receipt_key takes bytes, text, or a sequence of either"
            raise ConfigurationError(msg)
        return cls(tuple(part.encode() if isinstance(part, str) else bytes(part) for part in parts))

    @classmethod
    def chosen(cls, given: Any) -> Keys | None:
        """Return the keys given, else those of the environment, else None.

        Raises:
            ConfigurationError: when that is no key.
        """
        return cls.of(os.environ.get(VARIABLE) or None) if given is None else cls.of(given)

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"<{len(self._keys)} receipt key{'s' if len(self._keys) > 1 else ''}>"

    def __reduce__(self) -> Any:
        """Refuse to be pickled.

        Raises:
            TypeError: always.
        """
        msg = "receipt keys are not pickled: give them to each process by its environment"
        raise TypeError(msg)

    def signed(self, body: bytes) -> bytes:
        """Return a body between the signing key's name and the signature."""
        name, key = next(iter(self._keys.items()))
        return name + body + _digest(key, _PURPOSE + name + body)[:_MAC_BYTES]

    def opened(self, data: bytes) -> bytes | None:
        """Return the body that one of the keys has signed.

        Returns:
            The body; None where the signature is another's; empty where no key of that name is here.
        """
        from hmac import compare_digest  # noqa: PLC0415  (only where receipts are taken)

        name, body, mac = data[:_NAME_BYTES], data[_NAME_BYTES:-_MAC_BYTES], data[-_MAC_BYTES:]
        key = self._keys.get(name)
        if key is None:
            return b""
        expected = _digest(key, _PURPOSE + name + body)[:_MAC_BYTES]
        return body if compare_digest(mac, expected) else None


def _digest(key: bytes, text: bytes) -> bytes:
    from hmac import digest  # noqa: PLC0415  (only where receipts are made or taken)

    return digest(key, text, "sha256")
