"""Tests of addresses: what a store's URL means, and that none shows its secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelmon import ConfigurationError
from modelmon.stores import addresses
from modelmon.stores.addresses import check_address, make_store, redacted
from modelmon.stores.memory import MemoryStore

CANARY = "hunter2"
LEAKY = {
    "user and password": "redis://app:hunter2@cache:6379/0",
    "password alone": "rediss://:hunter2@cache",
    "two hosts": "postgresql://u:hunter2@h1:5432,h2:5432/db",
    "an option": "postgresql:///db?host=/run&password=hunter2",
    "an option with an at sign": "postgres://h/db?password=hunter2@x",
    "a slash in the password": "redis://:hunter2/w@h/0",
    "a question mark in the password": "redis://:hunter2?w@h",
    "both marks in the password": "redis://:x@hunter2?w@h",
    "no at sign": "redis://:hunter2",
    "a number sign": "redis://h#hunter2",
    "an unknown scheme": "mysql://u:hunter2@h/x",
    "no scheme": "app:hunter2@cache",
    "a scheme that is none": "hunter2@x://h",
}


@pytest.mark.fault("Z12")
@pytest.mark.parametrize("url", LEAKY.values(), ids=LEAKY.keys())
def test_no_secret_is_shown(url: str) -> None:
    """Whatever stands in an address, its user, password and options are never shown."""
    assert CANARY not in redacted(url)


@pytest.mark.fault("Z12")
@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/x", "hunter2", "hunter2://h"])
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    """The refusal names the schemes there are, and no secret."""
    with pytest.raises(ConfigurationError, match="postgresql://") as caught:
        check_address(url)
    assert url == "hunter2://h" or CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["sqlite://relative.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///x/", "sqlite:///a%00b"]
)
def test_an_address_without_a_file_is_refused(url: str) -> None:
    """SQLite needs an absolute file; a relative one is given as a path."""
    with pytest.raises(ConfigurationError, match="store"):
        check_address(url)


def test_a_path_may_be_relative_and_memory_is_the_memory_store() -> None:
    """A path means SQLite, and memory needs no address."""
    check_address(Path("labels.db"))
    assert isinstance(make_store("memory"), MemoryStore)
    with pytest.raises(ConfigurationError, match="memory"):
        check_address(Path(":memory:"))


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks a driver learns what to install."""
    monkeypatch.setattr(addresses, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"modelmon\[redis\]"):
        check_address("rediss://cache")
    with pytest.raises(ImportError, match=r"modelmon\[postgres\]"):
        make_store("postgres://db")
