"""TensorBoard: one run per model, version and slice, with the same numbers as every other back end.

1. Every point but those of many parts is a scalar; a distribution is a histogram and three quantiles.
   A confusion matrix and the reliability of scores are pictures; scores of a class give a precision-recall curve.
2. A run is a folder. Its events are written by the thread that exports, which owns no other thread, and a forked child
   writes a file of its own.
3. A folder that was deleted is made again; one that cannot be written is a failed export, tried again at the next.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.errors import ConfigurationError
from modelmon.exporters.eventfile import EventFile, Instant
from modelmon.exporters.pictures import confusion_picture, reliability_picture
from modelmon.identity import class_texts
from modelmon.notices import warn
from modelmon.points.attributes import safe_text
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.instruments import HistogramValue
from modelmon.points.reading import points
from modelmon.points.sheets import CELL_CLASSES, series_attributes
from modelmon.points.windows import window_of
from modelmon.readers import Periodic
from modelmon.tasks import Binary, Multiclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelmon.points.instruments import Attributes, Point
    from modelmon.readings.distributions import Distribution
    from modelmon.snapshot import ModelSnapshot, Snapshot

RUNS: Final = 200
THRESHOLDS: Final = 127
PROCESS: Final = "process"
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_PARTS: Final = ("modelmon.confusion", "modelmon.class.", "modelmon.score.")
_UNSAFE: Final = re.compile(r"[^\w.=+-]|^\.+$", re.ASCII)
_LONGEST: Final = 100
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


class TensorBoardExporter(Periodic):
    """Write what is known of every model and version to folders that TensorBoard reads, once per period.

    TensorBoard itself is not needed here: ``tensorboard --logdir`` shows the folders wherever it is installed.
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str],
        every: float | str = 60,
        *,
        windows: Sequence[str] = (),
        make: Callable[[Path], Any] = EventFile,
    ) -> None:
        """Prepare; the first events come one period after the exporter was added.

        Args:
            logdir: the folder of all runs, made where it is missing.
            every: the period, in seconds or as text such as ``"5m"``.
            windows: windows such as ``"1h"``; quality is written for each beside the total.
            make: returns what writes the run in a folder; has the methods of ``EventFile``.

        Raises:
            ConfigurationError: when the period is not a positive span of time, a window cannot be read, or the folder
                is a file or a URL.
        """
        super().__init__(every, self.export, name="tensorboard")
        if _URL.match(os.fspath(logdir)):
            msg = (
                f"logdir={os.fspath(logdir)!r} is a URL, and runs are written to folders of this machine: give a "
                "local folder, and copy it there or mount the bucket as a folder"
            )
            raise ConfigurationError(msg)
        self._logdir = Path(logdir)
        if self._logdir.exists() and not self._logdir.is_dir():
            msg = f"logdir={str(logdir)!r} is a file; TensorBoard reads folders"
            raise ConfigurationError(msg)
        if isinstance(windows, str):
            msg = f"windows={windows!r} is one text: give a tuple, ({windows!r},)"
            raise ConfigurationError(msg)
        for window in windows:
            window_of(window)
        self._windows = tuple(windows)
        self._make = make
        self._runs: dict[str, Any] = {}
        self._steps: dict[str, int] = {}
        self._left_out: dict[str, None] = {}

    def export(self, snapshot: Snapshot) -> None:
        """Write a snapshot now; a run that cannot be written holds up no other.

        Raises:
            Exception: what the first run that could not be written raised, such as OSError.
        """
        moment = snapshot.taken_at
        scalars: dict[str, list[Point]] = {}
        for point in self._points(snapshot):
            scalars.setdefault(_run_of(_shared(point)), []).append(point)
        views = {_run_of(series_attributes(*key, ())): model for key, model in snapshot.items()}
        failed: Exception | None = None
        for name in dict.fromkeys((*views, *scalars)):
            try:
                self._write(name, views.get(name), scalars.get(name, ()), moment)
            except Exception as error:  # noqa: PERF203  (one run shall not hold up the others)
                failed = failed or error
        if failed is not None:
            raise failed

    def close(self, timeout: float) -> None:
        """Export a last time, let go of the files and stop, within ``timeout`` seconds."""
        super().close(timeout)
        runs, self._runs = self._runs, {}
        for run in runs.values():
            with suppress(OSError, ValueError):
                run.close()

    def _points(self, snapshot: Snapshot) -> Iterator[Point]:
        """Yield the points of every model as a whole, and then those of its slices."""
        has_slices = any(any(model.selection.slices) for model in snapshot.values())
        for sliced in (False, True) if has_slices else (False,):
            for point in points(snapshot, windows=self._windows, slices=sliced):
                of_slice = bool({name for name, _ in _shared(point)} - {"model", "version"})
                if of_slice is sliced and not point.name.startswith(_PARTS):
                    yield point

    def _write(self, name: str, model: ModelSnapshot | None, scalars: Sequence[Point], moment: float) -> None:
        """Write one run."""
        run = self._run(name, model, moment)
        if run is None:
            return
        self._steps[name] = max(self._steps.get(name, -1) + 1, int(moment) - run.begun)
        at = Instant(self._steps[name], moment)
        for point in scalars:
            self._scalar(run, point, at)
        if model is not None:
            self._show(run, model, at)
        run.flush()

    def _run(self, name: str, model: ModelSnapshot | None, moment: float) -> Any:
        run = self._runs.get(name)
        if run is not None and run.usable:
            return run
        if run is not None:
            del self._runs[name]
            with suppress(OSError, ValueError):  # it is gone from the disk, or a parent's, with nothing left to write
                run.close()
        if run is None and len(self._runs) >= RUNS:
            self._leave_out(name)
            return None
        run = self._runs[name] = self._make(self._logdir / name)
        if model is not None:
            task = "" if model.task is None else type(model.task).__name__
            named = {"model": safe_text(model.model), "version": safe_text(model.version)}
            run.add_hparams({**named, "task": task}, moment)
        return run

    def _leave_out(self, name: str) -> None:
        """Count a run that is not written, once, and say which was the first of them."""
        if name in self._left_out:
            return
        self._left_out[name] = None
        if self._source is not None:
            self._source.count_failure("tensorboard", "too_many_runs")
        first = next(iter(self._left_out))
        said = f"TensorBoard: there are more than {RUNS} runs; others are not written, the first of them is {first!r}"
        warn("tensorboard:runs", said, once=True)

    def _scalar(self, run: Any, point: Point, at: Instant) -> None:
        if isinstance(point.value, HistogramValue):
            if point.value.count:
                run.add_scalar(f"{tag_of(point)}/mean", point.value.sum / point.value.count, at)
                run.add_scalar(f"{tag_of(point)}/count", float(point.value.count), at)
            return
        run.add_scalar(tag_of(point), float(point.value), at)

    def _show(self, run: Any, model: ModelSnapshot, at: Instant) -> None:
        """Write what a model has that is no scalar."""
        title = " ".join(safe_text(text) for text in (model.model, model.version) if text)
        for name, values in _distributions(model):
            limits, counts = _columns(values)
            run.add_histogram_raw(f"distribution/{name}", limits, counts, values.sum, at)
            for quantile, q in _QUANTILES.items():
                run.add_scalar(f"{name}/{quantile}", values.quantile(q), at)
        if not isinstance(model.task, (Binary, Multiclass)):
            return
        names = class_texts(model.classes)
        if len(names) <= CELL_CLASSES and model.confusion.matrix.any():
            picture = confusion_picture(model.confusion.matrix, names, title)
            run.add_image("confusion matrix", picture, at)
            for place in model.scored_places():
                curve = pr_curve(model, place)
                if curve is not None:
                    run.add_pr_curve_raw(f"precision and recall/{names[place]}", curve, at)
        if bins := model.calibration:
            run.add_image("reliability", reliability_picture(bins, title), at)


def tag_of(point: Point) -> str:
    """Return the tag of a point: its name, then the values of its own attributes.

    The window ``total`` and the names of models, versions and slices are left out: those are the run's.
    """
    own = CATALOGUE[point.name].attributes
    values = [text for name, text in point.attributes if name in own and text != "total"]
    name = point.name.removeprefix("modelmon.")
    if name.startswith("quality."):
        return "/".join([name.replace(".", " "), *values])
    return "/".join([name.replace(".", "/"), *values])


def pr_curve(model: ModelSnapshot, place: int) -> np.ndarray[Any, Any] | None:
    """Return counts and ratios at 127 thresholds from 0 to 1, as TensorBoard's plugin takes them.

    Returns:
        float64 ``(6, 127)``: true positives, false positives, true negatives, false negatives, precision and recall;
        None where scores lie outside of [0, 1] or one of the two outcomes is missing.
    """
    thresholds = np.linspace(0.0, 1.0, THRESHOLDS)
    beyond = model.scored_at_least(place, np.array([-math.inf, 0.0, np.nextafter(1.0, 2.0)]))
    if not beyond[:, 0].all() or (beyond[:, 0] != beyond[:, 1]).any() or beyond[:, 2].any():
        return None
    false, true = model.scored_at_least(place, thresholds).astype(np.float64)
    missed, spared = true[0] - true, false[0] - false
    taken = true + false
    precision = np.divide(true, taken, out=np.ones_like(true), where=taken > 0)
    return np.stack([true, false, spared, missed, precision, true / true[0]])


def _distributions(model: ModelSnapshot) -> Iterator[tuple[str, Distribution]]:
    for outcome, values in model.durations.items():
        if values.count:
            yield f"call/duration/{outcome}", values
    named = {
        "call/batch_size": model.batch_size,
        "stream/time_to_first_item": model.time_to_first_item,
        "stream/time_per_item": model.time_per_item,
    }
    yield from ((name, values) for name, values in named.items() if values.count)


def _columns(values: Distribution) -> tuple[list[float], list[int]]:
    """Return limits and counts of a distribution, those of neighbours summed: one limit more than counts."""
    bins = values.bins
    step = max(1, math.ceil(len(bins) / 60))
    parts = [bins[at : at + step] for at in range(0, len(bins), step)]
    return [bins[0][0], *(part[-1][1] for part in parts)], [sum(n for _, _, n in part) for part in parts]


def _shared(point: Point) -> Attributes:
    """Return the attributes of a point that are not its own: model, version and slice."""
    own = CATALOGUE[point.name].attributes
    return tuple(pair for pair in point.attributes if pair[0] not in own)


def _run_of(attributes: Attributes) -> str:
    """Return the folder of a model, version and slice; that of the process for points of none."""
    given = dict(attributes)
    if "model" not in given:
        return PROCESS
    model, version = given.pop("model"), given.pop("version", "")
    page = ",".join(f"{name}={text}" for name, text in given.items())
    named = [_folder(text, sliced=False) for text in (model, version) if text]
    run = "/".join([*named, _folder(page)] if page else named)
    return f"{PROCESS}~" if run == PROCESS else run


def _folder(text: str, *, sliced: bool = True) -> str:
    """Return a name for a folder, different for different texts, that leads nowhere else.

    Only those of slices hold ``=`` and no digest, so that no version is taken for one.

    >>> _folder("fraud-2"), _folder("..") != "..", "/" in _folder("a/b")
    ('fraud-2', True, False)
    """
    if (sliced or "=" not in text) and len(text) <= _LONGEST and not _UNSAFE.search(text):
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=4).hexdigest()
    return f"{_UNSAFE.sub('_', text)[:_LONGEST]}~{digest}"
