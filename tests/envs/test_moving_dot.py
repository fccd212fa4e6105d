"""The dot's pixels, moves, reward and optimum."""

import numpy as np
import pytest

from prefrl_envs.moving_dot import MovingDot

STAY, UP, RIGHT, DOWN, LEFT = range(5)


def place(field: np.ndarray) -> tuple[int, int]:
    """Row and column of the dot's upper left pixel."""
    rows, columns, _ = np.nonzero(field)
    return int(rows.min()), int(columns.min())


def towards_centre(field: np.ndarray, centre: int) -> int:
    row, column = place(field)
    if row != centre:
        return UP if row > centre else DOWN
    return STAY if column == centre else LEFT if column > centre else RIGHT


@pytest.mark.parametrize(
    ("action", "shift"), [(STAY, (0, 0)), (UP, (-2, 0)), (RIGHT, (0, 2)), (DOWN, (2, 0)), (LEFT, (0, -2))]
)
def test_the_dot_moves_two_pixels(action: int, shift: tuple[int, int]) -> None:
    env = MovingDot()
    before = place(env.reset(seed=1)[0])
    after = place(env.step(action)[0])
    assert tuple(np.subtract(after, before)) == shift


@pytest.mark.parametrize("size", [36, 37, 50, 84])
def test_the_dot_keeps_its_shape_and_stays_inside(size: int) -> None:
    env = MovingDot(size)
    field, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for action in [UP] * 30 + [LEFT] * 30 + [DOWN] * 30 + [RIGHT] * 30:
        field, *_ = env.step(action)
        assert field.shape == (size, size, 1)
        assert np.count_nonzero(field) == (size // 9) ** 2
        assert field.max() == 255


def test_reward_is_one_in_the_centre_and_zero_in_a_corner() -> None:
    env = MovingDot()
    env.reset(seed=0)
    for _ in range(20):
        env.step(UP)
    for _ in range(20):
        env.step(LEFT)
    assert env.step(STAY)[1] == 0.0
    rewards = [env.step(action)[1] for action in [DOWN] * 8 + [RIGHT] * 8 + [STAY]]
    assert rewards == pytest.approx(np.arange(17) / 16)


def test_the_mean_greedy_return_over_all_starts_is_the_optimal_return() -> None:
    env = MovingDot(horizon_steps=12)
    env.reset(seed=0)
    totals = []
    for start in np.ndindex(17, 17):
        field, _ = env.reset()
        env._position = np.array(start)
        field, total, truncated = env._observe(), 0.0, False
        while not truncated:
            field, reward, _, truncated, _ = env.step(towards_centre(field, centre=16))
            total += reward
        totals.append(total)
    assert np.mean(totals) == pytest.approx(env.optimal_return())


def test_fields_too_small_for_convolutions_are_refused() -> None:
    with pytest.raises(ValueError, match="size is 35; at least 36"):
        MovingDot(35)
