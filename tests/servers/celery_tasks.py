"""A Celery application with a broker of files, whose tasks predict."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery
from pooled_model import labelled, predict

FOLDER = Path(os.environ.get("CELERY_FOLDER", "."))
for name in ("queue", "control", "results"):
    (FOLDER / name).mkdir(exist_ok=True)

app = Celery("tasks", broker="filesystem://", backend=f"file://{FOLDER / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": str(FOLDER / "queue"),
    "data_folder_out": str(FOLDER / "queue"),
    "control_folder": str(FOLDER / "control"),
}
app.conf.worker_hijack_root_logger = False
app.task(name="classify")(predict)
app.task(name="label")(labelled)
