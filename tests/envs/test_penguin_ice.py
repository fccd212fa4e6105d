"""The penguin's four modes against the worked example and against tables built from neighbours."""

from itertools import pairwise

import numpy as np
import pytest

from prefrl_envs.penguin_ice import FISH, ICE, SEA, PenguinIce
from prefrl_envs.tabular import discounted_returns, greedy, q_values, value_iteration

UP, RIGHT, DOWN, LEFT = range(4)
TOUR = (1, 2, 6, 10, 9, 10, 11, 15)


def neighbours(square: int) -> dict[int, int]:
    """Square reached by each allowed move, computed from the numbering only."""
    allowed = {
        UP: (square > 4, square - 4),
        RIGHT: (square % 4 != 0, square + 1),
        DOWN: (square < 13, square + 4),
        LEFT: (square % 4 != 1, square - 1),
    }
    return {move: reached for move, (is_allowed, reached) in allowed.items() if is_allowed}


def wandering_by_hand() -> np.ndarray:
    table = np.zeros((16, 1, 16))
    for square in range(1, 17):
        for reached in neighbours(square).values():
            table[square - 1, 0, reached - 1] = 1 / len(neighbours(square))
    return table


def slippery_by_hand(slip: float) -> np.ndarray:
    table = slip * wandering_by_hand().repeat(4, axis=1)
    for square, move in np.ndindex(16, 4):
        table[square, move, neighbours(square + 1).get(move, square + 1) - 1] += 1 - slip
    return table


def assert_steps_follow(env: PenguinIce, transitions: np.ndarray, draws: int, significance: float) -> None:
    """Compare ``draws`` steps from every state and action with ``transitions`` (S, A, S).

    By Hoeffding's inequality and the union bound over all S * A * S frequencies, a sound environment fails
    with a probability of at most ``significance``. A transition of probability 0 may never occur.
    """
    margin = np.sqrt(np.log(2 * transitions.size / significance) / (2 * draws))
    for state, action in np.ndindex(transitions.shape[:2]):
        counts = np.zeros(len(transitions))
        for _ in range(draws):
            env.reset(options={"state": state})
            counts[env.step(action)[4]["state"]] += 1
        expected = transitions[state, action]
        assert not counts[expected == 0.0].any()
        assert np.abs(counts / draws - expected).max() < margin


@pytest.mark.parametrize("mode", ["markov_process", "reward_process"])
def test_the_random_walk_gives_equal_probability_to_allowed_moves(mode: str) -> None:
    transitions = PenguinIce(mode).mdp(0.9).transitions
    np.testing.assert_allclose(transitions, wandering_by_hand())
    corner, edge, interior = transitions[0, 0], transitions[1, 0], transitions[5, 0]
    assert [row.max() for row in (corner, edge, interior)] == pytest.approx([1 / 2, 1 / 3, 1 / 4])


@pytest.mark.parametrize("slip", [0.0, 0.3, 1.0])
def test_the_decision_process_slips_to_a_neighbour(slip: float) -> None:
    np.testing.assert_allclose(PenguinIce(slip=slip).mdp(0.9).transitions, slippery_by_hand(slip))


@pytest.mark.parametrize("mode", ["reward_process", "decision_process", "partially_observed"])
def test_steps_follow_the_table(mode: str) -> None:
    table = wandering_by_hand() if mode == "reward_process" else slippery_by_hand(0.5)
    env = PenguinIce(mode, slip=0.5)
    env.reset(seed=7)
    assert_steps_follow(env, table, draws=200, significance=1e-6)


def test_returns_of_the_tour_in_the_docstring() -> None:
    env = PenguinIce(slip=0.0)
    observation, _ = env.reset(options={"state": TOUR[0] - 1})
    visited, rewards = [observation + 1], []
    for here, there in zip(TOUR, (*TOUR[1:], 14), strict=True):  # where it goes at last is of no account
        move = next(move for move, reached in neighbours(here).items() if reached == there)
        observation, reward, *_ = env.step(move)
        visited.append(observation + 1)
        rewards.append(reward)
    assert tuple(visited[:-1]) == TOUR
    assert rewards == [0, 0, 0, 0, 1, 0, 1, 0]
    assert discounted_returns(np.array(rewards), 0.9)[:3] == pytest.approx([1.187541, 1.31949, 1.4661])


def test_every_step_of_the_tour_is_a_possible_move_of_the_random_walk() -> None:
    transitions = PenguinIce("markov_process").mdp(0.9).transitions[:, 0]
    assert all(transitions[here - 1, there - 1] > 0 for here, there in pairwise(TOUR))


def test_the_markov_process_has_no_reward_and_the_other_modes_reward_fish_and_seals() -> None:
    assert not PenguinIce("markov_process").mdp(0.9).rewards.any()
    rewards = PenguinIce().mdp(0.9).rewards
    by_square = {square + 1: set(row) for square, row in enumerate(rewards.tolist()) if any(row)}
    assert by_square == {9: {1.0}, 11: {1.0}, 7: {-1.0}, 13: {-1.0}}


def test_the_window_shows_the_neighbourhood_and_some_squares_look_the_same() -> None:
    env = PenguinIce("partially_observed")
    views = {square: tuple(env.window(square - 1)) for square in range(1, 17)}
    assert views[1] == (SEA, SEA, SEA, SEA, ICE, ICE, SEA, ICE, ICE)
    assert views[9] == (SEA, ICE, ICE, SEA, FISH, ICE, SEA, ICE, ICE)
    alike = [(a, b) for a in views for b in views if a < b and views[a] == views[b]]
    assert alike == [(2, 3), (6, 10), (8, 12), (14, 15)]
    observation, info = env.reset(seed=0)
    assert tuple(observation) == views[info["state"] + 1]


def test_the_optimal_policy_stays_at_the_fish_at_the_edge() -> None:
    env = PenguinIce()
    mdp = env.mdp(0.95)
    policy = greedy(q_values(mdp, value_iteration(mdp)))
    assert policy[9 - 1].argmax() == LEFT
    best, blind = env.policy_return(policy), env.policy_return(np.full((16, 4), 0.25))
    assert blind < 1.0 < 25.0 < best <= env.optimal_return()
    assert best == pytest.approx(env.optimal_return(), rel=0.01)


def test_exact_returns_agree_with_simulated_episodes() -> None:
    env = PenguinIce(horizon_steps=20)
    env.reset(seed=11)
    policy = np.full((16, 4), 0.25)
    policy[8] = np.eye(4)[LEFT]
    rng = np.random.default_rng(5)
    returns = []
    for _ in range(500):
        state, total, truncated = int(env.reset()[0]), 0.0, False
        while not truncated:
            state, reward, _, truncated, _ = env.step(rng.choice(4, p=policy[state]))
            total += reward
        returns.append(total)
    standard_error = np.std(returns) / np.sqrt(len(returns))
    assert abs(np.mean(returns) - env.policy_return(policy)) < 4.9 * standard_error  # p < 1e-6, two-sided


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="mode is 'walrus'"):
        PenguinIce("walrus")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"slip is 1\.2"):
        PenguinIce(slip=1.2)
    with pytest.raises(ValueError, match="option state is 16"):
        PenguinIce().reset(options={"state": 16})
