"""Text environments without a vector version are refused before a run is created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

from prefrl_envs.text import TextGenEnv
from prefrl_envs.text.random_walks import RandomWalks


def test_native_stepping_cannot_be_turned_off(
    prefrl: Callable[..., Any], nothing_starts: None, tmp_path: Path
) -> None:
    words = ["text-walks", "--env.no-native", "--run", tmp_path / "run"]
    prefrl("train", *words).refuses("env.native is false", "--env.native")
    assert list(tmp_path.iterdir()) == []


def test_a_text_environment_without_a_vector_version_is_refused(
    prefrl: Callable[..., Any],
    nothing_starts: None,
    register: Callable[[Callable[..., gym.Env]], str],
    tmp_path: Path,
) -> None:
    env_id = register(lambda: TextGenEnv(RandomWalks()))
    words = ["text-walks", "--env", env_id, "--run", tmp_path / "run"]
    prefrl("train", *words).refuses(env_id, "vector_entry_point", "prefrl_envs.text.TextGenVectorEnv")
    assert list(tmp_path.iterdir()) == []
