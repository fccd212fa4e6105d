"""The callback as users see it: wrap, learn, save, load, continue."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, VecNormalize

from prefrl import PreferenceCallback
from prefrl.config import OracleConfig, QueryConfig, RewardConfig, RunConfig, ScheduleConfig, TeacherConfig
from prefrl.data.types import Comparison
from prefrl.oracles import ScriptedOracle
from prefrl.storage import Store, StoreError
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir, RunDirError
from prefrl_envs import EndlessEpisodes

SMALL = RunConfig(
    labels=12,
    queries=QueryConfig(segment_steps=5, batch=4),
    reward=RewardConfig(hidden=(8,), initial_epochs=2, epochs_per_update=1),
    schedule=ScheduleConfig(kind="constant"),
)


@pytest.fixture
def make_loop(tmp_path: Path) -> Callable[..., PreferenceCallback]:
    def make(**arguments: Any) -> PreferenceCallback:
        return PreferenceCallback(**{"run": tmp_path / "run", "config": SMALL} | arguments)

    return make


def pendulums(num_envs: int = 2) -> VecEnv:
    return make_vec_env("Pendulum-v1", num_envs, seed=0)


def ppo(env: VecEnv) -> PPO:
    return PPO("MlpPolicy", env, n_steps=50, batch_size=50, n_epochs=1, device="cpu", seed=0)


def sac(env: VecEnv, **arguments: Any) -> SAC:
    arguments = {"learning_starts": 100, "train_freq": 5, "buffer_size": 2000, "batch_size": 16} | arguments
    return SAC("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu", seed=0, **arguments)


def labels(loop: PreferenceCallback) -> int:
    assert loop.run is not None
    with Store.open(loop.run.store) as store:
        return store.counts().labels


def step_of(loop: PreferenceCallback) -> int:
    assert loop.run is not None
    with Store.open(loop.run.store) as store:
        return int(store.counters()["policy_step"])


class TestLearn:
    @pytest.mark.parametrize("algorithm", [ppo, sac])
    def test_the_whole_budget_is_spent_over_the_steps(self, algorithm: Any, make_loop: Any) -> None:
        loop = make_loop()
        assert loop.reward is None
        algorithm(loop.wrap(pendulums())).learn(600, callback=loop)
        assert (labels(loop), step_of(loop)) == (12, 600)
        assert loop.reward.version >= 2
        config = loop.run.config()
        assert (config.env.id, config.env.num_envs, config.env.endless) == ("Pendulum-v1", 2, False)
        assert (config.labels, config.steps) == (12, 600)
        assert loop.run.specs() == (loop.reward.observation_spec, loop.reward.action_spec)

    def test_the_agent_is_trained_on_the_learned_reward(self, make_loop: Any) -> None:
        loop = make_loop()
        model = ppo(venv := loop.wrap(pendulums()))
        model.learn(600, callback=loop)
        buffer = model.rollout_buffer
        with Store.open(loop.run.store) as store:
            segments = store.segments([entry.id for entry in store.pool(1000)])
        # The last rollout's first env, as recorded and stored: the same steps, labelled by the newest reward.
        newest = max(segments, key=lambda segment: segment.provenance.policy_step)
        predicted = loop.reward.predict(newest.observations, newest.actions)
        windows = [buffer.rewards[start : start + 5, env] for env in range(2) for start in range(46)]
        assert any(np.allclose(predicted, window, rtol=1e-4) for window in windows)
        assert venv.recorder.reward_version == loop.reward.version

    def test_a_custom_oracle_is_asked(self, make_loop: Any) -> None:
        asked: list[Any] = []
        loop = make_loop(oracle=ScriptedOracle(lambda query: asked.append(query) or (2, 1)))
        ppo(loop.wrap(pendulums())).learn(600, callback=loop)
        assert len(asked) == 12
        assert all(len(query.segments[0]) == 5 for query in asked)

    def test_n_step_buffers_are_labelled(self, make_loop: Any) -> None:
        loop = make_loop()
        model = sac(loop.wrap(pendulums()), n_steps=2)
        model.learn(600, callback=loop)
        assert labels(loop) == 12
        newest = model.replay_buffer.rewards[299]
        assert newest.any()
        stored = model.replay_buffer
        actions = model.policy.unscale_action(stored.actions[299])
        np.testing.assert_allclose(newest, loop.reward.predict(stored.observations[299], actions), rtol=1e-4)

    def test_arguments_override_the_config(self) -> None:
        human = dataclasses.replace(SMALL, oracle=OracleConfig("human", TeacherConfig(mistake=0.1)), labels=7)
        config = PreferenceCallback(config=human)._config
        assert (config.oracle.kind, config.labels) == ("human", 7)
        config = PreferenceCallback("synthetic", 9, config=human)._config
        assert (config.oracle.kind, config.labels, config.oracle.teacher.mistake) == ("synthetic", 9, 0.1)

    def test_the_default_run_directory_is_dated(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        loop = PreferenceCallback(config=SMALL)
        ppo(loop.wrap(pendulums())).learn(600, callback=loop)
        (made,) = (tmp_path / "runs").iterdir()
        assert made.name.startswith("callback-20")


class TestContinue:
    def test_a_second_learn_continues_the_run(self, make_loop: Any) -> None:
        loop = make_loop()
        model = ppo(loop.wrap(pendulums()))
        model.learn(600, callback=loop)
        version = loop.reward.version
        model.learn(200, callback=loop, reset_num_timesteps=False)
        model.learn(200, callback=loop)
        assert step_of(loop) == 1000
        assert (labels(loop), loop.reward.version) == (12, version)

    def test_the_budget_is_spread_over_the_steps_of_this_learn(self, make_loop: Any) -> None:
        model = ppo(pendulums())
        model.learn(1000)
        loop = make_loop()
        model.set_env(loop.wrap(pendulums()))
        model.learn(600, callback=loop, reset_num_timesteps=False)
        assert (loop.run.config().steps, labels(loop), step_of(loop)) == (600, 12, 600)

    def test_save_load_and_another_environment(self, make_loop: Any, tmp_path: Path) -> None:
        loop = make_loop()
        model = ppo(loop.wrap(pendulums()))
        model.learn(600, callback=loop)
        model.save(tmp_path / "model.zip")
        loaded = PPO.load(tmp_path / "model.zip", env=loop.wrap(pendulums(3)), device="cpu")
        loaded.learn(150, callback=loop, reset_num_timesteps=False)
        assert loaded.num_timesteps == 750
        assert step_of(loop) == 750
        loaded.set_env(loop.wrap(pendulums(3)))
        loaded.learn(150, callback=loop)
        assert step_of(loop) == 900
        assert loaded.rollout_buffer.rewards.any()

    def test_another_process_continues_the_run_directory(self, make_loop: Any, tmp_path: Path) -> None:
        config = dataclasses.replace(SMALL, schedule=ScheduleConfig(kind="constant", ends_at=1.0))
        first = make_loop(config=config)
        model = ppo(first.wrap(pendulums()))
        model.learn(600, callback=[first, StopAt(300)])
        given, version = labels(first), first.reward.version
        assert 0 < given < 12
        model.save(tmp_path / "model.zip")
        second = make_loop(config=config)
        model = PPO.load(tmp_path / "model.zip", env=second.wrap(pendulums()), device="cpu")
        model.learn(300, callback=second, reset_num_timesteps=False)
        assert (step_of(second), labels(second)) == (600, 12)
        assert second.reward.version > version

    def test_a_run_with_other_settings_is_refused(self, make_loop: Any) -> None:
        loop = make_loop()
        ppo(loop.wrap(pendulums())).learn(600, callback=loop)
        other = make_loop(labels=99)
        with pytest.raises(RunDirError, match="labels is 12 there, 99 here"):
            ppo(other.wrap(pendulums())).learn(600, callback=other)
        moved = make_loop()
        with pytest.raises(RunDirError, match="num_envs is 2 there, 3 here"):
            ppo(moved.wrap(pendulums(3))).learn(600, callback=moved)

    def test_a_replay_buffer_is_saved_and_loaded(self, make_loop: Any, tmp_path: Path) -> None:
        loop = make_loop()
        model = sac(loop.wrap(pendulums()))
        model.learn(600, callback=loop)
        model.save(tmp_path / "model.zip")
        model.save_replay_buffer(tmp_path / "replay.pkl")
        loaded = SAC.load(tmp_path / "model.zip", env=loop.wrap(pendulums()), device="cpu")
        loaded.load_replay_buffer(tmp_path / "replay.pkl")
        assert loaded.replay_buffer.size() == 300
        loaded.learn(100, callback=loop, reset_num_timesteps=False)
        buffer = loaded.replay_buffer
        assert buffer.size() == 350
        actions = model.policy.unscale_action(buffer.actions[:350])
        predicted = loop.reward.predict(buffer.observations[:350], actions)
        np.testing.assert_allclose(buffer.rewards[:350], predicted, rtol=1e-3, atol=1e-5)

    def test_evaluation_after_training_is_not_recorded(self, make_loop: Any) -> None:
        loop = make_loop()
        model = ppo(loop.wrap(pendulums()))
        model.learn(600, callback=loop)
        env = model.get_env()
        observation = env.reset()
        for _ in range(20):
            observation, rewards, _, _ = env.step(model.predict(observation)[0])
            assert not rewards.any()
        model.learn(100, callback=loop)
        assert step_of(loop) == 700


class StopAt(BaseCallback):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def _on_step(self) -> bool:
        return self.num_timesteps < self.steps


class TestBesideOthers:
    @pytest.mark.filterwarnings("ignore:Training and eval env are not of the same type")
    def test_evaluation_and_checkpoints(self, make_loop: Any, tmp_path: Path) -> None:
        loop = make_loop()
        normalized = VecNormalize(loop.wrap(pendulums()), norm_reward=False)
        bare = DummyVecEnv([lambda: gym.make("Pendulum-v1")])
        # SB3 compares the two environments layer by layer; a VecMonitor stands where the loop's wrapper does.
        evaluated = VecNormalize(VecMonitor(bare), norm_reward=False, training=False)
        others = [
            EvalCallback(evaluated, n_eval_episodes=1, eval_freq=250, log_path=str(tmp_path), verbose=0),
            CheckpointCallback(300, str(tmp_path), save_replay_buffer=True, save_vecnormalize=True),
        ]
        model = sac(normalized)
        model.learn(800, callback=[others[0], loop, others[1]], progress_bar=False)
        assert labels(loop) == 12
        assert step_of(loop) == 800, "steps of the evaluation are not the agent's"
        returns = np.load(tmp_path / "evaluations.npz")["results"]
        assert (returns < -10).all(), "evaluation is of the true reward"
        names = {path.suffix for path in tmp_path.glob("rl_model_*600_steps*")}
        assert names == {".zip", ".pkl"}

    def test_true_returns_are_logged_for_people(self, make_loop: Any) -> None:
        loop = make_loop()
        model = ppo(loop.wrap(pendulums()))
        model.learn(600, callback=loop)
        assert -4000 < model.ep_info_buffer[0]["r"] < -10
        records, _ = read_metrics(loop.run.metrics)
        assert any(record.get("true_return", 0.0) < -10 for record in records)


class TestMistakes:
    def test_an_unwrapped_environment_is_refused(self, make_loop: Any) -> None:
        loop = make_loop()
        with pytest.raises(ValueError, match=r"not wrapped; build the agent on loop\.wrap\(venv\)"):
            ppo(pendulums()).learn(100, callback=loop)

    def test_normalised_rewards_are_refused(self, make_loop: Any) -> None:
        loop = make_loop()
        with pytest.raises(ValueError, match="give it norm_reward=False"):
            ppo(VecNormalize(loop.wrap(pendulums()))).learn(100, callback=loop)
        with pytest.raises(ValueError, match="put it around"):
            loop.wrap(VecNormalize(pendulums()))

    def test_an_invalid_oracle_is_refused(self) -> None:
        with pytest.raises(ValueError, match="oracle is 'robot'"):
            PreferenceCallback(oracle="robot")  # type: ignore[arg-type]

    def test_a_zero_budget_is_refused(self, make_loop: Any) -> None:
        loop = make_loop(labels=0)
        with pytest.raises(ValueError, match="label budget is 0"):
            ppo(loop.wrap(pendulums())).learn(100, callback=loop)
        assert not RunDir(loop._run_path).config_file.exists()

    def test_visible_terminations_give_one_warning(self, make_loop: Any) -> None:
        loop = make_loop()
        model = A2C("MlpPolicy", loop.wrap(make_vec_env("CartPole-v1", 2, seed=0)), device="cpu")
        with pytest.warns(UserWarning, match="episode ends leak the task") as caught:
            model.learn(400, callback=loop)
        assert len(caught) == 1

    def test_hidden_terminations_give_no_warning(self, make_loop: Any) -> None:
        loop = make_loop()
        endless = make_vec_env("CartPole-v1", 2, seed=0, wrapper_class=EndlessEpisodes)
        model = DQN("MlpPolicy", loop.wrap(endless), buffer_size=500, learning_starts=100, device="cpu")
        model.learn(400, callback=loop)
        assert loop.reward is not None

    def test_an_environment_without_a_registered_id(self, make_loop: Any) -> None:
        class Unregistered(gym.Wrapper[Any, Any, Any, Any]):
            @property
            def spec(self) -> None:
                return None

        loop = make_loop()
        venv = DummyVecEnv([lambda: Unregistered(gym.make("Pendulum-v1"))])
        assert loop.wrap(venv).recorder.env_id == "unregistered"


def test_people_see_clips_of_environments_defined_in_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever share of the time filming takes, which depends on the machine.
    monkeypatch.setattr("prefrl.recording.clip_recorder.MAX_TIME_SHARE", 1e9)

    def answer(stop: threading.Event) -> None:
        while not stop.wait(0.01):
            with contextlib.suppress(StoreError), Store.open(tmp_path / "run" / "store.sqlite") as store:
                query = store.lease("ann", 60.0)
                if query is not None and query.id is not None:
                    store.add_comparisons([Comparison(query.id, (1, 2), "ann")])

    stop = threading.Event()
    person = threading.Thread(target=answer, args=(stop,))
    person.start()
    loop = PreferenceCallback("human", run=tmp_path / "run", config=SMALL)
    venv = make_vec_env("prefrl/PenguinIce-v0", 2, env_kwargs={"render_mode": "rgb_array"})
    PPO("MlpPolicy", loop.wrap(venv), n_steps=32, batch_size=32).learn(256, callback=loop)
    stop.set()
    person.join()
    with Store.open(tmp_path / "run" / "store.sqlite") as store:
        assert store.label_counts() == {"ann": SMALL.labels}
        assert all(store.clip(entry.id) is not None for entry in store.pool(1000))
