"""Agents saved without pickle: they continue as from Stable-Baselines3's own file, and run no code when loaded."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.config import AgentConfig
from prefrl.sb3 import NativeVecEnv, PreferenceVecEnv
from prefrl.storage.durable import write_json_atomic
from prefrl.storage.errors import RunDirError
from prefrl_agents import load_agent, save_agent
from prefrl_agents.replay_file import save_replay
from prefrl_agents.saved_agent import find_saved
from prefrl_envs.text import TextGenVectorEnv
from prefrl_envs.text.random_walks import RandomWalks

MakeAgent = Callable[..., Any]


class Pictures(gym.Env[Any, Any]):
    """Random images."""

    observation_space = spaces.Box(0, 255, (4, 40, 40), np.uint8)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.np_random.integers(0, 256, (4, 40, 40), np.uint8), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.np_random.integers(0, 256, (4, 40, 40), np.uint8), 0.0, False, False, {}


def walks() -> VecEnv:
    return NativeVecEnv(TextGenVectorEnv(RandomWalks(), 4))


def pictures() -> VecEnv:
    return DummyVecEnv([Pictures] * 2)


KINDS: dict[str, tuple[Callable[[], VecEnv], AgentConfig]] = {
    "token_ppo": (walks, AgentConfig("token_ppo", hyperparameters={"kl_target": 0.1, "learning_rate": 1e-3})),
    "token_ppo with adapters": (
        walks,
        AgentConfig(
            "token_ppo", hyperparameters={"policy_kwargs": {"lora_rank": 2}, "learning_rate": "lin_1e-3"}
        ),
    ),
    "fast cnn": (
        pictures,
        AgentConfig(
            "ppo",
            "FastCnnPolicy",
            {
                "n_steps": 8,
                "batch_size": 8,
                "policy_kwargs": {"features_extractor_kwargs": {"centred": True, "precision": "float32"}},
            },
        ),
    ),
    "outside": (
        lambda: DummyVecEnv([lambda: gym.make("Pendulum-v1")] * 2),
        AgentConfig(
            "stable_baselines3:TD3",
            hyperparameters={"learning_starts": 40, "buffer_size": 300, "batch_size": 16},
        ),
    ),
}


def run(agent: Any, steps: int) -> None:
    while agent.policy_step < steps:
        agent.step()


def save_as_the_first_release(folder: Path, model: Any) -> None:
    target = folder / "0000000000-old"
    target.mkdir(parents=True)
    model.save(target / "model.zip")
    save_replay(target, model)
    write_json_atomic(folder / "latest.json", {"folder": target.name, "policy_step": model.num_timesteps})


def tensors(value: Any, path: str = "") -> dict[str, Any]:
    """All leaves of nested state dicts by path."""
    if isinstance(value, (dict, list, tuple)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for name, part in parts for key, leaf in tensors(part, f"{path}/{name}").items()}
    return {path: value}


def assert_same(one: Any, other: Any) -> None:
    """The same networks, optimisers and other variables, bit for bit, and the same counters."""
    first, second = tensors(one.get_parameters()), tensors(other.get_parameters())
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert type(value) is type(second[name]), name
        same = torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name]
        assert same, name
    for name in one._get_torch_save_params()[1]:
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    for name in (
        "num_timesteps",
        "_n_updates",
        "_n_calls",
        "_episode_num",
        "_current_progress_remaining",
        "exploration_rate",
        "kl",
        "newest_answer",
    ):
        assert getattr(one, name, None) == getattr(other, name, None), name


def continue_both_ways(make: Callable[[Path, bool], Any], agent: Any, tmp_path: Path) -> None:
    """From our files and from Stable-Baselines3's: the same agent, and the same one an update later."""
    save_agent(tmp_path / "new", agent.model)
    save_as_the_first_release(tmp_path / "old", agent.model)
    continued = []
    for folder, trust in (("new", False), ("old", True)):
        each = make(tmp_path / folder, trust)
        assert_same(each.model, agent.model)
        updates, start = each.model._n_updates, each.policy_step
        run(each, start + 260)
        assert each.model._n_updates > updates
        continued.append(each)
    assert_same(*(each.model for each in continued))
    actions = [np.concatenate([segment.actions for segment in each.segments]) for each in continued]
    np.testing.assert_array_equal(*actions)


class TestContinue:
    @pytest.mark.parametrize("algorithm", ["ppo", "a2c", "dqn", "sac"])
    def test_continues_as_from_a_pickle(self, algorithm: str, make_agent: MakeAgent, tmp_path: Path) -> None:
        settings = {"learning_rate": "lin_1e-3"}
        agent = make_agent(algorithm, total_steps=2000, folder=tmp_path / "none", **settings)
        run(agent, 300)

        def make(folder: Path, trust: bool) -> Any:
            return make_agent(algorithm, total_steps=2000, folder=folder, trust=trust, **settings)

        continue_both_ways(make, agent, tmp_path)

    @pytest.mark.parametrize("kind", KINDS)
    def test_as_from_a_pickle_for_texts_images_and_other_algorithms(
        self, kind: str, make_reward: Any, wrap_agent: Any, tmp_path: Path
    ) -> None:
        make_venv, config = KINDS[kind]

        def make(folder: Path, trust: bool) -> Any:
            venv = PreferenceVecEnv(make_venv(), 1, kind, 0)
            venv.seed(0)
            reward = make_reward()
            reward.predict = lambda observations, actions: (np.asarray(actions, np.float32) / 7).reshape(
                *observations.shape[:2], -1
            )[..., 0]
            return wrap_agent(config, venv, reward, 2000, folder, trust)

        agent = make(tmp_path / "none", False)
        run(agent, 200)
        continue_both_ways(make, agent, tmp_path)

    def test_of_a_checkpoint_that_is_gone(self, make_reward: Any, wrap_agent: Any, tmp_path: Path) -> None:
        from prefrl.text.models import LanguageModel

        space: Any = walks().observation_space
        made = LanguageModel.create("tiny", space.vocab_size, space.max_tokens, space.pad_id, space.eos_id)
        made.save(tmp_path / "checkpoint")
        config = AgentConfig("token_ppo", language_model=str(tmp_path / "checkpoint"))

        def make() -> Any:
            venv = PreferenceVecEnv(walks(), 1, "walks", 0)
            return wrap_agent(config, venv, make_reward(version=0), 2000, tmp_path / "agent")

        agent = make()
        agent.save(tmp_path / "agent")
        shutil.rmtree(tmp_path / "checkpoint")
        assert_same(make().model, agent.model)

    def test_other_settings_are_refused(self, make_agent: MakeAgent, tmp_path: Path) -> None:
        agent = make_agent()
        agent.save(tmp_path / "agent")
        with pytest.raises(
            RunDirError, match=r"agent\.json is no ppo agent of this run's settings .*size mismatch"
        ):
            make_agent(policy_kwargs={"net_arch": [3]})
        with pytest.raises(RunDirError, match=r"agent\.json is no a2c agent of this run, but 'ppo'"):
            make_agent("a2c")


class TestFallback:
    def saved(self, make_agent: MakeAgent, folder: Path) -> tuple[list[Path], list[int]]:
        """Two saved agents, the newest first, and their steps."""
        agent, steps = make_agent("sac", total_steps=1000), []
        for target in (250, 500):
            run(agent, target)
            agent.save(folder)
            steps.append(agent.policy_step)
        return sorted((path for path in folder.iterdir() if path.is_dir()), reverse=True), steps[::-1]

    @pytest.mark.parametrize("name", ["agent.json", "agent.safetensors", "replay.safetensors"])
    @pytest.mark.parametrize("damage", ["cut", "changed"])
    def test_a_damaged_agent_falls_back_to_the_one_before(
        self, name: str, damage: str, make_agent: MakeAgent, tmp_path: Path
    ) -> None:
        (newest, older), steps = self.saved(make_agent, tmp_path / "agent")
        content = (newest / name).read_bytes()
        half = len(content) // 2
        (newest / name).write_bytes(content[:half] + (b"" if damage == "cut" else b"?" + content[half + 1 :]))
        with pytest.warns(UserWarning, match=f"{newest.name}/{name} is damaged.*at step {steps[1]}, is used"):
            continued = make_agent("sac", total_steps=1000)
        assert continued.policy_step == steps[1]
        if name != "replay.safetensors":
            with pytest.warns(UserWarning, match="is used"):
                assert load_agent(tmp_path / "agent").num_timesteps == steps[1]
            shutil.copy(newest / name, older / name)
            with pytest.raises(
                RunDirError, match=f"{newest.name}/{name} .*{older.name}/{name} .*restore the run"
            ):
                load_agent(tmp_path / "agent")
        else:
            assert load_agent(tmp_path / "agent").num_timesteps == steps[0], "acting needs no experience"

    def test_a_damaged_agent_is_not_kept_as_a_fallback(self, make_agent: MakeAgent, tmp_path: Path) -> None:
        (newest, older), steps = self.saved(make_agent, tmp_path / "agent")
        shutil.rmtree(newest)
        with pytest.warns(UserWarning, match=r"agent\.json cannot be read .No such file"):
            continued = make_agent("sac", total_steps=1000)
        run(continued, 750)
        continued.save(tmp_path / "agent")
        pointer = json.loads((tmp_path / "agent" / "latest.json").read_text())
        assert (pointer["previous"]["folder"], pointer["previous"]["policy_step"]) == (older.name, steps[1])
        assert older.is_dir()


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


class TestTrust:
    def test_a_pickle_of_an_earlier_release_is_loaded_only_with_trust(
        self, make_agent: MakeAgent, tmp_path: Path
    ) -> None:
        agent = make_agent(folder=tmp_path / "none")
        run(agent, 80)
        save_as_the_first_release(tmp_path / "agent", agent.model)
        for load in (lambda: load_agent(tmp_path / "agent", "ppo"), make_agent):
            with pytest.raises(RunDirError, match=r"model\.zip was saved by an earlier release.*--trust"):
                load()
        assert_same(load_agent(tmp_path / "agent", "ppo", trust=True), agent.model)
        continued = make_agent(trust=True)
        continued.save(tmp_path / "agent")
        assert_same(make_agent().model, agent.model)
        assert not list((tmp_path / "agent").glob("*/model.zip"))

    @pytest.mark.parametrize(
        "name", ["model.zip", "agent.json", "agent.safetensors", "replay.safetensors", "../latest.json"]
    )
    def test_no_file_of_the_folder_is_unpickled(
        self, name: str, make_agent: MakeAgent, tmp_path: Path
    ) -> None:
        folder = tmp_path / "agent"
        make_agent("sac").save(folder)
        (saved,) = (path for path in folder.iterdir() if path.is_dir())
        (saved / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        if name in ("model.zip", "replay.safetensors"):
            load_agent(folder, "sac")
        else:
            with pytest.raises(RunDirError, match=Path(name).name):
                load_agent(folder, "sac")
        if name == "model.zip":
            make_agent("sac")
        else:
            with pytest.raises(RunDirError, match=Path(name).name):
                make_agent("sac")
        # Vouched for by its digest, and still no pickle.
        if name.startswith("agent"):
            pointer = json.loads((folder / "latest.json").read_text())
            from prefrl.storage.durable import file_digest

            pointer["files"][name] = file_digest(saved / name)
            write_json_atomic(folder / "latest.json", pointer)
            with pytest.raises(RunDirError):
                load_agent(folder, "sac")
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize("where", ["up", "absolute", "link", "previous"])
    def test_pointers_stay_in_the_folder(self, where: str, make_agent: MakeAgent, tmp_path: Path) -> None:
        folder, other = tmp_path / "agent", tmp_path / "other"
        make_agent().save(folder)
        make_agent().save(other)
        (outside,) = (path for path in other.iterdir() if path.is_dir())
        pointer = json.loads((other / "latest.json").read_text())
        if where == "link":
            (folder / outside.name).symlink_to(outside)
        else:
            pointer["folder"] = str(outside) if where == "absolute" else f"../other/{outside.name}"
        if where == "previous":
            newest = json.loads((folder / "latest.json").read_text())
            (folder / newest["folder"] / "agent.json").write_text("{}")
            pointer = {**newest, "previous": pointer}
        write_json_atomic(folder / "latest.json", pointer)
        with pytest.raises(RunDirError, match=r"inside it|leads out of"):
            find_saved(folder)

    def test_links_to_other_folders_are_not_followed(self, make_agent: MakeAgent, tmp_path: Path) -> None:
        folder = tmp_path / "agent"
        make_agent().save(folder)
        (saved,) = (path for path in folder.iterdir() if path.is_dir())
        shutil.move(saved / "agent.json", tmp_path / "agent.json")
        (saved / "agent.json").symlink_to(tmp_path / "agent.json")
        with pytest.raises(RunDirError, match="leads out of"):
            load_agent(folder)

    @pytest.mark.parametrize(
        "pointer",
        [
            {},
            {"folder": 3},
            {"folder": "a", "policy_step": 1, "files": []},
            {"folder": "a", "policy_step": 1, "previous": 3},
            {"folder": "a"},
        ],
    )
    def test_a_damaged_pointer_is_reported(self, pointer: dict[str, Any], tmp_path: Path) -> None:
        write_json_atomic(tmp_path / "latest.json", pointer)
        with pytest.raises(RunDirError, match=r"latest\.json does not name a saved agent; restore the run"):
            find_saved(tmp_path)
