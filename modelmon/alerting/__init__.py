"""Alerts: rules evaluated in this process, and whoever is told of them."""

from __future__ import annotations

from modelmon.alerting.alert import Alert
from modelmon.alerting.evaluation import Evaluation
from modelmon.alerting.notifiers import Alertmanager, LogNotifier, Webhook
from modelmon.alerting.posting import Refused
from modelmon.alerting.reader import Alerts

__all__ = ["Alert", "Alertmanager", "Alerts", "Evaluation", "LogNotifier", "Refused", "Webhook"]
