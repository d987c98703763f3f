"""Mixes of calls on a device of which all is known: what each model is given, and what is learnt of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attributed_mixes import Device, Mix, by_ours, mixes, settlements, table

if TYPE_CHECKING:
    from modelmon.attribution import Settlement

MIXES = mixes()
PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"
ALIKE, UNLIKE = MIXES[:7], MIXES[7:]


@pytest.mark.parametrize("mix", ALIKE, ids=lambda mix: mix.name)
def test_models_that_draw_alike_are_given_what_they_drew(mix: Mix) -> None:
    """The sums of each model are within a hundredth of the truth; a reader that is often late costs a little more."""
    device = Device(mix)
    given = by_ours(mix, device)
    assert given == pytest.approx(device.drawn, rel=0.015 if mix.jitter_ms else 0.01)


def test_powers_of_unlike_models_are_learnt_and_used() -> None:
    """Powers are learnt to a fiftieth and say how sure they are; from the second minute on sums are within 1 %."""
    mix = UNLIKE[0]
    late = Mix(mix.name, [call for call in mix.calls if call[0] > 60e9], mix.watts)
    truth = Device(late).drawn
    given = dict.fromkeys(mix.watts, 0.0)
    for settled in settlements(mix, Device(mix)):
        for (model, _), energy in settled.energy.items():
            given[model] += energy / 1e6 * (settled.until_ns > 60e9)
    assert given == pytest.approx(truth, rel=0.01)
    assert knows(settled, mix)
    assert {method for _, method in settled.energy} <= {"power_weighted", "exclusive"}


@pytest.mark.slow
@pytest.mark.parametrize("mix", UNLIKE[1:], ids=lambda mix: mix.name)
def test_powers_are_learnt_where_the_mix_hardly_changes(mix: Mix) -> None:
    """Even where two models always have about the same share, and where they overlap, powers are told apart."""
    *_, last = settlements(mix, Device(mix))
    assert knows(last, mix)


def knows(settled: Settlement, mix: Mix) -> bool:
    """Tell whether powers are known to a fiftieth, and known to be known so well."""
    learnt = {model: power.watts for model, power in settled.powers.items()}
    sure = all(0 < power.error < 0.02 * power.watts for power in settled.powers.values())
    return sure and learnt == pytest.approx(mix.watts, rel=0.02)


@pytest.mark.slow
def test_the_page_shows_this_table() -> None:
    """The table of the page is what these mixes give."""
    assert "\n".join(table()) in PAGE.read_text("utf-8")
