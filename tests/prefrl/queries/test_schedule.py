from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prefrl.config import ScheduleConfig
from prefrl.queries.schedule import LabelSchedule, check_schedule

CONFIGS = st.builds(
    ScheduleConfig,
    kind=st.sampled_from(["hyperbolic", "constant"]),
    initial_share=st.floats(0, 1),
    half_life_steps=st.integers(1, 10_000_000),
    ends_at=st.floats(0, 1),
)


@given(CONFIGS, st.integers(0, 10_000), st.integers(1, 5_000_000), st.lists(st.integers(0, 6_000_000)))
@example(ScheduleConfig(half_life_steps=2, ends_at=5e-324), 10, 1, [0, 1])
def test_due_never_falls_and_ends_at_the_exact_budget(
    config: ScheduleConfig, labels: int, steps: int, asked: list[int]
) -> None:
    schedule = LabelSchedule(labels, steps, config)
    due = [schedule.due(step) for step in sorted(asked)]
    assert due == sorted(due)
    assert all(schedule.initial <= number <= labels for number in due)
    assert schedule.due(math.ceil(config.ends_at * steps)) == labels
    assert schedule.due(steps) == labels


def test_due_by_hand() -> None:
    # After 25 at the start, log(1 + t/T0) / log(1 + end/T0) with T0 = 100 and end = 800 of the other 75.
    schedule = LabelSchedule(100, 1000, ScheduleConfig(half_life_steps=100, ends_at=0.8))
    assert [schedule.due(step) for step in (0, 200, 799, 800, 5000)] == [25, 62, 99, 100, 100]
    constant = LabelSchedule(100, 1000, ScheduleConfig(kind="constant", ends_at=0.8))
    assert [constant.due(step) for step in (0, 400, 799, 800)] == [25, 62, 99, 100]


def test_the_rate_halves_at_the_half_life_and_falls_as_the_paper_says() -> None:
    half_life, width = 2000, 100
    schedule = LabelSchedule(10**9, 20_000, ScheduleConfig(half_life_steps=half_life, initial_share=0.1))
    steps = np.arange(0, 15_000, 1000)
    rates = np.array([schedule.due(step + width) - schedule.due(step) for step in steps.tolist()]) / width
    middles = steps + width / 2
    np.testing.assert_allclose(rates * (middles + half_life), rates[0] * (middles[0] + half_life), rtol=1e-3)


def test_a_rate_held_level_is_that_of_the_level_s_first_step() -> None:
    # 100 steps at a rate of 1/100, 100 at 1/200 and 100 at 1/300: 6 : 3 : 2 of 1,100 labels.
    config = ScheduleConfig(half_life_steps=100, level_steps=100, initial_share=0.0, ends_at=1.0)
    schedule = LabelSchedule(1101, 300, config)
    assert [schedule.due(step) - 1 for step in (0, 50, 100, 150, 200, 300)] == [0, 300, 600, 750, 900, 1100]


@pytest.mark.parametrize(
    ("labels", "share", "initial"), [(700, 0.25, 175), (10, 0.0, 1), (3, 1.0, 3), (0, 0.5, 0)]
)
def test_labels_due_at_the_start(labels: int, share: float, initial: int) -> None:
    schedule = LabelSchedule(labels, 100, ScheduleConfig(initial_share=share))
    assert schedule.due(0) == initial


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("initial_share", 1.5, "initial_share is 1.5"),
        ("ends_at", -0.1, "ends_at is -0.1"),
        ("half_life_steps", 0, "half_life_steps is 0"),
        ("level_steps", -1, "level_steps is -1"),
        ("kind", "cosine", "'cosine'.*'hyperbolic' or 'constant'"),
    ],
)
def test_settings_out_of_range_are_named(field: str, value: object, message: str) -> None:
    settings: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=message):
        check_schedule(10, 100, ScheduleConfig(**settings))


def test_the_first_queries_wait_for_segments_of_their_own() -> None:
    schedule = LabelSchedule(100, 1000, ScheduleConfig(initial_share=0.25))
    assert schedule.initial_segments(items=2, pool_segments=500) == 50
    assert schedule.initial_segments(items=4, pool_segments=60) == 60
    one = LabelSchedule(1, 1000, ScheduleConfig())
    # Of two segments, one could fall on each side of the validation split.
    assert one.initial_segments(items=2, pool_segments=500) == 3


def test_numbers_that_make_no_schedule_are_refused() -> None:
    with pytest.raises(ValueError, match="budget is -1"):
        LabelSchedule(-1, 100, ScheduleConfig())
    with pytest.raises(ValueError, match="0 steps"):
        LabelSchedule(1, 0, ScheduleConfig())
    with pytest.raises(ValueError, match="step is -1"):
        LabelSchedule(1, 1, ScheduleConfig()).due(-1)


def test_a_run_refuses_a_budget_of_zero() -> None:
    with pytest.raises(ValueError, match=r"budget is 0.*at least 1"):
        check_schedule(0, 100, ScheduleConfig())
    check_schedule(1, 100, ScheduleConfig())
