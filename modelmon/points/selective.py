"""The notice that labels are missing selectively: said once for each model and version, where anybody reads points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelmon import notices
from modelmon.readings.model import ModelSnapshot

if TYPE_CHECKING:
    from modelmon.readings.lateness import MissingLabels

FEWEST_ROWS = 500


def notice_missing(whole: ModelSnapshot) -> None:
    """Warn, once, if labels of mature predictions are missing more from some predicted classes than from others.

    What is mature is only looked for where the labels so far are missing selectively, and at most every five minutes.
    """
    site = f"missing:{whole.model}:{whole.version}"
    if not whole.missing.is_selective or notices.is_silent(site) or not notices.may(f"{site}:look"):
        return
    mature = ModelSnapshot(whole.key, whole.selection.maturing(math.inf, whole.maturity))
    found = mature.missing
    if found.is_selective and found.rows >= FEWEST_ROWS:
        notices.warn(site, _message(mature, found), once=True)


def _message(model: ModelSnapshot, found: MissingLabels) -> str:
    known = sorted((share, repr(value)) for value, share in found.coverage.items() if not math.isnan(share))
    (least, rare), (most, often) = known[0], known[-1]
    return (
        f"model {model.model!r}, version {model.version!r}: {most:.0%} of the predictions of {often} have their label, "
        f"but {least:.0%} of those of {rare} (p = {found.p_value:.1g}); accuracy, precision and recall are of the "
        "labelled ones only: see estimated() and missing in the snapshot"
    )
