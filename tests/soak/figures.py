"""Figures of a soak, each beside what was promised, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from program import CALLS
from scipy import stats

if TYPE_CHECKING:
    from outside import Scraper
    from truths import Truth

WARM, FULL = 0.25, 300.0  # the first quarter warms up, and in a long run as long as it takes to fill what is bounded
APART = 5  # seconds between the samples that a slope is fitted to
SHORT = 8 * 60.0
LIMIT = 32.0  # KiB a minute
BEGIN, END = "<!-- soak -->", "<!-- end of soak -->"


class Figure(NamedTuple):
    """A figure.

    Attributes:
        name: of what.
        measured: the figure, as text.
        promised: what it should be; empty where nothing is promised.
        kept: whether the promise was kept, or None where there is none or the run was too short to say.
    """

    name: str
    measured: str
    promised: str = ""
    kept: bool | None = None


class Slope(NamedTuple):
    """A straight line through samples of memory.

    Attributes:
        kib: KiB a minute.
        half: half of the 95 % interval.
        n: samples.
    """

    kib: float
    half: float
    n: int


def warm(at: np.ndarray) -> np.ndarray:
    """Say which moments lie after the warm-up."""
    end = float(at.max())
    return at >= max(WARM * end, FULL if end >= SHORT - 5 else 0.0)


def slope(samples: np.ndarray) -> Slope:
    """Fit a line to resident memory after the warm-up, by least squares."""
    kept = samples[:, warm(samples[0])][:, ::APART]
    line = stats.linregress(kept[0] / 60, kept[1])
    n = kept.shape[1]
    return Slope(float(line.slope), float(stats.t.ppf(0.975, n - 2) * line.stderr), n)


def figures(
    seconds: float, done: dict[str, Any], columns: dict[str, np.ndarray], truth: Truth, scraper: Scraper
) -> list[Figure]:
    """Return all figures of a run."""
    samples = columns["samples"]
    line, held = slope(samples), samples[:, warm(samples[0])]
    steady = seconds >= SHORT
    rate = sum(done["calls"].values()) / seconds
    off = {name: pair for name, pair in truth.calls.items() if pair[0] != pair[1]}
    forks = done["forks"]
    told = ", ".join(f"{outcome} {n:,}" for outcome, n in sorted(done["labels"]["outcomes"].items()))
    memory = f"{line.kib:+.1f} ± {line.half:.1f} KiB/min ({line.n} samples; {held[1].min() / 1024:.1f} to "
    memory += f"{held[1].max() / 1024:.1f} MiB)"
    return [
        Figure("calls", f"{rate:,.0f} a second", f"{CALLS:,} a second", rate >= 0.98 * CALLS),
        Figure("errors of ours in calls", f"{done['raised']}", "0", done["raised"] == 0),
        Figure("calls shown but not made, or made but not shown", f"{off or 0}", "0", not off),
        Figure("what became of labels", told),
        Figure("lots of labels that were repeated", f"{done['labels']['refused']}"),
        Figure("acknowledged labels lost", f"{truth.lost}", "0", truth.lost == 0),
        Figure(
            "confusion matrix",
            f"{np.sum(truth.matrix):,} labelled, {np.abs(np.subtract(truth.matrix, truth.expected)).sum():,} off",
            "scikit-learn's",
            truth.matrix == truth.expected,
        ),
        Figure("conservation laws", truth.laws or "hold", "hold", not truth.laws),
        Figure("resident memory", memory, f"at most {LIMIT:.0f}", line.kib + line.half <= LIMIT if steady else None),
        _constant("threads", held[2], steady=steady),
        _constant("descriptors", held[3], steady=steady),
        *_scrapes(scraper),
        Figure(
            "forks",
            f"{forks['good']} of {forks['begun']} well, {forks['refused']} told to repeat, {forks['hung']} hung",
            "none lost, 0 hung",
            forks["good"] + forks["refused"] == forks["begun"],
        ),
        Figure("time of a fork", _spread(columns["forks"])),
        Figure("time of a bare sleep of 1 ms just before", _spread(columns["naps"])),
        *_latency(columns["took"]),
        Figure("directory at the end", f"{truth.kept[0] / 2**20:.1f} MiB in {truth.kept[1]} files"),
        Figure(
            "seconds from the last line to the end", f"{done['leaving']:.2f}", "at most 2.0", done["leaving"] <= 2.0
        ),
    ]


def _constant(what: str, held: np.ndarray, *, steady: bool) -> Figure:
    """Compare what is held at quiet moments, by fifths of the time: requests that run come and go, a leak stays."""
    fifths = [fifth for fifth in np.array_split(held, 5) if len(fifth)]
    lowest = [int(np.percentile(fifth, 20, method="lower")) for fifth in fifths]
    text = f"{lowest[0]} after the warm-up, {lowest[-1]} at the end, {held.min():.0f} to {held.max():.0f} between"
    return Figure(what, text, "constant", max(lowest) == lowest[0] if steady or max(lowest) == lowest[0] else None)


def _scrapes(scraper: Scraper) -> list[Figure]:
    took = np.asarray(scraper.took)
    text = f"{_spread(took)}; {len(took)} scrapes, {scraper.size / 1024:.0f} KiB"
    return [
        Figure("scrapes", text),
        Figure("scrapes that failed", f"{scraper.failed}", "0", scraper.failed == 0),
        Figure("counters that stepped back", f"{scraper.back}", "0", scraper.back == 0),
    ]


def _latency(took: np.ndarray) -> list[Figure]:
    """Return the time of calls in the first fifth after the warm-up and in the last."""
    n = took.shape[1]
    parts = {"first": took[:, int(WARM * n) : int((WARM + 0.2) * n)], "last": took[:, int(0.8 * n) :]}
    return [Figure(f"time of a call, {name} fifth", _spread(part.ravel(), 1e6, "µs")) for name, part in parts.items()]


def _spread(seconds: np.ndarray, by: float = 1e3, unit: str = "ms") -> str:
    low, high, most = np.percentile(seconds, [50, 99, 100]) * by
    return f"p50 {low:.1f}, p99 {high:.1f}, longest {most:.1f} {unit}"


def table(found: list[Figure]) -> str:
    """Return figures as lines for a terminal."""
    words = {True: "kept", False: "BROKEN", None: ""}
    width = max(len(figure.name) for figure in found)
    lines = [f"{'':{width}}  {'':7} measured"]
    for name, measured, promised, kept in found:
        told = f" (promised: {promised}{'' if kept is not None else '; too short to say'})" if promised else ""
        lines.append(f"{name:{width}}  {words[kept]:7} {measured}{told}")
    return "\n".join(lines)


def written(page: str, found: list[Figure], how: str) -> str:
    """Return a Markdown page with the figures between its two marks replaced."""
    words = {True: "kept", False: "**broken**", None: ""}
    rows = [f"| {name} | {measured} | {promised} | {words[kept]} |" for name, measured, promised, kept in found]
    head = ["| | measured | promised | |", "|---|---|---|---|"]
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, how, "", *head, *rows, END]) + after
