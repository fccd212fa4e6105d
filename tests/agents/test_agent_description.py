"""Models of a user's own script: saved by names and plain values, rebuilt to act, or refused with the reason."""

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
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from prefrl.storage.errors import RunDirError
from prefrl_agents import load_agent, save_agent
from prefrl_agents.agent_description import trusted_architecture
from prefrl_agents.plain_values import NotPlainError, from_plain, to_plain
from prefrl_agents.space_json import space_from_json, space_to_json
from prefrl_envs.text import TextSpace
from prefrl_envs.text.space import TokenSpace

BOX = spaces.Box(np.array([-1.0, -np.inf], np.float32), np.array([2.0, np.inf], np.float32))
IMAGE = spaces.Box(0, 255, (40, 40, 3), np.uint8)


class OwnExtractor(FlattenExtractor):
    """A user-defined network."""


class Sampled(gym.Env[Any, Any]):
    """Random observations."""

    def __init__(self, observed: spaces.Space[Any], acted: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observed, acted

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 1.0, False, False, {}


def venv(observed: spaces.Space[Any] = BOX, acted: spaces.Space[Any] | None = None) -> DummyVecEnv:
    made = DummyVecEnv([lambda: Sampled(observed, acted or spaces.Box(-2.0, 3.0, (2,)))] * 2)
    made.seed(0)
    return made


def models() -> dict[str, Callable[[], Any]]:
    dictionary = spaces.Dict({"z": BOX, "a": spaces.Discrete(4), "image": IMAGE})
    discrete, small = spaces.Discrete(3), {"buffer_size": 50, "learning_starts": 5}
    return {
        "layers, activation, optimiser": lambda: PPO(
            "MlpPolicy",
            venv(),
            LinearSchedule(1e-3, 0.0, 1.0),
            n_steps=8,
            batch_size=8,
            policy_kwargs={
                "net_arch": {"pi": [8, 4], "vf": [5]},
                "activation_fn": nn.ELU,
                "optimizer_class": torch.optim.AdamW,
                "optimizer_kwargs": {"betas": (0.8, 0.9), "weight_decay": 0.1},
                "log_std_init": -np.float32(0.5),
            },
        ),
        "RMSprop of TensorFlow": lambda: A2C("MlpPolicy", venv(acted=spaces.MultiDiscrete([2, 3]))),
        "plain RMSprop": lambda: A2C("MlpPolicy", venv(acted=spaces.MultiBinary(3)), use_rms_prop=False),
        "exploration that depends on the state": lambda: A2C("MlpPolicy", venv(), use_sde=True),
        "images": lambda: DQN("CnnPolicy", venv(IMAGE, discrete), **small),
        "dictionary": lambda: PPO("MultiInputPolicy", venv(dictionary, discrete), n_steps=4, batch_size=4),
        "fixed entropy": lambda: SAC("MlpPolicy", venv(), ent_coef=0.1, **small),
        "learned entropy": lambda: SAC("MlpPolicy", venv(), ent_coef="auto_0.3", **small),
        "noise": lambda: TD3(
            "MlpPolicy", venv(), action_noise=NormalActionNoise(np.zeros(2), np.ones(2)), **small
        ),
        "a schedule of one's own": lambda: PPO(
            "MlpPolicy", venv(), lambda left: left, n_steps=4, batch_size=4
        ),
    }


@pytest.mark.parametrize("name", models())
def test_a_rebuilt_agent_acts_the_same(name: str, tmp_path: Path) -> None:
    model = models()[name]().learn(20)
    save_agent(tmp_path, model)
    loaded = load_agent(tmp_path)
    assert type(loaded) is type(model)
    assert type(loaded.policy) is type(model.policy)
    assert (loaded.num_timesteps, loaded.observation_space, loaded.action_space) == (
        model.num_timesteps,
        model.observation_space,
        model.action_space,
    )
    observation = venv(model.env.observation_space).reset()
    # DQN explores by the action space's random numbers, gSDE by a matrix that is drawn when the model is loaded.
    has_own_noise = isinstance(model, DQN) or model.use_sde
    for deterministic in (True,) if has_own_noise else (True, False):
        torch.manual_seed(0)
        expected, _ = model.predict(observation, deterministic=deterministic)
        torch.manual_seed(0)
        found, _ = loaded.predict(observation, deterministic=deterministic)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dictionary", [False, True])
def test_observations_are_normalised_as_in_training(dictionary: bool, tmp_path: Path) -> None:
    parts = spaces.Dict({"a": spaces.Box(-9.0, 9.0, (2,)), "b": spaces.Box(0.0, 5.0, (3,))})
    observed: spaces.Space[Any] = parts if dictionary else parts["a"]
    keys = ["a"] if dictionary else None
    normalised = VecNormalize(venv(observed), norm_reward=False, clip_obs=1.5, norm_obs_keys=keys)
    model = A2C("MultiInputPolicy" if dictionary else "MlpPolicy", normalised).learn(100)
    save_agent(tmp_path, model)
    loaded, raw = load_agent(tmp_path), venv(observed).reset()
    normalised.training = False
    expected, _ = model.predict(normalised.normalize_obs(raw), deterministic=True)  # type: ignore[arg-type]
    np.testing.assert_array_equal(loaded.predict(raw, deterministic=True)[0], expected)
    assert not np.array_equal(model.predict(raw, deterministic=True)[0], expected), "the statistics matter"


def test_settings_without_a_name_are_reported_when_the_agent_is_loaded(tmp_path: Path) -> None:
    class Local(FlattenExtractor):
        pass

    kinds: dict[str, Any] = {
        "policy_kwargs.activation_fn is <function": {"activation_fn": lambda: nn.ReLU()},
        "policy_kwargs.features_extractor_class is the class .*<locals>.Local": {
            "features_extractor_class": Local
        },
    }
    for number, (said, policy_kwargs) in enumerate(kinds.items()):
        model = PPO("MlpPolicy", venv(), n_steps=4, batch_size=4, policy_kwargs=policy_kwargs)
        save_agent(tmp_path / str(number), model)
        (about,) = (tmp_path / str(number)).glob("*/agent.json")
        assert json.loads(about.read_text())["rebuildable"] is False
        with pytest.raises(RunDirError, match=f"only be rebuilt by the script that made it .{said}"):
            load_agent(tmp_path / str(number), trust=True)


def test_a_network_from_another_module_needs_trust(tmp_path: Path) -> None:
    model = PPO(
        "MlpPolicy", venv(), n_steps=4, batch_size=4, policy_kwargs={"features_extractor_class": OwnExtractor}
    )
    save_agent(tmp_path, model)
    with pytest.raises(
        RunDirError, match=f"names {__name__}:OwnExtractor: loading it runs the code .*--trust"
    ):
        load_agent(tmp_path)
    assert isinstance(load_agent(tmp_path, trust=True).policy.features_extractor, OwnExtractor)


def test_an_algorithm_from_another_module_needs_trust(tmp_path: Path) -> None:
    save_agent(tmp_path, OwnA2C("MlpPolicy", venv()))
    for algorithm in (None, f"{__name__}:OwnA2C"):
        with pytest.raises(RunDirError, match=r"OwnA2C: loading it runs the code .*--trust"):
            load_agent(tmp_path, algorithm)
        assert type(load_agent(tmp_path, algorithm, trust=True)) is OwnA2C
    with pytest.raises(RunDirError, match="is no a2c agent of this run"):
        load_agent(tmp_path, "a2c", trust=True)


class OwnA2C(A2C):
    """A user-defined algorithm."""


@pytest.mark.parametrize(
    "reference",
    [
        "os:system",
        "torch.nn:functional",
        "stable_baselines3.common.save_util:load_from_pkl",
        "torch.nn.nope:X",
        3,
    ],
)
@pytest.mark.parametrize("trust", [False, True])
def test_other_references_to_classes_are_refused(reference: Any, trust: bool) -> None:
    with pytest.raises(RunDirError, match=r"file\.json"):
        from_plain({"class": reference}, trust, "file.json")


def test_a_language_model_loads_no_remote_code() -> None:
    described = {"temperature": 1.0, "model": {"model_type": "gpt2", "auto_map": {"AutoModel": "evil--x"}}}
    assert trusted_architecture(described) == {"temperature": 1.0, "model": {"model_type": "gpt2"}}
    with pytest.raises(RunDirError, match="not by 'somebody/checkpoint'"):
        trusted_architecture({"model": "somebody/checkpoint"})


def test_plain_values_round_trip() -> None:
    value = {
        "tuple": (1, (2.5, None)),
        "list": [True, "text", float("inf"), np.int64(3)],
        "class": nn.ReLU,
        "schedule": LinearSchedule(1e-3, 1e-4, 1.0),
    }
    text = json.dumps(to_plain(value, "value"), allow_nan=False)
    found = from_plain(json.loads(text), False, "file.json")
    schedule = found.pop("schedule")
    assert [schedule(left) for left in (1.0, 0.5, 0.0)] == pytest.approx([1e-3, 5.5e-4, 1e-4])
    del value["schedule"]
    assert found == value


@pytest.mark.parametrize("value", [object(), {1: 2}, {"class": 1}, [lambda: 0]])
def test_other_values_have_no_plain_form(value: Any) -> None:
    with pytest.raises(NotPlainError, match="setting"):
        to_plain(value, "setting")


@pytest.mark.parametrize(
    "space",
    [
        BOX,
        IMAGE,
        spaces.Box(-1.0, 1.0, (2, 2), np.float64),
        spaces.Box(np.array([0, 3]), np.array([5, 9]), dtype=np.int64),
        spaces.Discrete(4, start=-1),
        spaces.MultiDiscrete([3, 4], start=[1, 0]),
        spaces.MultiDiscrete([[3, 4], [2, 2]]),
        spaces.MultiBinary(3),
        spaces.MultiBinary([2, 3]),
        spaces.Dict({"z": BOX, "a": spaces.Dict({"b": spaces.Discrete(2)})}),
        TextSpace(9, 0, 1, 4, 5),
        TokenSpace(9, 0),
    ],
    ids=str,
)
def test_spaces_round_trip(space: spaces.Space[Any]) -> None:
    text = json.dumps(space_to_json(space), allow_nan=False)
    found = space_from_json(json.loads(text))
    assert found == space
    assert (type(found), found.dtype, found.shape) == (type(space), space.dtype, space.shape)
    if isinstance(space, spaces.Dict):
        assert list(found) == list(space)  # type: ignore[call-overload]


def test_unsupported_spaces_cannot_be_described() -> None:
    with pytest.raises(ValueError, match="type Text cannot be described"):
        space_to_json(spaces.Text(3))
    with pytest.raises(ValueError, match="no kind of space"):
        space_from_json({"kind": "sphere"})
