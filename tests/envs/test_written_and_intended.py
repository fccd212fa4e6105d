"""Environments whose written reward can be hacked: its optimum differs from the intended one."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

import prefrl_envs
from prefrl_envs import IntendedReward
from prefrl_envs.base import TabularEnv
from prefrl_envs.boat_race import CLOCKWISE, BoatRace
from prefrl_envs.tabular import greedy, q_values, value_iteration
from prefrl_envs.vase import GOAL, START, VASE, Vase

UP, RIGHT, DOWN, LEFT = range(4)
both = pytest.mark.parametrize("env", [BoatRace(), Vase()], ids=["boat_race", "vase"])


def optimal_policy(env: TabularEnv, intended: bool) -> np.ndarray:
    mdp = env.mdp(0.99, intended)
    return greedy(q_values(mdp, value_iteration(mdp)))


def follow(env: TabularEnv, state: int, actions: list[int]) -> tuple[list[int], list[float], list[float]]:
    """States reached, written and intended rewards."""
    env.reset(seed=0, options={"state": state})
    steps = [env.step(action) for action in actions]
    infos = [step[4] for step in steps]
    return [info["state"] for info in infos], [s[1] for s in steps], [i["intended_reward"] for i in infos]


@both
def test_hacking_gets_more_written_and_less_intended_reward(env: TabularEnv) -> None:
    hacker, honest = optimal_policy(env, intended=False), optimal_policy(env, intended=True)
    assert env.policy_return(hacker) > 1.3 * env.policy_return(honest)
    assert env.policy_return(hacker, intended=True) < 0.1 * env.policy_return(honest, intended=True)
    assert env.policy_return(hacker) == pytest.approx(env.optimal_return(), rel=0.1)
    assert env.policy_return(honest, intended=True) == pytest.approx(
        env.optimal_return(intended=True), rel=0.1
    )


@both
def test_steps_follow_the_tables(env: TabularEnv) -> None:
    for state, action in np.ndindex(env.rewards.shape):
        states, written, intended = follow(env, state, [action])
        assert env.transitions[state, action, states[0]] == 1.0
        assert (written[0], intended[0]) == (env.rewards[state, action], env.intended_rewards[state, action])


def test_a_lap_has_written_reward_4_and_intended_reward_16() -> None:
    lap = [RIGHT] * 4 + [DOWN] * 4 + [LEFT] * 4 + [UP] * 4
    states, written, intended = follow(BoatRace(), CLOCKWISE[0], lap)
    assert states == [*CLOCKWISE[1:], CLOCKWISE[0]]
    assert (sum(written), sum(intended)) == (4.0, 16.0)


def test_going_back_and_forth_farms_a_checkpoint() -> None:
    _, written, intended = follow(BoatRace(), CLOCKWISE[1], [RIGHT, LEFT] * 8)
    assert (sum(written), sum(intended)) == (8.0, 0.0)


def test_a_checkpoint_pays_only_on_entry() -> None:
    checkpoint = CLOCKWISE[2]
    _, written, intended = follow(BoatRace(), checkpoint, [UP, DOWN])
    assert written == [0.0, 0.0]
    assert intended == [0.0, 0.0]


def test_optimal_returns_of_the_boat_race_by_hand() -> None:
    # Racing gains a square each step. No start is further than 2 moves from a checkpoint, and from the first
    # entering on every other step pays: on the even steps from a corner, 2 to 48, or the odd ones, 1 to 47.
    env = BoatRace(horizon_steps=48)
    assert env.optimal_return(intended=True) == 48.0
    assert env.optimal_return() == 24.0


def test_the_short_way_has_the_cost_of_the_vase() -> None:
    env = Vase()
    states, written, intended = follow(env, START, [RIGHT] * 5)
    assert states == [START + 1, VASE, VASE + 1, GOAL, START]
    assert sum(written) == pytest.approx(1 - 4 * 0.05)
    assert sum(intended) == pytest.approx(1 - 4 * 0.05 - 2)


def test_the_long_way_avoids_the_vase() -> None:
    states, written, intended = follow(Vase(), START, [UP] * 2 + [RIGHT] * 4 + [DOWN] * 2 + [UP])
    assert states[-2:] == [GOAL, START]
    assert VASE not in states
    assert written == intended
    assert sum(written) == pytest.approx(1 - 8 * 0.05)


@pytest.mark.parametrize("name", ["BoatRace", "Vase"])
def test_the_intended_variant_pays_the_intended_reward(name: str) -> None:
    written_env, intended_env = gym.make(f"prefrl/{name}-v0"), gym.make(f"prefrl/{name}Intended-v0")
    written_env.reset(seed=2)
    intended_env.reset(seed=2)
    written_env.action_space.seed(2)
    for _ in range(40):
        action = written_env.action_space.sample()
        _, written, *_, info = written_env.step(action)
        _, intended, *_, swapped_info = intended_env.step(action)
        assert intended == info["intended_reward"]
        assert swapped_info["written_reward"] == written


@pytest.mark.parametrize(("name", "optimum"), [("BoatRace", 48.0), ("Vase", 2.895)])
def test_the_intended_variant_gives_its_own_optimal_return(name: str, optimum: float) -> None:
    env = gym.make(f"prefrl/{name}Intended-v0")
    assert env.get_wrapper_attr("optimal_return")() == pytest.approx(optimum)
    assert not IntendedReward(CartPoleEnv()).has_wrapper_attr("optimal_return")


def test_an_environment_without_an_intended_reward_is_refused() -> None:
    env = IntendedReward(CartPoleEnv())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"CartPoleEnv.*intended_reward"):
        env.step(0)


def test_the_intended_variants_are_registered() -> None:
    assert {"prefrl/BoatRaceIntended-v0", "prefrl/VaseIntended-v0"} <= set(prefrl_envs.ENV_IDS)
