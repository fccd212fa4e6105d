"""When labels fall due."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prefrl.config import ScheduleConfig
from prefrl.queries.schedule import MAX_LEVELS, LabelSchedule, check_schedule

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


def test_labels_due_by_hand() -> None:
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


def test_within_a_level_the_rate_is_that_of_its_first_step() -> None:
    # 100 steps at a rate of 1/100, 100 at 1/200 and 100 at 1/300: 6 : 3 : 2 of 1,100 labels.
    config = ScheduleConfig(half_life_steps=100, level_steps=100, initial_share=0.0, ends_at=1.0)
    schedule = LabelSchedule(1101, 300, config)
    assert [schedule.due(step) - 1 for step in (0, 50, 100, 150, 200, 300)] == [0, 300, 600, 750, 900, 1100]


def due_by_walking_the_levels(schedule: LabelSchedule, step: int) -> int:
    """The definition: the rate of every level summed anew at each call."""
    config = schedule.config

    def integral(until: float) -> float:
        whole, rest = divmod(until, config.level_steps)
        total = 0.0
        for index in range(int(whole)):
            total += config.level_steps / (index * config.level_steps + config.half_life_steps)
        return total + rest / (whole * config.level_steps + config.half_life_steps)

    last_step = config.ends_at * schedule.steps
    if step >= last_step:
        return schedule.labels
    rest = schedule.labels - schedule.initial
    return schedule.initial + math.floor(rest * integral(step) / integral(last_step))


@settings(max_examples=200)
@given(
    config=st.builds(
        ScheduleConfig,
        initial_share=st.floats(0, 1),
        half_life_steps=st.integers(1, 10_000_000),
        level_steps=st.integers(1, 100_000),
        ends_at=st.floats(0.01, 1),
    ),
    labels=st.integers(1, 10_000),
    levels=st.floats(0.1, 300),
    shares=st.lists(st.floats(0, 1.1), min_size=1, max_size=5),
)
def test_summed_levels_give_the_same_labels_as_walking_them(
    config: ScheduleConfig, labels: int, levels: float, shares: list[float]
) -> None:
    steps = max(1, int(levels * config.level_steps))
    schedule = LabelSchedule(labels, steps, config)
    ends = [index * config.level_steps + offset for index in range(3) for offset in (-1, 0, 1)]
    for step in [*(int(share * steps) for share in shares), *(end for end in ends if 0 <= end <= steps)]:
        assert schedule.due(step) == due_by_walking_the_levels(schedule, step)


def test_the_papers_schedule_on_atari() -> None:
    # 500 of 5,500 labels at the start, then 5e6 / (T + 5e6), held for 5e6 frames at a time, over 50M frames.
    config = ScheduleConfig(
        initial_share=500 / 5500, half_life_steps=5_000_000, level_steps=5_000_000, ends_at=1.0
    )
    schedule = LabelSchedule(5500, 50_000_000, config)
    harmonic = [sum(1 / level for level in range(1, count + 1)) for count in range(11)]
    for level in range(10):
        expected = 500 + 5000 * harmonic[level] / harmonic[10]
        assert schedule.due(level * 5_000_000) == pytest.approx(expected, abs=1)
        assert schedule.due(level * 5_000_000) == due_by_walking_the_levels(schedule, level * 5_000_000)
    assert schedule.due(50_000_000) == 5500
    assert [schedule.due(step) for step in (0, 5_000_000, 10_000_000, 25_000_000)] == [500, 2207, 3060, 4397]


def test_more_levels_than_can_be_summed_are_refused() -> None:
    config = ScheduleConfig(level_steps=1, ends_at=1.0)
    assert LabelSchedule(10, MAX_LEVELS, config).due(MAX_LEVELS) == 10
    with pytest.raises(ValueError, match=r"level_steps is 1, .*1,000,001 levels.*set it to 0"):
        LabelSchedule(10, MAX_LEVELS + 1, config)


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


def test_impossible_budgets_and_steps_are_refused() -> None:
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
