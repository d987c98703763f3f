"""Errors of set-up and of label calls; a monitored call never raises any of them (unless ``strict=True``)."""

from __future__ import annotations


class ModelmonError(Exception):
    """Base of every error this library raises on purpose."""


class ConfigurationError(ModelmonError, ValueError):
    """Report a setting that cannot work, at the line that made it."""


class StoreError(ModelmonError, RuntimeError):
    """Report labels that were not committed; the same call may be repeated safely.

    Attributes:
        kind: one word on what is wrong: locked, full, readonly, permission, down, timeout, corrupt, unreadable, schema,
            conflict, other.
    """

    def __init__(self, message: str, *, kind: str = "other") -> None:
        """Say what happened, without secrets."""
        super().__init__(message)
        self.kind = kind


class BusyError(ModelmonError, RuntimeError):
    """Report a read or a label from a signal handler or finaliser that interrupted this library in the same thread."""


class RejectedError(ModelmonError, ValueError):
    """Report, under ``strict=True``, what would otherwise have been counted as rejected."""


class InvariantError(ModelmonError, AssertionError):
    """Report a broken conservation law, naming the law and the two numbers."""
