from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from prefrl.config import AgentConfig
from prefrl.loop.agent import AgentServices
from prefrl.sb3 import PreferenceVecEnv
from prefrl_agents import SB3Agent, evaluate, load_agent

MakeAgent = Callable[..., Any]
ALL = ["ppo", "a2c", "dqn", "sac"]


def run(agent: Any, steps: int) -> None:
    while agent.policy_step < steps:
        agent.step()


def weights(agent: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in agent.model.policy.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def executed(agent: Any) -> np.ndarray:
    return np.concatenate([segment.actions for segment in agent.segments])


class TestStep:
    @pytest.mark.parametrize("algorithm", ALL)
    def test_the_same_seed_gives_the_same_actions_and_weights(
        self, algorithm: str, make_agent: MakeAgent
    ) -> None:
        actions, ends = [], []
        for seed in (0, 0, 1):
            agent = make_agent(algorithm, seed=seed)
            before = weights(agent)
            run(agent, 200)
            assert not same(weights(agent), before), "it learned"
            actions.append(executed(agent))
            ends.append(weights(agent))
        np.testing.assert_array_equal(actions[0], actions[1])
        assert same(ends[0], ends[1])
        assert not np.array_equal(actions[0], actions[2])
        assert not same(ends[0], ends[2])

    @pytest.mark.parametrize(
        ("algorithm", "total_steps", "taken"),
        # Two environments: an odd number is rounded up.
        [("ppo", 130, 130), ("ppo", 7, 8), ("a2c", 130, 130), ("dqn", 131, 132), ("sac", 90, 90)],
    )
    def test_steps_are_those_asked_for(
        self, algorithm: str, total_steps: int, taken: int, make_agent: MakeAgent
    ) -> None:
        agent = make_agent(algorithm, total_steps=total_steps)
        run(agent, total_steps)
        assert agent.policy_step == agent._venv.recorder.policy_step == taken

    @pytest.mark.parametrize("algorithm", ALL)
    def test_nothing_is_learned_before_the_first_reward(
        self, algorithm: str, make_agent: MakeAgent, make_reward: Any
    ) -> None:
        reward = make_reward(version=0)
        agent = make_agent(algorithm, reward)
        before = weights(agent)
        run(agent, 120)
        assert same(weights(agent), before)
        reward.version = 1
        run(agent, 400)
        assert not same(weights(agent), before)

    def test_n_step_returns_are_of_the_learned_reward(self, make_agent: MakeAgent, make_reward: Any) -> None:
        agent = make_agent("sac", make_reward(), n_steps=3)
        for _ in range(50):
            agent.step()
        rewards, observations = agent.model.replay_buffer.rewards, agent.model.replay_buffer.observations
        np.testing.assert_allclose(rewards[:50], observations[:50, :, 0], rtol=1e-5)

    def test_schedules_fall_to_nothing_and_not_below(self, make_agent: MakeAgent) -> None:
        agent = make_agent("ppo", total_steps=150, learning_rate="lin_1e-3", clip_range="lin_0.2")
        rates = []
        while agent.policy_step < 150:
            agent.step()
            rates.append(agent.model.policy.optimizer.param_groups[0]["lr"])
        np.testing.assert_allclose(rates, [1e-3 * (1 - step / 150) for step in (40, 80, 120)] + [0.0])


@pytest.mark.slow
class TestContinue:
    @pytest.mark.parametrize("algorithm", ALL)
    def test_a_saved_agent_continues(self, algorithm: str, make_agent: MakeAgent, tmp_path: Path) -> None:
        agent = make_agent(algorithm, learning_rate="lin_1e-3")
        run(agent, 200)
        agent.save(tmp_path / "agent")
        progress = agent.model._current_progress_remaining
        continued = make_agent(algorithm, learning_rate="lin_1e-3")
        assert continued.policy_step == continued._venv.recorder.policy_step == agent.policy_step
        assert same(weights(continued), weights(agent))
        assert continued.model._current_progress_remaining == progress
        run(continued, 400)
        assert not same(weights(continued), weights(agent))
        assert continued.policy_step == 400
        assert continued.model._current_progress_remaining == pytest.approx(0.0, abs=1e-9)

    @pytest.mark.parametrize("algorithm", ["dqn", "sac"])
    @pytest.mark.parametrize("steps", [200, 400])
    def test_experience_is_kept(
        self, algorithm: str, steps: int, make_agent: MakeAgent, make_reward: Any, tmp_path: Path
    ) -> None:
        agent = make_agent(algorithm, total_steps=1000)
        run(agent, steps)
        agent.save(tmp_path / "agent")
        reward = make_reward()
        buffer = make_agent(algorithm, reward, total_steps=1000).model.replay_buffer
        old = agent.model.replay_buffer
        assert (buffer.pos, buffer.full) == (old.pos, old.full)
        for name in (
            "observations",
            "next_observations",
            "actions",
            "rewards",
            "dones",
            "timeouts",
            "label_versions",
        ):
            np.testing.assert_array_equal(getattr(buffer, name), getattr(old, name))

    @pytest.mark.parametrize("relabel", [True, False])
    def test_kept_experience_is_relabelled_if_asked_for(
        self, relabel: bool, make_agent: MakeAgent, make_reward: Any, tmp_path: Path
    ) -> None:
        agent = make_agent("sac", relabel=relabel, buffer_size=1000)
        run(agent, 100)
        agent.save(tmp_path / "agent")
        continued = make_agent("sac", make_reward(version=2), relabel=relabel, buffer_size=1000)
        continued.step()
        buffer = continued.model.replay_buffer
        expected = buffer.observations[:50, :, 0] * (2 if relabel else 1)
        np.testing.assert_allclose(buffer.rewards[:50], expected, rtol=1e-5)

    def test_a_continued_agent_does_not_repeat_its_random_numbers(
        self, make_agent: MakeAgent, tmp_path: Path
    ) -> None:
        agent = make_agent()
        run(agent, 40)
        agent.save(tmp_path / "agent")
        one, two = (make_agent()._venv._observations for _ in range(2))
        np.testing.assert_array_equal(one, two)
        fresh = make_agent(folder=tmp_path / "nothing here")
        assert not np.array_equal(one, fresh._venv._observations), "not its first episodes again"

    def test_without_saved_experience_it_gathers_before_it_learns(
        self, make_agent: MakeAgent, tmp_path: Path
    ) -> None:
        agent = make_agent("sac", total_steps=2000)
        run(agent, 200)
        agent.save(tmp_path / "agent")
        (replay,) = (tmp_path / "agent").glob("*/replay.safetensors")
        replay.unlink()
        continued = make_agent("sac", total_steps=2000)
        updates, start = continued.model._n_updates, continued.policy_step
        while continued.policy_step <= start + 40:
            continued.step()
        # Learning starts above 40 steps, which the last of these passed.
        assert continued.model._n_updates == updates + 1


@pytest.mark.slow
class TestSave:
    def test_the_two_newest_are_kept(self, make_agent: MakeAgent, tmp_path: Path) -> None:
        agent, folder, steps = make_agent("sac", total_steps=1000), tmp_path / "agent", []
        for target in (250, 500, 750):
            run(agent, target)
            agent.save(folder)
            steps.append(agent.policy_step)
        pointer = json.loads((folder / "latest.json").read_text())
        older, newest = sorted(path for path in folder.iterdir() if path.is_dir())
        assert (pointer["folder"], pointer["policy_step"]) == (newest.name, steps[-1])
        assert (pointer["previous"]["folder"], pointer["previous"]["policy_step"]) == (older.name, steps[-2])
        assert "previous" not in pointer["previous"]
        for path in (older, newest):
            assert {file.name for file in path.iterdir()} == {
                "agent.json",
                "agent.safetensors",
                "replay.safetensors",
            }

    @pytest.mark.parametrize("dies_in", ["model", "replay", "pointer"])
    def test_killed_while_saving_the_older_agent_remains(
        self, dies_in: str, make_agent: MakeAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        agent, folder = make_agent("sac"), tmp_path / "agent"
        run(agent, 50)
        agent.save(folder)
        saved, step = weights(agent), agent.policy_step
        run(agent, 100)

        def die(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            name = {"model": "save_file", "replay": "save_replay", "pointer": "write_json_atomic"}[dies_in]
            patch.setattr(f"prefrl_agents.saved_agent.{name}", die)
            with pytest.raises(KeyboardInterrupt):
                agent.save(folder)
        continued = make_agent("sac")
        assert continued.policy_step == step
        assert same(weights(continued), saved)
        continued.save(folder)
        assert len([path for path in folder.iterdir() if path.is_dir()]) == 2, (
            "half-written folders are deleted"
        )

    def test_experience_that_is_too_large_is_left_out(
        self, make_agent: MakeAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("prefrl_agents.replay_file._MOST_BYTES", 100)
        agent = make_agent("sac")
        run(agent, 50)
        agent.save(tmp_path / "agent")
        assert not list((tmp_path / "agent").glob("*/replay.safetensors"))
        assert make_agent("sac").model.replay_buffer.size() == 0

    def test_a_saved_model_can_be_loaded_to_act(self, make_agent: MakeAgent, tmp_path: Path) -> None:
        agent = make_agent(learning_rate="lin_1e-3", policy_kwargs={"activation_fn": "relu"})
        run(agent, 80)
        agent.save(tmp_path / "agent")
        model = load_agent(tmp_path / "agent", "ppo")
        observation = np.array([0.1, -0.2, 0.3, 0.4], np.float32)
        assert model.predict(observation, deterministic=True) == agent.model.predict(
            observation, deterministic=True
        )

    def test_loading_without_a_saved_agent(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no agent has been saved"):
            load_agent(tmp_path, "ppo")


class TestEvaluate:
    def test_true_returns_of_whole_episodes(self, make_agent: MakeAgent) -> None:
        result = make_agent().evaluate(12, seed=3)
        assert len(result.true_returns) == 12
        assert all(5 <= true_return <= 500 for true_return in result.true_returns)
        assert result.optimal_return is None
        assert make_agent().evaluate(12, seed=3) == result
        assert make_agent().evaluate(12, seed=4) != result

    def test_the_optimal_return_is_reported_where_it_is_known(self, make_agent: MakeAgent) -> None:
        model = make_agent(env_id="prefrl_envs:prefrl/PenguinIce-v0").model
        make_one = gym.make

        def make_venv(num_envs: int) -> DummyVecEnv:
            return DummyVecEnv([lambda: Monitor(make_one("prefrl_envs:prefrl/PenguinIce-v0"))] * num_envs)

        result = evaluate(model, make_venv, 2, 0)
        assert result.optimal_return is not None
        assert np.isfinite(result.optimal_return)


class TestMistakes:
    def test_unknown_hyperparameters(self, make_agent: MakeAgent) -> None:
        with pytest.raises(
            ValueError, match=r"ppo has no hyperparameters \['n_stepz'\]; it knows .*'n_steps'"
        ):
            make_agent(n_stepz=3)

    @pytest.mark.parametrize(("algorithm", "env_id"), [("dqn", "Pendulum-v1"), ("sac", "CartPole-v1")])
    def test_actions_that_the_algorithm_does_not_have(
        self, algorithm: str, env_id: str, make_agent: MakeAgent
    ) -> None:
        with pytest.raises(
            ValueError, match=f"{algorithm} cannot be built .* only supports .* action spaces"
        ):
            make_agent(algorithm, env_id=env_id)

    def test_a_policy_that_does_not_fit(self, make_agent: MakeAgent) -> None:
        with pytest.raises(ValueError, match=r"ppo cannot be built .* images"):
            make_agent(policy="CnnPolicy")
        with pytest.raises(ValueError, match="Policy Mlp unknown"):
            make_agent(policy="Mlp")

    def test_arguments_of_the_policy_that_there_are_not(self, make_agent: MakeAgent) -> None:
        with pytest.raises(ValueError, match=r"ppo cannot be built .* unexpected keyword argument 'widths'"):
            make_agent(policy_kwargs={"widths": [8]})


@pytest.mark.parametrize(
    ("space", "policy"),
    [
        (spaces.Box(0, 255, (36, 36, 3), np.uint8), "CnnPolicy"),
        (spaces.Box(0, 255, (3, 36, 36), np.uint8), "CnnPolicy"),
        (spaces.Box(0, 255, (35, 36, 3), np.uint8), "MlpPolicy"),
        (spaces.Box(0, 100, (36, 36, 3), np.uint8), "MlpPolicy"),
        (spaces.Dict({"a": spaces.Discrete(3)}), "MultiInputPolicy"),
        (spaces.Discrete(3), "MlpPolicy"),
    ],
)
def test_the_policy_suits_the_observations(
    space: spaces.Space[Any], policy: str, make_reward: Any, tmp_path: Path
) -> None:
    class Still(gym.Env[Any, Any]):
        observation_space = space
        action_space = spaces.Discrete(2)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
            return self.observation_space.sample(), {}

    venv = PreferenceVecEnv(DummyVecEnv([Still]), 5, "Still-v0", 0)
    config = AgentConfig("a2c")
    services = AgentServices(answers=list, heartbeat=lambda state, detail: None)
    agent = SB3Agent(config, venv, services, 10, 0, lambda _: venv, tmp_path)
    assert agent.model.policy_class is agent.model.policy_aliases[policy]
