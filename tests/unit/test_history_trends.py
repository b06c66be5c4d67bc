# SPDX-License-Identifier: MIT
"""Bands and steps of numbers, and the numbers of stability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.history.night import Measure, State
from harness.history.numbers import moved, series_of
from harness.history.stability import stability
from harness.history.trends import ENOUGH, trend
from tests.unit.night_sample import keep, look, name_of, ran, run_of

if TYPE_CHECKING:
    from pathlib import Path

FLAT = [10.0, 10.1, 9.9, 10.0, 10.2, 9.8, 10.0, 10.1]


def test_a_level_that_stays_has_a_band_and_no_step() -> None:
    found = trend(FLAT, "s")
    assert found.low is not None and found.high is not None
    assert found.low < min(FLAT) < max(FLAT) < found.high
    assert (found.steps, found.outside) == ((), False)


def test_a_step_is_named_with_its_first_night() -> None:
    found = trend([*FLAT, 20.0, 20.5, 19.9], "s")
    (step,) = found.steps
    assert step.night == len(FLAT)
    assert step.before == pytest.approx(10.0, abs=0.1)
    assert step.after == 20.0
    assert not found.outside


def test_two_steps_up_and_down() -> None:
    found = trend([*FLAT, *[20.0] * 7, *[10.0] * 7], "s")
    assert [step.night for step in found.steps] == [len(FLAT), len(FLAT) + 7]


def test_one_value_is_no_step_but_the_newest_is_outside() -> None:
    assert trend([*FLAT, 30.0, 10.0, 10.0], "s").steps == ()
    newest = trend([*FLAT, 30.0], "s")
    assert (newest.steps, newest.outside) == ((), True)


def test_values_on_both_sides_of_the_band_are_no_step() -> None:
    assert trend([*FLAT, 30.0, 1.0], "s").steps == ()


def test_too_few_values_have_no_band() -> None:
    assert trend([1.0] * (ENOUGH - 1), "s").low is None
    assert trend([1.0] * ENOUGH, "s").low is not None


@pytest.mark.parametrize(
    ("unit", "noise", "step"), [("s", 13.5, 15.0), ("kB", 1000.0, 1100.0), ("ratio", 10.05, 10.2)]
)
def test_what_is_noise_depends_on_the_unit(unit: str, noise: float, step: float) -> None:
    assert trend([*[10.0] * 8, noise, noise], unit).steps == ()
    assert len(trend([*[10.0] * 8, step, step], unit).steps) == 1


def measured(results: Path, values: list[float]) -> None:
    for night, value in enumerate(values, 1):
        measures = (Measure("left behind: SUnreclaim", "stock", "emulator", "kB", value),)
        keep(results, run_of(night, [ran("swap")], measures=measures))


def test_a_moved_number_is_told_with_its_night(tmp_path: Path) -> None:
    measured(tmp_path, [*[2000.0] * 8, 9000.0, 9100.0])
    past = look(tmp_path).past
    (series,) = moved(past, series_of(past))
    assert series.sentence == (
        "left behind: SUnreclaim on stock@emulator: 2000 kB until the night "
        f"{name_of(9)}, 9050 kB since"
    )


def test_a_value_outside_tonight_is_told_and_not_the_step_of_long_ago(tmp_path: Path) -> None:
    measured(tmp_path, [*[2000.0] * 8, *[9000.0] * 9, 90000.0])
    past = look(tmp_path).past
    (series,) = moved(past, series_of(past))
    assert "90000 kB tonight, outside of" in series.sentence


def test_a_step_of_long_ago_is_no_news(tmp_path: Path) -> None:
    measured(tmp_path, [*[2000.0] * 8, *[9000.0] * 9])
    past = look(tmp_path).past
    assert moved(past, series_of(past)) == []


def test_sums_of_a_run_that_was_cut_short_are_left_out(tmp_path: Path) -> None:
    measured(tmp_path, [2000.0] * 8)
    low = (Measure("left behind: SUnreclaim", "stock", "emulator", "kB", -9e9),)
    keep(tmp_path, run_of(9, [ran("swap")], measures=low, errors=("cut",)))
    past = look(tmp_path).past
    assert moved(past, series_of(past)) == []


def test_crashes_and_nights_without_a_verdict_are_in_no_number() -> None:
    states = [State.PASS, State.LOST, State.ERROR, State.PASS, State.SPLAT, State.SKIP, State.PASS]
    found = stability(states)
    assert (found.passes, found.fails, found.flips, found.streak, found.crashes) == (3, 0, 0, 3, 2)
    assert not found.unstable


def test_stability_of_nothing() -> None:
    found = stability([])
    assert (found.passes, found.streak, found.unstable) == (0, 0, False)
