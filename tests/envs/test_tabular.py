"""Exact solutions compared with values computed by hand and with each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl_envs.tabular import (
    TabularMDP,
    boltzmann,
    discounted_returns,
    epsilon_greedy,
    expected_return,
    finite_horizon_optimum,
    greedy,
    policy_evaluation,
    q_values,
    state_values_from_q,
    value_iteration,
)

STAY, GO = 0, 1


def two_states(gamma: float) -> TabularMDP:
    """State 0: stay for 1, or go to state 1 for 0. State 1: stay for 2, or go back for 0."""
    transitions = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], dtype=float)
    return TabularMDP(transitions, np.array([[1.0, 0.0], [2.0, 0.0]]), gamma)


def walk_to_the_end(gamma: float = 1.0) -> TabularMDP:
    """State 0 costs 1 per step and ends in the terminal state 1 with probability 1/2."""
    return TabularMDP(np.array([[[0.5, 0.5]], [[0.0, 1.0]]]), np.array([[-1.0], [0.0]]), gamma)


def random_mdp(seed: int, states: int = 5, actions: int = 3, gamma: float = 0.9) -> TabularMDP:
    rng = np.random.default_rng(seed)
    return TabularMDP(
        rng.dirichlet(np.ones(states), (states, actions)), rng.normal(size=(states, actions)), gamma
    )


def test_value_iteration_by_hand() -> None:
    # In state 1 staying is worth 2 / (1 - .9) = 20; from state 0 going there is worth .9 * 20 = 18 > 10.
    mdp = two_states(0.9)
    values = value_iteration(mdp)
    np.testing.assert_allclose(values, [18.0, 20.0], atol=1e-9)
    np.testing.assert_allclose(q_values(mdp, values), [[17.2, 18.0], [20.0, 16.2]], atol=1e-9)
    np.testing.assert_array_equal(greedy(q_values(mdp, values)), [[0, 1], [1, 0]])


def test_policy_evaluation_by_hand() -> None:
    # V0 = .5 + .45 (V0 + V1), V1 = 1 + .45 (V0 + V1), so V1 = V0 + .5 and V0 = .725 / .1
    uniform = np.full((2, 2), 0.5)
    np.testing.assert_allclose(policy_evaluation(two_states(0.9), uniform), [7.25, 7.75])


def test_policy_evaluation_without_discount_if_the_policy_ends() -> None:
    mdp = walk_to_the_end()
    np.testing.assert_array_equal(mdp.terminal, [False, True])
    np.testing.assert_allclose(policy_evaluation(mdp, np.ones((2, 1))), [-2.0, 0.0])
    np.testing.assert_allclose(value_iteration(mdp), [-2.0, 0.0], atol=1e-9)


def test_values_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="never ends"):
        policy_evaluation(two_states(1.0), np.eye(2)[[STAY, STAY]])
    with pytest.raises(ValueError, match="finite_horizon_optimum"):
        value_iteration(two_states(1.0))


@given(seed=st.integers(0, 10_000))
def test_the_greedy_policy_reaches_the_optimum_and_no_policy_exceeds_it(seed: int) -> None:
    mdp = random_mdp(seed)
    values = value_iteration(mdp)
    best = policy_evaluation(mdp, greedy(q_values(mdp, values)))
    other = policy_evaluation(mdp, boltzmann(q_values(mdp, values), temperature=0.5))
    np.testing.assert_allclose(best, values, atol=1e-8)
    assert (other <= values + 1e-8).all()


@given(seed=st.integers(0, 10_000))
def test_bellman_equation_of_a_policy(seed: int) -> None:
    mdp = random_mdp(seed)
    policy = epsilon_greedy(mdp.rewards, 0.3)
    values = policy_evaluation(mdp, policy)
    np.testing.assert_allclose(state_values_from_q(q_values(mdp, values), policy), values, atol=1e-9)


def test_exploring_policies_by_hand() -> None:
    q = np.array([[0.0, np.log(3.0)], [2.0, 2.0]])
    np.testing.assert_allclose(epsilon_greedy(q, 0.2), [[0.1, 0.9], [0.9, 0.1]])
    np.testing.assert_allclose(boltzmann(q, 1.0), [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(boltzmann(1e6 * q, 1e-6)[0], [0.0, 1.0])
    np.testing.assert_allclose(state_values_from_q(q, np.full((2, 2), 0.5)), [np.log(3.0) / 2, 2.0])


def test_discounted_returns_of_the_penguins_tour() -> None:
    returns = discounted_returns(np.array([0, 0, 0, 0, 1, 0, 1, 0]), 0.9)
    np.testing.assert_allclose(returns[:3], [0.9**4 + 0.9**6, 0.9**3 + 0.9**5, 0.9**2 + 0.9**4])
    np.testing.assert_allclose(returns[:3], [1.19, 1.31, 1.47], atol=0.01)  # as the lecture prints them


@given(
    rewards=hnp.arrays(float, st.integers(0, 12), elements=st.floats(-10, 10)),
    gamma=st.floats(0.0, 1.0),
)
def test_discounted_returns_match_their_definition(rewards: np.ndarray, gamma: float) -> None:
    expected = [sum(gamma**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]
    np.testing.assert_allclose(discounted_returns(rewards, gamma), expected, atol=1e-9)


def test_finite_horizon_by_hand() -> None:
    mdp, start = two_states(0.9), np.array([1.0, 0.0])
    # one step: stay for 1; three steps: go, stay, stay for 0 + 2 + 2; two: stay + stay, or go + stay, for 2
    assert [finite_horizon_optimum(mdp, start, steps) for steps in (0, 1, 2, 3)] == [0.0, 1.0, 2.0, 4.0]
    uniform = np.full((2, 2), 0.5)
    # step 1 pays .5, step 2 the mean of .5 and 1
    assert expected_return(mdp, uniform, start, 2) == pytest.approx(0.5 + 0.75)


@given(seed=st.integers(0, 10_000), horizon_steps=st.integers(0, 6))
def test_the_finite_optimum_bounds_every_policy(seed: int, horizon_steps: int) -> None:
    mdp, start = random_mdp(seed), np.full(5, 0.2)
    policy = boltzmann(mdp.rewards, 0.3)
    optimum = finite_horizon_optimum(mdp, start, horizon_steps)
    assert expected_return(mdp, policy, start, horizon_steps) <= optimum + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transitions": np.full((2, 1, 2), 0.4)}, r"row sums to 0\.8"),
        ({"transitions": np.array([[[1.5, -0.5]], [[0.0, 1.0]]])}, r"smallest entry is -0\.5"),
        ({"transitions": np.ones((2, 2, 1))}, r"\(S, A, S\) is needed"),
        ({"rewards": np.array([[np.nan], [0.0]])}, "finite"),
        ({"gamma": 1.1}, r"gamma is 1\.1"),
    ],
)
def test_invalid_mdps_are_refused(change: dict, message: str) -> None:
    sound = {"transitions": walk_to_the_end().transitions, "rewards": walk_to_the_end().rewards, "gamma": 0.5}
    with pytest.raises(ValueError, match=message):
        TabularMDP(**{**sound, **change})


def test_settings_out_of_range_are_refused() -> None:
    mdp, q = two_states(0.9), np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"epsilon is 1\.5"):
        epsilon_greedy(q, 1.5)
    with pytest.raises(ValueError, match="temperature is 0"):
        boltzmann(q, 0.0)
    with pytest.raises(ValueError, match="start must hold probabilities"):
        finite_horizon_optimum(mdp, np.ones(2), 1)
    with pytest.raises(ValueError, match="does not fit"):
        policy_evaluation(mdp, np.ones((2, 1)))
