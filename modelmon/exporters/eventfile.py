"""Event files: what TensorBoard reads, written in the thread that exports, without any thread or queue beside it."""

from __future__ import annotations

import io
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

try:
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
except ImportError as error:
    message = "exporting to TensorBoard needs tensorboardX and pillow: pip install 'modelmon[tensorboard]'"
    raise ImportError(message) from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_FILES: Final = itertools.count()


class Instant(NamedTuple):
    """When something was written.

    Attributes:
        step: of the export.
        walltime: seconds since the epoch.
    """

    step: int
    walltime: float


class EventFile:
    """One run of TensorBoard, open for this process alone.

    Attributes:
        pid: of the process that may write it.
        begun: when the run's oldest file was made, by this process or another, seconds since the epoch.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder and a file in it.

        Raises:
            OSError: when the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.pid = os.getpid()
        suffix = f".{next(_FILES)}.{self.pid}"  # a second file within one second would replace the first
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=suffix)
        self._path = Path(self._writer._file_name)  # noqa: SLF001  (nothing else tells it)
        stamps = (path.name.split(".")[3] for path in folder.glob("events.out.tfevents.*.*"))
        self.begun = min(int(stamp) for stamp in stamps if stamp.isdecimal())

    @property
    def usable(self) -> bool:
        """Whether this process made it, and it is still there."""
        return self.pid == os.getpid() and self._path.exists()

    def add_hparams(self, hparams: Mapping[str, str], walltime: float) -> None:
        """Say what tells this run from others; TensorBoard lists runs by it, with their newest scalars."""
        _, start, _ = summary.hparams(dict(hparams), {})
        self._writer.write_event(Event(wall_time=walltime, summary=start))

    def add_scalar(self, tag: str, value: float, at: Instant) -> None:
        """Add a number; event files keep single precision, seven digits of it."""
        self._write(Summary.Value(tag=tag, simple_value=value), at)

    def add_histogram_raw(
        self, tag: str, limits: Sequence[float], counts: Sequence[int], total: float, at: Instant
    ) -> None:
        """Add a distribution: how many values lie up to each limit and above the one before.

        Args:
            tag: its name.
            limits: ascending upper limits, one for each count and one before them all.
            counts: how many values.
            total: the sum of the values.
            at: when.
        """
        made = summary.histogram_raw(tag, limits[0], limits[-1], sum(counts), total, 0.0, list(limits), [0, *counts])
        self._writer.write_event(Event(step=at.step, wall_time=at.walltime, summary=made))

    def add_pr_curve_raw(self, tag: str, rows: NDArray[np.float64], at: Instant) -> None:
        """Add a precision-recall curve: float64 ``(6, n)``, see TensorBoard's plugin."""
        made = summary.pr_curve_raw(tag, *rows, num_thresholds=rows.shape[1])
        self._writer.write_event(Event(step=at.step, wall_time=at.walltime, summary=made))

    def add_image(self, tag: str, picture: Image.Image, at: Instant) -> None:
        """Add a picture."""
        data = io.BytesIO()
        picture.save(data, "PNG")
        width, height = picture.size
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data.getvalue())
        self._write(Summary.Value(tag=tag, image=image), at)

    def flush(self) -> None:
        """Have all of it on the disk.

        Raises:
            OSError: when the disk cannot take it.
        """
        self._writer.flush()

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self._writer.close()

    def _write(self, value: Any, at: Instant) -> None:
        self._writer.write_event(Event(step=at.step, wall_time=at.walltime, summary=Summary(value=[value])))
