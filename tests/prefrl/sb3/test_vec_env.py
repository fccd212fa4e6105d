"""What the two wrappers pass on, count, record and refuse."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecMonitor, VecNormalize

from prefrl import RewardVecEnv
from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.reward import LearnedReward
from prefrl.reward.networks import build_network
from prefrl.sb3 import PreferenceVecEnv
from prefrl.storage.versions import publish_version
from prefrl_envs import EndlessEpisodes

BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)


class Countdown(gym.Env[np.ndarray, Any]):
    """Rewards 1, 2, 3, ...; terminates after ``length`` steps unless ``truncates``; then gives ``broken``
    numbers."""

    observation_space = BOX
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, length: int = 3, truncates: bool = False, broken: str = "") -> None:
        self.length, self.truncates, self.broken, self.count = length, truncates, broken, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.count = 0
        return np.zeros(3, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.count += 1
        observation = np.full(3, self.count / 100, np.float32)
        is_over = self.count == self.length
        if is_over and self.broken in ("observation", "final observation"):
            observation[1] = np.nan
        reward = np.inf if is_over and self.broken == "true reward" else float(self.count)
        is_over &= self.broken != "observation"
        return observation, reward, is_over and not self.truncates, is_over and self.truncates, {}


def preference_venv(*environments: gym.Env[Any, Any]) -> PreferenceVecEnv:
    remaining = iter(environments)
    venv = PreferenceVecEnv(DummyVecEnv([lambda: next(remaining)] * len(environments)), 4, "Countdown-v0", 0)
    venv.begin_training(None)
    return venv


def step(venv: VecEnv, steps: int = 1) -> list[tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]]:
    return [venv.step(np.zeros((venv.num_envs, 1), np.float32)) for _ in range(steps)]


def learned_reward(venv: VecEnv, version: int = 1, seed: int = 0) -> LearnedReward:
    observed, acted = SpaceSpec.of(venv.observation_space), SpaceSpec.of(venv.action_space)
    config = RewardConfig(hidden=(8,))
    network = build_network(observed, acted, config, torch.Generator().manual_seed(seed))
    mean, std = torch.zeros(config.members), torch.ones(config.members)
    return LearnedReward(
        network, mean, std, version=version, observation_spec=observed, action_spec=acted, config=config
    )


class TestInfoAndRecording:
    def test_only_the_info_that_sb3_needs_is_passed_on(self, make_spies: Any, wrap: Any) -> None:
        venv = wrap(make_spies(episode_steps=2))
        venv.begin_training(None)
        venv.reset()
        (_, rewards, _, infos), (_, _, dones, last) = (venv.step(np.zeros((2, 2))) for _ in range(2))
        assert infos == [{"TimeLimit.truncated": False, "is_success": True}] * 2
        assert rewards.dtype == np.float32
        assert not rewards.any()
        assert dones.all()
        assert set(last[0]) == {"TimeLimit.truncated", "is_success", "terminal_observation", "episode"}
        assert last[0]["is_success"] is True, "a number there could be the reward"
        assert set(last[0]["episode"]) == {"r", "l", "t"}

    def test_true_returns_are_counted_without_a_monitor(self) -> None:
        venv = preference_venv(Countdown(3), Countdown(2))
        venv.reset()
        episodes = [[info.get("episode") for info in infos] for _, _, _, infos in step(venv, 4)]
        ended = [(t, env, e["r"], e["l"]) for t, row in enumerate(episodes) for env, e in enumerate(row) if e]
        assert ended == [(1, 1, 3.0, 2), (2, 0, 6.0, 3), (3, 1, 3.0, 2)]
        assert venv.recorder.take_episodes() == [(4, 3.0, 2), (6, 6.0, 3), (8, 3.0, 2)]

    def test_hidden_ends_are_counted_and_recorded_as_terminations_or_truncations(self) -> None:
        venv = preference_venv(EndlessEpisodes(Countdown(2)), EndlessEpisodes(Countdown(3, truncates=True)))
        venv.reset()
        steps = step(venv, 10)
        assert not any(dones.any() for _, _, dones, _ in steps)
        assert steps[1][3][0]["episode"]["r"] == 3.0
        assert steps[2][3][1]["episode"]["r"] == 6.0
        segments = {bool(s.terminated.any()): s for s in venv.recorder.take()}
        assert segments[True].terminated.sum() == 2
        assert not segments[True].truncated.any()
        assert segments[False].truncated.any()

    def test_an_inner_monitor_takes_precedence(self) -> None:
        class Keeps(Monitor):
            """Adds what a user's Monitor may: keywords of the task."""

            def step(self, action: Any) -> Any:
                *rest, info = super().step(action)
                if "episode" in info:
                    info["episode"]["score"] = 9.0
                return *rest, info

        venv = preference_venv(EndlessEpisodes(Keeps(Countdown(2)), termination_penalty=50.0))
        venv.reset()
        episode = step(venv, 2)[1][3][0]["episode"]
        assert (episode["r"], episode["l"], set(episode)) == (3.0, 2, {"r", "l", "t"})
        assert venv.recorder.take_episodes() == [(2, 3.0, 2)]

    def test_final_observations_and_time_limits_are_kept(self) -> None:
        venv = preference_venv(Countdown(2, truncates=True), Countdown(2))
        venv.reset()
        infos = step(venv, 2)[1][3]
        np.testing.assert_allclose(infos[0]["terminal_observation"], 0.02)
        assert [info["TimeLimit.truncated"] for info in infos] == [True, False]

    def test_environments_that_reuse_their_arrays_are_recorded_correctly(self) -> None:
        class Reusing(DummyVecEnv):
            def _obs_from_buf(self) -> Any:
                return self.buf_obs[None]

        venv = PreferenceVecEnv(Reusing([lambda: Countdown(100)]), 4, "Countdown-v0", 0)
        venv.begin_training(None)
        venv.reset()
        step(venv, 4)
        np.testing.assert_allclose(venv.recorder.take()[0].observations[:, 0], [0.0, 0.01, 0.02, 0.03])


class TestOutsideTraining:
    def test_nothing_is_recorded(self) -> None:
        venv = preference_venv(Countdown(2))
        venv.reset()
        venv.end_training()
        venv.reset()
        rewards = [rewards for _, rewards, _, _ in step(venv, 8)]
        assert not np.any(rewards)
        assert venv.recorder.policy_step == 0
        assert venv.recorder.take() == []
        assert venv.recorder.take_episodes() == []

    def test_training_without_the_callback_gives_one_warning(self, make_spies: Any, wrap: Any) -> None:
        model = A2C("MlpPolicy", wrap(make_spies()), device="cpu")
        with pytest.warns(UserWarning, match=r"pass the loop: learn\(\.\.\., callback=loop\)"):
            model.learn(10)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.learn(10)

    def test_a_reset_truncates_the_current_episode(self) -> None:
        venv = preference_venv(Countdown(100))
        venv.reset()
        step(venv, 2)
        venv.reset()
        step(venv, 2)
        (segment,) = venv.recorder.take()
        assert segment.truncated.tolist() == [False, True, False, False]
        np.testing.assert_allclose(segment.observations[:, 0], [0.0, 0.01, 0.0, 0.01])


class TestNonFiniteNumbers:
    @pytest.mark.parametrize("what", ["observation", "final observation", "true reward"])
    def test_are_reported_with_environment_and_step(self, what: str) -> None:
        venv = preference_venv(Countdown(100), Countdown(3, broken=what))
        venv.reset()
        step(venv, 2)
        with pytest.raises(ValueError, match=f"the {what} of environment 1 is not finite at step 4"):
            step(venv)

    def test_a_non_finite_action_does_not_reach_the_environment(self) -> None:
        environment = Countdown(100)
        venv = preference_venv(Countdown(100), environment)
        venv.reset()
        with pytest.raises(ValueError, match="the action of environment 1 is not finite at step 0"):
            venv.step(np.array([[0.0], [np.nan]], np.float32))
        assert environment.count == 0

    def test_the_error_does_not_blame_the_agent(self) -> None:
        venv = RewardVecEnv(
            inner := DummyVecEnv([lambda: Countdown(3, broken="observation")]), learned_reward(inner)
        )
        with pytest.raises(ValueError, match="the observation of environment 0 is not finite at step 2"):
            PPO("MlpPolicy", venv, n_steps=8, batch_size=8, device="cpu").learn(8)


class TestWrapping:
    def test_normalisation_inside_is_refused(self, make_spies: Any, wrap: Any) -> None:
        with pytest.raises(ValueError, match="put it around: VecNormalize"):
            wrap(VecNormalize(make_spies()))
        with pytest.raises(ValueError, match="put it around: VecNormalize"):
            RewardVecEnv(VecFrameStack(VecNormalize(make_spies()), 2), learned_reward(make_spies()))

    def test_wrapping_twice_is_refused(self, make_spies: Any, wrap: Any) -> None:
        with pytest.raises(ValueError, match="already hidden by PreferenceVecEnv; wrap it once"):
            wrap(VecMonitor(wrap(make_spies())))

    def test_a_single_environment_is_refused(self, wrap: Any) -> None:
        with pytest.raises(ValueError, match="a Stable-Baselines3 VecEnv is needed, got Countdown"):
            wrap(Countdown())

    @pytest.mark.parametrize("which", ["observation", "action"])
    def test_a_reward_for_other_spaces_is_refused(self, which: str, make_spies: Any) -> None:
        other = spaces.Box(-1.0, 1.0, (7,), np.float32)
        reward = learned_reward(make_spies(**{f"{which}_space": other}))
        with pytest.raises(ValueError, match=rf"learned with {which}_spec .*\(7,\).* the environment has"):
            RewardVecEnv(make_spies(), reward)


class TestRewardVecEnv:
    @pytest.mark.parametrize("algorithm", [PPO, A2C, DQN, SAC, TD3])
    def test_every_algorithm_gets_the_learned_reward_and_nothing_else(
        self, algorithm: Any, make_spies: Any
    ) -> None:
        acts = spaces.Discrete(3) if algorithm is DQN else None
        spies = make_spies(action_space=acts, num_envs=2, episode_steps=7)
        reward = learned_reward(spies)
        venv = RewardVecEnv(spies, reward)
        seen: list[np.ndarray] = []

        def watch(local: dict[str, Any], _: Any) -> bool:
            seen.append(np.array(local["rewards"]))
            return True

        sizes = {"buffer_size": 100, "learning_starts": 10}
        sizes = {PPO: {"n_steps": 8, "batch_size": 16}, A2C: {}}.get(algorithm, sizes)
        model = algorithm("MlpPolicy", venv, device="cpu", seed=0, **sizes)
        model.learn(32, callback=watch)
        logs = spies.get_attr("log")
        observations = np.array([[o for o, _ in log] for log in logs])
        actions = np.array([[a for _, a in log] for log in logs])
        np.testing.assert_allclose(seen, reward.predict(observations, actions).T, rtol=1e-4, atol=1e-5)
        assert model.ep_info_buffer[0]["r"] == sum(12345.0 + k for k in range(1, 8))

    def test_a_followed_reward_takes_the_newest_version(self, make_spies: Any, tmp_path: Path) -> None:
        spies = make_spies()
        old, new = learned_reward(spies, 1), learned_reward(spies, 2, seed=1)
        publish_version(tmp_path, 1, old.save)
        followed = LearnedReward.load(tmp_path, follow=True)
        venv = RewardVecEnv(spies, followed)
        observation, action = venv.reset(), np.zeros((2, 2), np.float32)
        np.testing.assert_allclose(venv.step(action)[1], old.predict(observation, action), rtol=1e-5)
        publish_version(tmp_path, 2, new.save)
        assert json.loads((tmp_path / "latest.json").read_text())["version"] == 2
        followed.refresh()
        observation = venv._observations
        np.testing.assert_allclose(venv.step(action)[1], new.predict(observation, action), rtol=1e-5)

    def test_rewards_may_be_normalised_by_an_outer_wrapper(self, make_spies: Any) -> None:
        spies = make_spies()
        venv = VecNormalize(RewardVecEnv(spies, learned_reward(spies)))
        model = SAC("MlpPolicy", venv, buffer_size=100, learning_starts=100, device="cpu", seed=0)
        model.learn(20)
        assert np.abs(model.replay_buffer.rewards).max() < 100, (
            "off-policy buffers hold the original reward: ours"
        )
        assert torch.isfinite(model.replay_buffer.sample(8, env=venv).rewards).all()
