"""Run the examples that stand in docstrings."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import modelmon

NAMES = ["modelmon", *(module.name for module in walk_packages(modelmon.__path__, "modelmon."))]


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_module(name: str) -> None:
    """What a docstring shows is what happens."""
    try:
        module = import_module(name)
    except ImportError as error:
        pytest.skip(str(error))
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert not results.failed
