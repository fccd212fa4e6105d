"""Off-policy: which stored steps are labelled, with which version, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, SAC, HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from prefrl.sb3 import PreferenceVecEnv, make_labeller

IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)
DICT = spaces.Dict({"z": BOX, "a": spaces.Discrete(4), "image": IMAGE})
BUFFER_ROWS = 8


def sac(env: VecEnv, policy: str = "MlpPolicy", **arguments: Any) -> SAC:
    """A SAC agent that acts randomly and does not learn by default."""
    arguments = {"learning_starts": 10_000, "buffer_size": BUFFER_ROWS * env.num_envs} | arguments
    return SAC(policy, env, device="cpu", seed=0, **arguments)


def dqn(env: VecEnv, policy: str = "MlpPolicy", **arguments: Any) -> DQN:
    arguments = {"learning_starts": 10_000, "buffer_size": BUFFER_ROWS * env.num_envs} | arguments
    return DQN(policy, env, device="cpu", seed=0, **arguments)


def act(model: Any, rows: int, learn: Any = None) -> None:
    (learn or model.learn)(rows * model.n_envs, reset_num_timesteps=model.num_timesteps == 0)


def newest(expected: np.ndarray, rows: int = BUFFER_ROWS) -> np.ndarray:
    """Rewards by time, shape (steps, N), as a ring of ``rows`` holds them."""
    steps = len(expected)
    ring = np.zeros((rows, expected.shape[1]), np.float32)
    for step in range(max(0, steps - rows), steps):
        ring[step % rows] = expected[step]
    return ring


@pytest.mark.parametrize("around", [None, VecNormalize])
@pytest.mark.parametrize("rows", [5, 21])
@pytest.mark.parametrize("num_envs", [1, 3])
def test_the_whole_ring_follows_the_newest_version(
    num_envs: int,
    rows: int,
    around: Any,
    make_spies: Any,
    wrap: Any,
    make_reward: Any,
    labelled: Any,
    rewards_by_log: Any,
) -> None:
    spies = make_spies(num_envs=num_envs)
    venv = wrap(spies)
    model = sac(venv if around is None else around(venv, norm_reward=False))
    reward = make_reward(venv, version=0)
    learn = labelled(model, reward)
    act(model, rows, learn)
    assert not model.replay_buffer.rewards.any(), "there is no reward yet"
    for version in (1, 2):
        reward.version = version
        act(model, 1, learn)
        np.testing.assert_allclose(
            model.replay_buffer.rewards, newest(rewards_by_log(reward, spies)), rtol=1e-5
        )
    assert rows != 21 or model.replay_buffer.full


@pytest.mark.parametrize(
    ("observed", "policy"),
    [
        (spaces.Discrete(5), "MlpPolicy"),
        (spaces.MultiDiscrete([3, 4]), "MlpPolicy"),
        (DICT, "MultiInputPolicy"),
    ],
)
def test_other_spaces_are_relabelled(
    observed: Any,
    policy: str,
    make_spies: Any,
    wrap: Any,
    make_reward: Any,
    labelled: Any,
    rewards_by_log: Any,
) -> None:
    spies = make_spies(observed, spaces.Discrete(3))
    venv = wrap(spies)
    model, reward = dqn(venv, policy), make_reward(venv)
    learn = labelled(model, reward)
    act(model, 10, learn)
    reward.version = 2
    act(model, 1, learn)
    np.testing.assert_allclose(model.replay_buffer.rewards, newest(rewards_by_log(reward, spies)), rtol=1e-5)


def test_without_relabelling_every_step_keeps_its_first_label(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, reward = sac(venv), make_reward(venv, version=0)
    for version in (0, 1, 2):
        reward.version = version
        learn = labelled(model, reward, relabel=False)
        act(model, 2, learn)
    # What came before the first reward was labelled with the first.
    by_version = [rewards_by_log(FormulaAt(reward, version), spies) for version in (1, 2)]
    expected = np.concatenate([by_version[0][:4], by_version[1][4:]])
    np.testing.assert_allclose(model.replay_buffer.rewards, newest(expected), rtol=1e-5)
    np.testing.assert_array_equal(model.replay_buffer.label_versions, [1, 1, 1, 1, 2, 2, 0, 0])


class FormulaAt:
    """A link's formula at a fixed version."""

    def __init__(self, link: Any, version: int) -> None:
        self._link, self._version = link, version

    def reward(self, observation: np.ndarray, action: np.ndarray) -> float:
        return float(self._link.reward(observation, action, self._version))


def test_sampled_batches_carry_the_labels(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, reward = sac(venv), make_reward(venv)
    learn = labelled(model, reward)
    act(model, BUFFER_ROWS, learn)
    sampled = model.replay_buffer.sample(50).rewards.numpy().reshape(-1)
    known = rewards_by_log(reward, spies).reshape(-1)
    assert np.isclose(sampled[:, None], known[None, :], rtol=1e-5).any(axis=1).all()
    assert len(np.unique(sampled)) > 5


@pytest.mark.parametrize("num_envs", [1, 2])
def test_pixels_are_labelled_when_sampled(
    num_envs: int, make_spies: Any, wrap: Any, make_reward: Any, rewards_by_log: Any
) -> None:
    spies = make_spies(IMAGE, spaces.Discrete(3), num_envs=num_envs)
    venv = wrap(spies)
    model, reward = dqn(venv, "CnnPolicy"), make_reward(venv, version=0)
    labeller = make_labeller(model)
    labeller.attach(reward)
    act(model, BUFFER_ROWS)
    assert not model.replay_buffer.sample(10).rewards.any()
    for reward.version in (1, 2):
        labeller.label(None, reward)
        samples = model.replay_buffer.sample(10)
        known = rewards_by_log(reward, spies).reshape(-1)
        assert samples.rewards.shape == (10, 1)
        assert np.isclose(samples.rewards.numpy(), known, rtol=1e-5).any(axis=1).all()
    assert not model.replay_buffer.rewards.any()
    labeller.detach()
    assert type(model.replay_buffer) is ReplayBuffer
    assert not hasattr(model.replay_buffer, "reward")


def test_a_saved_pixel_buffer_loads_as_an_sb3_buffer(
    tmp_path: Path, make_spies: Any, wrap: Any, make_reward: Any
) -> None:
    venv = wrap(make_spies(IMAGE, spaces.Discrete(3)))
    model = dqn(venv, "CnnPolicy")
    make_labeller(model).attach(make_reward(venv))
    act(model, 4)
    model.save_replay_buffer(tmp_path / "replay.pkl")
    assert type(model.replay_buffer) is not ReplayBuffer
    other = dqn(make_spies(IMAGE, spaces.Discrete(3)), "CnnPolicy")
    other.load_replay_buffer(tmp_path / "replay.pkl")
    assert type(other.replay_buffer) is ReplayBuffer
    assert other.replay_buffer.size() == 4


def test_pixels_without_relabelling_keep_their_first_label(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies(IMAGE, spaces.Discrete(3), num_envs=1)
    venv = wrap(spies)
    model, reward = dqn(venv, "CnnPolicy"), make_reward(venv)
    act(model, 3, labelled(model, reward, relabel=False))
    reward.version = 2
    samples = model.replay_buffer.sample(10)
    known = rewards_by_log(FormulaAt(reward, 1), spies).reshape(-1)
    assert np.isclose(samples.rewards.numpy(), known, rtol=1e-5).any(axis=1).all()


def test_the_memory_saving_buffer_is_relabelled(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies(num_envs=1)
    venv = wrap(spies)
    kwargs = {"handle_timeout_termination": False}
    model, reward = sac(venv, optimize_memory_usage=True, replay_buffer_kwargs=kwargs), make_reward(venv)
    learn = labelled(model, reward)
    act(model, 11, learn)
    reward.version = 2
    act(model, 1, learn)
    buffer = model.replay_buffer
    valid = np.arange(BUFFER_ROWS) != buffer.pos  # that row's observation has been overwritten already
    np.testing.assert_allclose(buffer.rewards[valid], newest(rewards_by_log(reward, spies))[valid], rtol=1e-5)


def test_rewards_from_before_the_callback_are_discarded(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    true_envs = make_spies()
    model = sac(true_envs)
    act(model, 3)
    assert (model.replay_buffer.rewards[:3] > 12_000).all()
    spies = make_spies()
    venv = wrap(spies)
    model.set_env(venv)
    reward = make_reward(venv, version=0)
    learn = labelled(model, reward)
    act(model, 1, learn)
    assert not model.replay_buffer.rewards.any()
    reward.version = 1
    act(model, 1, learn)
    expected = np.concatenate([rewards_by_log(reward, true_envs), rewards_by_log(reward, spies)])
    np.testing.assert_allclose(model.replay_buffer.rewards, newest(expected), rtol=1e-5)


def test_a_saved_replay_buffer_can_be_used_in_another_run(
    tmp_path: Path, make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies()
    venv = wrap(spies)
    model, reward = sac(venv), make_reward(venv, version=3)
    learn = labelled(model, reward)
    act(model, 3, learn)
    model.save_replay_buffer(tmp_path / "replay.pkl")
    venv = wrap(make_spies())
    other = sac(venv)
    other.load_replay_buffer(tmp_path / "replay.pkl")
    # The same number, but it is another loop's version.
    reward = make_reward(venv, version=3)
    reward.reward = lambda observation, action: float(observation[0])
    learn = labelled(other, reward)
    act(other, 1, learn)
    rewards, observations = other.replay_buffer.rewards, other.replay_buffer.observations
    assert rewards[:4].all()
    np.testing.assert_allclose(rewards, observations[:, :, 0], rtol=1e-5)


def test_buffers_that_cannot_be_relabelled_are_refused(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any
) -> None:
    venv = wrap(make_spies(num_envs=1))
    with pytest.raises(ValueError, match=r"put what changes the observations .* inside: loop.wrap"):
        make_labeller(sac(VecFrameStack(venv, 2)))
    images = wrap(make_spies(IMAGE, spaces.Discrete(3), num_envs=1))
    normalized = VecNormalize(images, norm_reward=False)
    model = dqn(normalized, "MlpPolicy")
    with pytest.raises(ValueError, match="give it norm_obs=False"):
        make_labeller(model)


def test_n_step_buffers_are_relabelled_step_by_step(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    spies = make_spies(num_envs=1)
    venv = wrap(spies)
    model, reward = sac(venv, n_steps=2, gamma=0.5), make_reward(venv, version=0)
    learn = labelled(model, reward)
    act(model, 4, learn)
    reward.version = 1
    act(model, 1, learn)
    rewards = rewards_by_log(reward, spies)[:, 0]
    np.testing.assert_allclose(model.replay_buffer.rewards[:5, 0], rewards, rtol=1e-5)
    # SB3 sums them when they are sampled.
    sampled = model.replay_buffer._get_samples(np.array([0, 1])).rewards.numpy()[:, 0]
    np.testing.assert_allclose(sampled, rewards[:2] + 0.5 * rewards[1:3], rtol=1e-5)


def test_a_custom_buffer_class_gets_the_reward_from_the_environment(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any, rewards_by_log: Any
) -> None:
    class OwnBuffer(ReplayBuffer):
        pass

    spies = make_spies()
    venv = wrap(spies)
    model = sac(VecNormalize(venv, norm_reward=False), replay_buffer_class=OwnBuffer)
    reward = make_reward(venv)
    learn = labelled(model, reward)
    act(model, 5, learn)
    np.testing.assert_allclose(model.replay_buffer.rewards, newest(rewards_by_log(reward, spies)), rtol=1e-5)


def test_hindsight_replay_is_refused_because_it_needs_true_rewards(
    make_spies: Any, wrap: Any, make_reward: Any, labelled: Any
) -> None:
    goals = spaces.Dict({"observation": BOX, "achieved_goal": BOX, "desired_goal": BOX})
    venv: PreferenceVecEnv = wrap(make_spies(goals, spaces.Discrete(3), num_envs=1, episode_steps=3))
    model = dqn(venv, "MultiInputPolicy", replay_buffer_class=HerReplayBuffer)
    with pytest.raises(ValueError, match="HerReplayBuffer asks the environment for true rewards"):
        make_labeller(model)
    # However it is come by, the environment does not tell.
    with pytest.raises(ValueError, match="compute_reward would tell the agent the true reward"):
        venv.env_method("compute_reward", None, None, {})


def test_rewards_stored_before_the_first_learned_reward_are_discarded(
    make_spies: Any, wrap: Any, make_reward: Any
) -> None:
    venv = wrap(make_spies())
    model, reward = sac(venv), make_reward(venv, version=0)
    labeller = make_labeller(model)
    labeller.attach(reward)
    observations, infos = np.zeros((2, 3), np.float32), [{}, {}]
    model.replay_buffer.add(
        observations, observations, np.zeros((2, 2)), np.full(2, 12345.0), np.zeros(2), infos
    )
    labeller.label(None, reward)
    assert not model.replay_buffer.rewards.any()
