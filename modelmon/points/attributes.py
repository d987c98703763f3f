"""Attributes of points: safe text, and names of slices that cannot be taken for names of our own."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from modelmon.forking import renew_in_child
from modelmon.points.catalogue import CATALOGUE, Attributes

TEXT_LIMIT: Final = 128
_DIGEST: Final = 9
_MOST: Final = 10_000


class _Changed:
    """Remember which texts were changed in this process, up to a bound."""

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        self.digests: set[str] = set()

    def note(self, digest: str) -> None:
        if len(self.digests) < _MOST:
            self.digests.add(digest)


_changed: Final = _Changed()


def changed_texts() -> int:
    """Return how many different texts were changed to be safe to export, in this process, 10,000 at most."""
    return len(_changed.digests)


def safe_text(text: str) -> str:
    """Return text that every back end can take, and that differs for different texts.

    Lone surrogates become backslash escapes, NUL is removed, and what is too long is cut; text changed in this way ends
    in a digest of the whole, and is at most 128 characters long.

    >>> safe_text("déjà vu"), len(safe_text("x" * 1000))
    ('déjà vu', 128)
    """
    if len(text) <= TEXT_LIMIT and text.isprintable():
        return text
    whole = text.encode("utf-8", "backslashreplace")
    clean = whole.decode("utf-8").replace("\x00", "")
    if clean == text and len(text) <= TEXT_LIMIT:
        return text
    digest = hashlib.blake2b(whole, digest_size=4).hexdigest()
    _changed.note(digest)
    return f"{clean[: TEXT_LIMIT - _DIGEST]}~{digest}"


def label_name(name: str) -> str:
    """Return an attribute's name in the letters, digits and underscores that Prometheus allows.

    >>> label_name("error.type"), label_name("2nd"), label_name("__x")
    ('error_type', '_2nd', 'attr_x')
    """
    letters = "".join(char if char.isascii() and (char.isalnum() or char == "_") else "_" for char in name)
    if not letters or letters[0].isdigit():
        letters = "_" + letters
    return "attr" + letters[1:] if letters.startswith("__") else letters


RESERVED: Final = frozenset(
    {"model", "version", "le", "quantile"}
    | {label_name(attribute) for instrument in CATALOGUE.values() for attribute in instrument.attributes}
)


@lru_cache(maxsize=4096)
def slice_attributes(pairs: Attributes) -> Attributes:
    """Return a slice's attributes under names that clash neither with ours nor with each other.

    A name that reads like one of ours, or like an earlier one, once written for Prometheus gets the prefix ``attr_``.

    >>> slice_attributes((("country", "DE"), ("model", "x")))
    (('country', 'DE'), ('attr_model', 'x'))
    """
    taken = set(RESERVED)
    named = []
    for raw, value in pairs:
        name = safe_text(raw)
        while label_name(name) in taken:
            name = f"attr_{name}"
        taken.add(label_name(name))
        named.append((name, safe_text(value)))
    return tuple(named)
