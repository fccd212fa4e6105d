"""Atari games: single and vector environments agree, and the score is hidden."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import prefrl_envs
from prefrl_envs.atari import GAMES, hide

pytest.importorskip("ale_py", reason="the games need the atari extra")

SCORE_BYTES = {
    # addresses in the games' memory of what the hidden areas show; found by changing one byte at a time
    "BeamRider": (9, 10, 11),
    "Breakout": (76, 77),
    "Enduro": (40, 42, 43, 44),
    "Pong": (13, 14),
    "Seaquest": (56, 57, 58, 59),
    "SpaceInvaders": (102, 104),
}
STEPS = 150
all_games = pytest.mark.parametrize("game", GAMES)


def play(env: gym.Env, steps: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        observation, _, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))
        if terminated or truncated:
            observation, _ = env.reset()
    return observation


@pytest.mark.slow
@all_games
def test_single_and_vector_environments_agree(game: str) -> None:
    # The number of no-ops is drawn by different generators, so there are none here.
    ordinary = gym.make(f"prefrl/{game}-v0", noop_max=0)
    native = gym.make_vec(f"prefrl/{game}-v0", num_envs=2, noop_max=0)
    assert native.single_observation_space == ordinary.observation_space
    assert native.single_action_space == ordinary.action_space
    one, info = ordinary.reset(seed=3)
    many, infos = native.reset(seed=3)
    np.testing.assert_array_equal(one, many[0])
    rng = np.random.default_rng(1)
    ends = 0
    for step in range(1200 if game in ("Breakout", "Pong") else STEPS):
        action = int(rng.integers(native.single_action_space.n))
        one, reward, terminated, truncated, info = ordinary.step(action)
        many, rewards, terminations, truncations, infos = native.step(np.array([action, 0]))
        assert (reward, terminated, truncated) == (rewards[0], terminations[0], truncations[0]), step
        assert rewards.dtype == np.float32
        if terminated or truncated:
            ends += 1
            assert infos["_final_obs"][0]
            np.testing.assert_array_equal(one, infos["final_obs"][0])
            one, info = ordinary.reset()
        np.testing.assert_array_equal(one, many[0])
        assert info["lives"] == infos["lives"][0]
    assert ends >= (game in ("Breakout", "Pong"))  # a game ended and the next began
    ordinary.close()
    native.close()


@pytest.mark.parametrize("game", SCORE_BYTES)
def test_states_that_differ_only_in_the_score_look_the_same(game: str) -> None:
    shown, hidden = screens_by_score(game, values=(0, 5, 9), steps=60)
    assert any((other != shown[0]).any() for other in shown[1:])
    for other in hidden[1:]:
        np.testing.assert_array_equal(other, hidden[0])


def screens_by_score(
    game: str, values: tuple[int, ...], steps: int, seed: int = 0
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Screens and observations that follow from one state with the score overwritten."""
    env = gym.make(f"prefrl/{game}-v0", hide_score=False)
    play(env, steps, seed)
    emulator = env.unwrapped.ale
    state = emulator.cloneState()
    shown = []
    for value in values:
        emulator.restoreState(state)
        for address in SCORE_BYTES[game]:
            emulator.setRAM(address, value)
        for _ in range(4):  # a whole stack, no frame of which is from before
            observation, *_ = env.step(0)
        shown.append(observation)
    env.close()
    return shown, [hide(screen.copy(), GAMES[game].hidden) for screen in shown]


@pytest.mark.slow
def test_a_classifier_can_read_the_score_from_the_screen_but_not_from_observations() -> None:
    digits = tuple(range(10))
    screens = [screens_by_score("Pong", digits, steps=40 + 7 * seed, seed=seed) for seed in range(12)]
    accuracy = {
        name: accuracy_of_reading([pair[index] for pair in screens])
        for index, name in ((0, "shown"), (1, "hidden"))
    }
    assert accuracy["shown"] > 0.7  # not 1: in some games a point was made meanwhile
    assert accuracy["hidden"] < 0.2  # chance is 0.1


def accuracy_of_reading(screens: list[list[np.ndarray]]) -> float:
    """Accuracy of a linear classifier of the score from the newest frame, trained on two thirds of the games."""
    frames = np.array([[screen[-1].ravel() for screen in game] for game in screens]) / 255.0
    train, test = frames[:8].reshape(-1, frames.shape[-1]), frames[8:].reshape(-1, frames.shape[-1])
    kernel = train @ train.T + 1e-3 * np.eye(len(train))
    votes = test @ train.T @ np.linalg.solve(kernel, np.tile(np.eye(10), (8, 1)))
    return float(np.mean(votes.argmax(axis=1) == np.tile(np.arange(10), 4)))


@pytest.mark.slow
@all_games
def test_hidden_areas_are_black_in_single_and_vector_environments(game: str) -> None:
    ordinary = gym.make(f"prefrl/{game}-v0")
    native = gym.make_vec(f"prefrl/{game}-v0", num_envs=2)
    native.reset(seed=0)
    many = np.concatenate([native.step(np.zeros(2, np.int64))[0] for _ in range(3)])
    for area in GAMES[game].hidden:
        for screens in (play(ordinary, 20), many):
            assert not screens[..., area.top : area.bottom, area.left : area.right].any()
    assert many.any()
    ordinary.close()
    native.close()


def test_no_black_frames_at_the_start_of_a_game() -> None:
    native = gym.make_vec("prefrl/Breakout-v0", num_envs=4)
    screens = [native.reset(seed=0)[0]]
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(400):
        observations, _, terminated, *_ = native.step(rng.integers(4, size=4))
        screens.append(observations)
        ends += int(terminated.sum())
    assert ends
    assert all(frame.any() for frame in np.concatenate(screens).reshape(-1, 84 * 84))
    first = screens[0]
    np.testing.assert_array_equal(first, np.repeat(first[:, -1:], 4, axis=1))
    native.close()


@pytest.mark.slow
def test_games_start_after_different_numbers_of_no_ops() -> None:
    native = gym.make_vec("prefrl/SpaceInvaders-v0", num_envs=8)
    seen = []
    for _ in range(2):
        native.reset(seed=0)
        seen.append([native.step(np.zeros(8, np.int64))[0] for _ in range(20)][-1])
    np.testing.assert_array_equal(*seen)
    assert len({screen.tobytes() for screen in seen[0]}) > 2
    native.close()


def test_an_unknown_game_is_refused_by_name() -> None:
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=r"no game is called 'Tetris'; there are BeamRider, Breakout"):
            make("prefrl/Pong-v0", game="Tetris")


def test_registered_ids_have_a_vector_entry_point() -> None:
    specs: list[Any] = [gym.spec(env_id) for env_id in prefrl_envs.ATARI_IDS]
    assert len(specs) == 7
    assert all(spec.vector_entry_point for spec in specs)
