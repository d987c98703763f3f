"""Probes: what turns the running world into records, without a lock or a thread."""

from modelmon.probes.seats import UNREADABLE, Seat, Site
from modelmon.probes.wrappers import watch

__all__ = ["UNREADABLE", "Seat", "Site", "watch"]
