from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.runtime.history import FreshCheck, MetricsHistory, downsample, steps_per_s
from prefrl.storage.run_dir import RunDir


def policy(step: int, speed: float, **more: float | None) -> dict[str, object]:
    return {"source": "policy", "policy_step": step, "steps_per_s": speed, **more}


def test_speed_is_total_steps_over_total_time() -> None:
    # 100 steps in 1 s, then 100 steps in 9 s: 200 steps in 10 s, not the mean of the speeds.
    records = [policy(0, 50.0), policy(100, 100.0), policy(200, 100 / 9)]
    assert steps_per_s(records) == pytest.approx(20.0)


def test_speed_skips_restarts_and_records_without_a_step() -> None:
    records = [policy(0, 1.0), policy(100, 10.0), policy(20, 1.0), policy(120, 10.0), policy(120, 0.0)]
    assert steps_per_s(records) == pytest.approx(10.0)


def test_speed_of_a_single_record_is_its_own_and_of_no_record_is_unknown() -> None:
    assert steps_per_s([policy(500, 250.0)]) == 250.0
    assert steps_per_s([]) is None


@given(st.lists(st.floats(-1e6, 1e6), max_size=40), st.integers(2, 20))
def test_downsampled_points_keep_steps_in_order_and_stay_within_the_values(
    values: list[float], most: int
) -> None:
    points: list[tuple[int, float]] = []
    for step, value in enumerate(values):
        points = downsample([*points, (step, value)], most)
        assert len(points) <= most
    steps = [step for step, _ in points]
    assert steps == sorted(steps)
    if values:
        assert points[-1][0] == len(values) - 1
        assert min(values) <= min(value for _, value in points) <= max(values)


def test_downsampling_averages_neighbours_and_keeps_an_odd_last_point() -> None:
    assert downsample([(1, 1.0), (2, 3.0), (3, 7.0)], 2) == [(2, 2.0), (3, 7.0)]


def test_metrics_are_read_incrementally(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    history = MetricsHistory(run.metrics)
    history.update()
    assert history.latest("policy") == {}
    run.append_metrics(policy(10, 5.0, true_return=1.0))  # type: ignore[arg-type]
    run.append_metrics({"source": "reward", "policy_step": 10, "accuracy_train": 0.75})
    history.update()
    run.append_metrics(policy(20, 5.0, true_return=2.0, predicted_reward=0.5))  # type: ignore[arg-type]
    run.append_metrics(
        {"source": "reward", "policy_step": 20, "labels": 9, "accuracy_fresh": 0.25, "pairs_fresh": 8}
    )
    history.update()
    history.update()
    assert history.history.true_returns == ((10, 1.0), (20, 2.0))
    assert history.history.predicted_rewards == ((20, 0.5),)
    assert history.history.fresh == (FreshCheck(20, 8, 2.0),)
    # A metric that the newest record lacks has its newest known value.
    assert history.latest("reward")["accuracy_train"] == 0.75
    assert history.latest("reward")["labels"] == 9


def test_a_number_that_was_not_finite_is_unknown(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.append_metrics({"source": "policy", "policy_step": 1, "true_return": float("nan")})
    history = MetricsHistory(run.metrics)
    history.update()
    assert history.history.true_returns == ()
    assert "true_return" not in history.latest("policy")
