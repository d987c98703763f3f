"""Probes: what turns the running world into records, without a lock, a thread or an import beyond the standard library."""

from modelmon.probes.seats import UNREADABLE, Seat, Site
from modelmon.probes.wrappers import watch

__all__ = ["UNREADABLE", "Seat", "Site", "watch"]
