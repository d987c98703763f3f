"""Rules: when somebody is to be told, declared once; evaluated in this process, or written out for Prometheus."""

from __future__ import annotations

from modelmon.rules.gauges import windows
from modelmon.rules.objective import Burn, Objective
from modelmon.rules.rule import Rule
from modelmon.rules.writing import prometheus

__all__ = ["Burn", "Objective", "Rule", "prometheus", "windows"]
