"""Recording rules: quality worked out by a Prometheus server from the exported counters, over all replicas and slices.

Rules:

1. All rules of a table stand in one group: within a group they run in order, across groups in none that is defined.
2. Counters are added up first and divided last, so that the figures of replicas add up.
3. Undefined (0/0) is an absent series; averages over classes leave such a class out, as the snapshot does.
4. What the counters cannot tell is absent: metrics of rows where a row has several labels, averages over classes beyond
   those that have series of their own.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from modelmon.accumulators.losses import SCORE_EDGES
from modelmon.points.families import family_of, number
from modelmon.points.sheets import CLASSES
from modelmon.rules.recorded import Recording, span

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIDES: Final = {"support": "actual", "predcount": "predicted", "tp": "actual"}
_SUMS: Final = {"support": "support", "predcount": "predicted", "tp": "true_positives"}
_EDGES: Final = (*(number(float(edge)) for edge in SCORE_EDGES), "+Inf")
_Z: Final = NormalDist().inv_cdf(0.975)


class Table:
    """Write the recording rules of one window of label arrival, or of all labels there ever were."""

    def __init__(self, by: str, window: float | None = None) -> None:
        """Write them by these labels, which stand for one model and version; None is all labels."""
        self._by = by
        self._window = "" if window is None else span(window)
        self._end = f":{self._window}" if self._window else ""

    def rules(self) -> Iterator[Recording]:
        """Yield all rules, each after those that it reads."""
        yield from self._counts()
        yield from self._rows()
        for ratio in ("precision", "recall", "jaccard", "f1", "specificity", "negative_predictive_value"):
            yield from self._ratio(ratio)
        yield from self._agreement()
        yield from self._scores()

    def _record(self, name: str, expr: str, **labels: str) -> Recording:
        return Recording(f"modelmon:{name}{self._end}", expr, tuple(labels.items()))

    def _read(self, name: str, matchers: str = "") -> str:
        return f"modelmon:{name}{self._end}" + (f"{{{matchers}}}" if matchers else "")

    def _sum(self, inner: str, *own: str) -> str:
        return f"sum by ({', '.join((self._by, *own))}) ({inner})"

    def _net(self, point: str, *own: str) -> str:
        """Return a counter less what was taken back; each side apart, since a restart sets each to 0."""
        sides = []
        for name in (point, f"{point}.retracted"):
            series = family_of(name).sample
            sides.append(self._sum(f"increase({series}[{self._window}])" if self._window else series, *own))
        return "\n- ".join(sides)

    def _counts(self) -> Iterator[Recording]:
        """Yield the matrix and what it adds up to by class, from cells or from sums where there are too many cells."""
        yield self._record("cm", self._net("modelmon.confusion", "actual", "predicted", "correct"))
        for name, side in _SIDES.items():
            cells = self._sum(self._read("cm", 'correct="true"' if name == "tp" else ""), side)
            sums = self._net(f"modelmon.class.{_SUMS[name]}", "class")
            # the label of the cells stays beside the class, so that replicas with cells and with sums are all added
            both = f'label_replace({cells}, "class", "$1", "{side}", "(?s:(.*))")\nor (\n{sums}\n)'
            yield self._record(name, self._sum(f"\n{both}\n", "class"))
        yield self._record("present", f"({self._read('support')} + {self._read('predcount')}) > 0")
        if not self._window:
            yield self._record("classes", f"count by ({self._by}) ({self._read('support')})")
        several = f'{family_of("modelmon.quality").sample}{{metric="hamming_loss"}}'
        # what the window counts may be of models that nobody shows any more
        several = f"last_over_time({several}[{self._window}])" if self._window else several
        yield self._record("several_labels", f"group by ({self._by}) ({several})")

    def _rows(self) -> Iterator[Recording]:
        """Yield labelled rows, accuracy, and what is not of a class.

        Rows with several labels are left out: sums of classes do not tell how many rows there are.
        """
        n, right, only = self._read("n"), self._read("right"), f"and {self._read('present')}"
        alone = f"unless {self._read('several_labels')}"
        each = f"{n} - on ({self._by}) group_right ()"
        tp, support, said = (self._read(name) for name in ("tp", "support", "predcount"))
        yield self._record("n", f"{self._sum(support)}\n{alone}")
        yield self._record("right", f"{self._sum(tp)}\n{alone}")
        yield self._record("accuracy", f"{right} / ({n} > 0)")
        yield from self._wilson("accuracy", right, n)
        yield self._record("tn", f"({each} ({support} + {said} - {tp})) {only}")
        yield self._record("negatives", f"({each} {support}) {only}")
        yield self._record("prednegatives", f"({each} {said}) {only}")

    def _wilson(self, name: str, hits: str, rows: str) -> Iterator[Recording]:
        """Yield both ends of Wilson's 95 % interval of hits among rows."""
        square = _Z * _Z
        spread = f"clamp_min({hits} * ({rows} - {hits}) / {rows}, 0)"
        reach = f"{number(_Z)} * sqrt({spread} + {number(square / 4)})"
        for end, sign in (("low", "-"), ("high", "+")):
            middle = f"({hits} + {number(square / 2)}\n{sign} {reach})"
            yield self._record(f"{name}:wilson_{end}", f"clamp({middle}\n/ (({rows} > 0) + {number(square)}), 0, 1)")

    def _terms(self, ratio: str) -> tuple[str, str]:
        """Return numerator and denominator of a ratio by class, each ready to be divided by or into another."""
        tp, support, said = (self._read(name) for name in ("tp", "support", "predcount"))
        if ratio == "jaccard":
            return tp, f"({support} + {said} - {tp})"
        if ratio == "f1":
            return f"(2 * {tp})", f"({support} + {said})"
        if ratio in {"precision", "recall"}:
            return tp, said if ratio == "precision" else support
        return self._read("tn"), self._read("negatives" if ratio == "specificity" else "prednegatives")

    def _ratio(self, ratio: str) -> Iterator[Recording]:
        """Yield a ratio of each class with its interval, and its averages over classes."""
        hits, rows = self._terms(ratio)
        yield self._record(ratio, f"{hits} / ({rows} > 0)")
        if ratio == "f1":  # a function of Jaccard's index, and that is a proportion
            for end in ("wilson_low", "wilson_high"):
                share = self._read(f"jaccard:{end}")
                yield self._record(f"f1:{end}", f"2 * {share} / (1 + {share})")
        else:
            yield from self._wilson(ratio, hits, rows)
        numerator, denominator = (self._sum(term) for term in self._terms(ratio))
        yield self._record(f"{ratio}_micro", f"{numerator} / ({denominator} > 0)")
        known = f"and (modelmon:classes <= {CLASSES})"
        value, support = self._read(ratio), self._read("support")
        defined = f"({value} and {self._read('present')})"
        yield self._record(f"{ratio}_macro", f"avg by ({self._by}) {defined}\n{known}")
        weighted = f"{self._sum(f'{value} * {support}')} / ({self._sum(f'{support} and {defined}')} > 0)"
        yield self._record(f"{ratio}_weighted", f"({weighted} {known})\nor {self._read(f'{ratio}_macro')}")

    def _agreement(self) -> Iterator[Recording]:
        """Yield what is read of the whole matrix and needs every class."""
        known, n = f"and (modelmon:classes <= {CLASSES})", self._read("n")
        support, said = self._read("support"), self._read("predcount")
        agreed = f"{self._read('right')} * {n} - {self._sum(f'{support} * {said}')}"
        spread = (f"({n} ^ 2 - {self._sum(f'{side} ^ 2')})" for side in (support, said))
        alone = f"unless {self._read('several_labels')}"
        balanced = f"avg by ({self._by}) ({self._read('recall')})"
        yield self._record("balanced_accuracy", f"{balanced} {known} {alone}")
        yield self._record("mcc", f"(({agreed})\n/ (sqrt({' * '.join(spread)}) > 0))\n{known}")
        chance = self._sum(f"{support} * {said}")
        yield self._record("kappa", f"(({agreed})\n/ (({n} ^ 2 - {chance}) > 0))\n{known}")

    def _scores(self) -> Iterator[Recording]:
        """Yield the area under the ROC curve from scores in bins, and how far the bins may hide it."""
        on = f"on ({self._by}, le)"
        yield self._record("score_bin", self._net("modelmon.score.bins", "actual", "le"))
        before = ""
        for edge in _EDGES:  # each adds its bin to the one before it, which the server has just recorded
            inner = self._read("score_bin", f'le="{edge}"')
            inner = f"{before}\nor {inner}" if before else inner
            yield self._record("score_cum", self._sum(inner, "actual"), le=edge)
            before = self._read("score_cum", f'le="{edge}"')
        yes, no = (self._read("score_bin", f'actual="{truth}"') for truth in "10")
        pairs = f"((\n{self._sum(yes)} * {self._sum(no)}\n) > 0)"
        upto = self._read("score_cum", 'actual="0"')
        below = f"({upto} - {on} {no} / 2)"
        yield self._record("roc_auc", f"{self._sum(f'{yes} * {on} {below}')}\n/ {pairs}")
        yield self._record("roc_auc:halfwidth", f"0.5 * {self._sum(f'{yes} * {on} {no}')}\n/ {pairs}")
