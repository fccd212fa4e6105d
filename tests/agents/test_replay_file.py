from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from prefrl_agents.replay_file import load_replay, save_replay

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
DICT = spaces.Dict({"a": BOX, "b": spaces.Discrete(3)})


def model(dictionary: bool, **arguments: Any) -> Any:
    kind, space = (DictReplayBuffer, DICT) if dictionary else (ReplayBuffer, BOX)
    return SimpleNamespace(
        replay_buffer=kind(6, space, spaces.Discrete(2), device="cpu", n_envs=2, **arguments)
    )


def fill(buffer: Any, steps: int) -> None:
    space = buffer.observation_space
    space.seed(0)
    for step in range(steps):
        samples = [space.sample() for _ in range(4)]
        if isinstance(space, spaces.Dict):
            pairs = [
                {key: np.stack([s[key] for s in samples[i : i + 2]]) for key in space.spaces} for i in (0, 2)
            ]
        else:
            pairs = [np.stack(samples[:2]), np.stack(samples[2:])]
        infos: list[dict[str, Any]] = [{}, {"TimeLimit.truncated": step % 2 == 0}]
        buffer.add(*pairs, np.array([0, 1]), np.array([step, -step]), np.array([0, 1]), infos)


@pytest.mark.parametrize("dictionary", [False, True])
@pytest.mark.parametrize("steps", [0, 2, 3, 5])
def test_the_buffer_round_trips(dictionary: bool, steps: int, tmp_path: Path) -> None:
    saved, loaded = model(dictionary), model(dictionary)
    fill(saved.replay_buffer, steps)
    save_replay(tmp_path, saved)
    load_replay(tmp_path, loaded)
    assert (loaded.replay_buffer.pos, loaded.replay_buffer.full) == (steps % 3, steps >= 3)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        one, other = getattr(saved.replay_buffer, name), getattr(loaded.replay_buffer, name)
        for key in one if dictionary and name.endswith("observations") else [...]:
            np.testing.assert_array_equal(one[key], other[key])


def test_the_memory_saving_buffer_has_no_next_observations(tmp_path: Path) -> None:
    saved, loaded = (
        model(False, optimize_memory_usage=True, handle_timeout_termination=False) for _ in range(2)
    )
    fill(saved.replay_buffer, 5)
    save_replay(tmp_path, saved)
    load_replay(tmp_path, loaded)
    np.testing.assert_array_equal(saved.replay_buffer.observations, loaded.replay_buffer.observations)


def test_an_agent_without_a_replay_buffer_writes_none(tmp_path: Path) -> None:
    save_replay(tmp_path, SimpleNamespace())
    assert list(tmp_path.iterdir()) == []
    untouched = model(False)
    load_replay(tmp_path, untouched)
    assert untouched.replay_buffer.size() == 0
